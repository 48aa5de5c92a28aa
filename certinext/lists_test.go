// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// reportOf answers like the live orders report of n orders: it counts from one, takes page zero for one, and serves
// the last page again beyond the end.
func reportOf(n int) func(int, sent) (*http.Response, error) {
	return func(_ int, r sent) (*http.Response, error) {
		q, _ := url.ParseQuery(r.query)
		page, _ := strconv.Atoi(q.Get("page"))
		size, _ := strconv.Atoi(q.Get("size"))
		pages := (n + size - 1) / size
		page = min(max(page, 1), max(pages, 1))
		var rows []string
		for i := (page - 1) * size; i < min(page*size, n); i++ {
			rows = append(rows, fmt.Sprintf(`{"orderNumber":"%d","requestNumber":"%d","orderStatus":"Order Fulfilled"}`, 1_000_000_000+i, i))
		}
		return response(200, fmt.Sprintf(`{"content":[%s],"page":%d,"size":%d,"totalElements":%d,"totalPages":%d}`,
			strings.Join(rows, ","), page, size, n, pages)), nil
	}
}

func TestQuirk28ReportPaging(t *testing.T) {
	for n, requests := range map[int]int{0: 1, 1: 1, 99: 1, 100: 1, 101: 2, 250: 3} {
		g, c := newRig(reportOf(n))
		rows, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
		require.NoError(t, err)
		assert.Len(t, rows, n)
		assert.Len(t, g.sentCalls(), requests, "%d rows: stop on totalPages", n)
		assert.Contains(t, g.sentCalls()[0].query, "page=1&size=100")
	}
	t.Run("without totals it ends when a page comes again", func(t *testing.T) {
		full := reportOf(150)
		g, c := newRig(func(n int, r sent) (*http.Response, error) {
			res, err := full(n, r)
			var body struct{ Content json.RawMessage }
			_ = json.NewDecoder(res.Body).Decode(&body)
			return response(200, `{"content":`+string(body.Content)+`}`), err
		})
		rows, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
		require.NoError(t, err)
		assert.Len(t, rows, 150)
		assert.Len(t, g.sentCalls(), 3)
	})
	t.Run("rows that moved to the next page come once", func(t *testing.T) {
		_, c := newRig(func(n int, _ sent) (*http.Response, error) {
			return response(200, fmt.Sprintf(`{"content":[{"orderNumber":"%d"},{"orderNumber":"%d"}],"page":%d,"totalElements":3,"totalPages":2}`,
				n, n+1, n)), nil
		})
		rows, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
		require.NoError(t, err)
		assert.Len(t, rows, 3)
	})
	t.Run("a list that ends early is an error, not an absence", func(t *testing.T) {
		_, c := newRig(inTurn(always(200, `{"content":[{"orderNumber":"1"}],"page":1,"totalElements":150,"totalPages":2}`),
			always(200, `{"content":[],"page":2,"totalElements":150,"totalPages":2}`)))
		rows, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
		require.ErrorContains(t, err, "ended before")
		assert.Len(t, rows, 1)
	})
	t.Run("a row of the wrong kind is an error, not an absence", func(t *testing.T) {
		for _, body := range []string{`{"content":[{"orderNumber":"1"},"x"]}`, `{"content":{}}`, `{"rows":[]}`, `"x"`, ``} {
			_, c := newRig(always(200, body))
			_, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
			require.Error(t, err, body)
		}
	})
	t.Run("an error ends the iteration", func(t *testing.T) {
		_, c := newRig(inTurn(reportOf(300), always(403, ``)))
		var rows, failures int
		for _, err := range c.OrdersReport(t.Context(), certinext.ReportFilter{}) {
			if err != nil {
				failures++
				continue
			}
			rows++
		}
		assert.Equal(t, 100, rows)
		assert.Equal(t, 1, failures)
	})
	t.Run("a caller may stop", func(t *testing.T) {
		g, c := newRig(reportOf(300))
		for _, err := range c.OrdersReport(t.Context(), certinext.ReportFilter{}) {
			require.NoError(t, err)
			break
		}
		assert.Len(t, g.sentCalls(), 1)
	})
	t.Run("the documented report counts from zero", func(t *testing.T) {
		g, c := newRig(always(200, `{"content":[],"page":0,"totalElements":0,"totalPages":0}`))
		c.Credentials = certinext.AccessKey{AccountNumber: "1", AccessKey: testSecret}
		_, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
		require.NoError(t, err)
		assert.Contains(t, g.sentCalls()[0].query, "page=0")
	})
}

