// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// asked counts the calls of one operation.
func asked(ca *certinexttest.Server, op string) int { return ca.Calls()[op] }

// tenant is a CA whose catalog has other codes than the sandbox's.
func tenant() *certinexttest.Server {
	return &certinexttest.Server{VerifiedDomains: []string{"example.com"}, Catalog: []certinexttest.Product{
		{Code: "970", Name: "InCommon DV SSL", Type: "13"},
		{Code: "974", Name: "InCommon OV SSL", Type: "16", CustomFields: []certinexttest.CustomField{
			{ID: "17", Name: "Cost centre", Mandatory: true, MaxLength: 4}, {ID: "18", Name: "Region", Values: []string{"emea", "apac"}},
		}},
		{Code: "967", Name: "InCommon OV SSL 90 Days", Type: "16"},
		{Code: "149", Name: "Intranet SSL", Type: "39", Variant: "intranet-ssl"},
	}}
}

// tenantMount is a mount on tenant, without roles.
func tenantMount(t *testing.T) *mount {
	t.Helper()
	m := bareMount(t, tenant())
	m.write("config", m.account())
	return m
}

func TestEveryRoleIsHeldAgainstTheCatalog(t *testing.T) {
	m := tenantMount(t)
	for name, c := range map[string]struct {
		data map[string]any
		want string
	}{
		"a code of another environment, the variant given": {map[string]any{"product_code": "846", "product_variant": "ov"}, `product_code: "846" is not in this account's catalog; the ov products here are 974 (InCommon OV SSL), 967 (InCommon OV SSL 90 Days)`},
		"a code of another environment":                    {map[string]any{"product_code": "9701"}, "product_code:"},
		"a name instead of a code":                         {map[string]any{"product_code": "OV SSL InCommon"}, "the code here is 974 (InCommon OV SSL)"},
		"a variant that the catalog contradicts":           {map[string]any{"product_code": "970", "product_variant": "ov"}, "product_variant: product 970 (InCommon DV SSL) is dv, not ov; the ov products here are 974"},
		"a private product of an unnamed kind":             {map[string]any{"product_code": "149"}, "product_variant: product 149 (Intranet SSL) may be intranet-ssl or igtf-host: name one"},
		"a mandatory field that is empty":                  {map[string]any{"product_code": "974"}, "custom_fields: the product cannot be ordered without 17 (Cost centre)"},
		"a value that is too long":                         {map[string]any{"product_code": "974", "custom_fields": map[string]any{"17": "47110"}}, "17 (Cost centre) is longer than 4"},
		"a value for a field that there is not":            {map[string]any{"product_code": "974", "product_variant": "ov", "custom_fields": map[string]any{"17": "4711", "99": "x"}}, "custom_fields: the product has no field 99"},
		"a value that is not permitted":                    {map[string]any{"product_code": "974", "custom_fields": map[string]any{"17": "4711", "18": "mars"}}, `"mars" is not a value of 18 (Region)`},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, m.refused("roles/bad", c.data), c.want)
		})
	}
	require.Empty(t, m.list("roles"))

	require.Nil(t, m.write("roles/ov", map[string]any{"generate_lease": false, "allow_any_name": true, "product_code": "974", "custom_fields": map[string]any{"17": "4711", "18": "emea"}}))
	require.Equal(t, "ov", m.read("roles/ov").Data["product_variant"])
	m.write("roles/intranet", map[string]any{"product_code": "149", "product_variant": "igtf-host", "ca_profile_id": "1"})

	resp, err := m.send(call{op: logical.PatchOperation, path: "roles/ov", data: map[string]any{"product_variant": "dv"}})
	require.NoError(t, err)
	require.ErrorContains(t, resp.Error(), "is ov, not dv", "a patch is a write, too")
}

