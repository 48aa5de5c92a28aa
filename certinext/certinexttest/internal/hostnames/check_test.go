// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package hostnames

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	label := strings.Repeat("a", 63)
	long := strings.Repeat(label+".", 3) // 192 characters
	for name, want := range map[string]Rule{
		"example.com": {}, "*.example.com": {}, "a.b.example.co.uk": {}, "1.example.com": {},
		"site.github.io": {}, "github.io": {}, "*.github.io": {}, "www.ck": {}, "city.kawasaki.jp": {},
		"xn--bcher-kva.com": {}, "example.xn--p1ai": {}, label + ".com": {}, "db.example": {}, "*.db.example": {},
		long + strings.Repeat("a", 57) + ".com": {}, // 253 characters

		"co.uk": PublicSuffix, "*.co.uk": PublicSuffix, "*.com": PublicSuffix, "foo.ck": PublicSuffix,
		"a.kawasaki.jp": PublicSuffix, "*.kawasaki.jp": PublicSuffix, "*.foo.ck": PublicSuffix,
		"com": PublicSuffix, "localhost": {SpecialUse.Name, "RFC 6761, section 6.3"}, "example": {SpecialUse.Name, "RFC 6761, section 6.5"},
		"*.localdomain": SingleLabel, "intranet": SingleLabel,
		"app.localhost": {SpecialUse.Name, "RFC 6761, section 6.3"}, "printer.local": {SpecialUse.Name, "RFC 6762"},
		"a.invalid": {SpecialUse.Name, "RFC 6761, section 6.4"}, "a.test": {SpecialUse.Name, "RFC 6761, section 6.2"},
		"a.onion": {SpecialUse.Name, "RFC 7686"}, "db.internal": {SpecialUse.Name, "ICANN, 2024"},
		"router.home.arpa": {SpecialUse.Name, "RFC 3172; home.arpa: RFC 8375"}, "a.alt": {SpecialUse.Name, "RFC 9476"},
		"1.0.168.192.in-addr.arpa": {SpecialUse.Name, "RFC 3172; home.arpa: RFC 8375"},
		"db.corp":                  UnknownTLD, "host.lan": UnknownTLD, "*.db.intranet": UnknownTLD,

		label + "a.com":                         LabelLength,
		long + strings.Repeat("a", 58) + ".com": NameLength,
		"":                                      Form, "a..com": Form, "a.*.example.com": Form, "*.*.example.com": Form, "*": Form,
		"-a.example.com": Form, "a-.example.com": Form, "a b.example.com": Form, "a@example.com": Form, "example.com.": Form,
		"bücher.com": Form, "a.example.1": Form, "A.example.com": Form,
		"a_b.example.com": Underscore, "_dmarc.example.com": Underscore,
		"ab--c.example.com":   Reserved,
		"xn--0.example.com":   Punycode,
		"xn--a.example.com":   Punycode,
		"xn--abc-.com":        Form, // ends with a hyphen
		"xn--strae-oqa.com":   {},   // ß is IDNA2008's
		"xn--fa-hia.com":      {},   // faß
		"xn--i-7iq.ws":        {},   // a symbol: registries have taken it, and nothing forbids to certify it
		"xn--bcher-kVA.com":   Form,
		"xn--www-.com":        Form,
		"xn--BCHER-kva.com":   Form,
		"xn--bcher--kva.com":  Punycode,
		"xn--99999999.com":    Punycode,
		"10.0.0.1":            OwnAddress,
		"192.0.2.7":           OwnAddress,
		"::1":                 OwnAddress,
		"[fe80::1]":           OwnAddress,
		"fe80::1%eth0":        OwnAddress,
		"::ffff:192.168.0.1":  OwnAddress,
		"8.8.8.8":             Address,
		"2606:4700:4700::1":   Address,
		"100.63.255.255":      Address,
		"100.127.255.255":     OwnAddress,
		"255.255.255.255":     OwnAddress,
		"999.1.1.1":           Form,
		"example.com:443":     Form,
		"https://example.com": Form,
	} {
		require.Equal(t, want, Check(name, []string{"example"}), name)
	}
}

func TestExceptedZones(t *testing.T) {
	require.Equal(t, SpecialUse.Name, Check("db.example", nil).Name)
	require.Equal(t, Rule{}, Check("db.corp.internal", []string{"corp.internal"}))
	require.Equal(t, Rule{}, Check("*.corp.internal", []string{"corp.internal"}))
	require.Equal(t, SpecialUse.Name, Check("db.other.internal", []string{"corp.internal"}).Name)
	require.Equal(t, SpecialUse.Name, Check("xcorp.internal", []string{"corp.internal"}).Name)
	require.Equal(t, Underscore, Check("a_b.test", []string{"test"}), "the form is looked at all the same")
}

func TestCheckCommonName(t *testing.T) {
	name := strings.Repeat("a", 60) + ".com" // 64 characters
	require.Equal(t, Rule{}, CheckCommonName(name))
	require.Equal(t, CommonName, CheckCommonName("a"+name))
}
