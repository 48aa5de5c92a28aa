// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
)

// An aheadOrder is an order that the engine has made before it was asked for, as it was first
// stored.
type aheadOrder struct {
	request Request // that it is made for
	renews  string  // the certificate that it succeeds
	marker  string
	at      time.Time
}

// noteAhead records an order that is made ahead, and checks that it may be, when its intent is
// stored for the first time: its requester is there, the certificate that it succeeds was handed to
// that requester, is not over, and will be due soon.
func noteAhead(ctx context.Context, w *world, key string, value []byte) {
	if value == nil || !strings.HasPrefix(key, "order/open/") {
		return
	}
	o := new(storedOrder)
	if json.Unmarshal(value, o) != nil || !o.Ahead || w.ahead[o.key()] != nil {
		return
	}
	a := &aheadOrder{
		request: Request{Who: nameOf(o.Requester), Role: o.Role, Name: firstLabel(o.CommonName)},
		renews:  o.Renews, marker: o.marker(), at: time.Now(),
	}
	if o.Reissue != nil {
		a.marker = "" // which is its parent's
	}
	w.ahead[o.key()] = a
	by := callOf(ctx)
	if by != nil && by.op != logical.RollbackOperation {
		w.violate("ahead/by-request", "%s made order %s ahead of the request for it", by.what, o.ID)
	}
	judgeIntent(w, o, a, by)
}

// judgeIntent is the part of noteAhead that checks.
func judgeIntent(w *world, o *storedOrder, a *aheadOrder, by *call) {
	since := a.at.Add(-5 * time.Minute) // longer than a pass takes from its look to the intent
	if by != nil {
		since = by.started
	}
	if aheadRoles[o.Role] == nil {
		w.violate("ahead/role", "order %s was made ahead, and its role %s does not say so", o.ID,
			o.Role)
		return
	}
	if gone := w.away[a.request.Who]; gone.how != "" && gone.since.Before(since) {
		w.violate("ahead/gone", "order %s was made ahead for %s, whose entity is %s since %s", o.ID,
			a.request.Who, gone.how, gone.since)
	}
	if paused := w.pausedAt; !paused.IsZero() && paused.Before(since) {
		w.violate("money/paused", "order %s was made ahead although ordering is paused since %s",
			o.ID, paused)
	}
	c := w.storedCert(a.renews)
	if c == nil || c.Imported || c.Requester != o.Requester || c.Role != o.Role {
		w.violate("ahead/unasked", "order %s was made ahead to succeed %s, which is not its "+
			"requester's", o.ID, a.renews)
		return
	}
	asked, revoked := lastHandover(w, c), w.books.revoked[withColons(c.Serial)]
	soonest := c.NotBefore.Add(aheadStart[o.Role])
	caNow := a.at.Add(time.Duration(w.caAhead.Load()))
	switch limit := aheadFor[o.Role]; {
	case asked.IsZero() && len(w.rollbacks) == 0:
		w.violate("ahead/unasked", "order %s was made ahead to succeed %s, which was handed to "+
			"nobody", o.ID, a.renews)
	case !revoked.IsZero() && revoked.Before(since) && !beforeRollback(w, revoked):
		w.violate("ahead/revoked", "order %s was made ahead to succeed %s, which is to be revoked",
			o.ID, a.renews)
	case caNow.Before(soonest):
		w.violate("ahead/early", "order %s was made ahead to succeed %s at %s, which may not be "+
			"before %s", o.ID, a.renews, caNow, soonest)
	case limit > 0 && w.leapt.Load() == 0 && a.at.After(asked.Add(limit+time.Hour)):
		w.violate("ahead/late", "order %s was made ahead at %s to succeed %s, for which nobody "+
			"has asked since %s", o.ID, a.at, a.renews, asked)
	}
}

// lastHandover is when an answer last held a certificate; zero when none has. When the process has
// died between storing that it is handed over and the answer, nobody there can tell whether that
// has reached its client, and the certificate counts as handed over.
func lastHandover(w *world, c *storedCert) time.Time {
	var at time.Time
	if d := w.books.delivered[c.CAOrderID]; d.serial == c.Serial && d.by != nil && d.by.gone {
		at = d.true
	}
	for _, h := range w.books.handovers {
		if plain(h.serial) == plain(c.Serial) && h.at.true.After(at) {
			at = h.at.true
		}
	}
	return at
}

