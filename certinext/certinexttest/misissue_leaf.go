// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/x509"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/authority"
)

// aYear is a common year, as the life of a certificate is counted here.
const aYear = 365 * 24 * time.Hour

// leafMistakes are those inside the leaf. Each changes one thing in a profile
// that was right.
var leafMistakes = map[Misissuance]func(p *authority.Leaf, o *order){
	MisissueExtraName: func(p *authority.Leaf, o *order) {
		p.Names.DNS = append(p.Names.DNS, strangeName(o))
	},
	MisissueAddedWWW:    addWWW,
	MisissueBaseDomain:  addBaseDomains,
	MisissueMissingName: leaveOutName,
	MisissueOtherCommonName: func(p *authority.Leaf, o *order) {
		p.Subject.CommonName = strangeName(o)
	},
	MisissueEmailName: func(p *authority.Leaf, o *order) {
		p.Names.Emails = append(p.Names.Emails, strangeAddress(o))
	},
	MisissueURIName: func(p *authority.Leaf, o *order) {
		u := &url.URL{Scheme: "https", Host: strangeName(o), Path: "/"}
		p.Names.URIs = append(p.Names.URIs, u)
	},
	MisissueOtherName: func(p *authority.Leaf, o *order) {
		p.Names.Users = append(p.Names.Users, strangeAddress(o))
	},
	MisissueCACertificate: func(p *authority.Leaf, _ *order) {
		p.IsCA = true
		p.KeyUsage |= x509.KeyUsageCertSign
	},
	MisissueBeginsSoon: func(p *authority.Leaf, _ *order) {
		p.NotBefore = p.NotBefore.Add(5 * time.Minute)
	},
	MisissueBeginsLate: func(p *authority.Leaf, _ *order) { p.NotBefore = p.NotBefore.Add(aYear) },
	MisissueTooLong:    func(p *authority.Leaf, _ *order) { p.Lifetime = 30 * aYear },
	MisissueAlreadyOver: func(p *authority.Leaf, _ *order) {
		p.NotBefore = p.NotBefore.Add(-p.Lifetime - time.Hour)
	},
}

// strangeName is a DNS name that o does not have, nor a wildcard of o covers.
func strangeName(o *order) string {
	ordered := o.leafNames().DNS
	for name, parent := "evil.example.org", "example.org"; ; name, parent = "evil."+name, name {
		if !slices.Contains(ordered, name) && !slices.Contains(ordered, "*."+parent) {
			return name
		}
	}
}

// strangeAddress is an email address, or what looks like one, that o does not
// have.
func strangeAddress(o *order) string {
	local := "evil"
	for slices.Contains(o.leafNames().Emails, local+"@example.org") {
		local += ".evil"
	}
	return local + "@example.org"
}

// addWWW adds www. where a CA could do so by itself.
func addWWW(p *authority.Leaf, o *order) {
	name := "www." + o.domain
	if o.subject == nil && wantsWWW(o.domain, nil) && !slices.Contains(p.Names.DNS, name) {
		p.Names.DNS = append(p.Names.DNS, name)
	}
}

// addBaseDomains adds example.com to *.example.com.
func addBaseDomains(p *authority.Leaf, _ *order) {
	for _, n := range p.Names.DNS {
		base, wildcard := strings.CutPrefix(n, "*.")
		if wildcard && !slices.Contains(p.Names.DNS, base) {
			p.Names.DNS = append(p.Names.DNS, base)
		}
	}
}

// leaveOutName drops the name that was ordered last. The www. of autoSecureWww
// does not count: the order's client never wrote it.
func leaveOutName(p *authority.Leaf, o *order) {
	n := &p.Names
	switch last := len(o.additional) - 1; {
	case o.subject != nil:
		n.Emails = []string{strangeAddress(o)}
	case len(n.IPs) > 0:
		n.IPs = n.IPs[:len(n.IPs)-1]
	case last >= 0:
		n.DNS = slices.DeleteFunc(n.DNS, func(d string) bool { return d == o.additional[last] })
	default:
		n.DNS[0] = strangeName(o)
	}
}
