// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/stretchr/testify/require"
)

func TestNamesThatNoPublicCACertifies(t *testing.T) {
	const (
		single  = "is a single label"
		special = "is under the special-use name "
		unknown = "is under no top-level domain"
		suffix  = "is the public suffix "
	)
	for name, problem := range map[string]string{
		"example.com":             "",
		"*.example.com":           "",
		"www.example":             "", // RFC 2606
		"*.shop.example":          "",
		"example.co.uk":           "",
		"*.example.co.uk":         "",
		"shop.xn--55qx5d.cn":      "",
		"latest.com":              "", // ends in test
		"localhost.com":           "",
		"local.example.org":       "",
		"github.io":               "", // a suffix of the private section
		"*.github.io":             "",
		"me.github.io":            "",
		"s3.eu-west-1.example.io": "",
		"www.ck":                  "", // an exception in the list
		"city.kawasaki.jp":        "", // another
		"kawasaki.jp":             "",

		"localhost":                single,
		"com":                      single,
		"*.com":                    single,
		"*.example":                single,
		"co.uk":                    suffix + "co.uk ",
		"*.co.uk":                  suffix + "co.uk ",
		"xn--55qx5d.cn":            suffix,
		"anything.ck":              suffix, // by a rule with a wildcard
		"*.kawasaki.jp":            suffix + "*.kawasaki.jp ",
		"shops.kawasaki.jp":        suffix,
		"db.corp.internal":         special + "internal,",
		"*.corp.internal":          special + "internal,",
		"printer.local":            special + "local,",
		"app.localhost":            special + "localhost,",
		"www.test":                 special + "test,",
		"www.invalid":              special + "invalid,",
		"www.alt":                  special + "alt,",
		"tor.onion":                special + "onion,",
		"home.arpa":                special + "arpa,",
		"nas.home.arpa":            special + "arpa,",
		"1.2.0.192.in-addr.arpa":   special + "arpa,",
		"8.b.d.0.1.0.0.2.ip6.arpa": special + "arpa,",
		"e164.arpa":                special + "arpa,",
		"resolver.arpa":            special + "arpa,",
		"intranet.corp":            unknown,
		"host.lan":                 unknown,
		"*.svc.cluster":            unknown,
		"www.notyetdelegated":      unknown,
	} {
		got := publicProblem(name)
		if problem == "" {
			require.Empty(t, got)
			continue
		}
		require.Contains(t, got, `"`+name+`" `+problem)
	}
}

func TestOnlyPublicProductsAreHeldToTheListOfSuffixes(t *testing.T) {
	for variant, shape := range account.Shapes {
		if shape.Personal() {
			continue
		}
		role := NewRole("r")
		role.Variant, role.AllowAnyName = variant, true
		for _, name := range []string{"db.corp.internal", "co.uk", "host.lan", "localhost"} {
			err := AllowNames(role, nil, &Plan{DNSNames: []string{"www.example.com", name}})
			if shape.Public() {
				requireField(t, err, "alt_names", name)
				continue
			}
			require.NoError(t, err, "%s in %s", name, variant)
		}
	}
}

func TestCommonNamesHaveAtMost64Characters(t *testing.T) {
	fits := strings.Repeat("a", 52) + ".example.com"
	long := "a" + fits
	key, err := KeySpec{Type: "ec", Bits: 256}.Generate()
	require.NoError(t, err)
	withCSR := func(names ...string) Request {
		text, err := NewCSR(key, &Plan{DNSNames: names})
		require.NoError(t, err)
		return Request{CSR: text}
	}
	for says, c := range map[string]struct {
		variant string
		request Request
		field   string
		remedy  string
	}{
		"64 characters":            {"dv", Request{CommonName: fits}, "", ""},
		"as an alternative name":   {"dv-ucc", Request{CommonName: fits, AltNames: []string{long}}, "", ""},
		"65 characters":            {"dv", Request{CommonName: long}, "common_name", "takes no other name"},
		"a wildcard is part of it": {"dv-wildcard", Request{CommonName: "*." + fits}, "common_name", "66 characters"},
		"where others are taken": {
			"dv-ucc", Request{CommonName: long}, "common_name", "give a shorter common_name",
		},
		"of private PKI": {
			"intranet-ssl", Request{CommonName: long}, "common_name", "give a shorter common_name",
		},
		"what becomes the common name": {
			"dv-ucc", Request{AltNames: []string{long, fits}}, "common_name", "65 characters",
		},
		"in a CSR":                 {"dv-ucc", withCSR(long), "csr", "make a CSR with a shorter one"},
		"a CSR's alternative name": {"dv-ucc", withCSR(fits, long), "", ""},
		"as A-labels": {
			"dv", Request{CommonName: strings.Repeat("ü", 40) + "." + fits}, "common_name", "characters",
		},
	} {
		t.Run(says, func(t *testing.T) {
			role := NewRole("r")
			role.Variant, role.RequireCN = c.variant, false
			_, err := planNames(role, c.request)
			if c.field == "" {
				require.NoError(t, err)
				return
			}
			requireField(t, err, c.field, c.remedy)
			requireField(t, err, c.field, "a common name has at most 64")
		})
	}
}

func FuzzPublicProblem(f *testing.F) {
	for _, s := range []string{"www.example.com", "*.co.uk", "a.b.ck", "x.github.io", "a.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		name, err := parseDNSName("f", in)
		if err != nil {
			return
		}
		problem := publicProblem(name)
		if problem != "" {
			require.Contains(t, problem, `"`+name+`"`)
			require.NotEmpty(t, publicProblem("*."+strings.TrimPrefix(name, "*.")))
			return
		}
		host := strings.TrimPrefix(name, "*.")
		for _, zone := range specialUse {
			require.False(t, under(host, zone), "%q is under %s", host, zone)
		}
		if !under(host, documentationTLD) {
			require.True(t, strings.HasSuffix(host, "."+icannSuffix(host)), "%q", host)
		}
	})
}
