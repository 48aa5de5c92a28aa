// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

const aDay = 24 * time.Hour

// aheadRoles make the successor of a certificate before it is asked for (ADR 0040). CERTInext's
// certificates live for thirty days here: one is due for its renewal at the end of the nineteenth
// or in the course of the twentieth day, and its successor is made three days before that.
var aheadRoles = map[string]map[string]any{
	"ahead": role(map[string]any{"generate_lease": false, "renew_ahead": "10%"}),
	// Within the subscription that is paid for.
	"going": role(map[string]any{
		"generate_lease": false, "renew_ahead": "72h", "renewal": "reissue",
	}),
	// What is ordered under it is limited: see setBudget.
	"spare": role(map[string]any{"generate_lease": false, "renew_ahead": "10%"}),
	// Another person has to approve what is ordered.
	"sworn": role(map[string]any{
		"generate_lease": false, "renew_ahead": "20%", "require_approval": true,
		"approval_timeout": "72h",
	}),
	// Only for clients that have asked within the latest days.
	"brief": role(map[string]any{
		"generate_lease": false, "renew_ahead": "10%", "renew_ahead_for": "240h", "reuse": true,
	}),
	// For clients that lose a certificate with their lease.
	"leased": role(map[string]any{"ttl": "480h", "renew_ahead": "30%"}),
}

// aheadStart is the earliest time after its beginning at which the successor of a certificate of a
// role may be made, and aheadFor for how long after its latest answer; zero for ever.
var aheadStart = map[string]time.Duration{
	"ahead": earliestDue - 3*aDay, "going": earliestDue - 3*aDay, "spare": earliestDue - 3*aDay,
	"sworn": earliestDue - 6*aDay, "brief": earliestDue - 3*aDay, "leased": earliestDue - 9*aDay,
}

var aheadFor = map[string]time.Duration{"brief": 10 * aDay}

// earliestDue is when the renewal of a certificate is due at the earliest: when two thirds of its
// life are over, less a twentieth of it.
const earliestDue = certificateLife*2/3 - certificateLife/20

// withAhead returns a history with renewals ahead, in one of four. They have a random source of
// their own, too.
func withAhead(h History) History {
	d := &dice{
		Rand:  rand.New(rand.NewPCG(h.Seed, 6)), //nolint:gosec // it has to be repeatable
		h:     h,
		names: 200,
	}
	word := os.Getenv("SIM_TRIAL")
	if d.IntN(4) > 0 && (word == "" || !strings.Contains("renewal ahead", word)) {
		return h
	}
	h.Actions = slices.Clone(h.Actions)
	at, orderly := d.IntN(len(h.Actions)+1), d.IntN(10) < 6
	for _, a := range aheadActions(d) {
		a.Then = d.then()
		if orderly {
			a.Then = 0
		}
		if leftOut(a) {
			continue
		}
		h.Actions = slices.Insert(h.Actions, at, a)
		at = min(at+1+pick(d, 0, 0, 0, 1, 2), len(h.Actions))
	}
	return h
}

// aheadActions are those of clients that come for a certificate and come back: when it is due,
// late, or never, since Vault knows them no more.
func aheadActions(d *dice) []Action {
	first, other := aheadRequest(d), aheadRequest(d)
	act := func() Action { return aheadAction(d, pick(d, first, first, other)) }
	out := []Action{{Do: "issue", Request: first}}
	if d.IntN(3) == 0 {
		out = append(out, Action{Do: pick(d, "issue", "order"), Request: other})
	}
	for range d.IntN(3) {
		out = append(out, act())
	}
	switch d.IntN(6) {
	case 0:
		out = append(out, Action{Do: "time", For: 9 * aDay}, Action{Do: "issue", Request: first})
	case 1: // once its order is over, what is due by a wrong clock is found
		out = append(out, Action{Do: "time", For: 20 * time.Minute},
			Action{Do: "clock", For: pick(d, twoMonths, 17*aDay)},
			Action{Do: pick(d, "pass", "restart")}, Action{Do: "time", For: time.Hour},
			Action{Do: "clock"})
	}
	if d.IntN(2) == 0 { // something fails while the successor is made
		out = append(out, aheadFault(d))
	}
	out = append(out, Action{Do: "time", For: pick(d, 15*aDay, 16*aDay, 17*aDay, 17*aDay)})
	for range 1 + d.IntN(4) {
		out = append(out, act())
	}
	if d.IntN(2) == 0 {
		out = append(out, aheadFault(d))
	}
	out = append(out, Action{Do: "time", For: pick(d, 6*time.Hour, 2*aDay, 3*aDay, 16*aDay)})
	for range d.IntN(4) {
		out = append(out, act())
	}
	return out
}

