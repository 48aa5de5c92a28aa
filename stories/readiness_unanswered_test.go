// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A role of a later version, or a broken entry, is one problem among others.
func TestConfigCheckLooksAtTheOthersBesideARoleThatItCannotRead(t *testing.T) {
	m := newMount(t, validated(certinexttest.Live))
	m.vettedRole("ov", "ov", on{"organization_number": "7"})
	m.write("roles/later", on{"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true})
	m.reword("later", `"version":1`, `"version":2`)
	require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: "role/broken", Value: []byte("{nope")}))
	problems, _ := m.checked()
	require.Contains(t, problems, "role later: it cannot be read, so nothing is ordered under it: the entry role/later is of version 2")
	require.Contains(t, problems, "role broken: it cannot be read")
	require.Contains(t, problems, "role ov: organization_number: CERTInext knows no organization 7")
	require.Equal(t, 4, m.read("config/check").Data["roles_checked"])

	one := m.must(call{op: logical.ReadOperation, path: "config/check", data: on{"role": "later"}}).Data
	require.Equal(t, false, one["ok"])
	require.Len(t, one["problems"], 1)
}

// An account that may not ask who it is may order.
func TestConfigCheckAsksOnWhenTheAccountMayNotAskWhoItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		forbid := func() {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpMe, Kind: certinexttest.FaultServerError, Status: 403})
		}
		forbid()
		problems, notes := m.checked()
		require.Empty(t, problems)
		require.Contains(t, notes, "the account may not ask who it is")
		require.NotContains(t, notes, "credentials")

		m.vettedRole("ov", "ov", on{"organization_number": "7"})
		forbid()
		problems, _ = m.checked()
		require.Contains(t, problems, "CERTInext knows no organization 7")
	})
}

// However slow the answers about one thing are, each other thing is asked.
func TestConfigCheckAsksEachKindInItsOwnTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 14
		ca := validated(certinexttest.Live)
		ca.Catalog = []certinexttest.Product{{Code: "842", Name: "DV", Type: "13"}, {Code: "846", Name: "OV", Type: "16"}}
		for i := range many {
			ca.Catalog = append(ca.Catalog, certinexttest.Product{Code: fmt.Sprint(1000 + i), Name: "DV", Type: "13"})
		}
		m := newMount(t, ca)
		for i := range many {
			m.write(fmt.Sprintf("roles/r%d", i), on{
				"product_code": fmt.Sprint(1000 + i), "allowed_domains": "example.com", "allow_subdomains": true,
			})
		}
		m.vettedRole("ov", "ov", on{"organization_number": "7"})
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCustomFields, Kind: certinexttest.FaultLatency, Delay: time.Hour, Times: many + 2})
		start := time.Now()
		problems, _ := m.checked()
		require.Less(t, time.Since(start), 50*time.Second)
		require.Contains(t, problems, "CERTInext knows no organization 7")
		require.Contains(t, problems, "CERTInext was asked for the custom fields of product 1000, ")
		require.Contains(t, problems, "; custom_fields was not checked")
		require.Contains(t, problems, "there was no time left to ask")
		require.NotContains(t, problems, "organization_number was not checked")
	})
}

// What the mount's own limit leaves no time for is not the account's fault, nor that of the way to CERTInext.
func TestALimitThatLeavesNoTimeIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const want = "requests_per_second (0.001) leaves no room for this call in time"
		m := newMount(t, validated(certinexttest.Live))
		m.vettedRole("ov", "ov", on{"consent_token": certinexttest.DefaultConsentToken})
		require.Contains(t, m.refused("config", on{"requests_per_second": 0.001}), want)
		m.write("config", on{"requests_per_second": 0.001, "verify_connection": false})
		time.Sleep(time.Hour)
		problems, _ := m.checked()
		require.Contains(t, problems, want)
		require.Contains(t, problems, "vault write certinext/config requests_per_second=0")
		require.NotContains(t, problems, "base_url")
		require.NotContains(t, problems, "rate:")
		require.Empty(t, m.ca.Orders())
	})
}
