// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"fmt"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// aheadOf is a request for a certificate that is renewed ahead under a role.
func aheadOf(role string) Request { return Request{Who: "abe", Role: role, Name: "n1"} }

// TestHistoriesMakeSuccessorsAhead: what the oracle is to judge happens, and what must not does
// not.
func TestHistoriesMakeSuccessorsAhead(t *testing.T) {
	until := Action{Do: "time", For: 17 * aDay}
	entity := func(how string) Action {
		return Action{Do: "entity", How: how, Request: Request{Who: "abe"}}
	}
	for name, c := range map[string]struct {
		role    string
		then    []Action
		made    int // orders and reissues that were made ahead
		at      int // CERTInext's orders
		serials int // certificates of the first one
	}{
		"before it is due":             {"ahead", []Action{{Do: "time", For: 15 * aDay}}, 0, 1, 1},
		"when it is soon due":          {"ahead", []Action{until}, 1, 2, 1},
		"only one":                     {"ahead", []Action{until, {Do: "time", For: 20 * aDay}}, 1, 2, 1},
		"the next one, for who comes":  {"ahead", []Action{until, {Do: "issue", Request: aheadOf("ahead")}, until}, 2, 3, 1},
		"within the subscription":      {"going", []Action{until}, 1, 1, 2},
		"it waits for its approval":    {"sworn", []Action{{Do: "decide", How: "approve", Request: aheadOf("sworn")}, {Do: "collect", Request: aheadOf("sworn")}, until}, 1, 1, 1},
		"nobody has asked for long":    {"brief", []Action{until}, 0, 1, 1},
		"somebody has asked since":     {"brief", []Action{{Do: "time", For: 9 * aDay}, {Do: "issue", Request: aheadOf("brief")}, {Do: "time", For: 8 * aDay}}, 1, 2, 1},
		"for nobody whom Vault knows":  {"ahead", []Action{entity("gone"), until}, 0, 1, 1},
		"for nobody who is disabled":   {"ahead", []Action{entity("disabled"), until}, 0, 1, 1},
		"for one who is enabled again": {"ahead", []Action{entity("disabled"), until, entity("back"), {Do: "time", For: aDay}}, 1, 2, 1},
		"what is gone does not return": {"ahead", []Action{entity("gone"), until, entity("back"), {Do: "time", For: aDay}}, 0, 1, 1},
		"a lease that ended before":    {"leased", []Action{{Do: "lease-end", Request: aheadOf("leased")}, until}, 0, 1, 1},
		"a lease that lasts":           {"leased", []Action{until}, 1, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			actions := append([]Action{{Do: "issue", Request: aheadOf(c.role)}}, c.then...)
			within(t, actions, func(t *testing.T, w *world) {
				require.Empty(t, w.broken)
				require.Len(t, w.ahead, c.made)
				orders := w.ca.Orders()
				require.Len(t, orders, c.at)
				require.Len(t, orders[0].Serials, c.serials)
				require.Equal(t, c.role == "sworn", len(w.decisions) > 0)
			})
		})
	}
}

func TestABudgetOfWhatIsMadeAheadIsReached(t *testing.T) {
	var actions []Action
	for range budgets["spare"] + 1 {
		actions = append(actions, Action{Do: "issue", Request: aheadOf("spare")},
			Action{Do: "time", For: 19 * aDay})
	}
	within(t, actions, func(t *testing.T, w *world) {
		judgeBudget(w, w.ca.Orders())
		require.Empty(t, w.broken)
		require.Len(t, w.ca.Orders(), budgets["spare"])
		for _, o := range w.ca.Orders() {
			o.ID += "0" // as if each had been bought once more
			judgeBudget(w, append(w.ca.Orders(), o))
		}
		require.True(t, breaks(w, "money/over-budget"))
	})
}

// What is made ahead for who must not have it is seen by the oracle, whatever the engine thinks.
func TestWhatIsMadeAheadWronglyIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		days   int // that the certificate is old
		before func(w *world)
		broken string
	}{
		"as it should be":        {17, func(*world) {}, ""},
		"under another role":     {17, func(*world) {}, "ahead/role"},
		"too early":              {10, func(*world) {}, "ahead/early"},
		"of another certificate": {17, func(*world) {}, "ahead/unasked"},
		"for who is gone": {17, func(w *world) {
			w.away["abe"] = absence{"gone", time.Now().Add(-time.Hour)}
		}, "ahead/gone"},
		"for who was gone only later": {17, func(w *world) {
			w.away["abe"] = absence{"gone", time.Now()}
		}, ""},
		"while ordering is paused": {17, func(w *world) {
			w.pausedAt = time.Now().Add(-time.Hour)
		}, "money/paused"},
		"of what is to be revoked": {17, func(w *world) {
			serial := w.clients[aheadOf("ahead")].serial()
			w.books.revoked[serial] = time.Now().Add(-time.Hour)
		}, "ahead/revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, []Action{{Do: "issue", Request: aheadOf("ahead")}}, func(t *testing.T, w *world) {
				serial := w.clients[aheadOf("ahead")].serial()
				w.until(func() bool { return false }, time.Duration(c.days)*aDay)
				c.before(w)
				role := "ahead"
				if c.broken == "ahead/role" {
					role = "web"
				}
				dashed := w.storedCert(serial).Serial
				if c.broken == "ahead/unasked" {
					dashed = "00-" + dashed
				}
				noteAhead(t.Context(), w, "order/open/"+role+"/7", fmt.Appendf(nil,
					`{"id":"7","role":%q,"requester":%q,"common_name":"n1.example.com","ahead":true,"renews":%q}`,
					role, w.storedCert(serial).Requester, dashed))
				require.Equal(t, c.broken != "", len(w.broken) > 0, "%v", w.broken)
				if c.broken != "" {
					require.True(t, breaks(w, c.broken), "%v", w.broken)
				}
			})
		})
	}
}

