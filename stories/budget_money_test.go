// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// priced is validated with a catalog that says what DV certificates cost.
func priced(d certinexttest.Dialect, years map[string]string) *certinexttest.Server {
	ca := validated(d)
	ca.Catalog = []certinexttest.Product{{Code: "842", Name: "DV SSL", Type: "13", Years: years}}
	return ca
}

// Prices come from the catalog, or from config, which is asked first.
func TestABudgetInMoneyCountsPrices(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := priced(dialect, map[string]string{"1 Year": "19.99", "2 Years": "35.00"})
		m := newMount(t, ca)
		m.write("budgets/web", map[string]any{"max_spend": "60.00"})
		first := m.read("orders/web/" + m.write("issue/web", host(0)).Data["order_id"].(string)).Data
		require.Equal(t, []any{"19.99", "USD", "unknown"}, []any{first["price"], first["currency"], first["charged"]})
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"validity_years": 2}})
		m.write("issue/web", host(1))
		usage := m.budgetUsage("web")
		require.Equal(t, "54.99", usage["spent"])
		require.Equal(t, "5.01", usage["spend_left"])
		require.Equal(t, "USD", usage["currency"])
		text := m.refused("issue/web", host(2))
		require.Contains(t, text, `budget "web" (max_spend) has not enough left: this order costs 35.00 USD, and 54.99 of 60.00 USD are spent in `)
		require.Contains(t, text, "which leaves 5.01")

		m.write("config", map[string]any{"product_prices": map[string]any{"842": "2.50"}})
		m.write("issue/web", host(2))
		require.Equal(t, "59.99", m.budgetUsage("web")["spent"], "2.50 for each of two years")
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "2.50", "842/2": "0.01"}})
		m.write("issue/web", host(3))
		require.Contains(t, m.refused("issue/web", host(4)), "this order costs 0.01, and 60.00 of 60.00 are spent")
		require.Equal(t, 4, len(ca.Orders())) //nolint:testifylint // Len would print them
	})
}

// An account was observed whose catalog says 0.0 of everything.
func TestABudgetInMoneyNeedsPrices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.write("roles/other", map[string]any{"product_code": "843", "product_variant": "dv-wildcard", "allowed_domains": "example.com", "allow_subdomains": true})
		text := m.refused("budgets/web", map[string]any{"roles": "web", "max_spend": "60.00"})
		require.Contains(t, text, "max_spend: what orders of role web cost is not known: the catalog says 0.0 of product 842")
		require.Contains(t, text, "Give the price of product 842 with product_prices at certinext/config first")
		require.Empty(t, m.list("budgets"))
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "25"}})
		require.Contains(t, m.refused("budgets/web", map[string]any{"max_spend": "60.00"}), "orders of role other")
		m.write("budgets/web", map[string]any{"roles": "web,later", "max_spend": "60.00"})

		// A role that is written later, and a price that is taken away.
		later := m.write("roles/later", map[string]any{"product_code": "843", "product_variant": "dv-wildcard", "allowed_domains": "example.com", "allow_subdomains": true})
		warned := strings.Join(later.Warnings, "\n")
		require.Contains(t, warned, `product_code: budget "web" limits what orders of this role cost, and that is not known: the catalog says 0.0 of product 843`)
		priced := m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": "1h"}})
		require.NotContains(t, strings.Join(priced.Warnings, "\n"), "budget")
		require.Contains(t, m.refused("issue/later", map[string]any{"common_name": "*.a.example.com"}), "what this one costs is not known: the catalog says 0.0 of product 843")
		m.write("issue/web", host(0))
		m.write("config", map[string]any{"product_prices": map[string]any{}})
		require.Contains(t, m.refused("issue/web", host(1)), "what this one costs is not known")
		require.Equal(t, "25.00", m.budgetUsage("web")["spent"])

		// The catalog is away.
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpProducts, Kind: certinexttest.FaultServerError})
		time.Sleep(time.Hour)
		require.Contains(t, m.refused("issue/web", host(1)), "the catalog cannot be asked")
		require.Equal(t, 1, len(ca.Orders())) //nolint:testifylint // Len would print them
	})
}

