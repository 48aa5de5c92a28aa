// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// A policy defines what counts as one purchase. The zero value is the design of ADR 0020; each
// field relaxes a part of it, to find what else is broken while that part is.
type policy struct {
	FlightsBuy bool // two requests in flight at the same time may place two orders
	AnswersBuy bool // repeating a request that was answered may place another order
}

// judgeMoney checks that the same request is one purchase.
func (w oracle) judgeMoney(orders []certinexttest.OrderRecord) {
	type purchaser struct {
		Request
		at *certinexttest.Server // each account has its own orders
	}
	bought := make(map[purchaser][]certinexttest.OrderRecord)
	seen := make(map[string]bool)
	for _, o := range orders {
		if !paid(o) || isForeign(w.world, &o) {
			continue
		}
		marker := markerIn(o)
		if seen[marker] {
			w.violate("money/sent-twice",
				"the order with the marker %s is in CERTInext's books twice", marker)
		}
		seen[marker] = true
		p := w.books.purchases[marker]
		if a := madeAhead(w.world, marker); a != nil {
			by := purchaser{a.request, serverOf(w.world, o.ID)}
			bought[by] = append(bought[by], o)
			continue
		}
		if p == nil || p.call == nil || p.call.request == nil {
			w.violate("money/unasked", "no request asked for CERTInext's order %s for %s: %s", o.ID,
				o.Domain, w.storyOf(o))
			continue
		}
		by := purchaser{*p.call.request, serverOf(w.world, o.ID)}
		bought[by] = append(bought[by], o)
	}
	for _, r := range w.asked {
		for _, at := range servers(w.world) {
			of := bought[purchaser{r, at}]
			slices.SortStableFunc(of, func(a, b certinexttest.OrderRecord) int {
				return a.CreatedAt.Compare(b.CreatedAt)
			})
			for i := 1; i < len(of); i++ {
				if madeAhead(w.world, markerIn(of[i])) != nil {
					w.judgeBeside(&of[i-1], &of[i])
					continue
				}
				w.judgeRepeat(r, &of[i-1], &of[i])
			}
		}
	}
}

// judgeRepeat checks whether a request could place another order after an earlier one.
func (w oracle) judgeRepeat(r Request, first, next *certinexttest.OrderRecord) {
	one, two := w.books.purchases[markerIn(*first)], w.books.purchases[markerIn(*next)]
	at, pickup := two.arrived[0], pickupOf(w.world, first)
	if slices.ContainsFunc(w.rollbacks, func(back time.Time) bool {
		return !one.arrived[0].true.After(back) && at.true.After(back)
	}) {
		return // the mount has forgotten the first one
	}
	if w.overBefore(first, next) || w.books.settled[one.marker] {
		return
	}
	if one.call == two.call {
		w.violate("money/one-call", "one call bought %s and %s for %s: %s", first.ID, next.ID,
			r.commonName(), two.call.what)
		return
	}
	if strings.HasPrefix(r.ID, "renew:") && w.books.delivered[first.ID].zero() &&
		!at.within(pickup, one.arrived[0]) {
		return // the renewed certificate was not delivered
	}
	if r.ID != "" && !w.upkeep.hasErased(first.ID) { // see judgeErasedOrder
		w.violate("money/named", "the request named %q of %s bought %s and %s", r.ID, r.Who,
			first.ID, next.ID)
	}
	if r.ID != "" {
		return
	}
	if judgeBesideCA(w.world, r, first, next, two.call, at) {
		return
	}
	if w.policy().FlightsBuy && w.overlapped(r) {
		return
	}
	answer := w.handed(r, first, at)
	handed, before := answer != nil, moment{}
	if handed {
		before = answer.at
	}
	window := grace(r.Role)
	if answersWithKept(r, two.call) && !isRenewedByName(w.world, first) {
		window = 48 * time.Hour // no history is as long as a certificate need not be renewed
	}
	stored := w.books.delivered[first.ID]
	if slices.ContainsFunc(w.rollbacks, func(back time.Time) bool {
		return at.true.Before(back) && stored.true.After(back)
	}) {
		stored = storedDelivery{} // a restored snapshot brought it back after it was over
	}
	accepted := window
	if two.call.forced() {
		accepted = 0
	}
	if w.books.seemedHanded(first.ID, two.call.began, accepted) {
		return
	}
	switch {
	case !stored.zero() && one.call != nil && two.call.proc == one.call.proc &&
		two.call.began.before(stored.moment):
		w.violate("money/waited", "%s asked while %s was in flight, and bought %s", r.Who, first.ID,
			next.ID)
		return
	case two.call.forced() && (handed || (!stored.zero() && !at.true.Before(stored.true))):
		return
	case handed && (w.policy().AnswersBuy || window == 0 ||
		!at.withinAnswer(window, before, answer.call) ||
		w.forgotten(first, answer.call, at, window)):
		return
	case handed:
		w.violate("money/repeated", "%s received %s at %s, asked again, and bought %s %s later",
			r.Who, first.ID, w.since(before), next.ID, at.true.Sub(before.true))
		return
	}
	if !stored.zero() && !at.true.Before(stored.true) &&
		w.mayHaveArrived(first, stored, at, window) {
		if window == 0 || !at.withinAnswer(window, stored.moment, stored.by) ||
			w.policy().AnswersBuy {
			return
		}
		w.violate("money/unheard",
			"the answer with %s did not reach %s, which asked again and bought %s %s later",
			first.ID, r.Who, next.ID, at.true.Sub(stored.true))
		return
	}
	if !at.within(pickup, one.arrived[0]) {
		return
	}
	w.violate("money/again",
		"%s bought %s at %s and %s at %s for %s, and the first was neither over nor delivered",
		r.Who, first.ID, w.since(one.arrived[0]), next.ID, w.since(at), r.commonName())
}

