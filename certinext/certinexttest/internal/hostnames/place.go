// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package hostnames

import (
	"net/netip"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// specialUse are the names at and below which nobody has a host in the public DNS.
var specialUse = map[string]string{
	"alt":       "RFC 9476",
	"arpa":      "RFC 3172; home.arpa: RFC 8375",
	"example":   "RFC 6761, section 6.5",
	"internal":  "ICANN, 2024",
	"invalid":   "RFC 6761, section 6.4",
	"local":     "RFC 6762",
	"localhost": "RFC 6761, section 6.3",
	"onion":     "RFC 7686", // what it takes to certify one, CERTInext has no call for
	"test":      "RFC 6761, section 6.2",
}

// specialPurpose are the blocks of IANA's registries that are not globally reachable, and
// multicast.
var specialPurpose = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
	"198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
	"3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "ff00::/8",
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// checkPlace looks at where in the DNS a name of good form is. The example domains, such as
// example.com, are no matter: they are names like any others to all but their registries.
func checkPlace(name, host string, excepted []string) Rule {
	single := !strings.Contains(host, ".")
	for _, zone := range excepted {
		if !single && (host == zone || strings.HasSuffix(host, "."+zone)) {
			return Rule{}
		}
	}
	top := host[strings.LastIndexByte(host, '.')+1:]
	if source, special := specialUse[top]; special {
		return Rule{SpecialUse.Name, source}
	}
	// A wildcard may be what makes a name a suffix: the list has *.kawasaki.jp.
	switch registry := longestSuffix(name); registry {
	case "":
		if single {
			return SingleLabel
		}
		return UnknownTLD
	case name, host:
		return PublicSuffix
	default:
		return Rule{}
	}
}

// longestSuffix is the longest public suffix at or above a name that belongs to a registry, such as
// co.uk. Suffixes of companies, such as github.io, have an owner like any domain.
func longestSuffix(name string) string {
	for zone := name; ; {
		if suffix, registry := publicsuffix.PublicSuffix(zone); registry {
			return suffix // of the zones above the suffix of a company, too
		}
		_, parent, below := strings.Cut(zone, ".")
		if !below {
			return ""
		}
		zone = parent
	}
}
