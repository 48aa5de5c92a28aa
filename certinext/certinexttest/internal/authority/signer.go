// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 5280 §4.2.1.2 key identifiers
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// A Signer is a CA certificate with its key.
type Signer struct {
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey

	name      string            // path segment of the URLs of its certificate and CRL
	above     *Signer           // who has signed it, nil for a root
	of        *Hierarchy        // which a root is the root of
	crossed   *x509.Certificate // what the elder root says of it, nil for nothing
	crlNumber int64
	responder *Signer // its delegated OCSP responder, if anybody has asked
	exposed   bool    // its key is public
}

// Name is the path segment of the URLs of its certificate and CRL.
func (s *Signer) Name() string { return s.name }

// Chain is its certificate and those above it, the root last.
func (s *Signer) Chain() []*x509.Certificate {
	chain := []*x509.Certificate{s.Cert}
	for s.above != nil {
		s = s.above
		chain = append(chain, s.Cert)
	}
	return chain
}

// ca is itself, or the CA above an end-entity certificate that signs.
func (s *Signer) ca() *Signer {
	for !s.Cert.IsCA {
		s = s.above
	}
	return s
}

// newTag tells the names of two servers' CAs apart.
func newTag() string { return hex.EncodeToString(sure.RandomBytes(3)) }

// newSigner makes a CA with a fresh key under parent, or a root if parent is nil.
func newSigner(name string, template *x509.Certificate, parent *Signer) *Signer {
	key := sure.Must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template.SubjectKeyId = keyID(&key.PublicKey)
	s := &Signer{Cert: template, key: key, name: name, above: parent}
	if parent == nil {
		parent = s
	} else {
		template.AuthorityKeyId = parent.Cert.SubjectKeyId
	}
	s.Cert = parent.certify(template, &key.PublicKey)
	return s
}

// certify signs template for publicKey.
func (s *Signer) certify(template *x509.Certificate, publicKey any) *x509.Certificate {
	der := sure.Must(x509.CreateCertificate(rand.Reader, template, s.Cert, publicKey, s.key))
	return sure.Must(x509.ParseCertificate(der))
}

// keyID is the SHA-1 of the public key bits, as RFC 5280 §4.2.1.2 suggests.
func keyID(publicKey any) []byte {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	der := sure.Must(x509.MarshalPKIXPublicKey(publicKey))
	sure.Must(asn1.Unmarshal(der, &info))
	sum := sha1.Sum(info.Key.RightAlign()) //nolint:gosec // an identifier
	return sum[:]
}
