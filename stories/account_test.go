// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestAccountGroupsAndOrganizations(t *testing.T) {
	version2(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.Groups = []certinexttest.Group{{Number: certinexttest.DefaultGroup, Name: "Default Group", Default: true}, {Number: "3000000002", Name: "Team A"}}
		m := newMount(t, ca)
		account := m.read("account").Data
		require.Equal(t, certinexttest.DefaultAccountNumber, account["account_number"])
		require.Equal(t, "oauth2", account["auth_type"])

		groups := m.read("groups").Data
		require.Equal(t, 2, groups["total"])
		require.Equal(t, map[string]any{
			"group_number": certinexttest.DefaultGroup, "name": "Default Group", "default": true, "own_balance": false,
			"account_balance": json.Number("0.00"), "group_balance": nil, "organizations": []map[string]any{
				{"organization_number": certinexttest.DefaultOrganization, "name": "Example Corporation", "validation_for": []string{"ov", "ev"}},
				{"organization_number": certinexttest.UnvettedOrganization, "name": "Example Newcomer", "validation_for": []string{"ov", "ev"}},
			},
		}, groups["groups"].([]map[string]any)[0])
		numbers, pages := m.walk("groups", map[string]any{"limit": 1}, "groups", "group_number")
		require.Equal(t, []string{certinexttest.DefaultGroup, "3000000002"}, numbers)
		require.Equal(t, 2, pages)

		require.Equal(t, []map[string]any{
			{"organization_number": certinexttest.DefaultOrganization, "name": "Example Corporation", "locality": "New York", "country": "US", "postal_code": "10001", "status_id": "1", "pre_vetted": true},
			{"organization_number": certinexttest.UnvettedOrganization, "name": "Example Newcomer", "locality": "New York", "country": "US", "postal_code": "10001", "status_id": "1", "pre_vetted": false},
		}, m.read("organizations").Data["organizations"])
		vetted := m.read("organizations/" + certinexttest.DefaultOrganization).Data
		require.Equal(t, "1 Example Street", vetted["street_1"])
		require.Equal(t, []string{"ov", "ev"}, vetted["validation_for"])
		require.Equal(t, []string{"example.com"}, vetted["domains"])
		require.Equal(t, true, vetted["agreement_signed"])
		require.Equal(t, time.Now().UTC().Format(time.RFC3339), vetted["agreement_signed_at"])
		require.Nil(t, vetted["pre_vetted"], "the answer for one does not say")
		people := vetted["representatives"].([]map[string]any)
		require.Len(t, people, 1)
		require.Equal(t, "+14155551234", people[0]["phone"])
		require.Empty(t, m.read("organizations/" + certinexttest.UnvettedOrganization).Data["domains"])
		m.absent("organizations/1")
	})
}

