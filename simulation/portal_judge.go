// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// watchPortal checks that no order is changed that was placed in the portal, unless an operator has
// had it adopted. text is the request as it is sent, which names the order.
func watchPortal(w *world, name, text string) {
	if !changesOrders(name) || strings.HasPrefix(name, "create-") {
		return
	}
	for number := range w.upkeep.portal.numbers {
		if number == "" || !strings.Contains(text, number) || w.books.typed[number] {
			continue
		}
		if !isAdopted(w, number) {
			w.violate("portal/changed", "%s was sent for CERTInext's order %s, which was placed "+
				"in the portal, and which no role has adopted", name, number)
		}
	}
}

// isAdopted reports whether a role has adopted an order of CERTInext's, by what is stored.
func isAdopted(w *world, number string) bool {
	return slices.ContainsFunc(everyOrder(w), func(o *storedOrder) bool {
		return o.CAOrderID == number && !o.AdoptedAt.IsZero()
	})
}

// judgePortal checks that no order of the mount is taken for one that was placed in the portal, and
// that what has happened there is known once the mount had the time to look.
func judgePortal(w *world) {
	p := &w.upkeep.portal
	if p.client == nil || w.runaway() {
		return
	}
	for _, s := range w.storedOrders() {
		if _, theirs := p.numbers[s.CAOrderID]; theirs && s.AdoptedAt.IsZero() &&
			s.Reissue == nil && !w.books.typed[s.CAOrderID] {
			w.violate("portal/taken", "order %s has the number %s, which was given in the portal",
				s.ID, s.CAOrderID)
		}
	}
	if w.upkeep.interval == 0 {
		return
	}
	before := time.Now()
	for range 4 {
		w.until(func() bool { return false }, w.upkeep.interval/2+time.Minute)
		w.pass()
		w.until(w.idle, longestCall)
	}
	w.until(func() bool { return !isSyncing(w) }, 10*time.Minute)
	if isSyncing(w) {
		w.violate("sync/never-ends", "a synchronization is under way ten minutes later: %s",
			w.disk.entries["sync"])
		return
	}
	judgeNoticed(w, before)
}

// judgeNoticed checks that the mount knows what was issued and revoked before a moment.
func judgeNoticed(w *world, before time.Time) {
	known := make(map[string]*storedCert)
	for _, c := range w.storedCerts() {
		known[plain(c.Serial)] = c
	}
	for _, o := range w.ca.Orders() {
		ahead := time.Duration(w.caAhead.Load())
		if len(o.Serials) == 0 {
			continue
		}
		c, changed := known[last(o.Serials)], o.IssuedAt
		if !o.RevokedAt.IsZero() {
			changed = o.RevokedAt
		}
		if !changed.Add(-ahead).Before(before) {
			continue
		}
		switch {
		case o.Status == "issued" && c == nil && w.upkeep.portal.has(&o) && !w.misissued:
			w.violate("sync/missed", "CERTInext has issued order %s in the portal, and the mount "+
				"does not know its certificate %s: %s", o.ID, last(o.Serials),
				w.disk.entries["sync"])
		case o.Status == "revoked" && c != nil && c.Revocation == nil:
			w.violate("sync/unnoticed", "CERTInext's order %s is revoked since %s, and the mount "+
				"does not know that: %s", o.ID, o.RevokedAt, w.disk.entries["sync"])
		}
	}
}

// isSyncing reports whether a synchronization is under way, by what is stored.
func isSyncing(w *world) bool {
	var st struct{ State string }
	_ = json.Unmarshal(w.disk.entries["sync"], &st)
	return st.State == "running"
}

// endSyncing has the account's records be looked at no more, and checks that this has come to an
// end.
func endSyncing(w *world) {
	if w.upkeep.interval > 0 {
		w.upkeep.interval = 0
		w.mustWrite("config", configOf(w, ""))
		w.until(func() bool { return !isSyncing(w) }, 10*time.Minute)
	}
	if isSyncing(w) {
		w.violate("rest/sync", "a synchronization is under way at the end: %s",
			w.disk.entries["sync"])
	}
}
