// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestWhoAmI(t *testing.T) {
	require.Equal(t, m{"accountNumber": "1234567890", "authType": "oauth2"},
		newRig(t, new(certinexttest.Server)).get(api+"/auth/me").must(200))
	v := newRig(t, &certinexttest.Server{Dialect: certinexttest.Documented}).get(api + "/auth/me").must(200)
	require.Equal(t, "1234567890", v["appCode"])
}

func TestGroupsAndOrganizations(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	group := r.get(api + "/groups").must(200)["groups"].([]any)[0].(m)
	require.Equal(t, certinexttest.DefaultGroup, group["groupNumber"])
	require.Equal(t, "1", group["isDefaultGroup"])
	require.Len(t, group["organizationDetails"], 2)

	list := r.get(api + "/organizations?groupNumber=" + certinexttest.DefaultGroup).must(200)["organizations"].([]any)
	require.Equal(t, "1", list[0].(m)["isPreVettingOrg"])
	require.Equal(t, "0", list[1].(m)["isPreVettingOrg"])
	r.get(api+"/organizations?groupNumber=7").refused(422, "")

	vetted := r.get(api + "/organizations/4000001").must(200)
	require.Equal(t, "Example Corporation", vetted["organizationName"])
	require.Equal(t, []any{"example.com"}, vetted["domains"])
	unvetted := r.get(api + "/organizations/4000002").must(200)
	require.Empty(t, unvetted["domains"])
	require.IsType(t, "", unvetted["domains"], "an empty list is an empty string")
	r.get(api+"/organizations/1").refused(404, "")
}

func TestCatalog(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r := newRig(t, &certinexttest.Server{Dialect: d})
		codes, categories := map[string]m{}, map[string]string{}
		for _, c := range r.get(api + "/catalog/products").must(200)["products"].([]any) {
			for _, p := range c.(m)["products"].([]any) {
				codes[p.(m)["productCode"].(string)] = p.(m)
				categories[p.(m)["productCode"].(string)] = c.(m)["categoryID"].(string)
			}
		}
		require.Len(t, codes, 22)
		for code, want := range map[string][2]string{"819": {"1", "10"}, "822": {"1", "11"}, "825": {"1", "12"}, "914": {"2", "41"}} {
			require.Equal(t, want, [2]string{categories[code], codes[code]["productTypeID"].(string)}, code)
		}
		require.Equal(t, "13", codes["842"]["productTypeID"])
		require.Equal(t, "39", codes["149"]["productTypeID"])
		if d == certinexttest.Documented {
			require.Equal(t, "private-pki", codes["149"]["productType"])
			require.Equal(t, "signature", codes["819"]["productType"])
			require.Equal(t, "natural-person", codes["819"]["variant"])
			require.Equal(t, "igtf-host", codes["104"]["variant"])
			require.Equal(t, "smime", codes["914"]["productType"])
		} else {
			require.NotContains(t, codes["842"], "productType")
			require.Equal(t, m{"cost": "0.0"}, codes["842"]["subscriptionPrice"].(m)["1 Year"])
		}
		require.Equal(t, []any{}, r.get(api + "/catalog/products/842/custom-fields").must(200)["customFields"])
		r.get(api+"/catalog/products/1/custom-fields").refused(404, "")
	})
}

func domainsServer() *certinexttest.Server {
	srv := &certinexttest.Server{PendingDomains: []string{"pending.example.org"}}
	for i := range 59 {
		srv.VerifiedDomains = append(srv.VerifiedDomains, fmt.Sprintf("d%02d.example.com", i))
	}
	return srv
}

func (r *rig) domains(query string) (names []string, page m) {
	r.t.Helper()
	v := r.get(api + "/domains" + query).must(200)
	for _, row := range v["content"].([]any) {
		names = append(names, row.(m)["domainName"].(string))
	}
	return names, v
}

func TestDomainList(t *testing.T) {
	r := newRig(t, domainsServer())
	names, v := r.domains("")
	require.Len(t, names, 50, "cut off at 50 without a word")
	require.EqualValues(t, 60, v["totalElements"])
	require.EqualValues(t, 2, v["totalPages"])
	again, _ := r.domains("")
	require.NotEqual(t, names, again, "the default sequence is not stable")

	sorted, _ := r.domains("?sortBy=domainName&sortDir=asc&limit=100")
	require.Len(t, sorted, 60)
	require.IsIncreasing(t, sorted)
	second, v := r.domains("?sortBy=domainName&sortDir=asc&offset=50")
	require.Equal(t, sorted[50:], second)
	require.EqualValues(t, 1, v["page"])

	for query, want := range map[string]int{
		"?search=d01.example.com&exactMatch=true": 1,
		"?search=d0":                      10,
		"?search=d0&exactMatch=true":      0,
		"?dcvStatus=PENDING":              1,
		"?dcvStatus=VERIFIED&limit=100":   59,
		"?includePending=false&limit=100": 59,
		"?organizationId=4000002":         0,
	} {
		names, _ := r.domains(query)
		require.Len(t, names, want, query)
	}
	for _, query := range []string{"?dcvStatus=EXPIRED", "?dcvStatus=VERIFIED&domainStatus=ACTIVE", "?sortBy=colour", "?offset=x"} {
		r.get(api+"/domains"+query).refused(400, "")
	}
}

