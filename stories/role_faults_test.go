// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// patch changes some fields of a role, and returns the refusal or the warnings.
func (m *mount) patch(role string, data map[string]any) (refusal, warnings string) {
	m.t.Helper()
	resp, err := m.send(call{op: logical.PatchOperation, path: "roles/" + role, data: data})
	require.NoError(m.t, err)
	switch {
	case resp == nil:
		return "", ""
	case resp.IsError():
		return resp.Error().Error(), ""
	}
	return "", strings.Join(resp.Warnings, "\n")
}

func TestARoleUnderWhichNothingCanBeOrderedIsRefused(t *testing.T) {
	m := newMount(t, new(certinexttest.Server))
	below := func(domains string, changes map[string]any) map[string]any {
		role := map[string]any{"product_code": "842", "allow_subdomains": true, "allowed_domains": domains}
		for k, v := range changes {
			role[k] = v
		}
		return role
	}
	templates := map[string]any{"allowed_domains_template": true}
	private := map[string]any{"product_code": "149", "product_variant": "intranet-ssl"}
	for name, c := range map[string]struct {
		role map[string]any
		want string
	}{
		"a template that is none":             {below("{{nope}}.example.com", templates), `allowed_domains: "{{nope}}.example.com" can match no name: {{nope}} is no identity template`},
		"a template that does not end":        {below("{{identity.entity.name", templates), "a template that does not end"},
		"a subject's template that is none":   {map[string]any{"product_code": "914", "product_variant": "smime", "subject": map[string]any{"email": "{{nope}}"}}, "subject: email is empty for every requester: {{nope}}"},
		"a special-use name":                  {below("corp.internal", nil), `no name can be ordered for "corp.internal": "corp.internal" is under the special-use name internal`},
		"several of them":                     {below("corp.internal,home.test", nil), "special-use name internal"},
		"a top level that there is none":      {below("corp", nil), "under no top-level domain"},
		"a public suffix itself":              {below("co.uk", map[string]any{"allow_subdomains": false, "allow_bare_domains": true}), "the public suffix co.uk itself"},
		"a wildcard product without any":      {below("example.com", map[string]any{"product_code": "843", "allow_wildcard_certificates": false}), "for wildcard names"},
		"the same for private PKI is allowed": {below("corp.internal", private), ""},
		"below a public suffix":               {below("co.uk", nil), ""},
		"an example":                          {below("corp.example", nil), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.want == "" {
				m.write("roles/good", c.role)
				return
			}
			require.Contains(t, m.refused("roles/bad", c.role), c.want)
		})
	}

	warnings := strings.Join(m.write("roles/mixed", below("example.com,corp.internal", nil)).Warnings, "\n")
	require.Contains(t, warnings, `allowed_domains: no name can be ordered for "corp.internal"`)
	require.NotContains(t, warnings, `for "example.com"`)
	warnings = strings.Join(m.write("roles/empty", map[string]any{"product_code": "842"}).Warnings, "\n")
	require.Contains(t, warnings, "allowed_domains is empty")
}

// A role of an earlier version may hold what a write refuses today. It stays open to other changes.
func TestAnOldRoleIsPatchedWhateverElseIsWrongInIt(t *testing.T) {
	m := newMount(t, new(certinexttest.Server))
	old := m.storage.dump(t)["role/web"]
	require.Contains(t, string(old), `"allowed_domains":["example.com"]`)
	text := strings.Replace(string(old), `"allowed_domains":["example.com"]`, `"allowed_domains":["example.com","a_b.example.com","{{nope}}"],"validity_years":9`, 1)
	text = strings.Replace(text, `"allow_bare_domains"`, `"allowed_domains_template":true,"allow_bare_domains"`, 1)
	require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: "role/web", Value: []byte(text)}))

	refusal, warnings := m.patch("web", map[string]any{"ttl": "1h"})
	require.Empty(t, refusal)
	for _, wrong := range []string{"a_b.example.com", "{{nope}}", "validity_years"} {
		require.Contains(t, warnings, wrong)
	}
	require.Equal(t, int64(3600), m.read("roles/web").Data["ttl"])

	refusal, _ = m.patch("web", map[string]any{"ttl": "2h", "allowed_domains": "example.com,c_d.example.com"})
	require.Contains(t, refusal, "c_d.example.com", "what the patch brings is looked at")
	refusal, _ = m.patch("web", map[string]any{"issue_timeout": "5m"})
	require.Contains(t, refusal, "issue_timeout")
	require.Contains(t, m.refused("roles/web", map[string]any{"product_code": "842", "allow_subdomains": true, "allowed_domains": "a_b.example.com"}), "a_b.example.com", "a write begins anew")

	refusal, warnings = m.patch("web", map[string]any{"allowed_domains": "example.com", "validity_years": 1})
	require.Empty(t, refusal)
	require.NotContains(t, warnings, "earlier write")
}

func TestARoleWhoseProductIsGoneIsPatchedOtherwise(t *testing.T) {
	ca := new(certinexttest.Server)
	m := newMount(t, ca)
	old := m.storage.dump(t)["role/web"]
	text := strings.Replace(string(old), `"product_code":"842"`, `"product_code":"777"`, 1)
	require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: "role/web", Value: []byte(text)}))
	refusal, warnings := m.patch("web", map[string]any{"generate_lease": false})
	require.Empty(t, refusal)
	require.Contains(t, warnings, "777")
	refusal, _ = m.patch("web", map[string]any{"product_code": "778"})
	require.Contains(t, refusal, "778")
	require.Equal(t, false, m.read("roles/web").Data["generate_lease"])
}
