// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// A Violation is a promise that was broken. Its name says which; shrinking keeps the name.
type Violation struct {
	Name string
	Text string
}

func (w *world) violate(name, format string, args ...any) {
	for _, v := range w.broken {
		if v.Name == name {
			return // one of a kind is enough
		}
	}
	v := Violation{Name: name, Text: fmt.Sprintf(format, args...)}
	w.sched.trace.line("!!! %s", v.Name)
	if w.sched.trace.text != nil {
		_, _ = io.WriteString(w.sched.trace.text, v.Text+"\n")
	}
	w.broken = append(w.broken, v)
}

// judgeBooks holds what was told and what is stored against CERTInext's books, while every lease is still live that its client
// relies on.
func (w *world) judgeBooks() {
	for _, settle := range w.doubted {
		settle()
	}
	orders := w.ca.Orders()
	w.judgeMoney(orders)
	w.judgeRecords(orders)
	w.judgeAnswers()
	w.judgeLeases()
	w.judgeUse(orders)
}

// judgeRecords: every order that CERTInext has is in a record here, and what is on record here is true there.
func (w *world) judgeRecords(orders []certinexttest.OrderRecord) {
	byNumber := make(map[string]*storedOrder)
	for _, o := range w.storedOrders() {
		if o.CAOrderID == "" {
			continue
		}
		if other := byNumber[o.CAOrderID]; other != nil && w.marks(orders, o.CAOrderID) != o.marker() && other.ID != o.ID && !w.books.word[o.CAOrderID] {
			w.violate("record/adopted-twice", "CERTInext's order %s is order %s and order %s", o.CAOrderID, other.ID, o.ID)
		}
		byNumber[o.CAOrderID] = o
	}
	for _, o := range orders {
		if !paid(o) || o.Status == "cancelled" || o.Status == "rejected" {
			continue
		}
		if byNumber[o.ID] == nil && !w.books.settled[markerIn(o)] {
			w.violate("record/orphan", "CERTInext's order %s for %s (%s) is in no record: %s", o.ID, o.Domain, o.Status, w.storyOf(o))
		}
	}
	for _, c := range w.storedCerts() {
		o := bySerial(orders, c.Serial)
		switch {
		case o == nil:
			w.violate("record/foreign", "certificate %s is none of CERTInext's", c.Serial)
		case c.Revocation != nil && o.Status != "revoked":
			w.violate("record/revoked", "certificate %s is on record as revoked, and CERTInext's order %s is %s", c.Serial, o.ID, o.Status)
		}
	}
	for _, o := range w.storedOrders() {
		at := w.numbered(orders, o.CAOrderID)
		if at == nil && o.State == "failed" {
			for _, p := range orders {
				if o.marker() != "" && markerIn(p) == o.marker() && paid(p) && !w.books.settled[o.marker()] {
					w.violate("record/failed", "order %s counts as never placed, and CERTInext has it as %s (%s)", o.ID, p.ID, p.Status)
				}
			}
		}
		if at != nil && o.State == "cancelled" && at.Status != "cancelled" && at.Status != "revoked" {
			w.violate("record/cancelled", "order %s is on record as cancelled, and CERTInext's order %s is %s", o.ID, at.ID, at.Status)
		}
	}
}

func (w *world) numbered(orders []certinexttest.OrderRecord, id string) *certinexttest.OrderRecord {
	for i := range orders {
		if orders[i].ID == id && id != "" {
			return &orders[i]
		}
	}
	return nil
}

func (w *world) marks(orders []certinexttest.OrderRecord, id string) string {
	if o := w.numbered(orders, id); o != nil {
		return markerIn(*o)
	}
	return ""
}

// judgeAnswers: what was answered is on record as it was answered.
func (w *world) judgeAnswers() {
	roles := make(map[string]string)
	for _, o := range w.storedOrders() {
		roles[o.ID] = o.Role
	}
	for _, r := range w.asked {
		for _, id := range w.clients[r].orders {
			if at := roles[id]; at != "" && at != r.Role {
				w.violate("answer/role", "%s asked role %s, and was told of order %s, which is of role %s", r.Who, r.Role, id, at)
			}
		}
	}
	for _, h := range w.books.handovers {
		switch c := w.storedCert(h.serial); {
		case c == nil:
			w.violate("record/lost", "certificate %s was handed to %s and is in no record", h.serial, h.call.who.name)
		case c.Imported:
			w.violate("record/imported", "certificate %s was handed to %s, and is on record as somebody else's", h.serial, h.call.who.name)
		}
	}
}

