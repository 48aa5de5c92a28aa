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

// reportOf answers like the live orders report of n orders: it counts from one, takes page zero for
// one, and serves the last page again beyond the end.
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
