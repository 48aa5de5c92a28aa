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
				f := certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: kind, Times: 1}
				switch kind {
				case certinexttest.FaultSlowReply:
					f.Delay = 10 * time.Minute
				case certinexttest.FaultRateLimit:
					f.RetryAfter = time.Second
				}
				srv.Inject(f)
				_, err := c.CreateOrder(t.Context(), completeOrder(t, srv))
				// What stands in front of version 1 limits the rate, not version 1.
				limited := kind == certinexttest.FaultRateLimit && srv.Dialect == certinexttest.V1
				doubt := tc.acted || limited
				assert.Equal(t, doubt, asErr(t, err).Acted, "%v", err)
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
				f := certinexttest.Fault{Operation: certinexttest.OpMe, Kind: kind, Times: 1}
				if kind == certinexttest.FaultRateLimit {
					f.RetryAfter, f.RetryAfterDate = 3*time.Second, true
				}
				srv.Inject(f)
				_, err := c.Me(t.Context())
				assert.NoError(t, err, kind)
			}
		})
	})
}

// EMS-939 comes with HTTP status 200, and says nothing of whether the order was placed. The report
// does.
func TestSandboxV1OrderInDoubt(t *testing.T) {
	for kind, orders := range map[certinexttest.FaultKind]int{
		certinexttest.FaultMetaErrorAfter: 1, certinexttest.FaultMetaError: 0,
	} {
		t.Run(string(kind), func(t *testing.T) {
			inV1(t, func(t *testing.T, srv *certinexttest.Server, c *certinext.Client) {
				srv.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: kind, Times: 1})
				r := completeOrder(t, srv)
				_, err := c.CreateOrder(t.Context(), r)
				require.True(t, certinext.MayHaveActed(err), "%v", err)
				assert.True(t, certinext.HasCode(err, "EMS-939"))
				assert.Equal(t, 1, srv.Calls()[certinexttest.OpCreateSSL], "it is not sent again")
				require.Len(t, srv.Orders(), orders)

				rows, err := collect(c.OrdersReport(t.Context(), certinext.ReportFilter{Domain: r.Domain}))
				require.NoError(t, err)
				require.Len(t, rows, orders)
				for _, row := range rows {
					assert.Equal(t, r.Tags, row.Tags)
					assert.Equal(t, certinext.StatusIssued, track(t, c, certinext.FamilySSL, row.OrderID).Status)
					leaf := download(t, srv, c, certinext.FamilySSL, row.OrderID)
					assert.Equal(t, []string{r.Domain}, leaf.DNSNames)
				}
			})
		})
	}
}

// What is asked of an order that somebody else ended in the meantime, or that this client ended and
// never heard of it.
func TestSandboxV1EndsInDoubt(t *testing.T) {
	inV1(t, func(t *testing.T, srv *certinexttest.Server, c *certinext.Client) {
		issued, err := c.CreateOrder(t.Context(), completeOrder(t, srv))
		require.NoError(t, err)
		srv.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
		held, err := c.CreateOrder(t.Context(), completeOrder(t, srv))
		require.NoError(t, err)
		ends := map[string]func() error{
			certinexttest.OpRevoke: func() error {
				_, err := c.RevokeOrder(t.Context(), certinext.FamilySSL, issued.ID, certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
				return err
			},
			certinexttest.OpCancel: func() error { return c.CancelOrder(t.Context(), certinext.FamilySSL, held.ID, "mistake") },
		}
		for op, end := range ends {
			srv.Inject(certinexttest.Fault{Operation: op, Kind: certinexttest.FaultMetaErrorAfter, Times: 1})
			err := end()
			assert.True(t, certinext.MayHaveActed(err), "%s: %v", op, err)
			assert.NoError(t, end(), op)
			assert.NoError(t, end(), op)
		}
		assert.Equal(t, certinext.StatusRevoked, track(t, c, certinext.FamilySSL, issued.ID).Status)
		assert.Equal(t, certinext.StatusCancelled, track(t, c, certinext.FamilySSL, held.ID).Status)
	})
}

// A burst of orders is spread over the time that version 1 asks for, and each is placed once.
func TestSandboxV1Burst(t *testing.T) {
	inV1(t, func(t *testing.T, srv *certinexttest.Server, c *certinext.Client) {
		srv.CreateBurst = 16
		began, results := time.Now(), make(chan error)
		for range 40 {
			r := completeOrder(t, srv)
			go func() {
				_, err := c.CreateOrder(t.Context(), r)
				results <- err
			}()
		}
		for range 40 {
			assert.NoError(t, <-results)
		}
		assert.Len(t, srv.Orders(), 40)
		assert.Greater(t, srv.Calls()[certinexttest.OpCreateSSL], 40)
		assert.Greater(t, time.Since(began), 20*time.Second, "16 in ten seconds")

		c = sandbox(srv)
		c.Retries = -1
		srv.Configure(func(s *certinexttest.Server) { s.CreateBurst = 1 })
		time.Sleep(time.Minute)
		_, err := c.CreateOrder(t.Context(), completeOrder(t, srv))
		require.NoError(t, err)
		_, err = c.CreateOrder(t.Context(), completeOrder(t, srv))
		assert.ErrorContains(t, err, "Inactive Account User.", "which may also be true: the words are passed on")
		assert.False(t, certinext.MayHaveActed(err))
		assert.Len(t, srv.Orders(), 41)
	})
}

func TestSandboxV1ReasonsAreTheFive(t *testing.T) {
	inV1(t, func(t *testing.T, srv *certinexttest.Server, c *certinext.Client) {
		for reason, taken := range map[certinext.Reason]bool{
			certinext.ReasonUnspecified: false, certinext.ReasonKeyCompromise: true, certinext.ReasonCACompromise: false,
			certinext.ReasonAffiliationChanged: true, certinext.ReasonSuperseded: true, certinext.ReasonCessationOfOperation: true,
			certinext.ReasonCertificateHold: false, certinext.ReasonPrivilegeWithdrawn: true, certinext.ReasonAACompromise: false,
		} {
			o, err := c.CreateOrder(t.Context(), completeOrder(t, srv))
			require.NoError(t, err)
			before := srv.Calls()[certinexttest.OpRevoke]
			sent, err := c.RevokeOrder(t.Context(), certinext.FamilySSL, o.ID, certinext.RevokeRequest{Reason: reason, Note: "a; b"})
			record, _ := srv.Order(o.ID)
			if !taken {
				var unsupported *certinext.UnsupportedReasonError
				require.ErrorAs(t, err, &unsupported, reason)
				assert.Len(t, unsupported.Supported, 5)
				assert.Equal(t, before, srv.Calls()[certinexttest.OpRevoke], "nothing is sent for %s", reason)
				assert.Empty(t, record.RevokeReason)
				continue
			}
			require.NoError(t, err, reason)
			assert.Equal(t, reason, sent)
			assert.Equal(t, string(reason), record.RevokeReason)
			assert.Equal(t, "a, b", record.RevokeNote, "quirk 25")
			o = track(t, c, certinext.FamilySSL, o.ID)
			require.NotNil(t, o.Revocation)
			assert.Equal(t, string(reason), o.Revocation.Reason)
			sent, err = c.RevokeOrder(t.Context(), certinext.FamilySSL, o.ID, certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
			require.NoError(t, err, "revoking again is a success")
			assert.Equal(t, reason, sent, "with the reason that stands")
		}
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
