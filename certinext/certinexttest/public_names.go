// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/x509"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/hostnames"
)

// A NamePolicy is which names of hosts the CA certifies for the public: it is looked at when an
// order is placed, when a CSR comes and when a reissue changes the names. Its zero value certifies
// what a public CA may. Private PKI certifies any name.
type NamePolicy struct {
	// AnyName looks at the form of names alone: co.uk, host.internal and their like are certified.
	AnyName bool
	// ExceptedZones are special-use names at and below which names are certified all the same; nil
	// means "example", which documentation uses. The others are refused without regard to tests,
	// since a client that orders host.test has to see what becomes of it.
	ExceptedZones []string
}

// check is the rule that a name breaks.
func (p NamePolicy) check(name string) hostnames.Rule {
	if p.AnyName {
		return hostnames.Rule{}
	}
	excepted := p.ExceptedZones
	if excepted == nil {
		excepted = []string{"example"}
	}
	return hostnames.Check(name, excepted)
}

// checkCommonName is the same for a name that is the subject's, too.
func (p NamePolicy) checkCommonName(name string) hostnames.Rule {
	broken := p.check(name)
	if broken == (hostnames.Rule{}) && !p.AnyName {
		return hostnames.CheckCommonName(name)
	}
	return broken
}

// checkPublicNames refuses what no public CA may certify. Names other than DNS were seen to make
// public orders unissuable. Names are in small letters: what came in capitals was normalized, as
// DNS does not tell them apart (RFC 4343); no source says that the service refuses them.
func (s *Server) checkPublicNames(domain string, others []string) *problem {
	invalid := func(name string, broken hostnames.Rule) *problem {
		p := rule("EMS-917", "Invalid domain name "+name).inV1("EMS-1057")
		return p.because(reason(broken))
	}
	if broken := s.Names.checkCommonName(domain); broken != (hostnames.Rule{}) {
		return invalid(domain, broken)
	}
	for _, name := range others {
		if broken := s.Names.check(name); broken != (hostnames.Rule{}) {
			return invalid(name, broken)
		}
	}
	for _, name := range append([]string{domain}, others...) {
		if len(name) > 253 || !publicName.MatchString(name) {
			return invalid(name, hostnames.Form)
		}
	}
	return nil
}

// checkRequestedNames refuses a CSR for the public by its names. What the service answers was never
// captured: the code is that of contents which do not fit the order.
func (s *Server) checkRequestedNames(req *x509.CertificateRequest) *problem {
	var broken hostnames.Rule
	if cn := req.Subject.CommonName; cn != "" {
		broken = s.Names.checkCommonName(strings.ToLower(cn))
	}
	for _, name := range req.DNSNames {
		if broken == (hostnames.Rule{}) {
			broken = s.Names.check(strings.ToLower(name))
		}
	}
	if broken == (hostnames.Rule{}) {
		return nil
	}
	return s.csrRefusal(
		"EMS-922", "EMS-1056", "CSR carries a name that cannot be certified",
	).because(reason(broken))
}
