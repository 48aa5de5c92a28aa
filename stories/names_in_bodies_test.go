// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/assert"
)

func TestBlankMetadataWidensNoPattern(t *testing.T) {
	const d = "{{identity.entity.metadata.d}}"
	synctest.Test(t, func(t *testing.T) {
		for _, domains := range []string{"*." + d, "*" + d, "*." + d + "com"} {
			m := newMount(t, &certinexttest.Server{Dialect: certinexttest.Live, VerifiedDomains: []string{"someone-else.com"}})
			m.write("roles/templated", map[string]any{
				"product_code": "842", "product_variant": "dv", "allow_glob_domains": true,
				"allowed_domains_template": true, "allowed_domains": domains,
			})
			for _, value := range []string{" ", "\n", "\u00a0", ".", "\u200b"} {
				m.system.EntityVal = &logical.Entity{ID: "entity-a", Metadata: map[string]string{"d": value}}
				_, refusal := m.asEntity("entity-a", logical.UpdateOperation, "orders/templated", map[string]any{"common_name": "www.someone-else.com"})
				assert.NotEmpty(t, refusal, "%s with %+q allows www.someone-else.com", domains, value)
			}
		}
	})
}

func TestNamesInBodiesThatNoStorageTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.storage.lay(logical.NewStorageView(m.storage.under(), "logical/x/"))
		m.write("config", m.account())
		m.write("roles/web", map[string]any{"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true})
		for path, data := range map[string]map[string]any{
			"revoke/web":          {"order_id": "a..b"},
			"roles/web":           {"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true, "dcv_solver": "a..b"},
			"domains/example.com": {"organization_number": certinexttest.DefaultOrganization, "dcv_solver": "a..b"},
		} {
			resp, err := m.attempt(path, data)
			assert.NoError(t, err, path)
			assert.True(t, resp.IsError(), path)
		}
	})
}
