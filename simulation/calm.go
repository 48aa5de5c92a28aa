// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
)

// calm ends the storm: nothing fails any more, every client is answered, and an operator settles
// what is in doubt.
func (w *world) calm() {
	w.note("--- calm ---")
	w.clearUp()
	if w.upkeep.held {
		doHold(w, Action{How: "off"})
	}
	doPresent(w, Action{})
	setClock(w, w.caAhead.Load())
	if w.upkeep.tidies {
		validateAll(w) // years may have passed
	}
	for _, ca := range servers(w) {
		ca.VerifyDomain("hand.example")
		ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = false })
	}
	if !w.until(w.idle, longestCall+time.Minute) {
		return
	}
	w.pausedAt = time.Time{}
	w.setUp()
	eachAccount(w, func(string) { answerAll(w) })
	eachAccount(w, func(account string) { discardDrafts(w, account) })
	for _, r := range w.asked {
		k := w.clients[r]
		if k.wants && k.finished == "" && w.away[r.Who].how == "" && !(oracle{w}).misled(k) {
			w.violate("wish/never-answered",
				"%s asked for %s until the end; the last answer was: %s", r.Who, r.commonName(),
				k.refusal)
		}
	}
}

// answerAll has each client ask until it is answered, and an operator settle what is in doubt.
func answerAll(w *world) {
	const rounds = 14
	for round := range rounds {
		if w.runaway() {
			return
		}
		w.pass()
		w.until(func() bool { return false }, 2*time.Minute)
		w.until(w.idle, longestCall)
		doApprove(w, Action{})
		again := approveAll(w)
		for _, r := range w.asked {
			if k := w.clients[r]; k.wants && k.finished == "" && w.away[r.Who].how == "" {
				again++
				w.askAgain(k)
				w.until(w.idle, longestCall)
			}
		}
		if round >= 2 {
			again += w.settle() + releaseHeld(w)
		}
		if round == rounds-3 && approveAll(w) > 0 {
			// What a restored snapshot has brought back expires once records would show it.
			w.until(func() bool { return false }, time.Hour)
		}
		if again == 0 && round > 4 {
			return
		}
	}
}

// misled reports whether nobody can answer a client: it asks for the renewal of what the mount has
// forgotten or erased, or an operator assigned the number of another order to its order when
// CERTInext's report did not show it. Then it waits for a certificate that is not its own, until
// the operator corrects that.
func (w oracle) misled(k *client) bool {
	serial, renewal := strings.CutPrefix(k.request.ID, "renew:")
	c := w.storedCert(serial)
	if renewal && len(w.rollbacks) > 0 && (c == nil || c.Imported) {
		return true // the restored mount does not know what is to be renewed
	}
	if renewal && w.upkeep.certs[strings.ReplaceAll(serial, ":", "-")] != nil {
		return true // it has expired, and was tidied
	}
	if strings.Contains(k.refusal, "had already expired when it came") {
		return true // it was issued for a clock that is right by now: whoever asks is told
	}
	if strings.Contains(k.refusal, "for another key") {
		return true // the order is about to be over, which it says
	}
	o := w.storedOrder(k.order())
	return o != nil && w.books.unverified[o.CAOrderID] &&
		w.marks(ordersOf(w.world), o.CAOrderID) != o.marker()
}

// askAgain has a client repeat its request.
func (w *world) askAgain(k *client) {
	k.refusal = ""
	done := func(c *call) {
		w.learn(k, c)
		// Version 1 never certifies a key twice, whatever became of the first attempt.
		if over(k.refusal) || (k.key != nil && strings.Contains(k.refusal, "EMS-1099")) {
			k.finished = k.refusal
		}
	}
	if serial, ok := strings.CutPrefix(k.request.ID, "renew:"); ok {
		w.send(&call{
			what: "renew " + k.request.Name, op: logical.UpdateOperation,
			path: "renew/" + k.request.Role + "/" + serial, data: map[string]any{},
			who: requesters[k.request.Who], request: &k.request, answer: done,
		})
		return
	}
	w.ask(k, "issue", nil).answer = done
}

