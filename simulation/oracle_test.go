// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"context"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// These tests show that the oracle excuses no more than it says: each has what it excuses beside
// what it does not.

// within plays a history up to the calm, and has look look at the world that it leaves behind.
func within(t *testing.T, actions []Action, look func(t *testing.T, w *world)) {
	t.Helper()
	cryptotest.SetGlobalRandom(t, 1)
	h := History{
		Seed: 1, Orderly: true, Actions: actions, Manners: Manners{TokenTTL: time.Hour},
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(h, nil, nil)
		for _, a := range h.Actions {
			w.do(a)
			w.proceed(a.Then)
		}
		look(t, w)
		w.end()
	})
}

func breaks(w *world, name string) bool { return Outcome{Broken: w.broken}.breaks(name) }

// theOrder is an order that the tests place.
var theOrder = Request{Who: "ann", Role: "web", Name: "n1"}

func TestARestoredEntryIsOfTheVersionThatItHadInTheSnapshot(t *testing.T) {
	for name, c := range map[string]struct {
		doings []string
		future bool
	}{
		"of today's":       {[]string{"snapshot", "future", "rollback"}, false},
		"of a later one's": {[]string{"future", "snapshot", "present", "rollback"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			actions := []Action{{Do: "order", Request: theOrder}}
			for _, do := range c.doings {
				actions = append(actions, Action{Do: do, At: "order/open/"})
			}
			within(t, actions, func(t *testing.T, w *world) {
				key := w.disk.under("order/open/")[0]
				watchFuture(w, key, []byte("{}"))
				require.Equal(t, c.future, breaks(w, "future/rewritten"))
			})
		})
	}
}

func TestWhatARestoredMountKnowsIsWhatItsRecordsMark(t *testing.T) {
	within(t, []Action{
		{Do: "order", Request: theOrder},
		{Do: "snapshot"},
		{Do: "order", Request: Request{Who: "ann", Role: "web", Name: "n2"}},
		{Do: "rollback"},
	}, func(t *testing.T, w *world) {
		orders := w.ca.Orders()
		require.Len(t, orders, 2)
		require.False(t, w.unknown[orders[0].ID])
		require.True(t, w.unknown[orders[1].ID])
		key := w.disk.under("order/open/")[0]
		record := string(w.disk.entries[key])
		require.Contains(t, record, orders[0].ID)
		w.disk.entries[key] = []byte(strings.ReplaceAll(record, orders[0].ID, orders[1].ID))
		forget(w)
		require.False(t, w.unknown[orders[0].ID], "it is the record's, whatever its number")
		require.True(t, w.unknown[orders[1].ID], "another order's record has its number")
	})
}

func TestAnotherOrderIsExcusedByACancellationOfTheFirstAlone(t *testing.T) {
	for name, isAsked := range map[string]bool{"cancelled": true, "not cancelled": false} {
		t.Run(name, func(t *testing.T) {
			within(t, []Action{
				{Do: "misissue", Bad: "missing-name"},
				{Do: "wire", At: "> revoke", Bad: "empty-204"},
				{Do: "snapshot"},
				{Do: "issue", Request: theOrder},
				{Do: "cancel", Request: theOrder},
				{Do: "issue", Request: theOrder},
				{Do: "rollback"},
			}, func(t *testing.T, w *world) {
				require.Len(t, w.ca.Orders(), 2)
				require.Empty(t, w.disk.under("order/"), "the mount knows neither")
				if !isAsked {
					clear(w.books.asked)
				}
				oracle{w}.judgeMoney(w.ca.Orders())
				require.Equal(t, !isAsked, breaks(w, "money/again"))
			})
		})
	}
}

func TestASynchronizedCertificateWasDeliveredByNobodyHere(t *testing.T) {
	const key = "cert/01"
	for entry, delivered := range map[string]bool{
		`{"serial":"01","ca_order_id":"7","delivery":{}}`:                 true,
		`{"serial":"01","ca_order_id":"7","delivery":{},"imported":true}`: false,
	} {
		within(t, nil, func(t *testing.T, w *world) {
			w.books.stored(context.Background(), key, []byte(entry))
			require.Equal(t, delivered, !w.books.delivered["7"].zero(), entry)
		})
	}
}

// toApprove is an order that the approver decides on.
var toApprove = Request{Who: "ann", Role: "asked", Name: "n1"}

// placeAsIf sends the order that waits to CERTInext, as an engine would that has let it go on.
func placeAsIf(w *world, by *call) {
	o := w.storedOrders()[0]
	watchApproval(w, by, "create-ssl", o.marker())
}

func TestWhatIsSentUnapprovedIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		before []Action
		broken bool
	}{
		"nobody has approved it":                   {nil, true},
		"somebody has":                             {[]Action{{Do: "decide", How: "approve", Request: toApprove}}, false},
		"before the snapshot that was restored":    {[]Action{{Do: "snapshot"}, {Do: "decide", How: "approve", Request: toApprove}, {Do: "rollback"}}, true},
		"and the snapshot was taken after that":    {[]Action{{Do: "decide", How: "approve", Request: toApprove}, {Do: "snapshot"}, {Do: "rollback"}}, false},
		"whoever has asked for it has approved it": {[]Action{{Do: "decide", How: "self", Request: toApprove}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, append([]Action{{Do: "order", Request: toApprove}}, c.before...), func(t *testing.T, w *world) {
				require.False(t, breaks(w, "approval/missing"))
				placeAsIf(w, nil)
				require.Equal(t, c.broken, breaks(w, "approval/missing"))
				require.False(t, breaks(w, "approval/self"))
			})
		})
	}
}

func TestAnApprovalThatComesTooLateIsSeen(t *testing.T) {
	for late, wait := range map[bool]time.Duration{false: 29 * time.Hour, true: 31 * time.Hour} {
		within(t, []Action{{Do: "order", Request: toApprove}}, func(t *testing.T, w *world) {
			time.Sleep(wait)
			c := decide(w, "asked", w.storedOrders()[0].ID, "approve", approver)
			placeAsIf(w, c)
			require.Equal(t, late, breaks(w, "approval/late"))
			require.False(t, breaks(w, "approval/missing"))
		})
	}
}
