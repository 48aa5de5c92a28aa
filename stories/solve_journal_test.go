// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// pendingWeb leaves an order that waits for a record that CERTInext does not see.
func (z *zoned) pendingWeb() {
	blind := dcvtest.Start(z.t, dcvtest.Zone{Name: "example.com"})
	z.ca.Configure(func(ca *certinexttest.Server) { ca.Resolver = blind.Addr })
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "issue_timeout": "2s"})
	z.refused("issue/web", map[string]any{"common_name": "www.example.com"})
	require.NotEmpty(z.t, z.dns.Challenges("example.com"))
}

func TestARecordStaysWhenCERTInextHiccups(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.pendingWeb()
	z.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpDCV, Kind: certinexttest.FaultMalformedJSON, Times: 50})
	z.later(time.Hour)
	z.pass()
	require.Equal(t, "pending-dcv", z.onlyOrder("web")["ca_status"])
	require.NotEmpty(t, z.dns.Challenges("example.com"), "removed while the order waits for it")
}

func TestARecordStaysWhenTheResolverHiccups(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.pendingWeb()
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "dcv_resolvers": "127.0.0.1:9"})
	z.later(time.Hour)
	z.pass()
	require.NotEmpty(t, z.dns.Challenges("example.com"), "removed while the order waits for it")
}

func TestASolverDoesNotMoveWhileItHasSomethingToRemove(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.pendingWeb()
	other := dcvtest.Start(t, dcvtest.Zone{Name: "example.com"})
	require.Contains(t, z.refused("dcv/solvers/corp", other.Settings()), "server: the solver corp has still to remove the TXT record")
	z.must(call{op: logical.PatchOperation, path: "dcv/solvers/corp", data: map[string]any{"tsig_secret": z.dns.KeySecret, "ttl": "2m"}})

	forced := other.Settings()
	forced["force"] = true
	z.write("dcv/solvers/corp", forced)
	require.Empty(t, z.read("dcv/solvers/corp").Data["records"], "forgotten, as was asked for")
}

func TestARecordInTheWrongZoneIsRemovedThere(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com", Records: []string{"sub NS ns1"}}, dcvtest.Zone{Name: "sub.example.com"})
	z.must(call{op: logical.PatchOperation, path: "dcv/solvers/corp", data: map[string]any{"zone": "example.com"}}) // a mistake: it is delegated
	z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "issue_timeout": "3s"})
	z.refused("issue/web", map[string]any{"common_name": "www.sub.example.com"})
	require.NotEmpty(t, z.dns.Challenges("example.com"))
	z.must(call{op: logical.PatchOperation, path: "dcv/solvers/corp", data: map[string]any{"zone": ""}})
	for range 4 {
		z.later(time.Hour)
		z.pass()
	}
	require.Equal(t, "issued", z.onlyOrder("web")["state"], z.onlyOrder("web"))
	z.requireClean("example.com", "sub.example.com")
}

func TestRecordsGoWhenTheRoleLosesItsSolver(t *testing.T) {
	for _, how := range []string{"deleted", "by hand"} {
		t.Run(how, func(t *testing.T) {
			z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
			z.pendingWeb()
			if how == "deleted" {
				z.must(call{op: logical.DeleteOperation, path: "roles/web"})
			} else {
				z.role("web", map[string]any{"product_code": "842", "product_variant": "dv", "dcv_solver": ""})
			}
			for range 5 {
				z.later(24 * time.Hour)
				z.pass()
			}
			require.Empty(t, z.dns.Challenges("example.com"), "no solver works for this order, and nobody removes its record")
		})
	}
}

func TestRecordsGoWhenTheAccountDoes(t *testing.T) {
	z := newZoned(t, new(certinexttest.Server), dcvtest.Zone{Name: "example.com"})
	z.pendingWeb()
	config := z.account()
	config["base_url"], config["verify_connection"], config["force"] = "https://other.certinext.test", false, true
	z.write("config", config)
	for range 10 {
		z.later(day)
		z.pass()
	}
	require.Empty(t, z.dns.Challenges("example.com"), "ten days later, with the account gone")
}