func TestQuirk29ReportWords(t *testing.T) {
	for words, want := range map[[2]string]certinext.Status{
		{"Order Fulfilled", "Certificate Downloaded"}: certinext.StatusIssued,
		{"Order Fulfilled", "Certificate Generated"}:  certinext.StatusIssued,
		{"ORDER FULFILLED", "certificate generated"}:  certinext.StatusIssued,
		{"Order Fulfilled", ""}:                       certinext.StatusIssued,
		{"Order Fulfilled", "Certificate Revoked"}:    certinext.StatusRevoked,
		{"Order Fulfilled", "Certificate Expired"}:    certinext.StatusExpired,
		{"Order Cancelled", ""}:                       certinext.StatusCancelled,
		{"Order Cancelled", "Pending for Approver"}:   certinext.StatusCancelled,
		{"Order Rejected", "Rejected by Approver"}:    certinext.StatusRejected,
		{"Order Accepted", "Pending for Approver"}:    certinext.StatusPendingApproval,
		{"Order Accepted", "Pending System RA"}:       certinext.StatusPendingApproval,
		{"Order Accepted", "Approved by System"}:      certinext.StatusUnknown,
		{"Order Accepted", ""}:                        certinext.StatusUnknown,
		{"", ""}:                                      certinext.StatusUnknown,
		{"On Hold", ""}:                               certinext.StatusUnknown,
		{"Something New", "Certificate Reticulated"}:  certinext.StatusUnknown,
	} {
		assert.Equal(t, want, certinext.ReportRow{OrderStatus: words[0], CertificateStatus: words[1]}.Status(), "%v", words)
	}
}

func TestQuirk30ReportStatusFilter(t *testing.T) {
	const body = `{"content":[{"orderNumber":"1","orderStatus":"Order Fulfilled"},{"orderNumber":"2","orderStatus":"Order Cancelled"},
		{"orderNumber":"3","orderStatus":"Order Accepted"}],"page":1,"totalElements":3,"totalPages":1}`
	for status, sentFilter := range map[certinext.Status]bool{
		certinext.StatusIssued: true, certinext.StatusRevoked: true, certinext.StatusExpired: true, certinext.StatusCancelled: true,
		certinext.StatusRejected: true, certinext.StatusPendingApproval: true,
		certinext.StatusPendingDCV: false, certinext.StatusPendingCSR: false, certinext.StatusUnknown: false, "": false,
	} {
		g, c := newRig(always(200, body))
		rows, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{Status: status}))
		require.NoError(t, err)
		assert.Equal(t, sentFilter, strings.Contains(g.sentCalls()[0].query, "status="+string(status)) && status != "", "%s", status)
		if status == "" {
			assert.Len(t, rows, 3)
			continue
		}
		for _, r := range rows {
			assert.Contains(t, []certinext.Status{status, certinext.StatusUnknown}, r.Status(), "%s", status)
		}
	}
}

func TestQuirk51TagsCarryTheMarker(t *testing.T) {
	_, c := newRig(always(200, `{"content":[
		{"orderNumber":"1","tags":["vault:4f1c","x"]},{"orderNumber":"2","tags":"vault:9"},{"orderNumber":"3","tags":null},
		{"orderNumber":"4","tags":[{"name":"vault","value":7}]},{"orderNumber":"5","tags":""}],"totalPages":1}`))
	rows, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
	require.NoError(t, err)
	var tags [][]string
	for _, r := range rows {
		tags = append(tags, r.Tags)
	}
	assert.Equal(t, [][]string{{"vault:4f1c", "x"}, {"vault:9"}, nil, {"vault:7"}, nil}, tags)
}

func TestLedger(t *testing.T) {
	t.Run("empty, as on the live service", func(t *testing.T) {
		g, c := newRig(always(200, `{"content":[],"page":0,"size":50,"totalElements":0,"totalPages":0}`))
		rows, err := collect(c.Ledger(t.Context(), ""))
		require.NoError(t, err)
		assert.Empty(t, rows)
		assert.Equal(t, "page=0&size=50", g.sentCalls()[0].query)
	})
	t.Run("numbers keep their digits", func(t *testing.T) {
		_, c := newRig(always(200, `{"content":[{"amount":12345678901234567890.10}],"totalPages":1}`))
		rows, err := collect(c.Ledger(t.Context(), "3"))
		require.NoError(t, err)
		assert.Equal(t, json.Number("12345678901234567890.10"), rows[0]["amount"])
	})
	t.Run("a server that counts from one is walked once", func(t *testing.T) {
		g, c := newRig(func(_ int, r sent) (*http.Response, error) {
			q, _ := url.ParseQuery(r.query)
			n, _ := strconv.Atoi(q.Get("page"))
			n = max(n, 1)
			return response(200, fmt.Sprintf(`{"content":[{"n":%d}],"page":%d,"totalElements":3,"totalPages":3}`, n, n)), nil
		})
		rows, err := collect(c.Ledger(t.Context(), ""))
		require.NoError(t, err)
		assert.Len(t, rows, 3)
		assert.Len(t, g.sentCalls(), 3)
		assert.Equal(t, json.Number("3"), rows[2]["n"])
	})
}

