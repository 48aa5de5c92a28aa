// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/x509"
	"net/url"
	"slices"
	"strings"
	"time"
)

// aYear is a common year, as the life of a certificate is counted here.
const aYear = 365 * 24 * time.Hour

// leafMistakes are those inside the leaf. Each changes one thing in a profile
// that was right.
var leafMistakes = map[Misissuance]func(p *leafProfile, o *order){
	MisissueExtraName: func(p *leafProfile, o *order) {
		p.names.dns = append(p.names.dns, strangeName(o))
	},
	MisissueAddedWWW:    addWWW,
	MisissueBaseDomain:  addBaseDomains,
	MisissueMissingName: leaveOutName,
	MisissueOtherCommonName: func(p *leafProfile, o *order) {
		p.subject.CommonName = strangeName(o)
	},
	MisissueEmailName: func(p *leafProfile, o *order) {
		p.names.emails = append(p.names.emails, strangeAddress(o))
	},
	MisissueURIName: func(p *leafProfile, o *order) {
		u := &url.URL{Scheme: "https", Host: strangeName(o), Path: "/"}
		p.names.uris = append(p.names.uris, u)
	},
	MisissueOtherName: func(p *leafProfile, o *order) {
		p.names.users = append(p.names.users, strangeAddress(o))
	},
	MisissueCACertificate: func(p *leafProfile, _ *order) {
		p.isCA = true
		p.keyUsage |= x509.KeyUsageCertSign
	},
	MisissueBeginsSoon: func(p *leafProfile, _ *order) {
		p.notBefore = p.notBefore.Add(5 * time.Minute)
	},
	MisissueBeginsLate: func(p *leafProfile, _ *order) { p.notBefore = p.notBefore.Add(aYear) },
	MisissueTooLong:    func(p *leafProfile, _ *order) { p.lifetime = 30 * aYear },
	MisissueAlreadyOver: func(p *leafProfile, _ *order) {
		p.notBefore = p.notBefore.Add(-p.lifetime - time.Hour)
	},
}

// strangeName is a DNS name that o does not have, nor a wildcard of o covers.
func strangeName(o *order) string {
	ordered := o.leafNames().dns
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
	for slices.Contains(o.leafNames().emails, local+"@example.org") {
		local += ".evil"
	}
	return local + "@example.org"
}

// addWWW adds www. where a CA could do so by itself.
func addWWW(p *leafProfile, o *order) {
	name := "www." + o.domain
	if o.subject == nil && wantsWWW(o.domain, nil) && !slices.Contains(p.names.dns, name) {
		p.names.dns = append(p.names.dns, name)
	}
}

// addBaseDomains adds example.com to *.example.com.
func addBaseDomains(p *leafProfile, _ *order) {
	for _, n := range p.names.dns {
		base, wildcard := strings.CutPrefix(n, "*.")
		if wildcard && !slices.Contains(p.names.dns, base) {
			p.names.dns = append(p.names.dns, base)
		}
	}
}

// leaveOutName drops the name that was ordered last. The www. of autoSecureWww
// does not count: the order's client never wrote it.
func leaveOutName(p *leafProfile, o *order) {
	n := &p.names
	switch last := len(o.additional) - 1; {
	case o.subject != nil:
		n.emails = []string{strangeAddress(o)}
	case len(n.ips) > 0:
		n.ips = n.ips[:len(n.ips)-1]
	case last >= 0:
		n.dns = slices.DeleteFunc(n.dns, func(d string) bool { return d == o.additional[last] })
	default:
		n.dns[0] = strangeName(o)
	}
}
