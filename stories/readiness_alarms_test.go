// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// An organization of the config that no role needs keeps no order from being placed.
func TestConfigCheckNotesAnUnknownOrganizationThatNoRoleNeeds(t *testing.T) {
	m := newMount(t, validated(certinexttest.Live))
	m.write("config", on{"organization_number": "7"})
	problems, notes := m.checked()
	require.Empty(t, problems)
	require.Contains(t, notes, "config: organization_number: CERTInext knows no organization 7 of this account: no role needs it")
	m.write("orders/web", www)

	m.write("roles/ov", on{"product_code": "846", "allowed_domains": "example.com", "allow_subdomains": true})
	problems, _ = m.checked()
	require.Contains(t, problems, "config: organization_number: CERTInext knows no organization 7")
}

// What can be ordered beside another name, or with another one that the role allows, is not useless.
func TestAWriteWarnsOfNoDomainThatIsOrderedWithAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		long := strings.Repeat("a", 60) + ".example.com"
		bare := func(code, domains string, changes on) on {
			role := on{"product_code": code, "allowed_domains": domains, "allow_bare_domains": true, "generate_lease": false}
			for k, v := range changes {
				role[k] = v
			}
			return role
		}
		require.Nil(t, m.write("roles/ucc", bare("844", "s.example.com,"+long, nil)), "no warnings")
		m.write("issue/ucc", on{"common_name": "s.example.com", "alt_names": long})

		require.Nil(t, m.write("roles/www", bare("842", "example.com,www.example.com", on{"auto_secure_www": true})), "no warnings")
		m.write("issue/www", on{"common_name": "example.com"})

		warnings := m.write("roles/one", bare("842", "s.example.com,"+long, nil)).Warnings
		require.Contains(t, strings.Join(warnings, "\n"), "no name can be ordered for", "the product takes one name")
		require.Contains(t, m.refused("roles/alone", bare("844", long, nil)), "no name can be ordered for")
		warnings = m.write("roles/home", bare("844", "s.example.com,corp.internal", nil)).Warnings
		require.Contains(t, strings.Join(warnings, "\n"), `no name can be ordered for "corp.internal"`)
	})
}

// What no order can be placed with is refused when it is written.
func TestARoleThatCanNeverOrderIsNotWritten(t *testing.T) {
	ca := validated(certinexttest.Live)
	ca.Catalog = []certinexttest.Product{
		{Code: "842", Name: "DV", Type: "13", CustomFields: []certinexttest.CustomField{{ID: "17", Name: "Cost centre"}}},
		{Code: "843", Name: "DV wildcard", Type: "14"},
		{Code: "846", Name: "OV", Type: "16"},
	}
	m := newMount(t, ca)
	for want, changes := range map[string]on{
		"allow_wildcard_certificates: is off":             {"product_code": "843", "allow_any_name": true, "allow_wildcard_certificates": false},
		"custom_fields: the product has no field 99":      {"product_code": "842", "allow_any_name": true, "custom_fields": "99=x"},
		`organization_number: "Example Inc" is no number`: {"product_code": "846", "allow_any_name": true, "organization_number": "Example Inc"},
	} {
		require.Contains(t, m.refused("roles/never", changes), want)
	}
	require.Contains(t, m.refused("config", on{"organization_number": "x"}), "organization_number")
}

// A write replaces custom_fields as a whole, so the command names those of before, too.
func TestTheRemedyForCustomFieldsKeepsThoseOfBefore(t *testing.T) {
	ca := validated(certinexttest.Live)
	field := func(id string) certinexttest.CustomField {
		return certinexttest.CustomField{ID: id, Name: "Field " + id, Mandatory: true}
	}
	ca.Catalog = []certinexttest.Product{{Code: "842", Name: "DV", Type: "13", CustomFields: []certinexttest.CustomField{field("18")}}}
	m := newMountOf(t, ca, on{"custom_fields": "18=me"})
	ca.Catalog[0].CustomFields = append(ca.Catalog[0].CustomFields, field("17"))
	problems, _ := m.checked()
	require.Contains(t, problems, "vault patch certinext/roles/web custom_fields='18=me' custom_fields='17=<value>'")
	m.must(call{op: logical.PatchOperation, path: "roles/web", data: on{"custom_fields": []string{"18=me", "17=x"}}})
	problems, _ = m.checked()
	require.Empty(t, problems)
}

// newMountOf is newMount with another role.
func newMountOf(t *testing.T, ca *certinexttest.Server, changes on) *mount {
	t.Helper()
	m := bareMount(t, ca)
	m.write("config", m.account())
	role := on{"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true}
	for k, v := range changes {
		role[k] = v
	}
	m.write("roles/web", role)
	return m
}
