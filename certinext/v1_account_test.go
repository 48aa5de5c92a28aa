// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// criteriaOf returns the searchCriteria of a request.
func criteriaOf(t *testing.T, r sent) map[string]string {
	t.Helper()
	var body struct {
		SearchCriteria map[string]string `json:"searchCriteria"`
	}
	require.NoError(t, json.Unmarshal([]byte(r.body), &body))
	return body.SearchCriteria
}

// reportV1Of answers like version 1's report of n orders: counts are numbers, the current page is a
// string.
func reportV1Of(t *testing.T, n int) func(int, sent) (*http.Response, error) {
	return func(_ int, r sent) (*http.Response, error) {
		w := criteriaOf(t, r)
		number, _ := strconv.Atoi(w["pageNumber"])
		size, _ := strconv.Atoi(w["pageSize"])
		var rows []string
		for i := (number - 1) * size; i < min(number*size, n); i++ {
			rows = append(rows, fmt.Sprintf(`{"orderNumber":"%d","requestNumber":%d,"orderStatusId":"6","certificateStatusId":"20"}`, 1_000_000_000+i, i))
		}
		return response(200, fmt.Sprintf(`{"meta":{"status":"1"},"orderDetails":{"noOfPages":%d,"totalNoOfResults":%d,"pageSize":%d,
			"currentPage":"%d","ordersArray":[%s]}}`, (n+size-1)/size, n, size, number, strings.Join(rows, ","))), nil
	}
}

func TestV1ReportPaging(t *testing.T) {
	for n, requests := range map[int]int{0: 1, 1: 1, 100: 1, 101: 2, 250: 3} {
		g, c := newV1Rig(reportV1Of(t, n))
		rows, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
		require.NoError(t, err)
		assert.Len(t, rows, n)
		assert.Len(t, g.sentCalls(), requests)
	}
	full := reportV1Of(t, 250)
	for name, last := range map[string]func(int, sent) (*http.Response, error){
		"ends early":     always(200, `{"meta":{"status":"1"},"orderDetails":{"noOfPages":3,"totalNoOfResults":250,"ordersArray":[]}}`),
		"is refused":     always(200, refusalV1("", "No records found.")),
		"has no rows":    always(200, `{"meta":{"status":"1"},"orderDetails":{"noOfPages":3,"totalNoOfResults":250}}`),
		"is one of text": always(200, `{"meta":{"status":"1"},"orderDetails":{"ordersArray":"none"}}`),
		"has odd rows":   always(200, `{"meta":{"status":"1"},"orderDetails":{"ordersArray":["1000000001"]}}`),
	} {
		_, c := newV1Rig(inTurn(full, full, last))
		c.Retries = -1
		rows, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
		assert.Len(t, rows, 200)
		require.Error(t, err, "a report that %s is not a whole one", name)
	}
}

func TestV1ReportWithoutRows(t *testing.T) {
	for words, empty := range map[string]bool{
		"No records found.": true, "No record found": true, "No orders were found for this search": true, "no data available": true,
		"No requests were found with this email.": true,
		"No access": false, "Order not found": false, "No orders permitted": false, "Report: no records found": false, "": false,
		"Inactive": false,
	} {
		_, c := newV1Rig(always(200, refusalV1("", words)))
		c.Retries = -1
		rows, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
		assert.Empty(t, rows)
		assert.Equal(t, empty, err == nil, "%q: %v", words, err)
	}
	for details, empty := range map[string]bool{
		`{"totalNoOfResults":0}`: true, `{"ordersArray":[]}`: true, `{"ordersArray":""}`: true, `{"ordersArray":null,"noOfPages":0}`: true,
		`{}`: false, `[]`: false, `null`: false, `{"noOfPages":1}`: false, `{"totalNoOfResults":1}`: false, `{"ordersArray":{}}`: false,
	} {
		_, c := newV1Rig(always(200, `{"meta":{"status":"1"},"orderDetails":`+details+`}`))
		_, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
		assert.Equal(t, empty, err == nil, "%s: %v", details, err)
	}
	for _, code := range []string{"EMS-913", "EMS-1065", "EMS-939"} {
		_, c := newV1Rig(always(200, refusalV1(code, "No records found.")))
		c.Retries = -1
		_, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
		assert.Error(t, err, "%s is about something else", code)
	}
}

