// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"time"
)

// A leafProfile is what an order puts into its certificate.
type leafProfile struct {
	subject   pkix.Name
	names     leafNames
	policy    string        // certificate policy OID, "" for none
	keyUsage  x509.KeyUsage // of any key
	rsaUsage  x509.KeyUsage // of an RSA key, besides
	isCA      bool          // by mistake
	usages    []x509.ExtKeyUsage
	oidUsages []asn1.ObjectIdentifier // extended usages without a name here
	notBefore time.Time
	lifetime  time.Duration
	baseURL   string
	aiaSuffix string // p7c or cer
}

// notAfter is the end of a certificate's life.
func (p leafProfile) notAfter() time.Time {
	return p.notBefore.Add(p.lifetime).Truncate(time.Second)
}

// sign makes a leaf for publicKey in the name of by, which is the authority's
// issuer unless the CA makes a mistake, and remembers it.
func (a *authority) sign(by *signer, p leafProfile, publicKey any) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               p.subject,
		NotBefore:             p.notBefore.Truncate(time.Second),
		NotAfter:              p.notAfter(),
		IsCA:                  p.isCA,
		BasicConstraintsValid: true,
		KeyUsage:              p.keyUsage,
		ExtKeyUsage:           p.usages,
		UnknownExtKeyUsage:    p.oidUsages,
		DNSNames:              p.names.dns,
		IPAddresses:           p.names.ips,
		EmailAddresses:        p.names.emails,
		URIs:                  p.names.uris,
		SubjectKeyId:          keyID(publicKey),
		AuthorityKeyId:        by.cert.SubjectKeyId,
		OCSPServer:            []string{p.baseURL + ocspPath},
		CRLDistributionPoints: []string{p.baseURL + crlPrefix + a.name + ".crl"},
		IssuingCertificateURL: []string{p.baseURL + caPrefix + a.name + "." + p.aiaSuffix},
	}
	if _, isRSA := publicKey.(*rsa.PublicKey); isRSA {
		template.KeyUsage |= p.rsaUsage
	}
	if p.policy != "" {
		template.Policies = []x509.OID{must(x509.ParseOID(p.policy))}
	}
	if len(p.names.users) > 0 {
		template.ExtraExtensions = []pkix.Extension{p.names.extension()}
	}
	cert := by.certify(template, publicKey)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.issued[cert.SerialNumber.String()] = &issuance{cert: cert}
	return cert
}

// impostor returns a certificate like cert, for a key that no CSR had.
func (a *authority) impostor(cert *x509.Certificate) *x509.Certificate {
	template, key := rekeyed(cert)
	template.SubjectKeyId = keyID(&key.PublicKey)
	return a.issuer.certify(template, &key.PublicKey)
}

// rekeyed makes a key, and a template for a certificate like cert with it.
func rekeyed(cert *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := *cert
	template.SerialNumber = newSerial()
	template.PublicKey, template.ExtraExtensions = nil, nil
	template.SignatureAlgorithm = x509.UnknownSignatureAlgorithm
	return &template, key
}
