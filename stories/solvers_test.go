// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"maps"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A zoned is a mount whose CERTInext looks up challenges at a real DNS server, where the solver "corp" publishes them and
// the role "web" has it do so.
type zoned struct {
	*mount
	dns *dcvtest.Server
}

// newZoned starts a DNS server with the zones and mounts the engine on ca, whose orders look challenges up there.
func newZoned(t *testing.T, ca *certinexttest.Server, zones ...dcvtest.Zone) *zoned {
	t.Helper()
	z := &zoned{dns: dcvtest.Start(t, zones...)}
	ca.Resolver = z.dns.Addr
	z.mount = newMount(t, ca)
	z.write("dcv/solvers/corp", z.dns.Settings())
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv"})
	return z
}

// role writes a role for any name whose domains are validated by the solver.
func (z *zoned) role(name string, changes map[string]any) {
	z.t.Helper()
	data := map[string]any{
		"allow_any_name": true, "dcv_solver": "corp", "dcv_resolvers": z.dns.Addr, "dcv_propagation_servers": z.dns.Addr, "issue_timeout": "20s",
	}
	maps.Copy(data, changes)
	z.write("roles/"+name, data)
}

func TestASolverIsReadWithoutItsSecrets(t *testing.T) {
	m := bareMount(t, new(certinexttest.Server))
	m.write("dcv/solvers/corp", map[string]any{
		"provider": "rfc2136", "server": "ns1.example.com", "tsig_key_name": "vault", "tsig_secret": "c2VjcmV0LW9mLXRoZS10ZXN0",
		"zone": "example.com", "ttl": "2m",
	})
	require.Equal(t, []string{"corp"}, m.list("dcv/solvers/"))
	data := m.read("dcv/solvers/corp").Data
	require.Equal(t, map[string]any{
		"provider": "rfc2136", "server": "ns1.example.com", "tsig_key_name": "vault", "zone": "example.com", "ttl": int64(120),
		"ambient_identity": false, "secrets": []string{"tsig_secret"}, "records": []map[string]any{},
	}, data)

	m.must(call{op: logical.PatchOperation, path: "dcv/solvers/corp", data: map[string]any{"server": "ns2.example.com"}})
	data = m.read("dcv/solvers/corp").Data
	require.Equal(t, "ns2.example.com", data["server"])
	require.Equal(t, []string{"tsig_secret"}, data["secrets"], "a patch keeps what it does not touch")

	m.must(call{op: logical.DeleteOperation, path: "dcv/solvers/corp"})
	require.Empty(t, m.list("dcv/solvers/"))
	require.NotContains(t, m.log.String(), "c2VjcmV0LW9mLXRoZS10ZXN0")
}

func TestASolverThatCannotWorkIsRefusedByField(t *testing.T) {
	m := bareMount(t, new(certinexttest.Server))
	good := map[string]any{"provider": "rfc2136", "server": "ns1.example.com", "tsig_key_name": "vault", "tsig_secret": "c2VjcmV0"}
	for name, c := range map[string]struct {
		changes map[string]any
		text    string
	}{
		"an unknown host":          {map[string]any{"provider": "bind"}, "provider: is not one of azure, cloudflare, googleclouddns, rfc2136, route53"},
		"a setting left out":       {map[string]any{"tsig_secret": ""}, "tsig_secret: is required by rfc2136"},
		"a secret that is none":    {map[string]any{"tsig_secret": "%%"}, "tsig_secret: is not base64"},
		"an unknown algorithm":     {map[string]any{"tsig_algorithm": "hmac-md5"}, "tsig_algorithm: is not one of"},
		"a server that is a URL":   {map[string]any{"server": "https://ns1.example.com/"}, "server: is not a host or host:port"},
		"no identity to be had":    {map[string]any{"ambient_identity": true}, "ambient_identity: rfc2136 has none"},
		"a zone that is no domain": {map[string]any{"zone": "exa mple.com"}, `zone: "exa mple.com" is not a domain name`},
		"a misspelt setting":       {map[string]any{"tsig_key": "x"}, "unknown field: tsig_key"},
	} {
		t.Run(name, func(t *testing.T) {
			data := maps.Clone(good)
			maps.Copy(data, c.changes)
			require.Contains(t, m.refused("dcv/solvers/corp", data), c.text)
			require.Empty(t, m.list("dcv/solvers/"))
		})
	}
	m.write("dcv/solvers/corp", good)
	resp, err := m.send(call{op: logical.PatchOperation, path: "dcv/solvers/corp", data: map[string]any{"provider": "other"}})
	require.NoError(t, err)
	require.ErrorContains(t, resp.Error(), "provider: cannot be patched")
}

func TestASolverIsTriedInAZone(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"}, dcvtest.Zone{Name: "closed.com", Closed: true})
	check := map[string]any{"zone": "example.com", "dcv_resolvers": z.dns.Addr, "dcv_propagation_servers": z.dns.Addr}
	data := z.write("dcv/solvers/corp/check", check).Data
	require.Equal(t, true, data["ok"], data["problems"])
	require.Equal(t, "example.com", data["zone"])
	require.Regexp(t, `^_vault-check-[0-9a-f]{12}\.example\.com$`, data["record"])
	require.Equal(t, []string{z.dns.Addr}, data["servers"])
	for _, took := range []string{"published_ms", "seen_ms", "removed_ms"} {
		require.Positive(t, data[took], took)
	}
	require.Empty(t, z.dns.Challenges("example.com"), "the record is gone")

	check["zone"] = "closed.com"
	data = z.write("dcv/solvers/corp/check", check).Data
	require.Equal(t, false, data["ok"])
	require.Contains(t, data["problems"].([]string)[0], "REFUSED")

	check["zone"] = "nowhere.org"
	data = z.write("dcv/solvers/corp/check", check).Data
	require.Equal(t, []string{"no DNS zone was found for " + data["record"].(string) + ": no name above it has an SOA record"}, data["problems"])

	require.Contains(t, z.refused("dcv/solvers/corp/check", nil), "zone: is required")
	require.Contains(t, z.refused("dcv/solvers/other/check", check), `no solver "other"`)
}

func TestASolverThatIsUsedIsNotDeleted(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	resp, err := z.send(call{op: logical.DeleteOperation, path: "dcv/solvers/corp"})
	require.NoError(t, err)
	require.ErrorContains(t, resp.Error(), "name: the solver corp is used by the role web")
	z.write("roles/web", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
	z.must(call{op: logical.DeleteOperation, path: "dcv/solvers/corp"})

	require.Contains(t, z.refused("roles/web", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true, "dcv_solver": "corp"}),
		`dcv_solver: there is no solver "corp"`)
}
