// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestSandboxReads(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		ctx, c := t.Context(), sandbox(srv)
		me, err := c.Me(ctx)
		require.NoError(t, err)
		assert.Equal(t, certinexttest.DefaultAccountNumber, me.Number)
		groups, err := c.Groups(ctx)
		require.NoError(t, err)
		assert.Equal(t, certinexttest.DefaultGroup, groups[0].Number)
		organizations, err := c.Organizations(ctx)
		require.NoError(t, err)
		assert.Equal(t, certinexttest.DefaultOrganization, organizations[0].Number)
		organization, err := c.Organization(ctx, certinexttest.DefaultOrganization)
		require.NoError(t, err)
		assert.Equal(t, organizations[0].Name, organization.Name)
		require.NotNil(t, organization.AgreementSigned)
		assert.True(t, *organization.AgreementSigned)
		assert.Equal(t, []string{"example.com"}, organization.Domains)
		require.Len(t, organization.Representatives, 1)
		assert.Equal(t, "+14155551234", organization.Representatives[0].Phone)
		_, err = c.Organization(ctx, "1")
		assert.True(t, certinext.HasStatus(err, 404), "%v", err)
		products, err := c.Products(ctx, certinexttest.DefaultGroup)
		require.NoError(t, err)
		i := slices.IndexFunc(products, func(p certinext.Product) bool { return p.Variant == "dv" })
		require.GreaterOrEqual(t, i, 0)
		_, err = c.CustomFields(ctx, products[i].Code)
		assert.NoError(t, err)
		for _, f := range []certinext.DomainFilter{
			{}, {Search: "example.com", Exact: true}, {Status: "ACTIVE"}, {DCVStatus: "VERIFIED"}, {Status: "ACTIVE", DCVStatus: "VERIFIED"},
		} {
			domains, err := collect(c.Domains(ctx, f))
			require.NoError(t, err)
			require.Len(t, domains, 1)
			assert.Equal(t, "example.com", domains[0].Name)
		}
		none, err := collect(c.Domains(ctx, certinext.DomainFilter{DCVStatus: "EXPIRED"}))
		require.NoError(t, err)
		assert.Empty(t, none)
		_, err = collect(c.Ledger(ctx, ""))
		assert.NoError(t, err)
	})
}

// Some accounts show their catalog to a group only.
func TestSandboxV1CatalogOfAGroup(t *testing.T) {
	inV1(t, func(t *testing.T, srv *certinexttest.Server, c *certinext.Client) {
		srv.CatalogNeedsGroup = true
		products, err := c.Products(t.Context(), "")
		require.NoError(t, err)
		assert.Empty(t, products)
		products, err = c.Products(t.Context(), certinexttest.DefaultGroup)
		require.NoError(t, err)
		assert.NotEmpty(t, products)
		_, err = c.CustomFields(t.Context(), "842")
		assert.NoError(t, err, "the group is looked for")
		_, err = c.CustomFields(t.Context(), "838")
		assert.True(t, certinext.HasStatus(err, 404), "%v", err)
		_, err = c.Products(t.Context(), "1")
		assert.True(t, certinext.HasStatus(err, 422), "%v", err)
	})
}

func TestSandboxManyDomains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &certinexttest.Server{}
		for i := range 230 {
			srv.VerifiedDomains = append(srv.VerifiedDomains, string(rune('a'+i%26))+string(rune('a'+i/26))+".example")
		}
		domains, err := collect(sandbox(srv).Domains(t.Context(), certinext.DomainFilter{}))
		require.NoError(t, err)
		assert.Len(t, domains, 230)
		assert.True(t, slices.IsSortedFunc(domains, func(a, b certinext.Domain) int {
			return slices.Compare([]byte(a.Name), []byte(b.Name))
		}))
	})
}

func TestSandboxReport(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		ctx, c := t.Context(), sandbox(srv)
		place := func(domain, tag string) {
			r := dvOrder()
			r.Domain, r.Agreement, r.Tags = domain, completeOrder(t, srv).Agreement, []string{tag}
			_, err := c.CreateOrder(ctx, r)
			require.NoError(t, err)
		}
		for range 130 {
			place("host.example.com", "vault:4f1c")
		}
		place("other.example.com", "vault:0b2e")
		window := certinext.ReportFilter{From: time.Now().AddDate(0, 0, -3), To: time.Now().AddDate(0, 0, 3)}
		read := func(domain string) ([]certinext.ReportRow, int) {
			before := srv.Calls()[certinexttest.OpOrdersReport]
			window.Domain = domain
			rows, err := collect(c.OrdersReport(ctx, window))
			require.NoError(t, err)
			return rows, srv.Calls()[certinexttest.OpOrdersReport] - before
		}
		// Version 1 selects the domain itself. The documented version 2 answers 501, and the client
		// then reads version 1's.
		pages := map[certinexttest.Dialect][3]int{
			certinexttest.Live: {2, 2, 2}, certinexttest.Documented: {3, 2, 2}, certinexttest.V1: {2, 1, 1},
		}[srv.Dialect]

		rows, served := read("")
		assert.Len(t, rows, 131)
		assert.Equal(t, pages[0], served)
		for _, r := range rows[1:] { // the newest is the first
			assert.Equal(t, []string{"vault:4f1c"}, r.Tags)
			assert.Equal(t, "host.example.com", r.Domain)
		}
		rows, served = read("Other.example.com")
		require.Len(t, rows, 1)
		assert.Equal(t, []string{"vault:0b2e"}, rows[0].Tags)
		assert.Equal(t, pages[1], served)
		rows, served = read("none.example.com")
		assert.Empty(t, rows, "none is no failure, though version 1 answers one")
		assert.Equal(t, pages[2], served)
	})
}