func TestV1ReportCriteria(t *testing.T) {
	now := time.Date(2026, 4, 24, 10, 0, 0, 0, time.UTC)
	day := func(d int) time.Time { return time.Date(2026, 4, d, 12, 0, 0, 0, time.UTC) }
	for want, f := range map[string]certinext.ReportFilter{
		" ":                     {},
		"2026-04-01 2026-04-20": {From: day(1), To: day(20)},
		"2026-04-01 2026-04-24": {From: day(1)},                                                                   // either needs the other
		"2000-01-01 2026-04-20": {To: day(20)},                                                                    // either needs the other
		"2026-04-02 2026-04-24": {From: day(2), To: day(30)},                                                      // none in the future
		"2026-04-03 2026-04-23": {From: day(3), To: time.Date(2026, 4, 24, 2, 0, 0, 0, time.FixedZone("", 9000))}, // in UTC
	} {
		g, c := newV1Rig(reportV1Of(t, 0))
		c.Now = func() time.Time { return now }
		f.Domain, f.GroupNumber = "host.example.com", "3000000001"
		_, err := collect(c.OrdersReport(t.Context(), f))
		require.NoError(t, err)
		w := criteriaOf(t, g.sentCalls()[0])
		assert.Equal(t, want, w["orderDateFrom"]+" "+w["orderDateTill"])
		assert.Equal(t, "host.example.com", w["domainName"])
		assert.Equal(t, "3000000001", w["groupNumber"])
		assert.Equal(t, "100", w["pageSize"], "the only documented one")
	}
}

func TestReportDomainFilter(t *testing.T) {
	rows := `[{"orderNumber":"1","domainName":"host.example.com"},{"orderNumber":"2","domainName":"HOST.example.com"},
		{"orderNumber":"3","domainName":"other.example.com"},{"orderNumber":"4"}]`
	for version, body := range map[certinext.APIVersion]string{
		certinext.V2: `{"content":` + rows + `,"totalElements":4,"totalPages":1}`,
		certinext.V1: `{"meta":{"status":"1"},"orderDetails":{"noOfPages":1,"totalNoOfResults":4,"ordersArray":` + rows + `}}`,
	} {
		g, c := newV1Rig(always(200, body))
		c.Version = version
		got, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{Domain: "host.example.com"}))
		require.NoError(t, err)
		var ids []string
		for _, row := range got {
			ids = append(ids, row.OrderID)
		}
		assert.Equal(t, []string{"1", "2", "4"}, ids, "version %d", version)

		before := len(g.sentCalls())
		_, err = collect(c.OrdersReport(t.Context(), certinext.ReportFilter{Domain: "host.example.com,other.example.com"}))
		var invalid *certinext.InvalidRequestError
		require.ErrorAs(t, err, &invalid)
		assert.Len(t, g.sentCalls(), before)
	}
}

func TestReportFallsBackToVersion1(t *testing.T) {
	v1 := func(answer func(int, sent) (*http.Response, error)) func(int, sent) (*http.Response, error) {
		return func(n int, r sent) (*http.Response, error) {
			if strings.HasPrefix(r.path, "/emSignHub-API/") {
				return answer(n, r)
			}
			return refuses(501, "Use v1 GetOrderReport")(n, r)
		}
	}
	report := func(c *certinext.Client) ([]certinext.ReportRow, error) {
		return collect(c.OrdersReport(t.Context(), certinext.ReportFilter{}))
	}
	t.Run("with an access key", func(t *testing.T) {
		_, c := newV1Rig(v1(reportV1Of(t, 150)))
		c.Version = certinext.V2
		rows, err := report(c)
		require.NoError(t, err)
		assert.Len(t, rows, 150)
		assert.Equal(t, certinext.StatusIssued, rows[0].Status(), "the words come from the ids")
	})
	t.Run("whose refusal counts", func(t *testing.T) {
		_, c := newV1Rig(v1(always(200, refusalV1("EMS-943", "Invalid Order ID."))))
		c.Version = certinext.V2
		_, err := report(c)
		assert.True(t, certinext.HasCode(err, "EMS-943"), "%v", err)
	})
	t.Run("where there is no version 1", func(t *testing.T) {
		for _, status := range []int{404, 405, 410, 501} {
			_, c := newV1Rig(v1(always(status, ``)))
			c.Version = certinext.V2
			_, err := report(c)
			assert.True(t, certinext.HasStatus(err, 501), "%v", err)
			assert.Contains(t, err.Error(), "Use v1 GetOrderReport")
		}
	})
	t.Run("not with a token", func(t *testing.T) {
		g, c := newRig(v1(reportV1Of(t, 1)))
		_, err := report(c)
		assert.True(t, certinext.HasStatus(err, 501))
		assert.Len(t, g.sentCalls(), 1)
	})
	t.Run("not for somebody else's 501", func(t *testing.T) {
		for _, body := range []string{``, `{"message":"Not Implemented"}`, `<html></html>`} {
			g, c := newV1Rig(always(501, body))
			c.Version = certinext.V2
			_, err := report(c)
			assert.True(t, certinext.HasStatus(err, 501))
			assert.Len(t, g.sentCalls(), 1)
		}
	})
	t.Run("not for another failure", func(t *testing.T) {
		g, c := newV1Rig(always(403, ``))
		c.Version = certinext.V2
		_, err := report(c)
		assert.True(t, certinext.HasStatus(err, 403))
		assert.Len(t, g.sentCalls(), 1)
	})
}

