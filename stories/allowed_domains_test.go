// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// What a role reads back is what was written, or Terraform would write it again for ever.
func TestAllowedDomainsMatchInEitherSpelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("roles/umlaut", map[string]any{
			"product_code": "842", "product_variant": "dv", "allow_subdomains": true, "allowed_domains": "Bücher.example.com.",
		})
		require.Equal(t, []string{"Bücher.example.com."}, m.read("roles/umlaut").Data["allowed_domains"])
		for _, name := range []string{"www.bücher.example.com", "ftp.xn--bcher-kva.example.com"} {
			require.NotEmpty(t, m.write("issue/umlaut", map[string]any{"common_name": name}).Data["certificate"])
		}
		require.Contains(t, m.refused("issue/umlaut", www), "allowed_domains")
		for _, never := range []string{"a_b.example.com", ".example.com", "*.example.com", "192.0.2.1", "{{identity.entity.name}}.example.com"} {
			require.Contains(t, m.refused("roles/umlaut", map[string]any{
				"product_code": "842", "product_variant": "dv", "allow_subdomains": true, "allowed_domains": never,
			}), "allowed_domains: ", never)
		}
	})
}

// An entity whose metadata somebody else may write asks for more than its team's names.
func TestAnEntitysMetadataDoesNotWidenARole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("roles/templated", map[string]any{
			"product_code": "842", "product_variant": "dv", "allow_glob_domains": true, "allow_bare_domains": true,
			"allowed_domains_template": true, "allowed_domains": "*.{{identity.entity.metadata.team}}.example.com",
		})
		for team, allowed := range map[string]bool{"a": true, "*": false, "*.a": false, "": false, "a*": false} {
			m.system.EntityVal = &logical.Entity{ID: "entity-a", Metadata: map[string]string{"team": team}}
			for _, name := range []string{"www.a.example.com", "www.b.example.com"} {
				_, refusal := m.asEntity("entity-a", logical.UpdateOperation, "orders/templated", map[string]any{"common_name": name})
				require.Equal(t, allowed && name == "www.a.example.com", refusal == "", "%s for team %q: %s", name, team, refusal)
			}
		}
	})
}
