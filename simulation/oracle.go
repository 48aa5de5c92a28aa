// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// A Violation is a broken promise. Name identifies the promise; shrinking a history keeps it.
type Violation struct {
	Name string
	Text string
}

func (w *world) violate(name, format string, args ...any) {
	for _, v := range w.broken {
		if v.Name == name {
			return // the first of each kind is enough
		}
	}
	v := Violation{Name: name, Text: fmt.Sprintf(format, args...)}
	w.sched.trace.line("!!! %s", v.Name)
	if w.sched.trace.text != nil {
		_, _ = io.WriteString(w.sched.trace.text, v.Text+"\n")
	}
	w.broken = append(w.broken, v)
}

// An oracle judges a world by its books: what was bought, handed over, revoked and recorded.
type oracle struct{ *world }

// judgeBooks compares what clients were told, and what is stored, with CERTInext's books, while
// every lease that its client relies on is still live.
func (w oracle) judgeBooks() {
	for _, settle := range w.pendingChecks {
		settle()
	}
	orders := ordersOf(w.world)
	w.judgeMoney(orders)
	judgeBudget(w.world, orders)
	w.judgeRecords(orders)
	judgeAllWhole(w.world)
	judgeNeighbour(w.world, orders)
	w.judgeAnswers()
	w.judgeLeases()
	w.judgeUse(orders)
}

// judgeOrphans checks that every order of CERTInext has a record in the mount. An order whose
// number CERTInext has answered wrongly has one once the mount was given the time to find out.
func (w oracle) judgeOrphans() {
	recorded := make(map[string]bool)
	for _, o := range everyOrder(w.world) {
		recorded[o.CAOrderID] = true
	}
	for _, o := range ordersOf(w.world) {
		if !paid(o) || o.Status == "cancelled" || o.Status == "rejected" ||
			isForeign(w.world, &o) {
			continue
		}
		if !recorded[o.ID] && !w.unknown[o.ID] && !w.books.settled[markerIn(o)] {
			w.violate("record/orphan", "CERTInext's order %s for %s (%s) is in no record: %s", o.ID,
				o.Domain, o.Status, w.storyOf(o))
		}
	}
}

// judgeRecords checks that the records of the mount are true.
func (w oracle) judgeRecords(orders []certinexttest.OrderRecord) {
	byNumber := make(map[string]*storedOrder)
	for _, o := range w.storedOrders() {
		if o.CAOrderID == "" {
			continue
		}
		if other := byNumber[o.CAOrderID]; other != nil &&
			w.marks(orders, o.CAOrderID) != o.marker() && other.ID != o.ID &&
			!w.books.unverified[o.CAOrderID] && !isReissueOfAdopted(w.world, other, o) {
			w.violate("record/adopted-twice",
				"CERTInext's order %s belongs to order %s and to order %s", o.CAOrderID, other.ID,
				o.ID)
		}
		byNumber[o.CAOrderID] = o
	}
	for _, c := range w.storedCerts() {
		o := bySerial(orders, c.Serial)
		switch {
		case o == nil:
			w.violate("record/foreign", "certificate %s is not CERTInext's", c.Serial)
		case c.Revocation != nil && o.Status != "revoked":
			w.violate("record/revoked",
				"certificate %s is on record as revoked, and CERTInext's order %s is %s", c.Serial,
				o.ID, o.Status)
		}
	}
	for _, o := range w.storedOrders() {
		at := w.numbered(orders, o.CAOrderID)
		if at == nil && o.State == "failed" {
			for _, p := range orders {
				if o.marker() != "" && markerIn(p) == o.marker() && paid(p) &&
					!w.books.settled[o.marker()] {
					w.violate("record/failed",
						"order %s counts as never placed, and CERTInext has it as %s (%s)", o.ID,
						p.ID, p.Status)
				}
			}
		}
		if at != nil && o.State == "cancelled" &&
			at.Status != "cancelled" && at.Status != "revoked" {
			w.violate("record/cancelled",
				"order %s is on record as cancelled, and CERTInext's order %s is %s", o.ID, at.ID,
				at.Status)
		}
	}
}

