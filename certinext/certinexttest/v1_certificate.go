// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/x509"
	"slices"
)

type wireV1OrderRef struct {
	OrderDetails struct {
		RequestorEmail string `json:"requestorEmail"`
		OrderNumber    string `json:"orderNumber"`
	} `json:"orderDetails"`
}

// wireV1Certificates is a downloaded chain. The serial number is misspelt on
// the wire. There is no subordinate CA below the issuer, so subCACertificate,
// which is optional, never shows but for [MisissueLeafIssuer] and with [Server.CrossSigned].
type wireV1Certificates struct {
	RootCertificate      string `json:"rootCertificate"`
	CACertificate        string `json:"caCertificate"`
	SubCACertificate     string `json:"subCACertificate,omitempty"`
	EndEntityCertificate string `json:"endEntityCertificate"`
	ExpiryDate           string `json:"expiryDate"`
	SerialNumber         string `json:"ceritficateSerialNumber"` // decimal
}

// getCertificate serves the newest certificate of an order. A failure carries
// the same members, all of them empty (as in a published answer).
func (s version1) getCertificate(c *call) (reply, *problem) {
	w, problem := s.certificates(c)
	if problem != nil {
		problem.extra = map[string]any{"certificateDetails": wireV1Certificates{}}
		return reply{}, problem
	}
	return s.success(c, map[string]any{"certificateDetails": w})
}

func (s version1) certificates(c *call) (wireV1Certificates, *problem) {
	var req wireV1OrderRef
	if problem := c.decodeV1(&req); problem != nil {
		return wireV1Certificates{}, problem
	}
	if problem := checkV1Email(req.OrderDetails.RequestorEmail); problem != nil {
		return wireV1Certificates{}, problem
	}
	o, problem := s.findOrder(c, req.OrderDetails.OrderNumber)
	if problem != nil {
		return wireV1Certificates{}, problem
	}
	cert, problem := s.handOut(o, c)
	if problem != nil {
		return wireV1Certificates{}, problem
	}
	w := wireV1Certificates{
		EndEntityCertificate: pemText(cert), ExpiryDate: v1Time(cert.NotAfter),
		SerialNumber: cert.SerialNumber.String(),
	}
	if s.ChainOrder != ChainAbsent {
		w.addChain(s.shownChain(o))
	}
	return w, nil
}

// addChain fills in a chain, the root of which is last. Each has a member of
// its own, so their order is never wrong; they may still be missing.
func (w *wireV1Certificates) addChain(chain []*x509.Certificate) {
	members := []*string{&w.RootCertificate, &w.CACertificate, &w.SubCACertificate}
	chain = chain[max(0, len(chain)-len(members)):] // from the root down, as far as they go
	for i, cert := range slices.Backward(chain) {
		*members[len(chain)-1-i] = pemText(cert)
	}
}
