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

const reportPath = api + "/reports/orders"

func (r *rig) report(query string) (rows []m, page m) {
	r.t.Helper()
	v := r.get(reportPath + query).must(200)
	for _, row := range v["content"].([]any) {
		rows = append(rows, row.(m))
	}
	return rows, v
}

func TestReportPaging(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	for i := range 5 {
		r.order(dvOrder(fmt.Sprintf("h%d.example.com", i)))
	}
	cases := map[string]struct {
		query             string
		rows, page, pages int
		size              int
	}{
		"one page by default":              {"", 5, 1, 1, 50},
		"the first page":                   {"?page=1&size=2", 2, 1, 3, 2},
		"page 0 is page 1":                 {"?page=0&size=2", 2, 1, 3, 2},
		"a negative page is page 1":        {"?page=-1&size=2", 2, 1, 3, 2},
		"the last page is short":           {"?page=3&size=2", 1, 3, 3, 2},
		"beyond the end is the last again": {"?page=9&size=2", 1, 3, 3, 2},
		"the size is at least 1":           {"?page=1&size=0", 1, 1, 5, 1},
		"and at most 100":                  {"?page=1&size=500", 5, 1, 1, 100},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			rows, v := r.report(c.query)
			require.Len(t, rows, c.rows)
			require.EqualValues(t, c.page, v["page"])
			require.EqualValues(t, c.size, v["size"])
			require.EqualValues(t, c.pages, v["totalPages"])
			require.EqualValues(t, 5, v["totalElements"])
		})
	}
}

func TestReportOfNothing(t *testing.T) {
	rows, v := newRig(t, new(certinexttest.Server)).report("?page=7")
	require.Empty(t, rows)
	require.EqualValues(t, 0, v["totalPages"])
}

func TestReportRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		query  string
		status int
	}{
		"pending-dcv is no filter":      {"?status=pending-dcv", 422},
		"pending-csr is no filter":      {"?status=pending-csr", 422},
		"a display string is no filter": {"?status=Order%20Fulfilled", 422},
		"a time is no day":              {"?from=2026-01-01T00:00:00Z", 400},
		"there is no filter by domain":  {"?domainName=example.com", 400},
		"a page must be a number":       {"?page=x", 400},
		"an unknown group is refused":   {"?groupNumber=1", 422},
	} {
		t.Run(name, func(t *testing.T) {
			newRig(t, new(certinexttest.Server)).get(reportPath+c.query).refused(c.status, "")
		})
	}
}

func TestReportRows(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	issued := r.order(merge(ovOrder("www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com"), "tags": []string{"vault:7"}}))
	cancelled := r.order(dvOrder("a.example.com"))
	r.post(sslPath+"/"+cancelled+"/cancel", m{"reason": "x"}).must(204)
	r.post(sslPath, merge(dvOrder("draft.example.com"), m{"saveAsDraft": true})).must(201)
	pending := r.order(merge(ovOrder("b.example.com"), m{
		"csr": csr(t, newKey(t), "b.example.com"), "organization": m{"organizationNumber": "4000001", "preVetted": true},
	}))

	rows, _ := r.report("")
	require.Len(t, rows, 3, "drafts are not in the report")
	require.Equal(t, []any{pending, cancelled, issued}, []any{rows[0]["orderNumber"], rows[1]["orderNumber"], rows[2]["orderNumber"]})
	require.Equal(t, "Order Accepted", rows[0]["orderStatus"])
	require.Equal(t, "Pending for Approver", rows[0]["certificateStatus"])
	require.Equal(t, "Order Cancelled", rows[1]["orderStatus"])
	require.Equal(t, []any{}, rows[1]["tags"])
	row := rows[2]
	require.Equal(t, "Order Fulfilled", row["orderStatus"])
	require.Equal(t, []any{"vault:7"}, row["tags"])
	require.Equal(t, "Example Corporation", row["organizationName"])
	require.Equal(t, "846", row["productCode"], "the order named none")
	require.Equal(t, r.certificate(issued).SerialNumber.String(), row["certificateSerialNumber"])
	require.Equal(t, "emSign-Hub API", row["originator"])

	r.srv.Configure(func(s *certinexttest.Server) { s.ReportWithoutProducts = true })
	bare, _ := r.report("")
	require.Empty(t, bare[2]["productCode"])

	for filter, want := range map[string]string{"issued": issued, "cancelled": cancelled, "pending-approval": pending} {
		rows, _ := r.report("?status=" + filter)
		require.Len(t, rows, 1)
		require.Equal(t, want, rows[0]["orderNumber"])
	}
	rows, _ = r.report("?status=revoked")
	require.Empty(t, rows)
}

