// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 5280 §4.2.1.2 key identifiers and OCSP issuer hashes
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"sync"
	"time"
)

// notARealCA stands in the name of every certificate that could sign others.
const notARealCA = "NOT A REAL CA"

// A pki is the certificate authority behind a [Server]: four hierarchies, and what they publish
// over HTTP (see ca_http.go). It knows keys, certificates and revocations, and nothing of orders.
type pki struct {
	public  *authority // TLS
	private *authority // the customer's own
	signing *authority // documents
	mail    *authority // S/MIME

	// clock returns the time, and how long ago a revocation has to be for the CRL and OCSP to know
	// of it: [Server.RevocationLag].
	clock func() (now time.Time, lag time.Duration)
}

// newPKI makes fresh keys, so that no root outlives its process.
func newPKI(now time.Time, clock func() (time.Time, time.Duration)) *pki {
	return &pki{
		public:  newAuthority("public", "CERTInext Sandbox TLS", now),
		private: newAuthority("private", "CERTInext Sandbox Private PKI", now),
		signing: newAuthority("signing", "CERTInext Sandbox Document Signing", now),
		mail:    newAuthority("mail", "CERTInext Sandbox S/MIME", now),
		clock:   clock,
	}
}

// all returns the hierarchies, the public one first.
func (p *pki) all() []*authority { return []*authority{p.public, p.private, p.signing, p.mail} }

// of returns the hierarchy that issues the certificates of a product family.
func (p *pki) of(family string) *authority {
	switch family {
	case FamilyPrivatePKI:
		return p.private
	case FamilySignature:
		return p.signing
	case FamilySMIME:
		return p.mail
	default:
		return p.public
	}
}

// An authority is a root with one intermediate that signs leaves.
type authority struct {
	name         string // path segment of its URLs
	root, issuer *signer

	mu        sync.Mutex           // guards those below
	issued    map[string]*issuance // by decimal serial number
	crlNumber int64
	// leafIssuers are end-entity certificates that have signed others.
	leafIssuers []*signer
}

// A signer is a CA certificate with its key.
type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// An issuance is a leaf the authority signed, and its end if it was revoked.
type issuance struct {
	cert      *x509.Certificate
	revokedAt time.Time
	reason    int // RFC 5280 CRLReason
}

// newAuthority makes a hierarchy with fresh keys.
func newAuthority(name, title string, now time.Time) *authority {
	tag := hex.EncodeToString(randomBytes(3))
	root := newSigner(nil, title+" Root "+tag+" ("+notARealCA+")", now, 20*365*24*time.Hour)
	issuer := newSigner(
		root, title+" Issuing CA "+tag+" ("+notARealCA+")", now, 10*365*24*time.Hour,
	)
	return &authority{name: name, root: root, issuer: issuer, issued: make(map[string]*issuance)}
}

// caUsage is what the key of a CA is for.
const caUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature

// newSigner makes a CA certificate under parent, or a root if parent is nil.
func newSigner(parent *signer, commonName string, now time.Time, life time.Duration) *signer {
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
	s := &signer{cert: template, key: key}
	if parent == nil {
		parent = s
	} else {
		template.MaxPathLenZero = true
		template.AuthorityKeyId = parent.cert.SubjectKeyId
	}
	s.cert = parent.certify(template, &key.PublicKey)
	return s
}

// certify signs template for publicKey.
func (s *signer) certify(template *x509.Certificate, publicKey any) *x509.Certificate {
	der := must(x509.CreateCertificate(rand.Reader, template, s.cert, publicKey, s.key))
	return must(x509.ParseCertificate(der))
}

// revoke marks a leaf as revoked from at on.
func (a *authority) revoke(cert *x509.Certificate, at time.Time, reason int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := a.issued[cert.SerialNumber.String()]; i != nil && i.revokedAt.IsZero() {
		i.revokedAt, i.reason = at, reason
	}
}

// Roots returns the roots that certificates of this server chain to: public
// TLS, private PKI, document signing and S/MIME.
func (s *Server) Roots() *x509.CertPool {
	s.once.Do(s.setUp)
	pool := x509.NewCertPool()
	for _, a := range s.ca.all() {
		pool.AddCert(a.root.cert)
	}
	return pool
}

// RootPEM returns the same roots as concatenated PEM blocks, the public one
// first.
func (s *Server) RootPEM() []byte {
	s.once.Do(s.setUp)
	var out []byte
	for _, a := range s.ca.all() {
		out = append(out, pem.EncodeToMemory(&pem.Block{
			Type: "CERTIFICATE", Bytes: a.root.cert.Raw,
		})...)
	}
	return out
}

// pemText is cert as the service writes it: without the last newline.
func pemText(cert *x509.Certificate) string {
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
	return string(b[:len(b)-1])
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
		panic("certinexttest: internal error: " + err.Error())
	}
	return v
}
