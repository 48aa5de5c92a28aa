// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
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
// TLS, private PKI, document signing and S/MIME, those included that were replaced.
func (s *Server) Roots() *x509.CertPool {
	s.once.Do(s.setUp)
	pool := x509.NewCertPool()
	for _, root := range s.pki().Roots() {
		pool.AddCert(root.Cert)
	}
	return pool
}

// RootPEM returns the same roots as concatenated PEM blocks, the public one
// first.
func (s *Server) RootPEM() []byte {
	s.once.Do(s.setUp)
	return rootsPEM(s.pki().Roots())
}

// pemText is cert as the service writes it: without the last newline.
func pemText(cert *x509.Certificate) string {
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	return string(b[:len(b)-1])
}