func TestAClientThatWaitsIsSeen(t *testing.T) {
	for name, isForgotten := range map[string]bool{"it is made": false, "it is forgotten": true} {
		t.Run(name, func(t *testing.T) {
			within(t, []Action{{Do: "issue", Request: aheadOf("ahead")}}, func(t *testing.T, w *world) {
				if isForgotten {
					delete(w.disk.entries, w.disk.under("ahead/")[0])
				}
				comeBack(w)
				require.Equal(t, isForgotten, breaks(w, "ahead/waits"), "%v", w.broken)
				require.Len(t, w.ca.Orders(), 2)
			})
		})
	}
}

func TestTwoSuccessorsAreSeen(t *testing.T) {
	within(t, []Action{{Do: "issue", Request: aheadOf("ahead")}, {Do: "time", For: 17 * aDay}},
		func(t *testing.T, w *world) {
			oracle{w}.judgeAhead()
			require.Empty(t, w.broken)
			made := w.ca.Orders()[1]
			for _, a := range w.ahead {
				again := *a
				again.marker = markerIn(w.ca.Orders()[0])
				w.ahead["again"] = &again // as if the first order had been made for the same one
				require.Equal(t, markerIn(made), a.marker)
				break
			}
			oracle{w}.judgeAhead()
			require.True(t, breaks(w, "ahead/twice"))
		})
}

func TestTheSpendReportIsComparedWithTheBooks(t *testing.T) {
	for name, c := range map[string]struct {
		tamper func(w *world)
		broken string
	}{
		"it says the same": {func(*world) {}, ""},
		"an order is in no record": {func(w *world) {
			delete(w.disk.entries, w.disk.under("order/")[0])
		}, "spend/books"},
		"nothing is shown for what is not known": {func(w *world) {
			judgeUnknown(w, map[string]any{
				"orders": 2, "expected": "unknown", "charged": "0.00", "refunded": "unknown",
			})
		}, "spend/zero"},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, []Action{
				{Do: "issue", Request: theOrder},
				{Do: "issue", Request: aheadOf("going")},
				{Do: "time", For: 17 * aDay},
			}, func(t *testing.T, w *world) {
				c.tamper(w)
				judgeSpending(w)
				require.Equal(t, c.broken != "", len(w.broken) > 0, "%v", w.broken)
				if c.broken != "" {
					require.True(t, breaks(w, c.broken), "%v", w.broken)
				}
				truth := spentIn(w)
				require.Equal(t, 2, truth.Orders)
				require.Equal(t, 1, truth.Reissues)
				require.Equal(t, unknownMoney, truth.Charged)
			})
		})
	}
}

// TestWhatWasSpentIsWhatTheBooksSay plays histories of which the report has to tell that something was paid back, refused, or charged.
func TestWhatWasSpentIsWhatTheBooksSay(t *testing.T) {
	reissued := Request{Who: "ann", Role: "rekey", Name: "n1"}
	for name, h := range map[string]History{
		"an order that was cancelled is paid back": {
			Manners: Manners{Priced: true, Approval: true, TokenTTL: time.Hour},
			Actions: []Action{
				{Do: "order", Request: theOrder},
				{Do: "cancel", Request: theOrder},
				{Do: "issue", Request: Request{Who: "ann", Role: "web", Name: "n2"}},
			},
		},
		"a reissue that was refused": {
			Manners: Manners{Priced: true, Dialect: certinexttest.Documented, TokenTTL: time.Hour},
			Actions: []Action{{Do: "issue", Request: reissued}, {Do: "reissue", Request: reissued}},
		},
		"a reissue": {
			Manners: Manners{Priced: true, TokenTTL: time.Hour},
			Actions: []Action{{Do: "issue", Request: reissued}, {Do: "reissue", Request: reissued}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h.Seed, h.Orderly = 1, true
			require.Empty(t, run(t, h, nil, nil).Broken)
		})
	}
}
