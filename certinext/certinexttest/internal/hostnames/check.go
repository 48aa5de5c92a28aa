// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package hostnames

import (
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// A Rule is one that names are held against.
type Rule struct {
	// Name is the rule's own, such as public-suffix; "" stands for none.
	Name string
	// Source is where it is written.
	Source string
}

// The rules.
var (
	Form = Rule{
		"host-name-form", "RFC 1123, section 2.1: labels of letters, digits and hyphens",
	}
	NameLength  = Rule{"host-name-length", "RFC 1035, section 2.3.4: 253 characters as text"}
	LabelLength = Rule{"label-length", "RFC 1035, section 2.3.4: 63 octets"}
	CommonName  = Rule{"common-name-length", "RFC 5280, appendix A.1: 64 characters"}
	Underscore  = Rule{"underscore", "Baseline Requirements, 7.1.2.7.12: preferred name syntax"}
	Reserved    = Rule{
		"reserved-label", "Baseline Requirements, 1.6.1: hyphens in the third and fourth " +
			"place are for punycode alone",
	}
	Punycode = Rule{
		"punycode", "Baseline Requirements, 1.6.1: P-labels; RFC 5891, section 4.2 (IDNA2008)",
	}
	Address    = Rule{"address", "seen on the live service: no public order with one issues"}
	OwnAddress = Rule{
		"reserved-address", "Baseline Requirements, 4.2.2, and IANA's registries of " +
			"special-purpose addresses (RFC 6890)",
	}
	SingleLabel = Rule{"internal-name", "Baseline Requirements, 4.2.2: no internal names"}
	SpecialUse  = Rule{
		"special-use-name", "RFC 6761 and IANA's registry of special-use domain names; internal: " +
			"ICANN, 2024",
	}
	UnknownTLD = Rule{
		"unknown-top-level-domain", "Baseline Requirements, 4.2.2: no names outside the root zone",
	}
	PublicSuffix = Rule{
		"public-suffix", "Baseline Requirements, 3.2.2.6, and the ICANN section of the public " +
			"suffix list",
	}
)

// longestCommonName is ub-common-name.
const longestCommonName = 64

// CheckCommonName is the rule beyond [Check] that a name breaks as a certificate's common name. The
// zero Rule stands for none.
func CheckCommonName(name string) Rule {
	if len(name) > longestCommonName {
		return CommonName
	}
	return Rule{}
}

// Check is the first rule that a name in small letters breaks, which may have a wildcard as its
// first label. The zero Rule stands for none. Special-use names at and below the excepted ones are
// let through.
func Check(name string, excepted []string) Rule {
	if ip, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return checkAddress(ip)
	}
	host := strings.TrimPrefix(name, "*.")
	if broken := checkForm(host); broken != (Rule{}) {
		return broken
	}
	return checkPlace(name, host, excepted)
}

// checkForm looks at what the name is made of.
func checkForm(host string) Rule {
	if len(host) > 253 {
		return NameLength
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if broken := checkLabel(label); broken != (Rule{}) {
			return broken
		}
	}
	if last := labels[len(labels)-1]; last[0] >= '0' && last[0] <= '9' {
		return Form
	}
	return Rule{}
}

func checkLabel(label string) Rule {
	strange := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	switch {
	case label == "" || strings.ContainsFunc(label, strange):
		return Form
	case strings.Contains(label, "_"):
		return Underscore
	case len(label) > 63:
		return LabelLength
	case label[0] == '-' || label[len(label)-1] == '-':
		return Form
	case strings.HasPrefix(label, "xn--"):
		return checkPunycode(label)
	case len(label) > 3 && label[2:4] == "--":
		return Reserved
	}
	return Rule{}
}

// checkPunycode: a label is what registries take, and spelt as they would spell it.
func checkPunycode(label string) Rule {
	text, err := idna.Registration.ToUnicode(label)
	if err != nil {
		return Punycode
	}
	again, err := idna.Registration.ToASCII(text)
	if err != nil || again != label {
		return Punycode
	}
	return Rule{}
}

// checkAddress: no address is certified, and some nobody could certify.
func checkAddress(ip netip.Addr) Rule {
	own := func(p netip.Prefix) bool { return p.Contains(ip.Unmap().WithZone("")) }
	if slices.ContainsFunc(specialPurpose, own) {
		return OwnAddress
	}
	return Address
}
