// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
)

// A ChainOrder is how the chain of a downloaded certificate is put together.
type ChainOrder int

const (
	// ChainGood is intermediate then root, as live answers have it.
	ChainGood ChainOrder = iota
	// ChainRootFirst has the root before the intermediate, as live answers
	// had it until the vendor fixed it.
	ChainRootFirst
	// ChainAbsent has no chain at all.
	ChainAbsent
)

// Media types of a download.
const (
	typeJSON = "application/json"
	typePEM  = "application/x-pem-file"
	typeDER  = "application/pkix-cert"
)

// downloadCertificate serves the newest certificate of an order. What was
// revoked is no longer served.
func (s version2) downloadCertificate(c *call) (reply, *problem) {
	mediaType, problem := s.downloadType(c)
	if problem != nil {
		return reply{}, problem
	}
	o, problem := s.find(c)
	if problem != nil {
		return reply{}, problem
	}
	cert, problem := s.handOut(o, c)
	if problem != nil {
		return reply{}, problem
	}
	order := s.ChainOrder
	if c.faults.has(FaultRootFirst) {
		order = ChainRootFirst
	}
	chain := order.of(s.shownChain(o))
	switch mediaType {
	case typeDER:
		return reply{status: http.StatusOK, contentType: typeDER, body: cert.Raw}, nil
	case typePEM:
		return reply{status: http.StatusOK, contentType: typePEM, body: pemFile(cert, chain)}, nil
	}
	if c.live() {
		return jsonReply(
			http.StatusOK, "application/json;charset=UTF-8", wireLiveCertificateOf(o, cert, chain),
		), nil
	}
	return respond(http.StatusOK, wireDocumentedCertificateOf(o, cert))
}

// handOut is the newest certificate of o, which counts as downloaded from then
// on.
func (s *Server) handOut(o *order, c *call) (*x509.Certificate, *problem) {
	if o.revoked != nil {
		return nil, rule("EMS-969", "Certificate is revoked").inV1("EMS-973")
	}
	sg := o.certificate()
	if !s.pemReady(sg, c.now) {
		return nil, rule("EMS-1165", "Certificate is not yet issued").inV1("EMS-946")
	}
	o.downloaded = true
	if c.faults.has(FaultWrongKey) {
		return s.hierarchy(o.family).Impostor(sg.cert), nil
	}
	return sg.cert, nil
}

// downloadType settles the format: ?format= overrides Accept. PKCS#7 cannot be
// had, except that the documented format=pkcs7 is an alias of der.
func (s version2) downloadType(c *call) (string, *problem) {
	switch format := c.arg("format"); {
	case format == "":
		if m := preferred(c.r, typeJSON, typePEM, typeDER); m != "" {
			return m, nil
		}
		return "", notAcceptable()
	case format == "pem":
		return typePEM, nil
	case format == "der", format == "pkcs7" && !c.live():
		return typeDER, nil
	case format == "pkcs7":
		return "", notAcceptable()
	default:
		return "", invalidField("format", "must be pem, der or pkcs7")
	}
}

// of puts a chain, which has the leaf's issuer first and the root last, in the order o.
func (o ChainOrder) of(chain []*x509.Certificate) []*x509.Certificate {
	last := len(chain) - 1
	switch {
	case last < 0, o == ChainAbsent:
		return nil
	case o == ChainRootFirst:
		return append([]*x509.Certificate{chain[last]}, chain[:last]...)
	default:
		return chain
	}
}

// pemFile is the text format: leaf and intermediates, without the root unless
// the chain is out of order.
func pemFile(cert *x509.Certificate, chain []*x509.Certificate) []byte {
	out := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	for i, c := range chain {
		if i > 0 && c.Subject.String() == c.Issuer.String() {
			continue
		}
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

type wireLiveCertificate struct {
	OrderID        string   `json:"orderId"`
	SerialNumber   string   `json:"serialNumber"` // decimal
	Subject        string   `json:"subject"`      // common name only
	Issuer         string   `json:"issuer"`       // common name only
	NotAfter       string   `json:"notAfter"`
	CertificatePEM string   `json:"certificatePem"` // no trailing newline
	ChainPEM       []string `json:"chainPem,omitempty"`
}

func wireLiveCertificateOf(
	o *order, cert *x509.Certificate, chain []*x509.Certificate,
) wireLiveCertificate {
	w := wireLiveCertificate{
		OrderID: o.id, SerialNumber: cert.SerialNumber.String(), Subject: cert.Subject.CommonName,
		Issuer: cert.Issuer.CommonName, NotAfter: rfc3339(cert.NotAfter),
		CertificatePEM: pemText(cert),
	}
	for _, c := range chain {
		w.ChainPEM = append(w.ChainPEM, pemText(c))
	}
	return w
}

type wireDocumentedCertificate struct {
	OrderID        string `json:"orderId"`
	SerialNumber   string `json:"serialNumber"` // hexadecimal
	Subject        string `json:"subject"`
	Issuer         string `json:"issuer"`
	NotBefore      string `json:"notBefore"`
	NotAfter       string `json:"notAfter"`
	CertificatePEM string `json:"certificatePem"`
}

func wireDocumentedCertificateOf(o *order, cert *x509.Certificate) wireDocumentedCertificate {
	return wireDocumentedCertificate{
		OrderID: o.id, SerialNumber: strings.ToUpper(cert.SerialNumber.Text(16)),
		Subject: "CN=" + cert.Subject.CommonName, Issuer: "CN=" + cert.Issuer.CommonName,
		NotBefore: rfc3339(cert.NotBefore), NotAfter: rfc3339(cert.NotAfter),
		CertificatePEM: pemText(cert),
	}
}