// aheadRequest returns a request for a certificate that is renewed ahead.
func aheadRequest(d *dice) Request {
	d.names++
	r := Request{
		Who: pick(d, "abe", "amy"), Name: fmt.Sprintf("n%d", d.names),
		Role: pick(d, "ahead", "ahead", "ahead", "going", "going", "spare", "sworn", "brief",
			"leased"),
	}
	switch d.IntN(10) {
	case 0:
		r.Key = d.names // its successor cannot be made without the requester
	case 1:
		r.ID = fmt.Sprintf("deploy-%d", d.names) // nor that of a request with a name of its own
	}
	return r
}

func aheadAction(d *dice, r Request) Action {
	entity := Action{
		Do: "entity", How: pick(d, "gone", "disabled", "disabled", "back"),
		Request: Request{Who: r.Who},
	}
	return pick(d,
		Action{Do: "issue", Request: r}, Action{Do: "issue", Request: r},
		d.impatient(Action{Do: pick(d, "issue", "order", "async"), Request: r}),
		Action{Do: "issue", How: "force", Request: r},
		d.impatient(Action{Do: "renew", Request: r}),
		Action{Do: "collect", Request: r},
		Action{Do: pick(d, "cancel", "revoke"), How: "serial", Request: r},
		Action{Do: "lease-end", Request: r},
		Action{Do: "lease-renew", Request: r, For: 10 * aDay},
		entity, entity,
		Action{Do: "decide", How: pick(d, "approve", "approve", "reject"), Request: r},
		Action{Do: pick(d, "restart", "standby", "failover", "pass", "sync")},
		Action{Do: pick(d, "restart", "standby", "failover", "pass", "pass")},
		Action{Do: "config", How: pick(d, "paused", "write", "write")},
		Action{Do: "role", How: pick(d, "delete", "write"), Request: Request{Role: r.Role}},
		Action{Do: "clock", For: pick(d, 0, twoMonths, -twoMonths)},
		Action{Do: pick(d, "snapshot", "snapshot", "rollback")},
		Action{Do: "dry", Request: r},
		Action{Do: "steal", How: pick(d, "collect", "cancel", "renew"), Request: r},
		aheadFault(d), aheadFault(d),
		Action{Do: "time", For: pick(d, 20*time.Second, 9*time.Hour, 2*aDay)})
}

// aheadFault has something fail in the pass that makes a successor.
func aheadFault(d *dice) Action {
	switch d.IntN(4) {
	case 0:
		return Action{
			Do: "wire", At: pick(d, "> create-", "< create-", "< create-", "< reissue", "< track"),
			Bad: pick(d, "slow", "before", "crash", "crash", "html-503", "empty-202"),
			For: 20 * time.Second, Times: pick(d, 1, 1, 3),
		}
	case 1:
		return Action{
			Do: "ca", At: pick(d, "create-ssl", "track", ""), Bad: pick(d, caFaults...),
			Times: pick(d, 1, 2, 6), For: 10 * time.Second,
		}
	}
	return Action{
		Do: "disk", Bad: pick(d, "before", "after", "crash", "crash", "slow"), Skip: d.IntN(2),
		At: pick(d, "put ahead/", "delete ahead/", "get ahead/", "list ahead/", "put order/open/",
			"put order/open/", "put order/closed/", "delete order/closed/", "put cert/",
			"get cert/"),
		For: 10 * time.Second,
	}
}

// An absence is since when Vault does not let somebody ask, and how: its identity entity is gone or
// disabled.
type absence struct {
	how   string
	since time.Time
}

// doEntity has somebody's identity entity be deleted, disabled or enabled again. What is deleted
// does not come back.
func doEntity(w *world, a Action) {
	was := w.away[a.Who]
	switch {
	case was.how == "gone":
	case a.How == "back":
		delete(w.away, a.Who)
	case was.how != a.How:
		w.note("the entity of %s is %s", a.Who, a.How)
		w.away[a.Who] = absence{a.How, time.Now()}
	}
}

// isAway reports whether somebody acts whom Vault does not let in.
func isAway(w *world, a Action) bool { return w.away[a.Who].how != "" && a.Do != "entity" }

// A system is what a process may ask Vault.
type system struct {
	logical.StaticSystemView

	world *world
}

// EntityInfo returns an identity entity as it is now; nil when it is gone.
func (s *system) EntityInfo(id string) (*logical.Entity, error) {
	for name, a := range s.world.away {
		if requesters[name].entity != id {
			continue
		}
		if a.how == "gone" {
			return nil, nil
		}
		return &logical.Entity{ID: "somebody", Name: "somebody", Disabled: true}, nil
	}
	return s.EntityVal, nil
}
