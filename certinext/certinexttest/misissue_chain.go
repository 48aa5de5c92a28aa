// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/x509"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/authority"
)

// issue signs the certificate of sg, which was due at the time at, with the
// mistake that the CA makes in this moment. The books have it live for as long
// as it should or does, whichever is longer.
func (s *Server) issue(o *order, sg *signing, at time.Time) {
	p := s.leafProfile(o, at)
	p.Lifetime, sg.lifetimeCut = s.lifetime(o, at)
	sg.issuedAt = at
	sg.ends = p.NotAfter()
	if mistake := leafMistakes[s.Misissue]; mistake != nil {
		mistake(&p, o)
	}
	if end := p.NotAfter(); end.After(sg.ends) {
		sg.ends = end
	}
	s.ca.Locate(p.BaseURL)
	a := s.hierarchy(o.family)
	by := a.Issuer()
	if s.Misissue == MisissueLeafIssuer {
		by = a.NewLeafIssuer(p, strangeName(o))
	}
	sg.cert = a.Sign(by, p, sg.csr.request.PublicKey)
	sg.chain = s.chainOf(a, by)
}

// chainOf is what is delivered with a leaf that was signed by one of a's
// signers.
func (s *Server) chainOf(a *authority.Hierarchy, by *authority.Signer) []*x509.Certificate {
	switch s.Misissue {
	case MisissueForeignChain:
		return s.otherThan(a).Issuer().Chain()
	case MisissueBrokenChain:
		return []*x509.Certificate{a.IssuerDouble(), a.Root()}
	case MisissueNoChain:
		return nil
	default:
		return by.Chain()
	}
}

// shownChain is what a download has of the chain of o's newest certificate.
func (s *Server) shownChain(o *order) []*x509.Certificate {
	chain := o.certificate().chain
	if s.CrossSigned {
		return s.hierarchy(o.family).Crossed(chain)
	}
	return chain
}

// otherThan returns a hierarchy that is not a.
func (s *Server) otherThan(a *authority.Hierarchy) *authority.Hierarchy {
	if a == s.ca.Private {
		return s.ca.Public
	}
	return s.ca.Private
}
