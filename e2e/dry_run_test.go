// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// Whoever has the policy of a planner asks what a request comes to, and cannot buy, however the request is spelled.
func TestAPlannerAsksAndDoesNotBuy(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.enableLogins()
	planner := v.person("planner", nil, example(t, "policies/planner.hcl"))
	for _, yes := range []any{true, "true"} {
		answer := planner.write("certinext/issue/web", map[string]any{"common_name": "www.example.com", "dry_run": yes})
		require.Equal(t, "order", answer.Data["would"])
		require.Nil(t, answer.Data["private_key"])
	}
	for name, data := range map[string]map[string]any{
		"without it":         {},
		"with false":         {"dry_run": false},
		"with no":            {"dry_run": "no"},
		"with null":          {"dry_run": nil},
		"with capitals":      {"DRY_RUN": false},
		"with both":          {"dry_run": true, "DRY_RUN": false},
		"with other capital": {"Dry_Run": true},
	} {
		data["common_name"] = "www.example.com"
		for _, path := range []string{"certinext/issue/web", "certinext/orders/web"} {
			_, err := planner.api.Logical().WriteWithContext(t.Context(), path, data)
			require.Error(t, err, "%s %s", path, name)
		}
	}
	require.Empty(t, ca.Orders())
}
