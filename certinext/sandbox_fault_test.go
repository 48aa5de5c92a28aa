// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestSandboxFaults(t *testing.T) {
	for kind, tc := range map[certinexttest.FaultKind]struct {
		acted  bool // what the client says
		orders int  // what the CA has
	}{
		certinexttest.FaultLostReply:        {true, 1},
		certinexttest.FaultServerErrorAfter: {true, 1},
		certinexttest.FaultTruncated:        {true, 1},
		certinexttest.FaultMalformedJSON:    {true, 1},
		certinexttest.FaultOversized:        {true, 1},
		certinexttest.FaultSlowReply:        {true, 1},
		certinexttest.FaultDropped:          {true, 0}, // cannot be told from a lost reply
		certinexttest.FaultServerError:      {true, 0},
		certinexttest.FaultHTML:             {true, 0},
		certinexttest.FaultRateLimit:        {false, 0},
	} {
		t.Run(string(kind), func(t *testing.T) {
			eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
				c := sandbox(srv)
				srv.Inject(certinexttest.Fault{
					Operation: certinexttest.OpCreateSSL, Kind: kind, Times: 1, Delay: 10 * time.Minute, RetryAfter: time.Second,
				})
				_, err := c.CreateOrder(t.Context(), completeOrder(t, srv))
				assert.Equal(t, tc.acted, asErr(t, err).Acted, "%v", err)
				time.Sleep(time.Hour)
				assert.Len(t, srv.Orders(), tc.orders)
				assert.Equal(t, 1, srv.Calls()[certinexttest.OpCreateSSL])
			})
		})
	}
	t.Run("a token that dies is replaced", func(t *testing.T) {
		eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
			c := sandbox(srv)
			srv.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultTokenDeath, Times: 1})
			_, err := c.CreateOrder(t.Context(), completeOrder(t, srv))
			require.NoError(t, err)
			assert.Len(t, srv.Orders(), 1)
		})
	})
	t.Run("reads get through", func(t *testing.T) {
		eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
			c := sandbox(srv)
			for _, kind := range []certinexttest.FaultKind{
				certinexttest.FaultDropped, certinexttest.FaultServerError, certinexttest.FaultHTML, certinexttest.FaultRateLimit,
				certinexttest.FaultTruncated, certinexttest.FaultSpring,
			} {
				srv.Inject(certinexttest.Fault{Operation: certinexttest.OpMe, Kind: kind, Times: 1, RetryAfter: 3 * time.Second, RetryAfterDate: true})
				_, err := c.Me(t.Context())
				assert.NoError(t, err, kind)
			}
		})
	})
}

func TestQuirk08IssuedWithoutCSR(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &certinexttest.Server{VerifiedDomains: []string{"example.com"}, IssuedBeforeCSR: true}
		ctx, c := t.Context(), sandbox(srv)
		r := completeOrder(t, srv)
		csr := r.CSR
		r.CSR = ""
		o, err := c.CreateOrder(ctx, r)
		require.NoError(t, err)
		o, err = c.TrackOrder(ctx, certinext.FamilySSL, o.ID)
		require.NoError(t, err)
		require.Equal(t, certinext.StatusIssued, o.Status)
		require.NotNil(t, o.CSRSubmitted)
		assert.False(t, *o.CSRSubmitted, "what tells it from a finished order")
		_, err = c.Certificate(ctx, certinext.FamilySSL, o.ID)
		assert.True(t, certinext.IsNotReady(err))
		require.NoError(t, c.SubmitCSR(ctx, certinext.FamilySSL, o.ID, csr, false))
		time.Sleep(time.Minute)
		_, err = c.Certificate(ctx, certinext.FamilySSL, o.ID)
		assert.NoError(t, err)
	})
}

func TestQuirk48CancelledOrdersStayInTheReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &certinexttest.Server{HoldForApproval: true}
		ctx, c := t.Context(), sandbox(srv)
		o, err := c.CreateOrder(ctx, completeOrder(t, srv))
		require.NoError(t, err)
		require.NoError(t, c.CancelOrder(ctx, certinext.FamilySSL, o.ID, ""))
		rows, err := collect(c.OrdersReport(ctx, certinext.ReportFilter{}))
		require.NoError(t, err)
		require.Len(t, rows, 1)
		assert.Equal(t, certinext.StatusCancelled, rows[0].Status())
	})
}