// over reports whether a refusal is final and tells the client what to do.
func over(refusal string) bool {
	for _, words := range []string{
		"use another name", "is revoked", "has expired",
		"already names another request", "which is a draft", "is rejected: by",
		"auto_renew=false",
	} {
		if strings.Contains(refusal, words) {
			return true
		}
	}
	return false
}

// settle has an operator look up every order in doubt in CERTInext's books and resolve it
// truthfully. It returns the number of such orders.
func (w *world) settle() int {
	n := 0
	for _, o := range w.storedOrders() {
		if !o.open || (o.State != "unresolved" && o.State != "placing") {
			continue
		}
		n++
		w.send(&call{
			what: "settle", op: logical.UpdateOperation,
			path: "operator/orders/" + o.Role + "/" + o.ID, data: truthOf(w, o), who: operator,
		})
		w.until(w.idle, longestCall)
	}
	return n
}

// truthOf is what an operator writes who has looked for an order in CERTInext's books.
// A reissue has neither number nor marker of its own there: the engine finds out whether it was
// taken.
func truthOf(w *world, o *storedOrder) map[string]any {
	if o.Reissue != nil {
		return map[string]any{"never_placed": true}
	}
	for _, at := range ordersOf(w) {
		if at.ID != "" && o.marker() != "" && markerIn(at) == o.marker() {
			return map[string]any{"ca_order_id": at.ID}
		}
	}
	return map[string]any{"never_placed": true}
}

// discardDrafts deletes the drafts of an account that were not promoted.
func discardDrafts(w *world, account string) {
	for _, o := range w.storedOrders() {
		who, known := requesters[w.books.told[o.ID]]
		if o.open && o.State == "draft" && strings.EqualFold(o.Account, account) {
			if !known {
				who = operator
			}
			w.books.ask(o.ID)
			discard := &call{
				what: "discard", op: logical.DeleteOperation,
				path: "orders/" + o.Role + "/" + o.ID, who: who,
			}
			if who == operator {
				discard.op, discard.path = logical.UpdateOperation, "operator/"+discard.path
				discard.data = map[string]any{"end": true}
			}
			c := w.send(discard)
			w.until(w.idle, longestCall)
			if c.err == nil && c.resp.IsError() {
				// CERTInext no longer has the draft, which an operator sees in its portal.
				w.send(&call{
					what: "settle", op: logical.UpdateOperation,
					path: "operator/orders/" + o.Role + "/" + o.ID,
					data: truthOf(w, o), who: operator,
				})
				w.until(w.idle, longestCall)
			}
		}
	}
}

// twilight lets enough time pass that every lease and every wait is over.
func (w *world) twilight() {
	w.note("--- twilight ---")
	rounds := 40 + 10*len(w.elsewhere)
	for round := range rounds {
		if w.runaway() {
			return
		}
		goRound(w, round)
		w.until(func() bool { return false }, 5*time.Hour)
		w.pass()
		w.until(w.idle, longestCall)
		releaseHeld(w) // what was held only now, after its chain was asked for again and again
	}
	outlive(w)
	goRound(w, -1)
	for range 4 {
		w.until(func() bool { return false }, 40*time.Minute)
		w.pass()
		w.until(w.idle, longestCall)
	}
}

// rest checks that an idle mount neither writes nor calls CERTInext.
func (w *world) rest() {
	w.until(func() bool { return false }, time.Hour)
	w.pass() // what a role's last change, or a last synchronization, has left to do
	w.until(func() bool { return false }, time.Hour)
	writes, calls := w.disk.writes, w.wireCalls.Load()
	for range 3 {
		w.pass()
		w.until(func() bool { return false }, 50*time.Minute)
	}
	if n := w.disk.writes - writes; n > 0 {
		w.violate("rest/writes",
			"a mount where nothing happens was written to %d times in three passes", n)
	}
	if n := w.wireCalls.Load() - calls; n > 0 {
		w.violate("rest/calls",
			"a mount where nothing happens asked CERTInext %d times in three passes", n)
	}
}