// nameOf returns the name of the requester that an order's record names.
func nameOf(stored string) string {
	for name, r := range requesters {
		if r.entity != "" && strings.HasSuffix(stored, r.entity) {
			return name
		}
	}
	return stored
}

func firstLabel(name string) string {
	first, _, _ := strings.Cut(name, ".")
	return first
}

func withColons(serial string) string { return strings.ReplaceAll(serial, "-", ":") }

// madeAhead returns the order that was made ahead and has a marker; nil when there is none.
func madeAhead(w *world, marker string) *aheadOrder {
	for _, a := range w.ahead {
		if marker != "" && a.marker == marker {
			return a
		}
	}
	return nil
}

// judgeAhead checks that no certificate has two successors that were made ahead, and that nothing
// is made beside an order that is under way.
func (w oracle) judgeAhead() {
	orders := ordersOf(w.world)
	judgeBudget(w.world, orders)
	made := make(map[string][]*certinexttest.OrderRecord)
	for i := range orders {
		o := &orders[i]
		a := madeAhead(w.world, markerIn(*o))
		if a == nil || !paid(*o) || w.neighbour.has(o) {
			continue
		}
		key := a.request.Role + "/" + a.renews
		made[key] = append(made[key], o)
	}
	for key, of := range made {
		slices.SortStableFunc(of, func(a, b *certinexttest.OrderRecord) int {
			return a.CreatedAt.Compare(b.CreatedAt)
		})
		for i := 1; i < len(of); i++ {
			one, two := madeAhead(w.world, markerIn(*of[i-1])), madeAhead(w.world, markerIn(*of[i]))
			forgotten := slices.ContainsFunc(w.rollbacks, func(back time.Time) bool {
				return one.at.Before(back) && two.at.After(back)
			})
			if !forgotten && !w.books.settled[one.marker] {
				w.violate("ahead/twice", "%s and %s were both bought ahead to succeed %s",
					of[i-1].ID, of[i].ID, key)
			}
		}
	}
}

// judgeBeside checks that nothing was bought ahead while an earlier order of the same request was
// neither over nor handed over.
func (w oracle) judgeBeside(first, next *certinexttest.OrderRecord) {
	one, two := w.books.purchases[markerIn(*first)], w.books.purchases[markerIn(*next)]
	at := two.arrived[0]
	if w.overBefore(first, next) || w.books.settled[one.marker] ||
		slices.ContainsFunc(w.rollbacks, func(back time.Time) bool {
			return !one.arrived[0].true.After(back) && at.true.After(back)
		}) {
		return
	}
	handed := w.books.delivered[first.ID] // as storage has it
	if handed.zero() && at.within(pickupOf(w.world, first), one.arrived[0]) &&
		len(w.books.takenBack[first.ID]) == 0 {
		w.violate("ahead/beside", "%s was bought ahead while %s, for the same names, was neither "+
			"over nor handed over", next.ID, first.ID)
	}
}

// pickupOf returns how long an order keeps its certificate for its client: one that was made ahead
// keeps it until the certificate that it succeeds has expired.
func pickupOf(w *world, o *certinexttest.OrderRecord) time.Duration {
	p := w.books.purchases[markerIn(*o)]
	a := madeAhead(w, markerIn(*o))
	if a == nil || len(p.arrived) == 0 {
		if p != nil && p.call != nil && p.call.request != nil {
			return pickup(p.call.request.Role)
		}
		return pickup("")
	}
	long := pickup(a.request.Role)
	if c := w.storedCert(a.renews); c != nil {
		long = max(long, c.NotAfter.Sub(p.arrived[0].true)-time.Hour)
	}
	return long
}

