// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// A Leaf is what stands in a certificate.
type Leaf struct {
	Subject   pkix.Name
	Names     Names
	Policies  []string      // certificate policy OIDs
	KeyUsage  x509.KeyUsage // of any key
	RSAUsage  x509.KeyUsage // of an RSA key, besides
	ECUsage   x509.KeyUsage // of one on an elliptic curve, besides
	IsCA      bool          // by mistake
	Usages    []x509.ExtKeyUsage
	OIDUsages []asn1.ObjectIdentifier // extended usages without a name here
	NotBefore time.Time
	IssuedAt  time.Time // NotBefore, unless the CA makes a mistake
	Lifetime  time.Duration
	BaseURL   string
	AIASuffix string // p7c or cer
}

// NotAfter is the end of a certificate's life.
func (p Leaf) NotAfter() time.Time {
	return p.NotBefore.Add(p.Lifetime).Truncate(time.Second)
}

// Sign makes a leaf for publicKey in the name of by, which is the authority's issuer unless the CA
// makes a mistake, and remembers it.
func (a *Hierarchy) Sign(by *Signer, p Leaf, publicKey any) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               p.Subject,
		NotBefore:             p.NotBefore.Truncate(time.Second),
		NotAfter:              p.NotAfter(),
		IsCA:                  p.IsCA,
		BasicConstraintsValid: true,
		KeyUsage:              p.KeyUsage,
		ExtKeyUsage:           p.Usages,
		UnknownExtKeyUsage:    p.OIDUsages,
		DNSNames:              p.Names.DNS,
		IPAddresses:           p.Names.IPs,
		EmailAddresses:        p.Names.Emails,
		URIs:                  p.Names.URIs,
		SubjectKeyId:          keyID(publicKey),
		AuthorityKeyId:        by.Cert.SubjectKeyId,
		Policies:              policies(p.Policies...),
	}
	refer(template, p.BaseURL, by.ca().name, p.AIASuffix)
	switch publicKey.(type) {
	case *rsa.PublicKey:
		template.KeyUsage |= p.RSAUsage
	case *ecdsa.PublicKey:
		template.KeyUsage |= p.ECUsage
	}
	if len(p.Names.Users) > 0 {
		template.ExtraExtensions = []pkix.Extension{p.Names.extension()}
	}
	cert := a.logged(by, template, publicKey, p.IssuedAt)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remember(cert, by, by.ca())
	return cert
}

// Impostor returns a certificate like cert, by the same signer, for a key that no CSR had.
func (a *Hierarchy) Impostor(cert *x509.Certificate) *x509.Certificate {
	a.mu.Lock()
	by := a.issued[cert.SerialNumber.String()].by
	a.mu.Unlock()
	template, key := rekeyed(cert)
	template.SubjectKeyId = keyID(&key.PublicKey)
	return a.logged(by, template, &key.PublicKey, cert.NotBefore)
}

// rekeyed makes a key, and a template for a certificate like cert with it.
func rekeyed(cert *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	key := sure.Must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := *cert
	template.SerialNumber = newSerial()
	template.PublicKey, template.ExtraExtensions = nil, nil
	template.SignatureAlgorithm = x509.UnknownSignatureAlgorithm
	return &template, key
}
