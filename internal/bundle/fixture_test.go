// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package bundle_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/bundle"
)

// issued is when the certificates of the tests begin.
var issued = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// newCertificate makes a certificate for www.example.com with a chain of an intermediate and a
// root, and the key and CSR that belong to it. A key is of type "ec" or "rsa".
func newCertificate(keyType string) *bundle.Certificate {
	rootKey, subKey, key := newKey("ec"), newKey("ec"), newKey(keyType)
	root, rootPEM := sign(1, "Example Root", nil, rootKey.Public(), rootKey)
	sub, subPEM := sign(2, "Example Issuing CA", root, subKey.Public(), rootKey)
	_, leafPEM := sign(3, "www.example.com", sub, key.Public(), subKey)
	csr := must(x509.CreateCertificateRequest(rand.Reader,
		&x509.CertificateRequest{DNSNames: []string{"www.example.com"}}, key))
	return &bundle.Certificate{
		PEM:       leafPEM,
		Chain:     []string{subPEM, rootPEM},
		Key:       encode("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))),
		CSR:       encode("CERTIFICATE REQUEST", csr),
		NotBefore: issued,
	}
}

func newKey(keyType string) crypto.Signer {
	if keyType == "rsa" {
		return must(rsa.GenerateKey(rand.Reader, 2048))
	}
	return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
}

func sign(
	serial int64, name string, issuer *x509.Certificate, key crypto.PublicKey, by crypto.Signer,
) (*x509.Certificate, string) {
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(serial),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             issued,
		NotAfter:              issued.AddDate(0, 1, 0),
		IsCA:                  serial < 3,
		BasicConstraintsValid: true,
	}
	if issuer == nil {
		issuer = template
	}
	der := must(x509.CreateCertificate(rand.Reader, template, issuer, key, by))
	return must(x509.ParseCertificate(der)), encode("CERTIFICATE", der)
}

func encode(kind string, der []byte) string {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return string(text[:len(text)-1])
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