// comeBack has each client of a role that renews ahead come back when its certificate is due, once
// nothing fails any more: what it asks for is there, or its policy says why it is not.
func comeBack(w *world) {
	if !renewsAhead(w) || w.runaway() {
		return
	}
	w.note("--- clients come back ---")
	waiting := slices.DeleteFunc(slices.Clone(w.asked), func(r Request) bool {
		return !isExpected(w, r)
	})
	const step = 12 * time.Hour
	for end := time.Now().Add(26 * aDay); time.Now().Before(end) && !w.runaway(); {
		w.until(func() bool { return false }, step)
		w.pass()
		w.until(w.idle, longestCall)
		doApprove(w, Action{})
		approveAll(w)
		waiting = slices.DeleteFunc(waiting, func(r Request) bool {
			k := w.clients[r]
			if time.Now().Before(k.renewAfter) {
				return false
			}
			comesBack(w, k)
			return true
		})
	}
}

// renewsAhead reports whether a mount has a role that renews ahead.
func renewsAhead(w *world) bool {
	return slices.ContainsFunc(w.roles, func(name string) bool { return aheadRoles[name] != nil })
}

// isExpected reports whether a request's client is one whose successor the engine has to make: it
// is there, and its certificate is the newest for its names, was handed over, and is still good.
func isExpected(w *world, r Request) bool {
	k := w.clients[r]
	if aheadRoles[r.Role] == nil || aheadFor[r.Role] > 0 || r.Role == "leased" || r.ID != "" ||
		r.Key != 0 || w.away[r.Who].how != "" || w.deleted[r.Role] || k.serial() == "" {
		return false
	}
	c := w.storedCert(k.serial())
	if c == nil || c.Imported || c.Revocation != nil || len(c.Held) > 0 || c.Delivery == nil ||
		c.RenewedBy != "" || c.ReissuedAs != "" || c.LeaseEnded ||
		!k.renewAfter.After(time.Now().Add(aDay)) {
		return false
	}
	for _, other := range w.storedCerts() {
		if other.Serial != c.Serial && other.Role == c.Role && other.Requester == c.Requester &&
			!other.delivered().Before(c.delivered()) {
			return false
		}
	}
	return !endWanted(w, c.CAOrderID, []string{plain(c.Serial)})
}

// comesBack has one client ask for the successor of its certificate.
func comesBack(w *world, k *client) {
	before, bought, open := k.serial(), len(w.books.markers), openFor(w, k)
	c := w.ask(k, "issue", nil)
	w.until(w.idle, longestCall)
	if c.text("certificate") == "" && k.request.Role == "spare" &&
		strings.Contains(k.refusal, `budget "spare"`) {
		return // which is all that a policy allows
	}
	if c.text("certificate") == "" || k.serial() == before || len(w.books.markers) > bought {
		w.violate("ahead/waits", "%s came for the successor of %s when it was due, which was not "+
			"there: %s (%s; refused ahead: %q)", k.request.Who, before, c.answered(), open,
			aheadRefused(w, before))
	}
}

// openFor describes the open orders of a client's role.
func openFor(w *world, k *client) string {
	var out []string
	for _, o := range w.storedOrders() {
		if o.open && o.Role == k.request.Role {
			out = append(out, o.ID+" "+o.State)
		}
	}
	return "open: " + strings.Join(out, ", ")
}

// aheadRefused is why the successor of a certificate could not be made ahead.
func aheadRefused(w *world, serial string) string {
	if c := w.storedCert(serial); c != nil {
		return c.AheadRefused
	}
	return ""
}

// outlive lets the time pass in which certificates are renewed ahead, so that nothing is due any
// more.
func outlive(w *world) {
	for round := range 70 {
		if !renewsAhead(w) || w.runaway() {
			return
		}
		open := slices.ContainsFunc(w.storedOrders(), func(o *storedOrder) bool { return o.open })
		if len(w.disk.under("ahead/")) == 0 && !open {
			return
		}
		// An order that was placed in the last hours of another account is waited for there.
		goRound(w, round)
		w.until(func() bool { return false }, aDay)
		w.pass()
		w.until(w.idle, longestCall)
		doApprove(w, Action{})
		approveAll(w)
		releaseHeld(w)
	}
	if left := w.disk.under("ahead/"); len(left) > 0 {
		w.violate("rest/ahead", "%s is still to be made after two months", left[0])
	}
}
