// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDomainsUnderWhichNoNameCanBeOrdered(t *testing.T) {
	bare := func(r *Role) { r.AllowBareDomains = true }
	below := func(r *Role) { r.AllowSubdomains = true }
	glob := func(r *Role) { r.AllowGlobDomains = true }
	templates := func(r *Role) { r.AllowSubdomains, r.AllowedDomainsTemplate = true, true }
	for name, c := range map[string]struct {
		variant, domain string
		allow           func(*Role)
		reason          string
	}{
		"a domain":                           {"dv", "example.org", bare, ""},
		"names below a domain":               {"dv", "example.org", below, ""},
		"names below a public suffix":        {"dv", "co.uk", below, ""},
		"names below a suffix of a wildcard": {"dv", "kawasaki.jp", below, ""},
		"a public suffix itself":             {"dv", "co.uk", bare, "the public suffix co.uk itself"},
		"examples":                           {"dv", "corp.example", below, ""},
		"a special-use name":                 {"dv", "Corp.Internal.", below, `"corp.internal" is under`},
		"one that is bare":                   {"dv", "localhost", bare, `"localhost" is a single label`},
		"names below it":                     {"dv", "localhost", below, "name localhost"},
		"a private top level":                {"ov-ucc", "corp", below, "no top-level domain"},
		"a glob under a special-use name":    {"dv", "*.test", glob, "special-use name test"},
		"a glob in the middle":               {"dv", "web-*.corp.local", glob, "special-use name local"},
		"a glob in the top level":            {"dv", "web.*", glob, ""},
		"any glob":                           {"dv", "*", glob, ""},
		"a template at the end":              {"dv", "web.{{t}}", templates, ""},
		"a template in the top level":        {"dv", "web.{{t}}al", templates, ""},
		"a template before the end":          {"dv", "{{t}}.internal", templates, "special-use name internal"},
		"a template below a domain":          {"dv", "{{t}}.example.org", templates, ""},
		"private PKI":                        {"intranet-ssl", "corp.internal", below, ""},
		"a wildcard product, below":          {"dv-wildcard", "example.org", below, ""},
		"a wildcard product, bare":           {"dv-wildcard", "example.org", bare, "ask for *.example.org"},
		"a wildcard product without wildcards": {"dv-wildcard", "example.org", func(r *Role) {
			r.AllowSubdomains, r.AllowWildcardCertificates = true, false
		}, "for wildcard names"},
		"www that is not allowed": {"dv", "example.org", func(r *Role) {
			r.AllowBareDomains, r.AutoSecureWWW = true, true
		}, "www.example.org"},
		"a name that is too long": {
			"dv", strings.Repeat("x", 60) + ".example.org", bare, "at most 64",
		},
		"what is idle is told elsewhere": {"dv", "corp.internal", func(*Role) {}, ""},
		"any name":                       {"dv", "corp.internal", func(r *Role) { r.AllowAnyName = true }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewRole("web")
			r.Variant, r.AllowedDomains = c.variant, []string{c.domain}
			c.allow(r)
			found, all := r.useless()
			require.Equal(t, c.reason != "", all)
			if c.reason == "" {
				require.Empty(t, found)
				return
			}
			requireField(t, found.First(), "allowed_domains", c.reason)
			require.NotContains(t, found.First().Error(), standIn+"."+standIn)

			r.AllowedDomains = append(r.AllowedDomains, "example.net", "www.example.net", "*.example.net")
			r.AutoSecureWWW = false
			r.AllowWildcardCertificates, r.AllowBareDomains, r.AllowSubdomains = true, true, true
			_, all = r.useless()
			require.False(t, all, "another domain can be used")
			require.NoError(t, r.validateUse())
		})
	}
}
