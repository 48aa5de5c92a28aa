// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/ctlog"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
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
	// Elder is a root that has certified the public one, as an older root does for one that is not
	// yet in all stores. It has no issuing CA.
	Elder *Hierarchy

	// clock returns the time, and how long ago a revocation has to be for the CRL and OCSP to know
	// of it.
	clock func() (now time.Time, lag time.Duration)

	mu      sync.Mutex     // guards those below
	base    string         // below which it is found, "" until that is known
	dropped map[trust]bool // what clients have dropped
}

// New makes fresh keys, so that no root outlives its process.
func New(now time.Time, clock func() (time.Time, time.Duration)) *PKI {
	server := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	both := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	mail := []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	documents := []asn1.ObjectIdentifier{DocumentSigning}
	p := &PKI{
		Public:  newHierarchy(purpose{"public", "CERTInext Sandbox TLS", server, nil, now}),
		Private: newHierarchy(purpose{"private", "CERTInext Sandbox Private PKI", both, nil, now}),
		Signing: newHierarchy(
			purpose{"signing", "CERTInext Sandbox Documents", nil, documents, now},
		),
		Mail:  newHierarchy(purpose{"mail", "CERTInext Sandbox S/MIME", mail, nil, now}),
		Elder: newHierarchy(purpose{"elder", "CERTInext Sandbox Elder", nil, nil, now}),
		clock: clock, dropped: make(map[trust]bool),
	}
	p.Public.elder = p.Elder
	p.Public.logs = newLogs(now)
	return p
}

// Locate says below which URL the authority is found. The issuing CAs, in whose certificates it
// stands, are made by the first call; later ones change nothing.
func (p *PKI) Locate(base string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.base != "" {
		return
	}
	p.base = base
	for _, a := range p.All() {
		a.open(base)
	}
}

// IsLocated reports whether Locate was called, so that there are issuing CAs.
func (p *PKI) IsLocated() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.base != ""
}

// All returns the hierarchies, the public one first.
func (p *PKI) All() []*Hierarchy { return []*Hierarchy{p.Public, p.Private, p.Signing, p.Mail} }

// everything is all that publishes something.
func (p *PKI) everything() []*Hierarchy { return append(p.All(), p.Elder) }

// Roots returns all roots that there have been, the public ones first.
func (p *PKI) Roots() (roots []*Signer) {
	for _, a := range p.everything() {
		for _, s := range a.CAs() {
			if s.above == nil {
				roots = append(roots, s)
			}
		}
	}
	return roots
}

// A Hierarchy is a root with one intermediate that signs leaves, and those that did so before them.
type Hierarchy struct {
	purpose purpose
	base    string       // below which it is found
	elder   *Hierarchy   // whose root certifies a's, nil for none
	logs    []*ctlog.Log // to which a shows what it is about to issue, none for none

	mu           sync.Mutex           // guards those below
	root, issuer *Signer              // of now
	cas          []*Signer            // all that there have been, the oldest first
	issued       map[string]*issuance // by decimal serial number
	// leafIssuers are end-entity certificates that have signed others.
	leafIssuers []*Signer
}

// An issuance is a certificate the authority signed, and its end if it was revoked.
type issuance struct {
	cert      *x509.Certificate
	by        *Signer // who signed it, and answers for it
	list      *Signer // whose CRL it names
	revokedAt time.Time
	reason    int // RFC 5280 CRLReason
}

// newHierarchy makes a hierarchy with fresh keys, which is yet to be opened.
func newHierarchy(p purpose) *Hierarchy {
	a := &Hierarchy{purpose: p, issued: make(map[string]*issuance)}
	a.addRoot(p.begins)
	return a
}

// open makes the issuing CA.
func (a *Hierarchy) open(base string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.base = base
	a.cross(a.purpose.begins)
	a.addIssuer(a.purpose.begins)
}

// addRoot makes the root of from now on. a.mu is held, or nobody knows a yet.
func (a *Hierarchy) addRoot(now time.Time) {
	a.root = newSigner(a.freeName("-root"), rootTemplate(a.purpose, newTag(), now), nil)
	a.root.of = a
	a.cas = append(a.cas, a.root)
}

// addIssuer makes the issuing CA of from now on. a.mu is held.
func (a *Hierarchy) addIssuer(now time.Time) {
	template := issuerTemplate(a.purpose, newTag(), now)
	refer(template, a.base, a.root.name, "cer")
	a.issuer = newSigner(a.freeName(""), template, a.root)
	a.cas = append(a.cas, a.issuer)
	a.remember(a.issuer.Cert, a.root, a.root)
}

// freeName is the path segment of the next CA of that kind: public, then public-2.
func (a *Hierarchy) freeName(kind string) string {
	name := a.purpose.name + kind
	taken := func(s *Signer) bool { return s.name == name }
	for n := 2; slices.ContainsFunc(a.cas, taken); n++ {
		name = fmt.Sprintf("%s%s-%d", a.purpose.name, kind, n)
	}
	return name
}

// remember enters cert, which by has signed. Its status is published in list's CRL. a.mu is held.
func (a *Hierarchy) remember(cert *x509.Certificate, by, list *Signer) {
	a.issued[cert.SerialNumber.String()] = &issuance{cert: cert, by: by, list: list}
}

// Root is the hierarchy's root of now.
func (a *Hierarchy) Root() *x509.Certificate {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.root.Cert
}

// Issuer is who signs the hierarchy's leaves now.
func (a *Hierarchy) Issuer() *Signer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.issuer
}

// CAs are the roots and issuing CAs that there have been, the oldest first.
func (a *Hierarchy) CAs() []*Signer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.cas)
}

// Revoke marks a certificate as revoked from at on.
func (a *Hierarchy) Revoke(cert *x509.Certificate, at time.Time, reason int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.end(cert, at, reason)
}

// end is Revoke while a.mu is held.
func (a *Hierarchy) end(cert *x509.Certificate, at time.Time, reason int) {
	if i := a.issued[cert.SerialNumber.String()]; i != nil && i.revokedAt.IsZero() {
		i.revokedAt, i.reason = at, reason
	}
}

// newSerial returns a positive number of 126 or 127 bits.
func newSerial() *big.Int {
	b := sure.RandomBytes(16)
	b[0] = b[0]&0x7f | 0x40
	return new(big.Int).SetBytes(b)
}