func TestARoleIsWrittenWhileTheCatalogIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := tenantMount(t)
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpProducts, Kind: certinexttest.FaultServerError})
		require.Contains(t, m.refused("roles/web", map[string]any{"product_code": "970"}), "product_variant: is required while the catalog cannot be asked")
		resp := m.write("roles/web", map[string]any{"generate_lease": false, "allow_any_name": true, "product_code": "846", "product_variant": "ov"})
		require.Len(t, resp.Warnings, 1)
		require.Contains(t, resp.Warnings[0], "product_code: 846 was not checked, since the catalog cannot be asked")
		require.Contains(t, resp.Warnings[0], "503")
		require.Equal(t, "ov", m.read("roles/web").Data["product_variant"])
		m.ca.ClearFaults()
		require.Contains(t, m.refused("roles/web", map[string]any{"product_code": "846", "product_variant": "ov"}), "not in this account's catalog", "the failure was not remembered")

		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCustomFields, Kind: certinexttest.FaultServerError})
		resp = m.write("roles/web", map[string]any{"generate_lease": false, "allow_any_name": true, "product_code": "974"})
		require.Len(t, resp.Warnings, 1)
		require.Contains(t, resp.Warnings[0], "custom_fields: they were not checked")
		for _, none := range []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusNotImplemented} {
			m.ca.ClearFaults()
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCustomFields, Kind: certinexttest.FaultServerError, Status: none})
			require.Nil(t, m.write("roles/web", map[string]any{"generate_lease": false, "allow_any_name": true, "product_code": "974"}), "%d is nothing to check", none)
		}
	})
}

func TestARoleIsWrittenInTimeWhenCERTInextHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := tenantMount(t)
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpProducts, Kind: certinexttest.FaultLatency, Delay: time.Hour})
		start := time.Now()
		resp := m.write("roles/web", map[string]any{"generate_lease": false, "allow_any_name": true, "product_code": "970", "product_variant": "dv"})
		require.Less(t, time.Since(start), 45*time.Second, "Vault's clients give up after 60s")
		require.Len(t, resp.Warnings, 1)
	})
}

func TestARoleWithoutAConfigIsWrittenWithAWarning(t *testing.T) {
	m := bareMount(t, new(certinexttest.Server))
	resp := m.write("roles/web", map[string]any{"generate_lease": false, "allow_any_name": true, "product_code": "842", "product_variant": "dv"})
	require.Len(t, resp.Warnings, 1)
	require.Contains(t, resp.Warnings[0], "no CERTInext account yet")
}

func TestTheCatalogIsAskedOnceInFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := tenantMount(t)
		dv := map[string]any{"product_code": "970"}
		for range 3 {
			m.write("roles/web", dv)
		}
		require.Equal(t, 1, asked(m.ca, certinexttest.OpProducts))
		require.Equal(t, 1, asked(m.ca, certinexttest.OpCustomFields))
		time.Sleep(5 * time.Minute)
		m.write("roles/web", dv)
		require.Equal(t, 2, asked(m.ca, certinexttest.OpProducts))
		m.write("config", map[string]any{"requestor_name": "Another Team"})
		m.write("roles/web", dv)
		require.Equal(t, 3, asked(m.ca, certinexttest.OpProducts), "another config, another catalog")
		m.backend.InvalidateKey(t.Context(), "config")
		m.write("roles/web", dv)
		require.Equal(t, 4, asked(m.ca, certinexttest.OpProducts), "the config changed on another node")
		m.read("config/check")
		require.Equal(t, 5, asked(m.ca, certinexttest.OpProducts), "a check is live")
		m.write("roles/web", dv)
		require.Equal(t, 5, asked(m.ca, certinexttest.OpProducts), "and what it was told is remembered")
		m.write("roles/web", map[string]any{"product_code": "970", "group_number": certinexttest.DefaultGroup})
		require.Equal(t, 6, asked(m.ca, certinexttest.OpProducts), "another group, another catalog")
	})
}

func TestManyRolesAtOnceAskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := tenantMount(t)
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpProducts, Kind: certinexttest.FaultLatency, Delay: time.Second})
		var writers sync.WaitGroup
		for range 20 {
			writers.Go(func() { m.write("roles/web", map[string]any{"product_code": "970"}) })
		}
		writers.Wait()
		require.Equal(t, 1, asked(m.ca, certinexttest.OpProducts))
	})
}

// TestARefusalNeverRestsOnARememberedCatalog: what was bought a moment ago can be put into a role at once.
func TestARefusalNeverRestsOnARememberedCatalog(t *testing.T) {
	m := tenantMount(t)
	m.write("roles/web", map[string]any{"product_code": "970"})
	m.ca.Configure(func(s *certinexttest.Server) {
		s.Catalog = append(s.Catalog[:len(s.Catalog):len(s.Catalog)], certinexttest.Product{Code: "978", Name: "InCommon EV SSL", Type: "19"})
	})
	m.write("roles/ev", map[string]any{"product_code": "978"})
	require.Equal(t, "ev", m.read("roles/ev").Data["product_variant"])
}
