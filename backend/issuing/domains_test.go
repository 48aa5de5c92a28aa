// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"errors"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/stretchr/testify/require"
)

func TestAllowedDomainsAreReadAsNamesAre(t *testing.T) {
	for written, want := range map[string]string{
		"Example.COM":           "example.com",
		" example.com. ":        "example.com",
		"bücher.example.com":    "xn--bcher-kva.example.com",
		"bücher。example.com":    "xn--bcher-kva.example.com",
		"localhost":             "localhost",
		"*.Bücher.example.com":  "*.xn--bcher-kva.example.com",
		"Web-*.example.com":     "web-*.example.com",
		"*":                     "*",
		"*example.com":          "*example.com",
		"{{a}}.example.com":     "", // a template is no name before it is filled in
		"192.0.2.1":             "",
		"2001:db8::1":           "",
		".example.com":          "",
		"a..example.com":        "",
		"*..example.com":        "",
		"https://example.com":   "",
		"example.com:443":       "",
		"a_b.example.com":       "",
		"ü*.example.com":        "",
		"*.-bad-.example.com":   "",
		"two names.example.com": "",
		"":                      "",
	} {
		pattern, problem := parseDomain(written)
		require.Equal(t, want, pattern, written)
		require.Equal(t, want == "" && written != "", problem != "", "%q: %s", written, problem)
	}
}

func TestARoleIsRefusedADomainThatMatchesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		role    Role
		problem string
	}{
		"no host name": {Role{AllowedDomains: []string{"example.com", "a_b.example.com"}}, `"a_b`},
		"a template where there are none": {
			Role{AllowedDomains: []string{"{{x}}.example.com"}}, "set allowed_domains_template",
		},
		"a template in nonsense": {
			Role{AllowedDomains: []string{"{{x}}:443"}, AllowedDomainsTemplate: true}, "no name",
		},
		"a glob without globs": {
			Role{AllowedDomains: []string{"web-*.example.com"}, AllowSubdomains: true},
			"allow_glob_domains",
		},
		"a wildcard without wildcards": {
			Role{AllowedDomains: []string{"*.example.com"}, AllowBareDomains: true},
			"allow_glob_domains",
		},
		"a glob":     {Role{AllowedDomains: []string{"web-*.example.com"}, AllowGlobDomains: true}, ""},
		"a template": {Role{AllowedDomains: []string{"{{x}}.y"}, AllowedDomainsTemplate: true}, ""},
		"a wildcard name": {Role{
			AllowedDomains:   []string{"*.example.com"},
			AllowBareDomains: true, AllowWildcardCertificates: true,
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var all fault.Fields
			c.role.checkDomains(&all)
			err := all.First()
			if c.problem == "" {
				require.NoError(t, err)
				return
			}
			requireField(t, err, "allowed_domains", c.problem)
		})
	}
}

func TestDomainsThatAreIdleAreTold(t *testing.T) {
	r := Role{AllowedDomains: []string{"example.com", "*.example.com"}, AllowGlobDomains: true}
	require.Equal(t, []string{"example.com"}, r.idleDomains())
	require.Contains(t, r.Warnings(nil)[0], "allowed_domains: nothing is allowed by example.com")
	for _, change := range []func(*Role){
		func(r *Role) { r.AllowAnyName = true }, func(r *Role) { r.AllowBareDomains = true },
		func(r *Role) { r.AllowSubdomains = true },
	} {
		changed := r
		change(&changed)
		require.Empty(t, changed.Warnings(nil))
	}
}

// Whoever may write an entity's metadata may not say for which names others' roles are.
func TestNoValueWidensATemplate(t *testing.T) {
	values := map[string]string{
		"{{team}}": "Bücher", "{{star}}": "*", "{{glob}}": "a*", "{{empty}}": "", "{{dots}}": "a.b",
		"{{blank}}": " ", "{{wide}}": "\u3000", "{{dot}}": ".", "{{hidden}}": "\u200b",
	}
	fill := func(template string) (string, error) {
		if v, ok := values[template]; ok {
			return v, nil
		}
		return "", errors.New("no value")
	}
	r := Role{AllowedDomainsTemplate: true, AllowedDomains: []string{
		"{{team}}.example.com", "{{dots}}.example.com", "*.{{team}}.example.com",
		"{{star}}", "{{star}}.example.com", "{{glob}}.example.com", "*{{empty}}", "{{empty}}",
		"{{team}}{{empty}}.example.com", "{{none}}.example.com", "{{team}}.{{none}}", "fixed.example.com",
		"*.{{blank}}", "*.{{wide}}", "*{{dot}}", "{{blank}}*.example.com", "app.{{blank}}", "*.{{hidden}}com",
	}}
	require.Equal(t, []string{
		"xn--bcher-kva.example.com", "a.b.example.com", "*.xn--bcher-kva.example.com",
		"fixed.example.com",
	}, r.AllowedNames(fill))
}
