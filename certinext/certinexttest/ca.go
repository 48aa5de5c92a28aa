// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/authority"
)

// hierarchy is the hierarchy that issues the certificates of a product family.
func (s *Server) hierarchy(family string) *authority.Hierarchy {
	switch family {
	case FamilyPrivatePKI:
		return s.ca.Private
	case FamilySignature:
		return s.ca.Signing
	case FamilySMIME:
		return s.ca.Mail
	default:
		return s.ca.Public
	}
}

// Roots returns the roots that certificates of this server chain to: public
// TLS, private PKI, document signing and S/MIME.
func (s *Server) Roots() *x509.CertPool {
	s.once.Do(s.setUp)
	pool := x509.NewCertPool()
	for _, a := range s.ca.All() {
		pool.AddCert(a.Root())
	}
	return pool
}

// RootPEM returns the same roots as concatenated PEM blocks, the public one
// first.
func (s *Server) RootPEM() []byte {
	s.once.Do(s.setUp)
	var out []byte
	for _, a := range s.ca.All() {
		out = append(out, pem.EncodeToMemory(&pem.Block{
			Type: "CERTIFICATE", Bytes: a.Root().Raw,
		})...)
	}
	return out
}

// pemText is cert as the service writes it: without the last newline.
func pemText(cert *x509.Certificate) string {
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	return string(b[:len(b)-1])
}

// randomBytes are n bytes that nobody can guess.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// must unwraps the result of an operation on values of the server's own
// making, which cannot fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic("certinexttest: internal error: " + err.Error())
	}
	return v
}
