// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// twoGroups is an account whose second group may order OV alone.
func twoGroups() *certinexttest.Server {
	return &certinexttest.Server{
		VerifiedDomains: []string{"example.com"}, PendingDomains: []string{"pending.example.org"},
		Groups: []certinexttest.Group{
			{Number: certinexttest.DefaultGroup, Name: "Default Group", Default: true},
			{Number: "3000000002", Name: "Second", Products: []string{"846"}},
		},
	}
}

func TestV1Groups(t *testing.T) {
	r := newRig(t, twoGroups())
	v := r.call("GetGroupDetails", nil).block("accountDetails")
	require.Equal(t, "1", v["roleId"])
	groups := v["groups"].([]any)
	require.Len(t, groups, 2)
	first := groups[0].(m)
	require.Equal(t, certinexttest.DefaultGroup, first["groupNumber"])
	require.Equal(t, "1", first["isDefaultGroup"])
	require.Equal(t, m{
		"organizationNumber": certinexttest.DefaultOrganization, "organizationName": "Example Corporation", "validationFor": "2",
	}, first["organizationDetails"].([]any)[0])

	groups = r.call("GetGroupDetailsV2", m{"groupDetails": m{"groupNumber": "3000000002"}}).block("accountDetails")["groups"].([]any)
	require.Len(t, groups, 1)
	require.Equal(t, "Second", groups[0].(m)["groupName"])
	r.call("GetGroupDetailsV2", m{"groupDetails": m{"groupNumber": "1"}}).fails("EMS-1137")
	r.call("GetGroupDetails", m{"groupDetails": m{"groupNumber": "3000000002"}}).fails("EMS-902")
}

func TestV1Organization(t *testing.T) {
	r := newRig(t, twoGroups())
	get := func(number string) v1Answer {
		return r.call("GetOrganizationDetails", m{"organizationDetails": m{"organizationNumber": number}})
	}
	v := get(certinexttest.DefaultOrganization).block("organizationDetails")
	require.Equal(t, "Example Corporation", v["organizationName"])
	require.Equal(t, "1", v["validationStatusId"])
	require.Equal(t, certinexttest.DefaultConsentToken, v["prevettingToken"])
	require.Equal(t, []any{"example.com"}, v["domains"])
	require.Equal(t, "1", v["subscriberAgreement"].(m)["status"], "a number where version 2 has a bool")
	require.NotContains(t, v["subscriberAgreement"], "signed")
	v = get(certinexttest.UnvettedOrganization).block("organizationDetails")
	require.Equal(t, "0", v["validationStatusId"])
	require.Empty(t, v["domains"])
	require.Equal(t, "0", v["subscriberAgreement"].(m)["status"])
	get("1").fails("EMS-1073")
	get("").fails("EMS-1134")
}

func TestV1Domains(t *testing.T) {
	c := newClock()
	srv := twoGroups()
	srv.Now = c.now
	r := newRig(t, srv)
	list := r.call("GetDomainDetails", nil).ok()["domainDetails"].([]any)
	require.Equal(t, []any{
		m{
			"domainName": "example.com", "organizationName": "Example Corporation", "organizationNumber": certinexttest.DefaultOrganization,
			"dcvMethod": "1", "dcvStatus": "1", "createdDate": "2026-05-12 13:00:00", "expiryDate": "2026-11-27 13:00:00", "status": "1",
		},
		m{
			"domainName": "pending.example.org", "organizationName": "Example Corporation", "organizationNumber": certinexttest.DefaultOrganization,
			"dcvMethod": "1", "dcvStatus": "0", "createdDate": "2026-05-12 13:00:00", "expiryDate": "", "status": "1",
		},
	}, list)
	c.advance(200 * 24 * 3600e9)
	require.Equal(t, "3", r.call("GetDomainDetails", nil).ok()["domainDetails"].([]any)[0].(m)["status"])
}

func TestV1Products(t *testing.T) {
	r := newRig(t, twoGroups())
	list := func(group string) []any {
		return r.call("GetProductDetails", m{"productDetails": m{"groupNumber": group}}).ok()["productDetails"].([]any)
	}
	all := list("")
	require.Len(t, all, 4, "four categories")
	ssl := all[2].(m)
	require.Equal(t, "3", ssl["categoryID"])
	require.Equal(t, m{
		"productCode": "842", "productName": "SSL DV", "productTypeID": "13",
		"subscriptionPrice": m{"1 Year": m{"cost": "0.0"}, "2 Years": m{"cost": "0.0"}, "3 Years": m{"cost": "0.0"}},
	}, ssl["products"].([]any)[0])
	second := list("3000000002")
	require.Len(t, second, 1)
	require.Len(t, second[0].(m)["products"], 1, "what is mapped to the group")
	r.call("GetProductDetails", m{"productDetails": m{"groupNumber": "1"}}).fails("EMS-1137")
	r.call("GetProductDetails", nil).ok()

	r.srv.Configure(func(s *certinexttest.Server) { s.CatalogNeedsGroup = true })
	require.Empty(t, list(""), "some accounts need a group")
	require.Len(t, list(certinexttest.DefaultGroup), 4)
}

func TestV1Fields(t *testing.T) {
	r := newRig(t, &certinexttest.Server{Catalog: []certinexttest.Product{
		{Code: "842", Type: "13", CustomFields: []certinexttest.CustomField{{ID: "456", Name: "Cost Center", Mandatory: true, Values: []string{"x", "y"}, MaxLength: 10}}},
	}})
	fields := func(code string) v1Answer {
		return r.call("GetFieldDetails", m{"productDetails": m{"groupNumber": "", "categoryID": "3", "productCode": code}})
	}
	list := fields("842").block("fieldDetails")["additionalInformation"].([]any)
	require.Equal(t, []any{m{"name": "Cost Center", "fieldID": "456", "type": "text", "maxlength": "10", "isMandatory": "1", "values": []any{"x", "y"}}}, list)
	fields("843").fails("EMS-1162")

	order := v1Order("www.example.com")
	r.call("GenerateOrderSSL", m{"orderDetails": order}).fails("EMS-1212")
	field := func(value string) m {
		return merge(order, m{"additionalInformation": m{"remarks": "r", "customFields": []m{{"fieldID": "456", "fieldValue": value}}}})
	}
	r.call("GenerateOrderSSL", m{"orderDetails": field("z")}).fails("EMS-1207")
	r.buy(field("x"))
}

func TestV1Ledger(t *testing.T) {
	r := v1Rig(t)
	ledger := func(change m) v1Answer {
		return r.call("GetLedgerStatementDetails", m{"statementDetails": merge(m{"groupNumber": "", "pageNumber": "1", "pageSize": "10"}, change)})
	}
	v := ledger(nil).block("statementDetails")
	require.Equal(t, "1", v["currentPage"])
	require.InDelta(t, 0, v["totalNoOfResults"], 0)
	ledger(m{"groupNumber": "1"}).fails("EMS-1137")
	ledger(m{"pageSize": "x"}).fails("EMS-1115")
}
