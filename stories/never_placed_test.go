// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// The clock is set while CERTInext still works on the order.
func TestNeverPlacedWaitsWhateverTheClock(t *testing.T) {
	for name, jump := range map[string]time.Duration{"minutes": 5 * time.Minute, "two hours": 2 * time.Hour, "two months": 60 * 24 * time.Hour, "back": -5 * time.Minute, "months back": -60 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := monthly(certinexttest.Live)
				ca.ReportDelay = 2 * time.Minute
				m := newMount(t, ca)
				id := m.unresolved(certinexttest.FaultLostReply)
				m.later(jump)
				time.Sleep(5 * time.Second)
				resp, err := m.attempt("operator/orders/web/"+id, map[string]any{"never_placed": true})
				require.NoError(t, err)
				require.True(t, resp.IsError(), "believed %v after the create", 5*time.Second)
			})
		})
	}
}

// A draft that was promoted in the portal, or here before a snapshot was restored, is an order that is paid for.
func TestNeverPlacedIsNotBelievedOfAPromotedDraft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		path := "operator/orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCancelDraft, Kind: certinexttest.FaultServerError, Status: 409, Times: 1})
		require.True(t, m.remove(strings.TrimPrefix(path, "operator/")).IsError(), "the records were read when it was a draft")
		require.NoError(t, ca.Promote(ca.Orders()[0].RequestID))
		number := ca.Orders()[0].ID
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError, Times: 20})
		require.Contains(t, m.refused(path, map[string]any{"never_placed": true}), "cannot be believed unseen")
		ca.ClearFaults()
		refusal := m.refused(path, map[string]any{"never_placed": true})
		require.Contains(t, refusal, "was promoted, as order "+number)
		require.Contains(t, refusal, "ca_order_id")
		m.write(path, map[string]any{"ca_order_id": number})
		m.chainOK(m.write(strings.TrimPrefix(path, "operator/")+"/collect", nil))
		require.Len(t, ca.Orders(), 1)
	})
}

// Whether a draft was discarded, its record says not: what is left to say is the operator's.
func TestNeverPlacedIsBelievedOfADraft(t *testing.T) {
	version2(t, func(t *testing.T, dialect certinexttest.Dialect) {
		m := newMount(t, validated(dialect))
		path := "operator/orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
		require.Equal(t, "failed", m.write(path, map[string]any{"never_placed": true}).Data["state"])
		requireNoKeys(t, m)
	})
}

// Config is gone a moment after the create.
func TestNeverPlacedWaitsWithoutConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		id := m.unresolved(certinexttest.FaultLostReply)
		m.must(call{op: logical.DeleteOperation, path: "config", data: map[string]any{"force": true}})
		resp, err := m.attempt("operator/orders/web/"+id, map[string]any{"never_placed": true})
		require.NoError(t, err)
		require.True(t, resp.IsError())
	})
}

// A gateway's 404 is no word about an order.
func TestNeverPlacedAndAGateways404(t *testing.T) {
	for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented, certinexttest.V1} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(d)
				ca.HoldForApproval = true
				ca.ReportDelay = 10 * time.Minute
				m := newMount(t, ca)
				o := m.write("orders/web", www).Data
				require.Equal(t, "pending", o["state"])
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultMiddleman, Status: 404, ContentType: "text/html", Body: "<h1>not here</h1>", Times: 1})
				resp, err := m.attempt("operator/orders/web/"+o["order_id"].(string), map[string]any{"never_placed": true})
				require.NoError(t, err)
				require.True(t, resp.IsError(), "closed: %v", resp.Data["state"])
			})
		})
	}
}

// CERTInext has just answered with a number that it does not know, and its records lag.
func TestNeverPlacedWaitsAfterANumberOfNoOrder(t *testing.T) {
	for _, d := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented, certinexttest.V1} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(d)
				ca.ReportDelay = 2 * time.Minute
				m := newMount(t, ca)
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultOtherOrder, Times: 1})
				o := m.write("orders/web", www).Data
				time.Sleep(5 * time.Second)
				resp, err := m.attempt("operator/orders/web/"+o["order_id"].(string), map[string]any{"never_placed": true})
				require.NoError(t, err)
				require.True(t, resp.IsError(), "believed 5 s after the create")
			})
		})
	}
}

// A reading of the records that did not show the order does not answer on when the clock was set back.
func TestNeverPlacedReadsTheRecordsAnew(t *testing.T) {
	for name, back := range map[string]time.Duration{"a quarter of an hour back": 15 * time.Minute, "right": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.ReportDelay = 25 * time.Minute
				m := newMount(t, ca)
				id := m.unresolved(certinexttest.FaultLostReply)
				for range 10 {
					time.Sleep(2 * time.Minute)
					m.pass()
				}
				m.read("orders/web/" + id)
				m.later(-back)
				time.Sleep(6 * time.Minute)
				resp, err := m.attempt("operator/orders/web/"+id, map[string]any{"never_placed": true})
				require.NoError(t, err)
				require.True(t, resp.IsError(), "believed, and the records show the order")
			})
		})
	}
}