func TestDomainsAreFilteredAndPaged(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := &certinexttest.Server{Dialect: dialect, PendingDomains: []string{"pending.example", "waiting.example"}}
		for i := range 120 {
			ca.VerifiedDomains = append(ca.VerifiedDomains, fmt.Sprintf("d%03d.example.com", i))
		}
		m := bareMount(t, ca)
		m.write("config", m.account())
		all, pages := m.walk("domains", map[string]any{"limit": "50"}, "domains", "domain")
		require.Equal(t, 3, pages)
		require.Len(t, all, 122)
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(all))), 122, "each once")
		page := m.read("domains").Data
		require.Len(t, page["domains"], 100, "an answer is bounded")
		require.NotEmpty(t, page["next"])
		require.NotContains(t, page, "total")

		one := m.query("domains", map[string]any{"search": "d007.example.com", "exact": "true"})["domains"].([]map[string]any)
		require.Len(t, one, 1)
		require.Equal(t, "VERIFIED", one[0]["dcv_status"])
		require.Equal(t, certinexttest.DefaultOrganization, one[0]["organization_number"])
		till, err := time.Parse(time.RFC3339, one[0]["valid_till"].(string))
		require.NoError(t, err)
		require.WithinDuration(t, time.Now().Add(199*24*time.Hour), till, time.Minute)
		pending := m.query("domains", map[string]any{"dcv_status": "pending", "status": one[0]["status"]})
		require.Equal(t, []string{"pending.example", "waiting.example"}, column(t, pending, "domains", "domain"), "filters that CERTInext does not take together")
		require.Empty(t, pending["domains"].([]map[string]any)[0]["valid_till"])
		require.Empty(t, m.query("domains", map[string]any{"dcv_status": "EXPIRED"})["domains"], "a filter that CERTInext refuses")
		require.Contains(t, m.refusedRead("domains", map[string]any{"status": "foo"}), "status:")
		require.Contains(t, m.refusedRead("domains", map[string]any{"dcv_status": "foo"}), "dcv_status:")
		require.Empty(t, m.query("domains", map[string]any{"organization_number": certinexttest.UnvettedOrganization})["domains"])
		require.Contains(t, m.unreadable("domains", map[string]any{"exact": true}), "exact:")
		require.Contains(t, m.unreadable("domains", map[string]any{"after": "gone"}), `after: "gone" is not in the list`)
		require.Contains(t, m.unreadable("domains", map[string]any{"limit": 5000}), "limit:")
	})
}

// TestAnAccountThatDoesNotAnswerIsA400: in time for Vault's clients, and in words.
func TestAnAccountThatDoesNotAnswerIsA400(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("config", m.account()) // and nothing is remembered
		for _, path := range []string{
			"catalog/products", "catalog/products/999", "catalog/products/842/custom-fields", "account", "groups", "organizations", "organizations/4000001",
			"domains", "reports/orders", "reports/ledger",
		} {
			m.ca.ClearFaults()
			m.ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultHTML, Status: 400})
			require.Contains(t, m.unreadable(path, nil), "HTML page", path)
			m.ca.ClearFaults()
			m.ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultLatency, Delay: time.Hour})
			start := time.Now()
			require.Contains(t, m.unreadable(path, nil), "its time was over", path)
			require.Less(t, time.Since(start), 60*time.Second, path)
			time.Sleep(time.Minute) // until nobody asks for a token any more
		}
	})
}

// Whoever pays for an order is whom the role says, wherever CERTInext looks for the group.
func TestTheGroupOfTheRoleGetsTheOrder(t *testing.T) {
	const team = "3000000002"
	run := func(t *testing.T, dialect certinexttest.Dialect, version string) {
		ca := validated(dialect)
		ca.Groups = []certinexttest.Group{{Number: certinexttest.DefaultGroup, Default: true}, {Number: team}}
		m := bareMount(t, ca)
		account := m.account()
		if version == "v1" {
			for name, value := range map[string]any{"api_version": "v1", "organization_number": certinexttest.DefaultOrganization} {
				account[name] = value
			}
			delete(account, "trust_idempotency_key")
		}
		m.write("config", account)
		m.write("roles/web", map[string]any{
			"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true, "group_number": team,
		})
		m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		draft := m.write("orders/web", map[string]any{"common_name": "draft.example.com", "save_as_draft": true})
		m.write("orders/web/"+draft.Data["order_id"].(string), map[string]any{"promote": true})
		orders := ca.Orders()
		require.Len(t, orders, 2)
		for _, o := range orders {
			require.Equal(t, team, o.Group, o.Domain)
		}
		if dialect != certinexttest.Documented {
			rows := m.must(call{op: logical.ReadOperation, path: "reports/orders", data: map[string]any{"group_number": team}}).Data["orders"].([]map[string]any)
			require.Len(t, rows, 2)
		}
	}
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) { run(t, dialect, "") })
	synctest.Test(t, func(t *testing.T) { run(t, certinexttest.V1, "v1") })
	synctest.Test(t, func(t *testing.T) { run(t, certinexttest.Documented, "v1") })
}
