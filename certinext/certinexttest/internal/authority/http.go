// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // OCSP identifies issuers by SHA-1, RFC 6960 §4.3
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
)

// Where certificates say their status and issuer are found.
const (
	ocspPath  = "/ocsp"
	crlPrefix = "/crl/"
	caPrefix  = "/ca/"
)

// statusLife is how long a CRL or OCSP answer is good for. "Within 4 h" is the
// vendor's word on how soon a revocation shows.
const statusLife = 4 * time.Hour

// Serves reports whether path is of what the CA publishes.
func Serves(path string) bool {
	return path == ocspPath || strings.HasPrefix(path, ocspPath+"/") ||
		strings.HasPrefix(path, crlPrefix) || strings.HasPrefix(path, caPrefix)
}

// ServeHTTP answers every client, since revocation status is public.
func (p *PKI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if path == ocspPath || strings.HasPrefix(path, ocspPath+"/") {
		p.serveOCSP(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	contentType, body := p.file(path)
	if body == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(body)
}

// file returns a CRL or a CA certificate, or nothing.
func (p *PKI) file(path string) (contentType string, body []byte) {
	for _, a := range p.All() {
		switch path {
		case crlPrefix + a.name + ".crl":
			now, lag := p.clock()
			return "application/pkix-crl", a.revocationList(now, lag)
		case caPrefix + a.name + ".cer":
			return "application/pkix-cert", a.issuer.Cert.Raw
		case caPrefix + a.name + ".p7c":
			return "application/pkcs7-mime", certsOnly(a.issuer.Cert, a.root.Cert)
		case caPrefix + a.name + "-root.cer":
			return "application/pkix-cert", a.root.Cert.Raw
		}
	}
	return "", nil
}

// knownRevoked reports whether i was revoked at least lag ago, so that the CRL and OCSP say so.
func (i *issuance) knownRevoked(now time.Time, lag time.Duration) bool {
	return !i.revokedAt.IsZero() && !now.Before(i.revokedAt.Add(lag))
}

// revocationList signs a new CRL with the next number.
func (a *Hierarchy) revocationList(now time.Time, lag time.Duration) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.crlNumber++
	template := &x509.RevocationList{
		Number: big.NewInt(a.crlNumber), ThisUpdate: now, NextUpdate: now.Add(statusLife),
	}
	for _, i := range a.issued {
		if i.knownRevoked(now, lag) {
			entry := x509.RevocationListEntry{
				SerialNumber: i.cert.SerialNumber, RevocationTime: i.revokedAt,
				ReasonCode: i.reason,
			}
			template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, entry)
		}
	}
	return must(x509.CreateRevocationList(rand.Reader, template, a.issuer.Cert, a.issuer.key))
}

// serveOCSP answers POST and GET requests of RFC 6960 appendix A.
func (p *PKI) serveOCSP(w http.ResponseWriter, r *http.Request) {
	raw, ok := ocspRequest(r)
	if !ok {
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "application/ocsp-response")
	req, err := ocsp.ParseRequest(raw)
	if err != nil {
		_, _ = w.Write(ocsp.MalformedRequestErrorResponse)
		return
	}
	_, _ = w.Write(p.ocspAnswer(req)) //nolint:gosec // DER, said to be application/ocsp-response
}

// ocspRequest takes the DER from the body of a POST or the path of a GET.
func ocspRequest(r *http.Request) (raw []byte, ok bool) {
	switch r.Method {
	case http.MethodPost:
		raw, _ = io.ReadAll(io.LimitReader(r.Body, 64<<10))
	case http.MethodGet:
		text, _ := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), ocspPath+"/"))
		raw, _ = base64.StdEncoding.DecodeString(text)
	default:
		return nil, false
	}
	return raw, true
}

// ocspAnswer is signed by who signed the certificate. A serial number the authority
// never issued is "unknown", a foreign issuer "unauthorized".
func (p *PKI) ocspAnswer(req *ocsp.Request) []byte {
	now, lag := p.clock()
	for _, a := range p.All() {
		if by := a.signerAsked(req); by != nil {
			return a.ocspAnswer(by, req, now, lag)
		}
	}
	return ocsp.UnauthorizedErrorResponse
}

// signerAsked is the signer that req names as the issuer, or nil.
func (a *Hierarchy) signerAsked(req *ocsp.Request) *Signer {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, by := range append([]*Signer{a.issuer}, a.leafIssuers...) {
		if issuedBy(req, by.Cert) {
			return by
		}
	}
	return nil
}

func (a *Hierarchy) ocspAnswer(
	by *Signer, req *ocsp.Request, now time.Time, lag time.Duration,
) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	template := ocsp.Response{
		SerialNumber: req.SerialNumber, IssuerHash: req.HashAlgorithm,
		ThisUpdate: now.Truncate(time.Second), NextUpdate: now.Add(statusLife),
		Status: ocsp.Unknown,
	}
	if i := a.issued[req.SerialNumber.String()]; i != nil {
		template.Status = ocsp.Good
		if i.knownRevoked(now, lag) {
			template.Status, template.RevokedAt = ocsp.Revoked, i.revokedAt
			template.RevocationReason = i.reason
		}
	}
	return must(ocsp.CreateResponse(by.Cert, by.Cert, template, by.key))
}

// issuedBy compares the issuer hashes of a request with a CA certificate.
func issuedBy(req *ocsp.Request, issuer *x509.Certificate) bool {
	if !req.HashAlgorithm.Available() {
		return false
	}
	return bytes.Equal(req.IssuerNameHash, hashOf(req.HashAlgorithm, issuer.RawSubject)) &&
		bytes.Equal(req.IssuerKeyHash, hashOf(req.HashAlgorithm, publicKeyBits(issuer)))
}

func hashOf(h crypto.Hash, b []byte) []byte {
	if h == crypto.SHA1 {
		sum := sha1.Sum(b) //nolint:gosec // the request's choice
		return sum[:]
	}
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}

func publicKeyBits(cert *x509.Certificate) []byte {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	must(asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &info))
	return info.Key.RightAlign()
}

// certsOnly is the degenerate PKCS#7 that live certificates name as the place
// of their issuer (RFC 5652 §5.1, without content or signers).
func certsOnly(certs ...*x509.Certificate) []byte {
	type contentInfo struct {
		Type asn1.ObjectIdentifier
	}
	type signedData struct {
		Version      int
		Digests      []asn1.RawValue `asn1:"set"`
		Content      contentInfo
		Certificates asn1.RawValue
		Signers      []asn1.RawValue `asn1:"set"`
	}
	var raw []byte
	for _, c := range certs {
		raw = append(raw, c.Raw...)
	}
	inner := must(asn1.Marshal(signedData{
		Version: 1,
		Digests: []asn1.RawValue{},
		Content: contentInfo{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}},
		Certificates: asn1.RawValue{
			Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: raw,
		},
		Signers: []asn1.RawValue{},
	}))
	return must(asn1.Marshal(struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}{
		asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2},
		asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner},
	}))
}