// domainsOf answers like the live list of n domains.
func domainsOf(n int) func(int, sent) (*http.Response, error) {
	return func(_ int, r sent) (*http.Response, error) {
		q, _ := url.ParseQuery(r.query)
		offset, _ := strconv.Atoi(q.Get("offset"))
		limit, _ := strconv.Atoi(q.Get("limit"))
		var rows []string
		for i := offset; i < min(offset+limit, n); i++ {
			rows = append(rows, fmt.Sprintf(`{"domainId":"id-%d","domainName":"d%d.example"}`, i, i))
		}
		return response(200, fmt.Sprintf(`{"content":[%s],"totalElements":%d}`, strings.Join(rows, ","), n)), nil
	}
}

func TestQuirk31Domains(t *testing.T) {
	t.Run("all pages, in the one order that pages reliably", func(t *testing.T) {
		for n, requests := range map[int]int{0: 1, 1: 1, 100: 1, 101: 2, 250: 3} {
			g, c := newRig(domainsOf(n))
			all, err := collect(c.Domains(t.Context(), certinext.DomainFilter{}))
			require.NoError(t, err)
			assert.Len(t, all, n)
			assert.Len(t, g.sentCalls(), requests)
			for _, r := range g.sentCalls() {
				assert.Contains(t, r.query, "sortBy=domainName&sortDir=asc")
				assert.Contains(t, r.query, "limit=100")
			}
		}
	})
	t.Run("a bare list", func(t *testing.T) {
		g, c := newRig(always(200, `[{"domainId":"1","domainName":"a.example"},{"domainId":"2","domainName":"b.example"}]`))
		all, err := collect(c.Domains(t.Context(), certinext.DomainFilter{}))
		require.NoError(t, err)
		assert.Len(t, all, 2)
		assert.Len(t, g.sentCalls(), 2, "it says nothing of further rows")
	})
	t.Run("one row twice, one name under two organizations", func(t *testing.T) {
		_, c := newRig(always(200, `{"content":[{"domainId":"1","domainName":"a.example","organizationId":"1"},
			{"domainId":"1","domainName":"a.example","organizationId":"1"},{"domainId":"2","domainName":"a.example","organizationId":"2"}],"totalElements":3}`))
		all, err := collect(c.Domains(t.Context(), certinext.DomainFilter{}))
		require.NoError(t, err)
		assert.Len(t, all, 2)
	})
	t.Run("rows that never come are an error", func(t *testing.T) {
		for _, second := range []string{`{"content":[],"totalElements":5}`, `{"content":[{"domainId":"1"}],"totalElements":5}`} {
			_, c := newRig(inTurn(always(200, `{"content":[{"domainId":"1"}],"totalElements":5}`), always(200, second)))
			all, err := collect(c.Domains(t.Context(), certinext.DomainFilter{}))
			require.ErrorContains(t, err, "ended before")
			assert.Len(t, all, 1)
		}
	})
	for name, tc := range map[string]struct {
		filter certinext.DomainFilter
		want   string
		rows   int
	}{
		"one status is sent":                  {certinext.DomainFilter{Status: "active"}, "domainStatus=ACTIVE", 2},
		"of two only the validation's":        {certinext.DomainFilter{Status: "ACTIVE", DCVStatus: "verified"}, "dcvStatus=VERIFIED", 1},
		"EXPIRED is compared here":            {certinext.DomainFilter{DCVStatus: "Expired"}, "", 1},
		"EXPIRED keeps the other one at home": {certinext.DomainFilter{Status: "ACTIVE", DCVStatus: "EXPIRED"}, "", 0},
		"an exact name is compared too":       {certinext.DomainFilter{Search: "A.example", Exact: true}, "exactMatch=true", 1},
	} {
		t.Run(name, func(t *testing.T) {
			g, c := newRig(always(200, `{"content":[{"domainId":"1","domainName":"a.example","status":"ACTIVE","dcvStatus":"VERIFIED"},
				{"domainId":"2","domainName":"b.example","domainStatus":"ACTIVE","dcvStatus":"PENDING"},
				{"domainId":"3","domainName":"xa.example","status":"INACTIVE","dcvStatus":"EXPIRED"}],"totalElements":3}`))
			all, err := collect(c.Domains(t.Context(), tc.filter))
			require.NoError(t, err)
			assert.Len(t, all, tc.rows)
			query := g.sentCalls()[0].query
			assert.Contains(t, query, tc.want)
			assert.False(t, strings.Contains(query, "domainStatus") && strings.Contains(query, "dcvStatus"))
			assert.NotContains(t, query, "EXPIRED")
			assert.NotContains(t, query, "dcvMethod", "quirk 19: it is missing while pending")
		})
	}
	t.Run("quirk 32: a blanket 422 is shown as it is", func(t *testing.T) {
		_, c := newRig(always(422, `{"title":"Unprocessable Entity","detail":"Unable to process request"}`))
		_, err := collect(c.Domains(t.Context(), certinext.DomainFilter{}))
		assert.Equal(t, "listing domains: CERTInext answered 422: Unable to process request", err.Error())
	})
	t.Run("an id that cannot be one is left out", func(t *testing.T) {
		_, c := newRig(always(200, `[{"domainId":"../x","domainName":"a.example"}]`))
		all, err := collect(c.Domains(t.Context(), certinext.DomainFilter{}))
		require.NoError(t, err)
		assert.Empty(t, all[0].ID)
	})
	t.Run("a caller may stop", func(t *testing.T) {
		g, c := newRig(domainsOf(300))
		for _, err := range c.Domains(t.Context(), certinext.DomainFilter{}) {
			require.NoError(t, err)
			break
		}
		assert.Len(t, g.sentCalls(), 1)
	})
}