// judgeLeases: a lease that Vault has ended, and the plugin has taken, keeps no certificate alive. One whose time was over by a clock that was
// hours wrong counts until a right one says so (ADR 0022): whether somebody has ended it, or that clock, the plugin is not told.
func (w *world) judgeLeases() {
	for _, l := range w.vault.leases {
		id, _ := l.secret.InternalData["lease"].(string)
		if c := w.storedCert(l.serial); l.over && !l.unknown && !l.byClock && c != nil && c.Leases[id].After(w.pluginNow()) {
			w.violate("lease/ghost", "a lease on %s is over, and counts until %s", l.serial, c.Leases[id])
		}
	}
}

// judgeUse: nothing is revoked that somebody relies on and nobody asked to end.
func (w *world) judgeUse(orders []certinexttest.OrderRecord) {
	for i := range orders {
		o := &orders[i]
		if o.Status != "revoked" {
			continue
		}
		for _, serial := range o.Serials {
			if user := w.usedBy(serial); user != "" && !w.endAsked(o) {
				w.violate("use/revoked", "certificate %s for %s is revoked (%s), nobody asked for that, and it is in use: %s", serial, o.Domain, o.RevokeNote, user)
			}
		}
	}
}

// usedBy says who relies on a certificate; empty when nobody does.
func (w *world) usedBy(serial string) string {
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

// endAsked reports whether anybody asked for the end of an order or of its certificates.
func (w *world) endAsked(o *certinexttest.OrderRecord) bool {
	for name := range w.books.asked {
		if slices.Contains(o.Serials, plain(name)) {
			return true
		}
	}
	for _, s := range w.storedOrders() {
		if s.CAOrderID == o.ID && !w.books.asked[s.ID].IsZero() && s.marker() == markerIn(*o) {
			return true
		}
	}
	return false
}

// judgeEnds: at the end of all, ended leases are revocations, and no key is left.
func (w *world) judgeEnds() {
	orders := w.ca.Orders()
	for _, l := range w.vault.leases {
		o := bySerial(orders, l.serial)
		if o == nil || o.Status == "revoked" || w.usedBy(plain(l.serial)) != "" || o.Status == "expired" || len(o.Serials) > 1 || l.takenBack {
			continue
		}
		what := "lease/not-revoked"
		switch {
		case l.unknown:
			what = "lease/unstored"
		case l.ending == nil:
			continue // it is still live
		case !l.over:
			w.violate("lease/never-ends", "Vault could not end the lease on %s in %d tries: %s", l.serial, l.tries, l.ending.answered())
			continue
		}
		w.violate(what, "the last lease on %s (%s) is over, and CERTInext's order %s is %s", l.serial, o.Domain, o.ID, o.Status)
	}
	for _, key := range w.disk.sorted() {
		if strings.Contains(string(w.disk.entries[key]), "PRIVATE KEY") {
			w.violate("key/left", "a private key is left under %s when all is over", key)
		}
	}
	for _, o := range w.storedOrders() {
		if o.open {
			w.violate("rest/open", "order %s (%s, CERTInext's %s) is open when all is over: %s", o.ID, o.State, o.CAOrderID, o.LastError)
		}
	}
	if left := w.disk.under("revocation/"); len(left) > 0 {
		w.violate("rest/queue", "%s is queued when all is over", left[0])
	}
}

// believed takes note of an operator's wrong word that the engine believed. It could have known better where CERTInext's report
// shows every order at once; not when the config was gone, and nobody could look.
func (w *world) believed(id, marker string, c *call, blind bool) {
	for _, at := range w.ca.Orders() {
		if marker == "" || markerIn(at) != marker || !paid(at) {
			continue
		}
		w.books.settled[marker] = true
		p := w.books.purchases[marker]
		if !blind && p != nil && len(p.arrived) > 0 && p.arrived[0].true.Before(c.started) && w.manners.Dialect == certinexttest.Live && w.manners.ReportDelay == 0 {
			w.violate("money/never-placed", "an operator said that CERTInext never took order %s, and its report shows that as %s", id, at.ID)
		}
	}
}

// adopted takes note of an order of CERTInext's that has become one of ours by an operator's word. When it is another one, the engine could have
// known better where CERTInext's report shows that. Where it does not, nobody looks for the right one any more.
func (w *world) adopted(id string, o certinexttest.OrderRecord, shown bool) {
	if !shown {
		w.books.word[o.ID] = true
	}
	for _, s := range w.storedOrders() {
		marker := markerIn(o)
		switch {
		case s.ID != id, marker == "", marker == s.marker():
		case shown:
			w.violate("record/adopted", "an operator gave order %s the number %s, and CERTInext's report shows that that is another order", id, o.ID)
		default:
			w.books.settled[s.marker()] = true
		}
	}
}

// storyOf tells what the wire saw of an order.
func (w *world) storyOf(o certinexttest.OrderRecord) string {
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
