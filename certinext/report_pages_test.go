// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// Pages are read one by one and in any order, and hold what the whole report does. Where version 2 has none, it is asked once.
func TestReportPages(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		srv.Configure(func(s *certinexttest.Server) { s.ReportPageSize = 10 })
		srv.AddForeignOrders(25)
		ctx, c := t.Context(), sandbox(srv)
		whole, err := collect(c.OrdersReport(ctx, certinext.ReportFilter{}))
		require.NoError(t, err)
		require.Len(t, whole, 25)
		srv.ResetCalls()
		report := c.ReportPages()
		for _, n := range []int{1, 3, 2, 1} {
			p, err := report.Read(ctx, n)
			require.NoError(t, err)
			require.Equal(t, 25, p.Total)
			require.Equal(t, 3, p.Pages)
			require.Equal(t, whole[(n-1)*10:min(n*10, 25)], p.Rows, "page %d", n)
		}
		calls := 4
		if srv.Dialect == certinexttest.Documented {
			calls++
		}
		require.Equal(t, calls, srv.Calls()[certinexttest.OpOrdersReport])
	})
}

// The published collection counts from zero, and a server that counts from one reads zero as one.
func TestReportPagesOfAServerThatCountsFromOne(t *testing.T) {
	g, c := newRig(reportOf(250))
	c.Credentials = certinext.AccessKey{AccountNumber: "1", AccessKey: testSecret}
	report := c.ReportPages()
	var numbers []string
	for n := 1; n <= 3; n++ {
		p, err := report.Read(t.Context(), n)
		require.NoError(t, err)
		for _, row := range p.Rows {
			numbers = append(numbers, row.OrderID)
		}
	}
	slices.Sort(numbers)
	require.Len(t, slices.Compact(numbers), 250)
	require.Len(t, g.sentCalls(), 3)
}

// An error leaves the reader where it was.
func TestReportPagesAfterAnError(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		srv.AddForeignOrders(3)
		report := sandbox(srv).ReportPages()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := report.Read(ended, 1)
		require.ErrorIs(t, err, context.Canceled)
		p, err := report.Read(t.Context(), 1)
		require.NoError(t, err)
		require.Len(t, p.Rows, 3)
		require.False(t, slices.ContainsFunc(p.Rows, func(r certinext.ReportRow) bool { return r.OrderID == "" }))
	})
}