func TestQuirk37ProductTypesAreAmbiguous(t *testing.T) {
	_, c := newRig(always(200, `{"products":[{"categoryID":3,"categoryName":"SSL","currencyType":"USD","products":[
		{"productCode":974,"productName":"OV","productTypeID":16},{"productCode":"955","productName":"OV 30 days","productTypeID":"16"},
		{"productName":"no code","productTypeID":"13"},"junk"]}]}`))
	products, err := c.Products(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, products, 2, "both, and no guess")
	assert.Equal(t, "974", products[0].Code)
	assert.Equal(t, "ov", products[1].Variant)

	_, c = newRig(always(200, `[{"productCode":"149","productType":"private-pki","price":"12.5"},{"productCode":"9","productType":"moon","price":{"1 Year":7}}]`))
	products, err = c.Products(t.Context(), "")
	require.NoError(t, err)
	assert.Equal(t, certinext.FamilyPrivatePKI, products[0].Family)
	assert.Equal(t, map[string]string{"": "12.5"}, products[0].Prices)
	assert.Empty(t, products[1].Family)
	assert.Equal(t, map[string]string{"1 Year": "7"}, products[1].Prices)

	for typeID, variant := range map[string]string{
		"10": "natural-person", "11": "legal-person", "12": "legal-entity", "13": "dv", "14": "dv-wildcard", "15": "dv-ucc", "16": "ov",
		"17": "ov-wildcard", "18": "ov-ucc", "19": "ev", "20": "ev-ucc", "21": "dv-wildcard-ucc", "22": "ov-wildcard-ucc",
		"39": "private-pki", "41": "smime", "99": "",
	} {
		_, c = newRig(always(200, `[{"productCode":"1","productTypeID":"`+typeID+`"}]`))
		products, err = c.Products(t.Context(), "")
		require.NoError(t, err)
		assert.Equal(t, variant, products[0].Variant, typeID)
	}
}

func TestCustomFieldShapes(t *testing.T) {
	for body, want := range map[string]int{
		`{"customFields":[]}`: 0, `{"customFields":null}`: 0, `{"customFields":""}`: 0, `[]`: 0, `{}`: 0,
		`{"customFields":[{"fieldId":"1","name":"a"},{"fieldId":2}]}`:                        2,
		`{"certificateInformation":[{"fieldId":"1"}],"additionalInformation":{"fieldId":2}}`: 2,
		`{"customFields":[{"certificateInformation":"none","x":[{"name":"no id"}]}]}`:        0,
	} {
		_, c := newRig(always(200, body))
		specs, err := c.CustomFields(t.Context(), "974")
		require.NoError(t, err, body)
		assert.Len(t, specs, want, body)
	}
}

func TestAccountShapes(t *testing.T) {
	_, c := newRig(always(200, `{"organizationNumber":1,"domains":["a.example","",{"x":1}],"orgRepresentatives":[
		{"mobileNumber":"+14155550123","isdCode":"1"},{"mobileNumber":"4155550123"},"junk"]}`))
	o, err := c.Organization(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, []string{"a.example"}, o.Domains)
	assert.Equal(t, "+14155550123", o.Representatives[0].Phone)
	assert.Equal(t, "4155550123", o.Representatives[1].Phone)
	assert.Nil(t, o.AgreementSigned)

	_, c = newRig(always(404, `{"status":404,"error":"Not Found"}`))
	_, err = c.Organization(t.Context(), "1")
	assert.True(t, certinext.HasStatus(err, 404))
}
