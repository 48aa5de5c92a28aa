// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/stretchr/testify/require"
)

func TestNameRules(t *testing.T) {
	bare := nameRules{domains: []string{"example.com"}, bare: true, wildcard: true}
	sub := nameRules{domains: []string{"example.com"}, subdomain: true, wildcard: true}
	tame := nameRules{domains: []string{"example.com"}, subdomain: true}
	glob := nameRules{
		domains: []string{"ftp*.example.com", "*.dev.example.com"}, glob: true, wildcard: true,
	}
	for _, c := range []struct {
		says  string
		rules nameRules
		name  string
		ok    bool
	}{
		{"a bare domain is itself", bare, "example.com", true},
		{"a bare domain is not what is below it", bare, "www.example.com", false},
		{"subdomains are below", sub, "www.example.com", true},
		{"subdomains reach deep", sub, "a.b.c.example.com", true},
		{"subdomains are not the domain", sub, "example.com", false},
		{"a suffix is not a subdomain", sub, "badexample.com", false},
		{"a wildcard below the domain", sub, "*.example.com", true},
		{"a wildcard where wildcards are off", tame, "*.example.com", false},
		{"a glob within a label", glob, "ftp17.example.com", true},
		{"a glob is no regular expression", glob, "ftpXexampleYcom", false},
		{"a glob across labels, as in Vault", glob, "a.b.dev.example.com", true},
		{"a wildcard name that a glob covers", glob, "*.dev.example.com", true},
		{
			"nothing is allowed by nothing",
			nameRules{bare: true, subdomain: true, glob: true, wildcard: true},
			"example.com", false,
		},
		{
			"an empty domain allows nothing",
			nameRules{domains: []string{""}, bare: true, subdomain: true, glob: true},
			"example.com", false,
		},
		{"any name is any host name", nameRules{any: true}, "www.example.org", true},
		{"any name is not any wildcard", nameRules{any: true}, "*.example.org", false},
		{"any name is not a single label for the public", nameRules{any: true}, "localhost", false},
	} {
		t.Run(c.says, func(t *testing.T) {
			err := c.rules.allow("common_name", c.name, true)
			if c.ok {
				require.NoError(t, err)
				return
			}
			var field *fault.FieldError
			require.ErrorAs(t, err, &field)
			require.Equal(t, "common_name", field.Field)
		})
	}
}

func TestParseDNSName(t *testing.T) {
	for in, want := range map[string]string{
		"WWW.Example.COM":                        "www.example.com",
		"*.Example.com":                          "*.example.com",
		"bücher.example":                         "xn--bcher-kva.example",
		"xn--bcher-kva.example":                  "xn--bcher-kva.example",
		"":                                       "",
		"*.":                                     "",
		"*":                                      "",
		"a.*.example.com":                        "",
		"*.*.example.com":                        "",
		"-a.example.com":                         "",
		"a_b.example.com":                        "",
		"example.com.":                           "",
		"192.0.2.1":                              "",
		"::1":                                    "",
		"a..example.com":                         "",
		"a b.example.com":                        "",
		"a\x00.example.com":                      "",
		"ops@example.com":                        "",
		"https://example.com":                    "",
		"example.com/path":                       "",
		strings.Repeat("a", 64) + ".example.com": "",
		strings.Repeat("abcdefgh.", 29) + "toolong": "",
	} {
		got, err := parseDNSName("f", in)
		require.Equal(t, want, got, "%q", in)
		require.Equal(t, want == "", err != nil, "%q: %v", in, err)
	}
}

func FuzzParseDNSName(f *testing.F) {
	for _, s := range []string{
		"www.example.com", "*.example.com", "bücher.example", "xn--a", "a..b", "\x00", "ß.de",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		name, err := parseDNSName("f", in)
		if err != nil {
			return
		}
		again, err := parseDNSName("f", name)
		require.NoError(t, err, "%q from %q", name, in)
		require.Equal(t, name, again, "the parsed form is not stable")
		require.NotContains(t, strings.TrimPrefix(name, "*."), "*")
		require.LessOrEqual(t, len(strings.TrimPrefix(name, "*.")), 253)
		require.Equal(t, strings.ToLower(name), name)
		for _, r := range name {
			require.Contains(t, "*.-abcdefghijklmnopqrstuvwxyz0123456789", string(r), "%q", name)
		}
	})
}

func TestShapesFitNames(t *testing.T) {
	for _, c := range []struct {
		variant string
		dns     string
		ips     int
		field   string
	}{
		{"dv", "a.com", 0, ""},
		{"dv", "a.com b.com", 0, "alt_names"},
		{"dv", "*.a.com", 0, "common_name"},
		{"dv", "a.com", 1, "ip_sans"},
		{"dv-wildcard", "*.a.com", 0, ""},
		{"dv-wildcard", "a.com", 0, "common_name"},
		{"dv-wildcard", "*.a.com a.com", 0, "alt_names"},
		{"ov-ucc", "a.com b.com", 0, ""},
		{"ov-ucc", "a.com", 0, ""},
		{"ov-ucc", "a.com *.b.com", 0, "common_name"},
		{"dv-wildcard-ucc", "a.com *.b.com", 0, ""},
		{"ev", "*.a.com", 0, "common_name"},
		{"ev-ucc", "a.com *.b.com", 0, "common_name"},
		{"intranet-ssl", "host *.internal", 2, ""},
	} {
		err := account.Shapes[c.variant].Fits(strings.Fields(c.dns), c.ips)
		if c.field == "" {
			require.NoError(t, err, "%v", c)
			continue
		}
		var field *fault.FieldError
		require.ErrorAs(t, err, &field, "%v", c)
		require.Equal(t, c.field, field.Field, "%v", c)
	}
}
