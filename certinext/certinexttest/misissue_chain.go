// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"time"
)

// issue signs the certificate of sg, which was due at the time at, with the
// mistake that the CA makes in this moment. The books have it live for as long
// as it should or does, whichever is longer.
func (s *Server) issue(o *order, sg *signing, at time.Time) {
	p := s.leafProfile(o, at)
	sg.issuedAt = at
	p.lifetime = s.lifeWithin(o, at, p.lifetime)
	sg.ends = p.notAfter()
	if mistake := leafMistakes[s.Misissue]; mistake != nil {
		mistake(&p, o)
	}
	if end := p.notAfter(); end.After(sg.ends) {
		sg.ends = end
	}
	a := s.ca.of(o.family)
	by := a.issuer
	if s.Misissue == MisissueLeafIssuer {
		by = a.newLeafIssuer(p, strangeName(o))
	}
	sg.cert = a.sign(by, p, sg.csr.request.PublicKey)
	sg.chain = s.chainOf(a, by)
}

// chainOf is what is delivered with a leaf that was signed by one of a's
// signers.
func (s *Server) chainOf(a *authority, by *signer) []*x509.Certificate {
	switch s.Misissue {
	case MisissueForeignChain:
		other := s.ca.otherThan(a)
		return []*x509.Certificate{other.issuer.cert, other.root.cert}
	case MisissueLeafIssuer:
		return []*x509.Certificate{by.cert, a.issuer.cert, a.root.cert}
	case MisissueBrokenChain:
		return []*x509.Certificate{a.issuerDouble(), a.root.cert}
	case MisissueNoChain:
		return nil
	default:
		return []*x509.Certificate{by.cert, a.root.cert}
	}
}

// otherThan returns a hierarchy that is not a.
func (p *pki) otherThan(a *authority) *authority {
	if a == p.private {
		return p.public
	}
	return p.private
}

// newLeafIssuer issues an end-entity certificate like p to somebody called name,
// who signs others with its key. OCSP answers for it, so that whoever asks
// about what it signed does not learn of the mistake from a lack of answers.
func (a *authority) newLeafIssuer(p leafProfile, name string) *signer {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	p.subject = pkix.Name{
		Organization: []string{"CERTInext Sandbox"}, CommonName: name + " (" + notARealCA + ")",
	}
	p.names = leafNames{dns: []string{name}}
	by := &signer{cert: a.sign(a.issuer, p, &key.PublicKey), key: key}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.leafIssuers = append(a.leafIssuers, by)
	return by
}

// issuerDouble is a certificate of the root like the issuer's, for a key that
// has signed nothing. It keeps the key identifier, which is no more than a hint:
// only the signature tells the two apart.
func (a *authority) issuerDouble() *x509.Certificate {
	template, key := rekeyed(a.issuer.cert)
	return a.root.certify(template, &key.PublicKey)
}
