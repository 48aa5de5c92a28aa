// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// No CA may validate a wildcard name by a file, and CERTInext shows no challenge for one: its order would be paid, and wait for good.
func TestNoWildcardIsBoughtThatAFileWouldHaveToValidate(t *testing.T) {
	const want = "dcv_method: http-url validates no wildcard name"
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		m := bareMount(t, &certinexttest.Server{Dialect: dialect})
		m.write("config", m.account())
		role := func(code string, changes on) on {
			fields := on{
				"product_code": code, "allowed_domains": "example.org", "allow_subdomains": true, "generate_lease": false,
			}
			for k, v := range changes {
				fields[k] = v
			}
			return fields
		}
		file := on{"dcv_method": "http-url"}
		require.Contains(t, m.refused("roles/one", role("843", file)), want)
		require.Contains(t, m.refused("roles/several", role("845", file)), want)
		m.write("roles/host", role("842", file))
		m.write("roles/corp", role("149", on{"product_variant": "intranet-ssl", "dcv_method": "http-url"}))

		for name, code := range map[string]string{"one": "843", "several": "845"} { // as an earlier version may have stored them
			m.write("roles/"+name, role(code, nil))
			refusal, _ := m.patch(name, file)
			require.Contains(t, refusal, want)
			m.reword(name, `"dcv_method":"dns-txt"`, `"dcv_method":"http-url"`)
			require.Contains(t, m.refused("orders/"+name, on{"common_name": "*.w.example.org"}), want)
			problems := m.must(call{op: "read", path: "config/check", data: on{"role": name}}).Data["problems"]
			require.Contains(t, problems.([]string)[0], "role "+name+": "+want)
			require.Contains(t, problems.([]string)[0], "vault patch certinext/roles/"+name+" dcv_method=dns-txt")
		}
		require.Empty(t, m.ca.Orders())
		refusal, _ := m.patch("one", on{"dcv_method": "dns-txt"})
		require.Empty(t, refusal)
		m.write("orders/host", on{"common_name": "w.example.org"})
		m.write("orders/one", on{"common_name": "*.w.example.org"})
	})
}