func TestV1Domains(t *testing.T) {
	one := `{"domainName":"host.example.com","organizationNumber":"4000001","dcvStatus":"1","status":"1"}`
	for details, n := range map[string]int{
		`[` + one + `]`: 1, one: 1, `[]`: 0, `""`: 0, `null`: 0, `[` + one + `,` + strings.Replace(one, "host", "a", 1) + `]`: 2,
	} {
		_, c := newV1Rig(always(200, `{"meta":{"status":"1"},"domainDetails":`+details+`}`))
		domains, err := collect(c.Domains(t.Context(), certinext.DomainFilter{}))
		require.NoError(t, err, details)
		assert.Len(t, domains, n, details)
	}
	for _, details := range []string{`"none"`, `[1]`, `7`} {
		_, c := newV1Rig(always(200, `{"meta":{"status":"1"},"domainDetails":`+details+`}`))
		_, err := collect(c.Domains(t.Context(), certinext.DomainFilter{}))
		require.Error(t, err, details)
	}
	for f, n := range map[certinext.DomainFilter]int{
		{Search: "host"}: 1, {Search: "host", Exact: true}: 0, {Search: "HOST.example.com", Exact: true}: 1, {Status: "active"}: 1,
		{Status: "expired"}: 0, {DCVStatus: "pending"}: 0, {OrganizationID: "4000001"}: 1, {OrganizationID: "4000002"}: 0,
	} {
		_, c := newV1Rig(always(200, `{"meta":{"status":"1"},"domainDetails":`+one+`}`))
		domains, err := collect(c.Domains(t.Context(), f))
		require.NoError(t, err)
		assert.Len(t, domains, n, "%+v", f)
	}
	g, c := newV1Rig(always(200, successV1))
	_, err := collect(c.Domains(t.Context(), certinext.DomainFilter{GroupNumber: "3000000001"}))
	var invalid *certinext.InvalidRequestError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, "GroupNumber", invalid.Field)
	assert.Empty(t, g.sentCalls())
}

func TestV1CustomFieldsInEveryShape(t *testing.T) {
	const products = `{"meta":{"status":"1"},"productDetails":[{"categoryID":"3","products":[{"productCode":"974"}]}]}`
	const field = `{"name":"Cost centre","fieldId":"456"}`
	for body, n := range map[string]int{
		`"fieldDetails":[` + field + `]`:                                                 1,
		`"fieldDetails":{"additionalInformation":[` + field + `]}`:                       1,
		`"productDetails":{"customFields":[{"certificateInformation":[` + field + `]}]}`: 1,
		`"customFields":[` + field + `,` + field + `]`:                                   2,
		`"certificateInformation":[` + field + `]`:                                       1,
		`"customFields":[]`: 0,
	} {
		_, c := newV1Rig(inTurn(always(200, products), always(200, `{"meta":{"status":"1"},`+body+`}`)))
		fields, err := c.CustomFields(t.Context(), "974")
		require.NoError(t, err, body)
		assert.Len(t, fields, n, body)
	}
}

func TestV1LedgerPages(t *testing.T) {
	for name, tc := range map[string]struct {
		pages []string
		rows  int
		fails bool
	}{
		"counted": {[]string{
			`{"noOfPages":2,"currentPage":"1","rows":[{"a":1},{"a":2}]}`, `{"noOfPages":2,"currentPage":"2","rows":[{"a":3}]}`,
		}, 3, false},
		"bare lists until one is empty": {[]string{`[{"a":1}]`, `[{"a":2}]`, `[]`}, 2, false},
		"the same page again":           {[]string{`[{"a":1}]`, `[{"a":1}]`}, 1, false},
		"nothing":                       {[]string{`{"totalNoOfResults":0}`}, 0, false},
		"an empty string":               {[]string{`""`}, 0, false},
		"cut off":                       {[]string{`{"noOfPages":2,"rows":[{"a":1}]}`, `{"noOfPages":2,"totalNoOfResults":2,"rows":[]}`}, 1, true},
		"odd rows":                      {[]string{`["a"]`}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			g, c := newV1Rig(func(n int, _ sent) (*http.Response, error) {
				return response(200, `{"meta":{"status":"1"},"statementDetails":`+tc.pages[n-1]+`}`), nil
			})
			rows, err := collect(c.Ledger(t.Context(), "3000000001"))
			assert.Equal(t, tc.fails, err != nil, "%v", err)
			assert.Len(t, rows, tc.rows)
			assert.Len(t, g.sentCalls(), len(tc.pages))
		})
	}
}

func TestV1OrganizationsOfAllGroups(t *testing.T) {
	_, c := newV1Rig(always(200, `{"meta":{"status":"1"},"accountDetails":{"groups":""}}`))
	organizations, err := c.Organizations(t.Context())
	require.NoError(t, err)
	assert.Empty(t, organizations)
	assert.NotNil(t, organizations)
	_, c = newV1Rig(always(200, successV1))
	_, err = c.Organizations(t.Context())
	require.Error(t, err)
}
