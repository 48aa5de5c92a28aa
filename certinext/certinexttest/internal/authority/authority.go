// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 5280 §4.2.1.2 key identifiers and OCSP issuer hashes
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"math/big"
	"sync"
	"time"
)

// NotARealCA stands in the name of every certificate that could sign others.
const NotARealCA = "NOT A REAL CA"

// A PKI is the certificate authority behind a server: four hierarchies, and what they publish over
// HTTP (see http.go).
type PKI struct {
	Public  *Hierarchy // TLS
	Private *Hierarchy // the customer's own
	Signing *Hierarchy // documents
	Mail    *Hierarchy // S/MIME

	// clock returns the time, and how long ago a revocation has to be for the CRL and OCSP to know
	// of it.
	clock func() (now time.Time, lag time.Duration)
}

// New makes fresh keys, so that no root outlives its process.
func New(now time.Time, clock func() (time.Time, time.Duration)) *PKI {
	return &PKI{
		Public:  newHierarchy("public", "CERTInext Sandbox TLS", now),
		Private: newHierarchy("private", "CERTInext Sandbox Private PKI", now),
		Signing: newHierarchy("signing", "CERTInext Sandbox Document Signing", now),
		Mail:    newHierarchy("mail", "CERTInext Sandbox S/MIME", now),
		clock:   clock,
	}
}

// All returns the hierarchies, the public one first.
func (p *PKI) All() []*Hierarchy { return []*Hierarchy{p.Public, p.Private, p.Signing, p.Mail} }

// A Hierarchy is a root with one intermediate that signs leaves.
type Hierarchy struct {
	name         string // path segment of its URLs
	root, issuer *Signer

	mu        sync.Mutex           // guards those below
	issued    map[string]*issuance // by decimal serial number
	crlNumber int64
	// leafIssuers are end-entity certificates that have signed others.
	leafIssuers []*Signer
}

// A Signer is a CA certificate with its key.
type Signer struct {
	Cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// An issuance is a leaf the authority signed, and its end if it was revoked.
type issuance struct {
	cert      *x509.Certificate
	revokedAt time.Time
	reason    int // RFC 5280 CRLReason
}

// newHierarchy makes a hierarchy with fresh keys.
func newHierarchy(name, title string, now time.Time) *Hierarchy {
	tag := hex.EncodeToString(randomBytes(3))
	root := newSigner(nil, title+" Root "+tag+" ("+NotARealCA+")", now, 20*365*24*time.Hour)
	issuer := newSigner(
		root, title+" Issuing CA "+tag+" ("+NotARealCA+")", now, 10*365*24*time.Hour,
	)
	return &Hierarchy{name: name, root: root, issuer: issuer, issued: make(map[string]*issuance)}
}

// caUsage is what the key of a CA is for.
const caUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature

// newSigner makes a CA certificate under parent, or a root if parent is nil.
func newSigner(parent *Signer, commonName string, now time.Time, life time.Duration) *Signer {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: newSerial(),
		Subject: pkix.Name{
			Organization: []string{"CERTInext Sandbox"}, CommonName: commonName,
		},
		NotBefore:             now.Add(-time.Hour).Truncate(time.Second),
		NotAfter:              now.Add(life).Truncate(time.Second),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              caUsage,
		SubjectKeyId:          keyID(&key.PublicKey),
	}
	s := &Signer{Cert: template, key: key}
	if parent == nil {
		parent = s
	} else {
		template.MaxPathLenZero = true
		template.AuthorityKeyId = parent.Cert.SubjectKeyId
	}
	s.Cert = parent.certify(template, &key.PublicKey)
	return s
}

// certify signs template for publicKey.
func (s *Signer) certify(template *x509.Certificate, publicKey any) *x509.Certificate {
	der := must(x509.CreateCertificate(rand.Reader, template, s.Cert, publicKey, s.key))
	return must(x509.ParseCertificate(der))
}

// Root is the hierarchy's root.
func (a *Hierarchy) Root() *x509.Certificate { return a.root.Cert }

// Issuer is who signs the hierarchy's leaves.
func (a *Hierarchy) Issuer() *Signer { return a.issuer }

// Revoke marks a leaf as revoked from at on.
func (a *Hierarchy) Revoke(cert *x509.Certificate, at time.Time, reason int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := a.issued[cert.SerialNumber.String()]; i != nil && i.revokedAt.IsZero() {
		i.revokedAt, i.reason = at, reason
	}
}

// newSerial returns a positive number of 126 or 127 bits.
func newSerial() *big.Int {
	b := randomBytes(16)
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}

// keyID is the SHA-1 of the public key bits, as RFC 5280 §4.2.1.2 suggests.
func keyID(publicKey any) []byte {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	der := must(x509.MarshalPKIXPublicKey(publicKey))
	must(asn1.Unmarshal(der, &info))
	sum := sha1.Sum(info.Key.RightAlign()) //nolint:gosec // an identifier
	return sum[:]
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// must unwraps the result of an operation on values of the server's own
// making, which cannot fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic("authority: internal error: " + err.Error())
	}
	return v
}
