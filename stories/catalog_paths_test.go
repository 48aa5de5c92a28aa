// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"encoding/json"
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// query sends a read with a query, which has to succeed.
func (m *mount) query(path string, query map[string]any) map[string]any {
	m.t.Helper()
	return m.must(call{op: logical.ReadOperation, path: path, data: query}).Data
}

// unreadable sends a read that has to be answered with a 400, and returns its text.
func (m *mount) unreadable(path string, query map[string]any) string {
	m.t.Helper()
	resp, err := m.send(call{op: logical.ReadOperation, path: path, data: query})
	require.NoError(m.t, err, "a refusal must not be a server fault")
	require.True(m.t, resp.IsError(), "%s was not refused: %v", path, resp)
	return resp.Error().Error()
}

// absent sends a read that has to be answered with a 404.
func (m *mount) absent(path string) {
	m.t.Helper()
	resp, err := m.send(call{op: logical.ReadOperation, path: path})
	require.NoError(m.t, err)
	require.Nil(m.t, resp, "%s was found: %v", path, resp)
}

// column returns one field of each row of a list.
func column(t *testing.T, data map[string]any, list, field string) []string {
	t.Helper()
	rows, ok := data[list].([]map[string]any)
	require.True(t, ok, "%v holds no %s", data, list)
	out := []string{}
	for _, row := range rows {
		require.Contains(t, row, field)
		out = append(out, row[field].(string))
	}
	return out
}

// walk reads a list to its end, limit rows at a time, and returns one field of each row and the number of pages.
func (m *mount) walk(path string, query map[string]any, list, field string) (all []string, pages int) {
	m.t.Helper()
	for after := ""; ; pages++ {
		q := map[string]any{"after": after}
		for k, v := range query {
			q[k] = v
		}
		data := m.query(path, q)
		all = append(all, column(m.t, data, list, field)...)
		if after = data["next"].(string); after == "" {
			return all, pages + 1
		}
		require.Less(m.t, pages, 1000, "the list does not end")
	}
}

func TestCatalogTellsWhatMayBeOrdered(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		ca.Catalog = append(certinexttest.SandboxCatalog(), certinexttest.Product{
			Code: "959", Name: "SSL DV 30 Days", Type: "13", Years: map[string]string{"1 Year": "99.90", "2 Years": "on request"},
		})
		m := newMount(t, ca)
		data := m.read("catalog/products").Data
		require.Equal(t, len(ca.Catalog), data["total"])
		require.Len(t, data["products"], len(ca.Catalog))
		require.Empty(t, data["next"])
		require.Equal(t, map[string]any{
			"product_code": "959", "product_name": "SSL DV 30 Days", "product_variant": "dv", "family": "ssl",
			"category": "SSL/TLS Certificates", "category_id": "3", "type_id": "13", "currency": "USD",
			"prices": map[string]any{"1 Year": json.Number("99.90"), "2 Years": "on request"},
		}, m.read("catalog/products/959").Data)
		m.absent("catalog/products/999")

		require.Equal(t, []string{"149", "104"}, column(t, m.query("catalog/products", map[string]any{"family": "private-pki"}), "products", "product_code"))
		require.Len(t, column(t, m.query("catalog/products", map[string]any{"category": "document signer"}), "products", "product_code"), 9)
		require.Len(t, column(t, m.query("catalog/products", map[string]any{"category": "1"}), "products", "product_code"), 9)
		codes, pages := m.walk("catalog/products", map[string]any{"family": "ssl", "limit": "4"}, "products", "product_code")
		require.Equal(t, []string{"842", "843", "844", "845", "846", "847", "848", "849", "850", "851", "959"}, codes)
		require.Equal(t, 3, pages)
	})
}

func TestCatalogRefusesByField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		for name, c := range map[string]struct {
			query map[string]any
			want  string
		}{
			"a family that is none":          {map[string]any{"family": "tls"}, "family:"},
			"no rows":                        {map[string]any{"limit": 0}, "limit:"},
			"more rows than there may be":    {map[string]any{"limit": 1001}, "limit:"},
			"a page after nothing":           {map[string]any{"after": "1"}, `after: "1" is not in the list`},
			"a group that CERTInext has not": {map[string]any{"group_number": "1"}, "Invalid Group Number"},
			"a field of another spelling":    {map[string]any{"group": "1"}, "unknown field: group"},
		} {
			require.Contains(t, m.unreadable("catalog/products", c.query), c.want, name)
		}
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpProducts, Kind: certinexttest.FaultServerError})
		m.query("catalog/products", nil)
		require.Contains(t, m.unreadable("catalog/products", map[string]any{"refresh": "true"}), "503")
		m.query("catalog/products", nil)
	})
	m := bareMount(t, new(certinexttest.Server))
	require.Contains(t, m.unreadable("catalog/products", nil), "no CERTInext account yet")
}

func TestRefreshAsksTheCatalogAnew(t *testing.T) {
	m := tenantMount(t)
	m.read("catalog/products")
	m.read("catalog/products/974/custom-fields")
	m.ca.Configure(func(s *certinexttest.Server) {
		s.Catalog = []certinexttest.Product{{Code: "974", Name: "InCommon OV SSL", Type: "16"}}
	})
	require.Contains(t, column(t, m.read("catalog/products").Data, "products", "product_code"), "970", "remembered")
	require.Len(t, m.read("catalog/products/974/custom-fields").Data["custom_fields"], 2, "remembered")
	require.Equal(t, []string{"974"}, column(t, m.query("catalog/products", map[string]any{"refresh": true}), "products", "product_code"))
	require.Equal(t, []string{"974"}, column(t, m.read("catalog/products").Data, "products", "product_code"))
	require.Empty(t, m.read("catalog/products/974/custom-fields").Data["custom_fields"])
}

func TestAProductOfThisMinuteIsFound(t *testing.T) {
	m := tenantMount(t)
	m.absent("catalog/products/978")
	m.ca.Configure(func(s *certinexttest.Server) { s.Catalog = certinexttest.SandboxCatalog() })
	require.Equal(t, "SSL EV", m.read("catalog/products/850").Data["product_name"])
}

func TestCustomFieldsAreTold(t *testing.T) {
	m := tenantMount(t)
	require.Equal(t, []map[string]any{
		{"id": "17", "name": "Cost centre", "section": "additionalInformation", "type": "text", "max_length": 4, "mandatory": true, "values": []string{}},
		{"id": "18", "name": "Region", "section": "additionalInformation", "type": "text", "max_length": 100, "mandatory": false, "values": []string{"emea", "apac"}},
	}, m.read("catalog/products/974/custom-fields").Data["custom_fields"])
	require.Empty(t, m.read("catalog/products/970/custom-fields").Data["custom_fields"])
	require.Contains(t, m.unreadable("catalog/products/999/custom-fields", nil), "404")
}