// forgotten reports whether an answer was too long ago according to storage, and the process that
// knew better has died.
func (w oracle) forgotten(
	o *certinexttest.OrderRecord, answered *call, at moment, window time.Duration,
) bool {
	return answered.proc.dead.Load() && at.plugin.After(w.books.stamped[o.ID].Add(window))
}

// mayHaveArrived reports whether an answer with an order's certificate may have reached its caller
// before a moment. It has not if the caller had hung up before, or if Vault has handed the lease
// back, and the plugin knows that.
func (w oracle) mayHaveArrived(
	o *certinexttest.OrderRecord, d storedDelivery, before moment, window time.Duration,
) bool {
	for _, h := range w.books.handovers {
		if slices.Contains(o.Serials,
			plain(h.serial)) && !h.at.true.After(before.true) && !w.vault.tookBack(h.call, window) {
			return true
		}
	}
	return d.by == nil || !d.by.done.Load() || d.by.excused || d.by.proc.dead.Load() ||
		!w.lastStruck.Before(d.true)
}

// overlapped reports whether two calls of one request were ever in progress at the same time.
func (w oracle) overlapped(r Request) bool {
	var last *call
	for _, c := range w.calls {
		if c.request == nil || *c.request != r {
			continue
		}
		if last != nil && (last.ended.IsZero() || !last.ended.Before(c.started)) {
			return true
		}
		last = c
	}
	return false
}

// overBefore reports whether an order had ended at CERTInext, or its end had been requested, when
// the next one was bought.
func (w oracle) overBefore(first, next *certinexttest.OrderRecord) bool {
	then := next.CreatedAt
	for _, end := range []time.Time{first.CancelledAt, first.RejectedAt, first.RevokedAt} {
		if !end.IsZero() && !end.After(then) {
			return true
		}
	}
	at := w.books.purchases[markerIn(*next)].arrived[0].true
	if w.books.isOtherKeys(first.ID, at) {
		return true
	}
	for _, serial := range first.Serials {
		for name, asked := range w.books.asked {
			if plain(name) == serial && !asked.After(at) {
				return true
			}
		}
		for name, over := range w.books.overSince {
			if plain(name) == serial && !over.After(at) {
				return true
			}
		}
	}
	isAsked := func(id string) bool {
		asked := w.books.asked[id]
		return !asked.IsZero() && !asked.After(at)
	}
	// Its own record may be gone with a snapshot that was restored after both were bought.
	return isAsked(w.books.purchases[markerIn(*first)].id) ||
		slices.ContainsFunc(everyOrder(w.world), func(o *storedOrder) bool {
			return o.CAOrderID == first.ID && isAsked(o.ID)
		})
}

// handed returns the last answer before a moment that contained the certificate of an order and
// reached the request's client; nil if there is none. A certificate that was reissued within the
// order is a different one, with its own key and window (ADR 0013): collecting it does not answer
// the first request.
func (w oracle) handed(r Request, o *certinexttest.OrderRecord, before moment) *handover {
	var last *handover
	for i, h := range w.books.handovers {
		if h.call.request == nil || *h.call.request != r || !h.heard ||
			!slices.Contains(o.Serials, plain(h.serial)) || h.at.true.After(before.true) {
			continue
		}
		if last == nil || !h.at.true.Before(last.at.true) {
			last = &w.books.handovers[i]
		}
	}
	return last
}

func (w oracle) since(m moment) string { return fmt.Sprint(m.true.Sub(w.sched.trace.begun)) }

func (w oracle) policy() policy { return thePolicy }