func TestDomainRow(t *testing.T) {
	r := newRig(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	row := r.get(api + "/domains").must(200)["content"].([]any)[0].(m)
	require.Len(t, row["domainId"], 48)
	require.Equal(t, "VERIFIED", row["dcvStatus"])
	require.NotContains(t, row, "dcvMethod")
	till, err := time.Parse(time.RFC3339, row["validTill"].(string))
	require.NoError(t, err)
	require.InDelta(t, 199*24, time.Until(till).Hours(), 1)

	v := r.get(api + "/domains/" + row["domainId"].(string)).must(200)
	require.Equal(t, m{"method": "dns-txt"}, v["dcv"])
	require.Equal(t, m{"method": "dns-txt"}, r.get(api+"/domains/"+row["domainId"].(string)+"/dcv").must(200))
	r.get(api+"/domains/x").refused(404, "")
}

func TestDocumentedDomainListIsABareArray(t *testing.T) {
	a := newRig(t, verified(certinexttest.Documented)).get(api + "/domains")
	require.Equal(t, 200, a.status)
	require.Equal(t, byte('['), a.body[0])
}

func TestAccountLevelValidation(t *testing.T) {
	c := newClock()
	z := newZone(t)
	r := zoned(t, z, &certinexttest.Server{Now: c.now, TokenTTL: 1000 * time.Hour})
	v := r.post(api+"/domains", m{"domainName": "example.com", "organizationId": "4000001"}).must(201)
	id := v["domainId"].(string)
	path := api + "/domains/" + id
	r.post(api+"/domains", m{"domainName": "example.com", "organizationId": "4000001"}).must(409)
	r.post(api+"/domains", m{"domainName": "EXAMPLE.com", "organizationId": "4000002"}).must(201)
	r.post(api+"/domains", m{"domainName": "*.example.com", "organizationId": "4000001"}).refused(422, "")
	r.post(api+"/domains", m{"domainName": "x.org", "organizationId": "1"}).refused(422, "EMS-1073")
	require.Equal(t, []string{"domainName", "organizationId"}, fields(r.post(api+"/domains", m{}).refused(400, "")))

	first := v["dcv"].(m)["txtToken"].(string)
	require.Equal(t, first, r.get(path + "/dcv").must(200)["txtToken"])
	c.advance(49 * time.Hour)
	require.Empty(t, r.get(path + "/dcv").must(200)["txtToken"], "expired")
	r.do("PATCH", path+"/dcv/method", `{"dcvMethod":"smoke"}`).refused(422, "EMS-1158")
	second := r.do("PATCH", path+"/dcv/method", `{"dcvMethod":"dns-txt"}`).must(200)["txtToken"].(string)
	require.NotEqual(t, first, second)

	r.post(path+"/dcv/verify", m{}).refused(422, "EMS-1160")
	z.setTXT("_emudhra-challenge.example.com", second)
	require.Equal(t, "VERIFIED", r.post(path+"/dcv/verify", m{}).must(200)["overallStatus"])
	r.post(path+"/dcv/verify", m{}).refused(422, "EMS-1080")
	require.Equal(t, "pending-csr", r.status(r.order(ovOrder("www.example.com"))))

	attempts := r.get(path + "/dcv/attempts").must(200)["content"].([]any)
	require.Len(t, attempts, 2)
	require.Equal(t, "VERIFIED", attempts[0].(m)["overallStatus"])
	require.Equal(t, "RECORD_MISSING", attempts[1].(m)["failureClass"])
	require.Equal(t, attempts[1], r.get(path+"/dcv/attempts/"+attempts[1].(m)["attemptId"].(string)).must(200))
	require.Equal(t, "VERIFIED", r.get(path + "/dcv/attempts/last").must(200)["status"])
	r.get(path+"/dcv/attempts/x").refused(404, "")

	r.post(path+"/deactivate", m{}).must(204)
	require.Equal(t, "pending-dcv", r.status(r.order(ovOrder("www.example.com"))))
}
