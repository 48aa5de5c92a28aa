// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/stretchr/testify/require"
)

// checked returns the problems of each check, by its name.
func checked(checks Checks) map[string][]string {
	out := make(map[string][]string)
	for _, c := range checks {
		out[c.Name] = []string{}
		for _, err := range c.Problems {
			out[c.Name] = append(out[c.Name], err.Error())
		}
	}
	return out
}

func TestEveryCheckThatARequestFailsIsSaid(t *testing.T) {
	role := NewRole("web")
	role.Variant, role.AllowSubdomains, role.MaxNames = "dv-ucc", true, 2
	role.AllowedDomains, role.Key = []string{"example.com"}, KeySpec{Type: "any"}
	cfg := &account.Config{}
	r := Request{
		Role: "web", ID: "?", ForceNew: true, TTL: -1, CommonName: "www.example.com",
		AltNames: []string{"a.example.org", "b.example.org"},
	}
	_, err := NewPlan(role, cfg, role.AllowedDomains, nil, r)
	plan, checks := Judge(role, cfg, role.AllowedDomains, nil, r)
	require.NotNil(t, plan, "the names can be read")
	require.EqualError(t, err, checks.First().Error())
	found := checked(checks)
	require.Len(t, found[CheckRequest], 3)
	require.Len(t, found[CheckSettings], 3, "signer_place, requestor_name, requestor_email")
	require.Empty(t, found[CheckNames])
	require.Empty(t, found[CheckProduct])
	require.Len(t, found[CheckAllowed], 3, "too many, and two that the role does not allow")
	require.Contains(t, found[CheckAllowed][2], `"b.example.org" is not allowed`)
	require.Len(t, found[CheckKey], 1)

	r.CommonName = "-"
	plan, checks = Judge(role, cfg, role.AllowedDomains, nil, r)
	require.Nil(t, plan)
	require.Len(t, checked(checks)[CheckNames], 1)
	require.NotContains(t, checked(checks), CheckAllowed, "there are no names to look at")
}

func TestANameThatIsAddedIsComplainedOfOnce(t *testing.T) {
	role := NewRole("web")
	role.Variant, role.AutoSecureWWW = "dv", true
	role.AllowedDomains, role.AllowSubdomains = []string{"example.org"}, true
	_, checks := Judge(role, &account.Config{}, role.AllowedDomains, nil,
		Request{CommonName: "example.com"})
	require.Len(t, checked(checks)[CheckAllowed], 2, "example.com, and www.example.com")
}
