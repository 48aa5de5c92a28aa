// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net"
	"slices"
	"strings"
	"time"
)

// A submittedCSR is a request that passed the checks.
type submittedCSR struct {
	text    string // as sent
	request *x509.CertificateRequest
	at      time.Time
}

// fingerprint identifies the public key, to notice one that comes back.
func (c *submittedCSR) fingerprint() [sha256.Size]byte {
	return sha256.Sum256(c.request.RawSubjectPublicKeyInfo)
}

// csrRefusal gives the refusal of a CSR its code. The published table has 921
// for form and 922 for content; observed answers carry 917 for both. Version 1
// has codes of its own.
func (s *Server) csrRefusal(documentedCode, v1Code, detail string) *problem {
	if s.Dialect == Documented {
		return rule(documentedCode, detail).inV1(v1Code).becauseOf(documentedCode)
	}
	p := rule("EMS-917", detail).inV1(v1Code).becauseOf(documentedCode)
	p.dash = true
	return p
}

// checkCSR applies the rules for a CSR to text, for the order it is meant for.
// A signer's may leave the common name to the order (inferred).
func (s *Server) checkCSR(text string, o *order, now time.Time) (*submittedCSR, *problem) {
	der, ok := csrBytes(text)
	if !ok {
		return nil, s.csrRefusal("EMS-921", "EMS-952", "CSR format is invalid")
	}
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, s.csrRefusal("EMS-921", "EMS-952", "CSR format is invalid")
	}
	csr := &submittedCSR{text: text, request: req, at: now}
	if problem := s.checkKey(csr); problem != nil {
		return nil, problem
	}
	if err := req.CheckSignature(); err != nil {
		return nil, s.csrRefusal("EMS-921", "EMS-952", "CSR signature is invalid")
	}
	if o.family == FamilySSL {
		if problem := s.checkRequestedNames(req); problem != nil {
			return nil, problem
		}
	}
	if cn := req.Subject.CommonName; !strings.EqualFold(cn, o.commonName()) &&
		(cn != "" || (o.subject == nil && !s.NamelessCSR)) {
		return nil, s.csrRefusal("EMS-922", "EMS-1056", "CSR common name does not match the order")
	}
	if detail := foreignNames(req, o); detail != "" {
		return nil, s.csrRefusal("EMS-922", "EMS-1056", detail)
	}
	return csr, nil
}

// csrBytes takes PEM, or bare base64 DER as one published sample has it.
func csrBytes(text string) ([]byte, bool) {
	block, rest := pem.Decode([]byte(text))
	if block != nil {
		okType := block.Type == "CERTIFICATE REQUEST" || block.Type == "NEW CERTIFICATE REQUEST"
		return block.Bytes, okType && strings.TrimSpace(string(rest)) == ""
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	return der, err == nil && len(der) > 0
}

// foreignNames says which subject alternative name of req the order lacks. No
// order has URIs, only signers have email addresses, and only private ones have
// IP addresses.
func foreignNames(req *x509.CertificateRequest, o *order) string {
	if len(req.URIs) > 0 {
		return "CSR carries a URI"
	}
	allowed := o.leafNames()
	for _, e := range req.EmailAddresses {
		if !slices.ContainsFunc(allowed.Emails, func(a string) bool {
			return strings.EqualFold(a, e)
		}) {
			return "CSR carries an email address that the order does not"
		}
	}
	for _, n := range req.DNSNames {
		if !slices.ContainsFunc(allowed.DNS, func(a string) bool {
			return strings.EqualFold(a, n)
		}) {
			return "CSR carries a name that the order does not"
		}
	}
	for _, ip := range req.IPAddresses {
		if !slices.ContainsFunc(allowed.IPs, func(a net.IP) bool { return a.Equal(ip) }) {
			return "CSR carries an address that the order does not"
		}
	}
	return ""
}
