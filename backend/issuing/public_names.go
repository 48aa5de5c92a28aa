// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// specialUse are the names of IANA's registry of special-use domain names (RFC 6761) under which
// nobody can prove to a public CA that a host is his, and internal, which ICANN has reserved for
// private networks in 2024. arpa as a whole is the Internet's own infrastructure: since March 2026,
// section 4.2.2 of the Baseline Requirements forbids to certify names in its reverse zones.
//
// Left out are example, example.com, example.net and example.org: they are nobody's, so that
// CERTInext's sandbox and every example use them.
var specialUse = []string{
	"alt", "arpa", "internal", "invalid", "local", "localhost", "onion", "test",
}

// documentationTLD is the special-use name that is let through though it is no top-level domain.
const documentationTLD = "example"

// publicProblem says why no public CA certifies a name, which is of the form that parseDNSName
// returns; it is empty when one may. Who owns the name is for CERTInext to find out.
func publicProblem(name string) string {
	host := strings.TrimPrefix(name, "*.")
	if !strings.Contains(host, ".") {
		return fmt.Sprintf("%q is a single label: a public CA cannot certify it", name)
	}
	if under(host, documentationTLD) {
		return ""
	}
	const instead = "name a host in the public DNS, or use a role for private PKI"
	isUnder := func(zone string) bool { return under(host, zone) }
	if i := slices.IndexFunc(specialUse, isUnder); i >= 0 {
		return fmt.Sprintf("%q is under the special-use name %s, where a public CA cannot certify "+
			"hosts: %s", name, specialUse[i], instead)
	}
	// The whole name is asked about, since the list has rules such as *.kawasaki.jp, too.
	switch suffix := icannSuffix(name); suffix {
	case "":
		return fmt.Sprintf("%q is under no top-level domain that this version knows, so that a "+
			"public CA cannot certify it: %s", name, instead)
	case host, name:
		return fmt.Sprintf("%q is the public suffix %s itself, below which others register their "+
			"domains: name a domain below it", name, suffix)
	}
	return ""
}

// under reports whether a host is a zone's apex or a name below it.
func under(host, zone string) bool {
	return host == zone || strings.HasSuffix(host, "."+zone)
}

// icannSuffix returns the public suffix of a host in the ICANN section of the public suffix list
// that golang.org/x/net has compiled in: what registries sell names below, such as com or co.uk. It
// is empty for a host under no such suffix. The suffixes of the list's private section, such as
// github.io, are passed over: they have an owner, to whom a CA may certify them (Baseline
// Requirements 3.2.2.6).
func icannSuffix(host string) string {
	for {
		suffix, icann := publicsuffix.PublicSuffix(host)
		if icann {
			return suffix
		}
		_, parent, found := strings.Cut(suffix, ".")
		if !found { // the list has no rule for the top-level domain
			return ""
		}
		host = parent
	}
}
