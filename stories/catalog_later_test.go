// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// unreadCatalog has CERTInext answer no question for its catalog.
func (m *mount) unreadCatalog(status int) {
	m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpProducts, Kind: certinexttest.FaultServerError, Status: status})
}

// dvOf is a role of single-name DV certificates of a product.
func dvOf(code string) map[string]any {
	return map[string]any{
		"product_code": code, "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true, "generate_lease": false,
	}
}

// The role was written while the catalog could not be read. What it orders is another product than it says: it orders nothing, whoever asks and
// however, until an operator corrects it.
func TestARoleThatTheCatalogContradictsLaterOrdersNothing(t *testing.T) {
	for name, act := range map[string]call{
		"issue":  {op: logical.UpdateOperation, path: "issue/web", data: www},
		"orders": {op: logical.UpdateOperation, path: "orders/web", data: www},
		"draft":  {op: logical.UpdateOperation, path: "orders/web", data: draft()},
		"named":  {op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com", "request_id": "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := bareMount(t, validated(certinexttest.Live))
				m.ca.Demands.LoneUCC = true // how many names such a product needs is not the point
				m.write("config", m.account())
				m.unreadCatalog(0)
				require.Contains(t, m.write("roles/web", dvOf("844")).Warnings[0], "before the first order")
				m.ca.ClearFaults()
				m.start()
				for range 2 {
					resp, err := m.send(act)
					require.NoError(t, err)
					require.True(t, resp.IsError(), "%v", resp.Data)
					require.Contains(t, resp.Error().Error(), "product_variant: product 844")
					require.Contains(t, resp.Error().Error(), "is dv-ucc, not dv")
					require.Contains(t, resp.Error().Error(), "vault patch certinext/roles/web product_variant=<value>")
				}
				require.Empty(t, m.ca.Orders())
				require.Empty(t, m.list("orders/web"))
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"product_variant": "dv-ucc"}})
				m.must(act)
				require.Len(t, m.ca.Orders(), 1)
			})
		})
	}
}

// Where the catalog agrees, it is asked once, and never again after that was stored.
func TestARoleIsLookedUpOnceBeforeItsFirstOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bareMount(t, validated(certinexttest.Live))
		m.write("roles/web", dvOf("842")) // before there is a config
		m.write("config", m.account())
		before := asked(m.ca, certinexttest.OpProducts)
		m.write("issue/web", www)
		require.Equal(t, before+1, asked(m.ca, certinexttest.OpProducts))
		require.Equal(t, 1, asked(m.ca, certinexttest.OpCustomFields))
		time.Sleep(time.Hour) // beyond what a catalog is remembered for
		m.start()
		m.write("issue/web", map[string]any{"common_name": "b.example.com"})
		require.Equal(t, before+1, asked(m.ca, certinexttest.OpProducts))
		require.Equal(t, 1, asked(m.ca, certinexttest.OpCustomFields))

		m.write("roles/checked", dvOf("842"))
		known := asked(m.ca, certinexttest.OpProducts)
		time.Sleep(time.Hour)
		m.write("issue/checked", map[string]any{"common_name": "c.example.com"})
		require.Equal(t, known, asked(m.ca, certinexttest.OpProducts), "it was looked up when it was written")
	})
}

// A patch of something else while the catalog is away leaves a role that was looked up as it was, and one that was not, too.
func TestAPatchOfSomethingElseChecksNoProduct(t *testing.T) {
	for name, isKnown := range map[string]bool{"looked up": true, "not looked up": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := bareMount(t, validated(certinexttest.Live))
				m.write("config", m.account())
				if !isKnown {
					m.unreadCatalog(0)
				}
				m.write("roles/web", dvOf("842"))
				m.unreadCatalog(0)
				time.Sleep(time.Hour)
				m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"remarks": "x"}})
				if !isKnown {
					require.Contains(t, m.refused("issue/web", www), "nothing is ordered until it can be")
					m.ca.ClearFaults()
				}
				m.write("issue/web", www)
			})
		})
	}
}

// The catalog stays away: nothing is ordered, and nothing is left of the request, which succeeds once the catalog is there. Where CERTInext does
// not let the account ask, asking again does not help, and the role's word counts.
func TestNothingIsOrderedWhileTheProductIsUnknown(t *testing.T) {
	for status, orders := range map[int]bool{0: false, http.StatusTooManyRequests: false, http.StatusForbidden: true, http.StatusNotImplemented: true} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := bareMount(t, validated(certinexttest.Live))
				m.write("config", m.account())
				m.unreadCatalog(status)
				m.write("roles/web", dvOf("842"))
				if orders {
					m.write("issue/web", www)
					return
				}
				text := m.refused("issue/web", www)
				require.Contains(t, text, "product_code: role web was written while the catalog could not be asked what product 842 is")
				require.Contains(t, text, "send the request again")
				require.Empty(t, m.ca.Orders())
				require.Empty(t, m.list("orders/web"))
				m.ca.ClearFaults()
				m.write("issue/web", www)
				require.Len(t, m.ca.Orders(), 1)
			})
		})
	}
}

// The same code means another product in another account.
func TestARoleIsLookedUpInTheAccountThatOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bareMount(t, validated(certinexttest.Live))
		m.write("config", m.account())
		m.write("roles/web", dvOf("842"))
		m.ca.Configure(func(s *certinexttest.Server) {
			s.Catalog = []certinexttest.Product{{Code: "842", Name: "OV SSL", Type: "16"}}
		})
		m.must(call{op: logical.UpdateOperation, path: "config", data: m.movedAway(true)})
		require.Contains(t, m.refused("issue/web", www), "product_variant: product 842 (OV SSL) is ov, not dv")
		require.Empty(t, m.ca.Orders())
	})
}