func (w oracle) numbered(orders []certinexttest.OrderRecord, id string) *certinexttest.OrderRecord {
	for i := range orders {
		if orders[i].ID == id && id != "" {
			return &orders[i]
		}
	}
	return nil
}

func (w oracle) marks(orders []certinexttest.OrderRecord, id string) string {
	if o := w.numbered(orders, id); o != nil {
		return markerIn(*o)
	}
	return ""
}

// judgeAnswers checks that what clients were told is on record.
func (w oracle) judgeAnswers() {
	roles := make(map[string]string)
	for _, o := range w.storedOrders() {
		roles[o.ID] = o.Role
	}
	for _, r := range w.asked {
		for _, id := range w.clients[r].orders {
			if at := roles[id]; at != "" && at != r.Role {
				w.violate("answer/role",
					"%s used role %s, and was told of order %s, which belongs to role %s", r.Who,
					r.Role, id, at)
			}
		}
	}
	for _, h := range w.books.handovers {
		if beforeRollback(w.world, h.call.started) {
			continue
		}
		switch c := w.storedCert(h.serial); {
		case w.upkeep.certs[strings.ReplaceAll(h.serial, ":", "-")] != nil:
			// It was erased, and may have been synchronized since.
		case c == nil:
			w.violate("record/lost", "certificate %s was delivered to %s, but is not on record",
				h.serial, h.call.who.name)
		case c.Imported:
			w.violate("record/imported",
				"certificate %s was delivered to %s, but is on record as imported", h.serial,
				h.call.who.name)
		}
	}
}

// judgeLeases checks that a lease which Vault has ended, and whose end the plugin has accepted,
// keeps no certificate alive. If the lease was over only by a clock that was hours wrong, it counts
// until a correct clock agrees (ADR 0022): the plugin cannot tell whether a client or that clock
// ended it.
func (w oracle) judgeLeases() {
	for _, l := range w.vault.leases {
		id, _ := l.secret.InternalData["lease"].(string)
		c := w.storedCert(l.serial)
		if l.over && !l.unknown && !l.byClock && c != nil && c.Leases[id].After(w.pluginNow()) {
			w.violate("lease/ghost", "a lease on %s is over, and counts until %s", l.serial,
				c.Leases[id])
		}
	}
}

// judgeUse checks that no certificate is revoked which a client relies on, unless its end was
// requested.
func (w oracle) judgeUse(orders []certinexttest.OrderRecord) {
	for i := range orders {
		o := &orders[i]
		ahead := time.Duration(w.caAhead.Load())
		if o.Status != "revoked" || beforeRollback(w.world, o.RevokedAt.Add(-ahead)) {
			continue
		}
		for _, serial := range o.Serials {
			if user := w.usedBy(serial); user != "" && !w.endAsked(o) {
				w.violate("use/revoked",
					"certificate %s for %s is revoked (%s) without a request, and it is in use: %s",
					serial, o.Domain, o.RevokeNote, user)
			}
		}
	}
}

// usedBy describes who relies on a certificate; empty if it is not in use.
func (w oracle) usedBy(serial string) string {
	for _, l := range w.vault.leases {
		if plain(l.serial) == serial && l.live() {
			return l.who.name + " has a live lease"
		}
	}
	for _, h := range w.books.handovers {
		if plain(h.serial) == serial && h.heard && h.call.resp.Secret == nil {
			return h.call.who.name + " has it without a lease"
		}
	}
	return ""
}

// endAsked reports whether the end of an order or of one of its certificates was requested.
func (w oracle) endAsked(o *certinexttest.OrderRecord) bool {
	for name := range w.books.asked {
		if slices.Contains(o.Serials, plain(name)) {
			return true
		}
	}
	for _, s := range everyOrder(w.world) {
		if s.CAOrderID == o.ID && !w.books.asked[s.ID].IsZero() &&
			(s.marker() == markerIn(*o) || !s.AdoptedAt.IsZero()) {
			return true
		}
	}
	return false
}