func TestReportDaysAreInclusive(t *testing.T) {
	c := newClock()
	r := newRig(t, &certinexttest.Server{Now: c.now, TokenTTL: 1000 * time.Hour})
	for range 3 { // 12, 13 and 14 May
		r.order(dvOrder("example.com"))
		c.advance(24 * time.Hour)
	}
	for query, want := range map[string]int{
		"?from=2026-05-13":               2,
		"?to=2026-05-13":                 2,
		"?from=2026-05-13&to=2026-05-13": 1,
		"?from=2026-05-15":               0,
	} {
		rows, _ := r.report(query)
		require.Len(t, rows, want, query)
	}
}

func TestReportLagsBehind(t *testing.T) {
	c := newClock()
	r := newRig(t, &certinexttest.Server{Now: c.now, ReportDelay: time.Minute})
	r.order(dvOrder("example.com"))
	rows, _ := r.report("")
	require.Empty(t, rows)
	c.advance(time.Minute)
	rows, _ = r.report("")
	require.Len(t, rows, 1)
}

func TestDocumentedReportIsNotWired(t *testing.T) {
	r := newRig(t, &certinexttest.Server{Dialect: certinexttest.Documented})
	v := r.get(reportPath+"?page=0&size=50").refused(501, "")
	require.Contains(t, v["detail"], "GetOrderReport")
}

func TestLedgerIsEmpty(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		v := newRig(t, &certinexttest.Server{Dialect: d}).get(api + "/reports/ledger?page=0&size=50").must(200)
		require.Equal(t, []any{}, v["content"])
		require.EqualValues(t, 0, v["totalElements"])
	})
}

func TestReportOrders(t *testing.T) {
	for order, want := range map[certinexttest.ReportOrder][]string{
		certinexttest.ReportNewestFirst: {"h2.example.com", "h1.example.com", "h0.example.com"},
		certinexttest.ReportOldestFirst: {"h0.example.com", "h1.example.com", "h2.example.com"},
	} {
		r := newRig(t, &certinexttest.Server{ReportOrder: order})
		for i := range 3 {
			r.order(dvOrder(fmt.Sprintf("h%d.example.com", i)))
		}
		rows, _ := r.report("")
		require.Equal(t, want, names(rows))
		rows, v := r.report("?page=2&size=2")
		require.Equal(t, want[2:], names(rows))
		require.EqualValues(t, 2, v["totalPages"])
	}
}

func TestReportOfManyPages(t *testing.T) {
	s := &certinexttest.Server{ReportPageSize: 10}
	r := newRig(t, s)
	s.AddForeignOrders(25)
	placed := r.order(dvOrder("www.example.com"))
	rows, v := r.report("?size=100")
	require.Len(t, rows, 10)
	require.EqualValues(t, 26, v["totalElements"])
	require.EqualValues(t, 3, v["totalPages"])
	require.EqualValues(t, 10, v["size"])
	require.Equal(t, placed, rows[0]["orderNumber"])
	require.Equal(t, []any{}, rows[1]["tags"])
	require.Equal(t, "Order Cancelled", rows[1]["orderStatus"])
	rows, _ = r.report("?page=3&size=100")
	require.Len(t, rows, 6)
}