// What an order costs is said where it is known without asking, and whether it is paid for.
func TestOrdersTellWhatTheyCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := priced(certinexttest.Live, map[string]string{"1 Year": "19.99"})
		m := newMount(t, ca)
		told := func(path string) []any {
			o := m.read(path).Data
			return []any{o["price"], o["currency"], o["charged"]}
		}
		order := "orders/web/" + m.write("orders/web", host(0)).Data["order_id"].(string)
		require.Equal(t, []any{"", "", "unknown"}, told(order), "nobody has asked the catalog")
		m.write("config", map[string]any{"product_prices": "842=25"})
		kept := "orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
		require.Equal(t, []any{"25.00", "", "no"}, told(kept))
		m.write("config", map[string]any{"product_prices": "842=30"})
		m.write(kept, map[string]any{"promote": true})
		require.Equal(t, []any{"30.00", "", "unknown"}, told(kept))
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRefusal, Code: "EMS-1162", Times: 1})
		m.refused("issue/web", host(2))
		ids := m.list("orders/web")
		require.Len(t, ids, 3)
		for _, id := range ids {
			if o := m.read("orders/web/" + id).Data; o["state"] == "failed" {
				require.Equal(t, []any{"30.00", "", "no"}, told("orders/web/"+id))
			}
		}
	})
}

// Whatever a role says, only some products may be ordered.
func TestAMountOrdersAllowedProductsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		kept := "orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
		m.write("config", map[string]any{"allowed_products": "843,844"})
		require.Contains(t, m.refused("issue/web", host(0)), "product_code: 842 may not be ordered by this mount: allowed_products at certinext/config allows 843, 844")
		require.Contains(t, m.refused(kept, map[string]any{"promote": true}), "product_code: 842 may not be ordered")
		require.Contains(t, m.refused("roles/new", map[string]any{"product_code": "842", "allowed_domains": "example.com"}), "product_code: 842 may not be ordered")
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": "1h"}}) // nothing to do with it
		check := m.read("config/check").Data["problems"].([]string)
		require.Len(t, check, 1)
		require.Contains(t, check[0], "allowed_products: product 842 of the role is not among them")
		require.Contains(t, m.refused("config", map[string]any{"default_product_code": "842"}), "default_product_code: 842 is not among allowed_products (843, 844)")
		require.Empty(t, ca.Orders()[0].ID)
		m.write("config", map[string]any{"allowed_products": ""})
		m.write("issue/web", host(0))
	})
}

func TestPricesAndProductsAreCheckedWhenTheyAreWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		for value, says := range map[string]string{
			"842=free": `product_prices: 842: "free" is no amount such as 25.00`,
			"842=-1":   `product_prices: 842: "-1" is no amount`,
			"842/4=1":  `product_prices: "842/4" is neither a product code`,
			"/1=1":     `product_prices: "/1" is neither`,
		} {
			require.Contains(t, m.refused("config", map[string]any{"product_prices": value}), says)
		}
		require.Contains(t, m.refused("config", map[string]any{"allowed_products": "8 42"}), `allowed_products: "8 42" is no product code`)
		m.write("config", map[string]any{"product_prices": "842=25.00"})
		require.Equal(t, map[string]string{"842": "25.00"}, m.read("config").Data["product_prices"])
	})
}

func TestARoleLimitsTheNamesOfACertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.write("roles/ucc", map[string]any{"product_code": "844", "product_variant": "dv-ucc", "allowed_domains": "example.com", "allow_subdomains": true, "max_names": 3})
		three := map[string]any{"common_name": "a.example.com", "alt_names": "a.example.com,b.example.com,c.example.com"}
		four := map[string]any{"common_name": "a.example.com", "alt_names": "b.example.com,c.example.com,d.example.com"}
		require.Contains(t, m.refused("issue/ucc", four), "alt_names: with common_name and ip_sans, the request has 4 names, and the role allows 3 (max_names)")
		m.write("issue/ucc", three)
		require.Equal(t, 1, len(ca.Orders())) //nolint:testifylint // Len would print them
		require.Contains(t, m.refused("roles/ucc", map[string]any{"product_code": "844", "product_variant": "dv-ucc", "max_names": -1}), "max_names: -1 is not between 0")
	})
}
