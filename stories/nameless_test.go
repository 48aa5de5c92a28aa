// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// An answer that names no order says nothing of the one that was asked for.
func TestAnAnswerThatNamesNoOrderIsNotBelieved(t *testing.T) {
	nameless := func(status string) certinexttest.Fault {
		return certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultWrongStatus, OrderStatus: status}
	}
	t.Run("about an order that is to be reissued", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m, first := reissuing(t, "842")
			m.ca.Inject(nameless("issued"))
			resp, err := m.attempt("orders/web/"+first.Data["order_id"].(string)+"/reissue", nil)
			require.NoError(t, err)
			require.True(t, resp.IsError())
			require.Zero(t, m.ca.Calls()[certinexttest.OpReissue])
		})
	})
	t.Run("about a number that an operator gives", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ca := validated(certinexttest.Live)
			ca.ReportDelay = time.Hour
			m := newMount(t, ca)
			id := m.unresolved(certinexttest.FaultLostReply)
			ca.Inject(nameless("issued"))
			m.refused("operator/orders/web/"+id, map[string]any{"ca_order_id": ca.Orders()[0].ID})
		})
	})
	t.Run("about an open order", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ca := validated(certinexttest.Live)
			ca.HoldForApproval = true
			m := newMount(t, ca)
			o := m.write("orders/web", www).Data
			ca.Inject(nameless("issued"))
			time.Sleep(time.Hour)
			m.pass()
			require.NotEqual(t, "issued", m.read("orders/web/" + o["order_id"].(string)).Data["ca_status"])
			require.Zero(t, ca.Calls()[certinexttest.OpCertificate])
		})
	})
}

// What an order that is over waits for is told with the time that it takes.
func TestAnEndThatNamesNoOrderSaysForHowLongItWaits(t *testing.T) {
	for dialect, want := range map[certinexttest.Dialect]string{certinexttest.Live: "20 seconds", certinexttest.V1: "1 day"} {
		t.Run(dialect.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(dialect)
				ca.HoldForApproval = true
				m := newMount(t, ca)
				o := m.write("orders/web", www).Data
				require.NoError(t, ca.Reject(o["ca_order_id"].(string), "no"))
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultWrongStatus, OrderStatus: "rejected", Named: dialect != certinexttest.V1})
				time.Sleep(time.Hour)
				m.pass()
				needs := m.read("orders/web/" + o["order_id"].(string)).Data["needs"].([]string)
				require.Contains(t, strings.Join(needs, " "), "at least "+want)
			})
		})
	}
}