// judgeEnds checks, at the end of the history, that leases that have ended led to revocations, and
// that no key, open order or queued revocation is left.
func (w oracle) judgeEnds() {
	w.judgeOrphans()
	orders := ordersOf(w.world)
	for _, l := range w.vault.leases {
		o := bySerial(orders, l.serial)
		if l.unknown && beforeRollback(w.world, l.answer.started) {
			continue // neither Vault nor the mount knows of it any more
		}
		if o == nil || o.Status == "revoked" || o.Status == "expired" || len(o.Serials) > 1 ||
			w.usedBy(plain(l.serial)) != "" || l.takenBack {
			continue
		}
		what := "lease/not-revoked"
		switch c := w.storedCert(l.serial); {
		case l.unknown && c != nil && c.Delivery == nil:
			continue // it was handed back, and the plugin has died before it could say so
		case l.unknown:
			what = "lease/unstored"
		case l.ending == nil:
			continue // it is still live
		case !l.over:
			w.violate("lease/never-ends", "Vault could not end the lease on %s in %d tries: %s",
				l.serial, l.tries, l.ending.answered())
			continue
		}
		w.violate(what, "the last lease on %s (%s) is over, and CERTInext's order %s is %s",
			l.serial, o.Domain, o.ID, o.Status)
	}
	for _, key := range w.disk.sorted() {
		if strings.Contains(string(w.disk.entries[key]), "PRIVATE KEY") && !isKept(w.world, key) {
			w.violate("key/left", "a private key is left under %s at the end", key)
		}
	}
	for _, o := range w.storedOrders() {
		if o.open {
			w.violate("rest/open", "order %s (%s, CERTInext's %s) is open at the end: %s", o.ID,
				o.State, o.CAOrderID, o.LastError)
		}
	}
	if left := w.disk.under("revocation/"); len(left) > 0 {
		w.violate("rest/queue", "%s is queued at the end", left[0])
	}
}

// believed records that the engine accepted an operator's false statement. If CERTInext's report
// shows every order at once, the engine could have known better, unless blind says that the config
// was deleted and the report could not be read.
func (w oracle) believed(id, marker string, c *call, blind bool) {
	for _, at := range ordersOf(w.world) {
		if marker == "" || markerIn(at) != marker || !paid(at) {
			continue
		}
		w.books.settled[marker] = true
		p := w.books.purchases[marker]
		shown := p != nil && len(p.arrived) > 0 && p.arrived[0].true.Before(c.started) &&
			w.manners.Dialect == certinexttest.Live && w.manners.ReportDelay == 0
		if !blind && shown {
			w.violate("money/never-placed",
				"an operator said that CERTInext never accepted order %s, but its report shows it "+
					"as %s",
				id, at.ID)
		}
	}
}

// adopted records that an order of CERTInext's was assigned to an order of the mount on an
// operator's word. If it is the wrong one, the engine could have known better when CERTInext's
// report showed that. If it did not, the engine does not look for the right one any more.
func (w oracle) adopted(id string, o certinexttest.OrderRecord, shown bool) {
	if !shown {
		w.books.unverified[o.ID] = true
	}
	for _, s := range w.storedOrders() {
		marker := markerIn(o)
		switch {
		case s.ID != id, marker == "", marker == s.marker():
		case shown:
			w.violate("record/adopted",
				"an operator gave order %s the number %s, which CERTInext's report shows to be "+
					"another order",
				id, o.ID)
		default:
			w.books.settled[s.marker()] = true
		}
	}
}

// storyOf describes what was sent to CERTInext for an order.
func (w oracle) storyOf(o certinexttest.OrderRecord) string {
	p := w.books.purchases[markerIn(o)]
	if p == nil {
		return "it was never sent"
	}
	who := "the background"
	if p.call != nil {
		who = p.call.actor + " (" + p.call.who.name + ", " + p.call.what + ")"
	}
	return fmt.Sprintf("%s sent it %d times", who, len(p.arrived))
}
