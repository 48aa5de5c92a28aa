// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

const twoMonths = 60 * 24 * time.Hour

// clockTrials set the plugin's clock two months ahead or back, while there are open orders,
// delivered keys, leases and certificates that nobody has fetched: for a while, or for as long as
// any window lasts.
var clockTrials = []trial{
	{"two months off", 4, func(d *dice) []Action {
		out := []Action{{Do: "clock", For: pick(d, twoMonths, -twoMonths, -twoMonths)}}
		if d.IntN(3) == 0 {
			out = nil // it is wrong only later
		}
		for range 2 + d.IntN(4) {
			r := d.fresh(pick(d, "web", "web", "bare", "hasty", "hasty", "rekey", "hand", "inside"))
			out = append(out, Action{Do: pick(d, "issue", "order", "async"), Request: r})
			if d.IntN(3) == 0 {
				out = append(out, Action{Do: pick(d, "issue", "collect", "renew"), Request: r})
			}
		}
		out = append(out, Action{Do: "clock", For: pick(d, twoMonths, -twoMonths)})
		if d.IntN(3) == 0 {
			out = append(out, Action{Do: pick(d, "restart", "sync")})
		}
		for range 2 {
			out = append(out,
				Action{Do: "time", For: pick(d, 6*time.Minute, 9*time.Hour, 12*24*time.Hour)},
				pick(d, Action{Do: "pass"}, Action{Do: "issue", Request: d.known()},
					Action{Do: "lease-end", Request: d.known()},
					Action{Do: "revoke", Request: d.known(), How: "serial"}))
		}
		if d.IntN(2) == 0 {
			out = append(out, Action{Do: "clock"}) // or else only when it is calm
		}
		return out
	}},
}

// noteSkew records since when the plugin's clock and CERTInext's differ by more than an hour.
func noteSkew(w *world) {
	skew := time.Duration(w.pluginAhead.Load() - w.caAhead.Load())
	switch {
	case skew.Abs() <= time.Hour:
		w.skewedSince.Store(nil)
	case w.skewedSince.Load() == nil:
		now := time.Now()
		w.skewedSince.Store(&now)
	}
}

// inDoubt reports whether the plugin's clock was in doubt for all of a call, so that time alone
// decides nothing in it that cannot be undone (ADR 0022).
func inDoubt(w *world, by *call) bool {
	since := w.skewedSince.Load()
	return by != nil && since != nil && by.started.After(*since)
}

// watchKey checks that no key is erased, and nothing is held, because of time while the clock is in
// doubt.
func watchKey(ctx context.Context, w *world, key string, before, after []byte) {
	id, open := strings.CutPrefix(key, "order/open/")
	if !open || !inDoubt(w, callOf(ctx)) {
		return
	}
	if w.books.closedBefore(id, *w.skewedSince.Load()) {
		return // and storage did not take all of that
	}
	was, is := new(storedOrder), new(storedOrder)
	_, _ = json.Unmarshal(before, was), json.Unmarshal(after, is)
	if is.Held && !was.Held && !w.misissued {
		w.violate("clock/held", "order %s is held while the clock is wrong, and CERTInext has "+
			"made no mistake", is.ID)
	}
	if was.PrivateKey == "" || is.PrivateKey != "" {
		return
	}
	o := oracle{w}.numbered(ordersOf(w), was.CAOrderID)
	if o == nil || o.Status != "issued" || endWanted(w, was.CAOrderID, o.Serials) {
		return
	}
	for _, serial := range o.Serials {
		if !w.queuedAt[serial].IsZero() {
			return // it is to be revoked, and may not be handed over any more
		}
	}
	if !slices.Contains(o.Keys, keyHash(was.PrivateKey)) {
		return // CERTInext was never asked to certify it, or has refused to
	}
	c := certOf(w, was.ID)
	if c != nil && hasOutlived(w, callOf(ctx), c) {
		return
	}
	w.violate("clock/erased", "the key of order %s (%s) was erased while the clock is wrong",
		was.ID, o.ID)
}

// endWanted reports whether anybody wants an order of CERTInext's, or one of its certificates, to
// end: a client or operator has asked for it, or a lease on it was ended or handed back.
func endWanted(w *world, number string, serials []string) bool {
	for _, s := range everyOrder(w) {
		if s.CAOrderID == number && !w.books.asked[s.ID].IsZero() {
			return true
		}
	}
	for _, l := range w.vault.leases {
		if slices.Contains(serials, plain(l.serial)) && (l.ending != nil || l.handedBack) {
			return true
		}
	}
	for name := range w.books.asked {
		if slices.Contains(serials, plain(name)) {
			return true
		}
	}
	return false
}

// watchRevocation checks that nothing is revoked because of time while the clock is in doubt. text
// is the request as it is sent, which names the order.
func watchRevocation(w *world, by *call, name, text string) {
	if name != "revoke" || !inDoubt(w, by) || by.op != logical.RollbackOperation {
		return
	}
	for _, o := range ordersOf(w) {
		if o.ID == "" || !strings.Contains(text, o.ID) || endWanted(w, o.ID, o.Serials) {
			continue
		}
		queued := slices.ContainsFunc(o.Serials, func(serial string) bool {
			at := w.queuedAt[serial]
			return w.outlived[serial] || (!at.IsZero() && at.Before(*w.skewedSince.Load()))
		})
		if !queued {
			w.violate("clock/revoked", "CERTInext's order %s is revoked while the clock is wrong, "+
				"and nobody has asked for that", o.ID)
		}
	}
}

// noteQueued records since when the revocation of a certificate is queued, and whether that was
// done when its key's time was over by what has really passed.
func noteQueued(w *world, by *call, key string, before, after []byte) {
	serial, queue := strings.CutPrefix(key, "revocation/")
	switch {
	case !queue:
	case after == nil:
		delete(w.queuedAt, plain(serial))
		delete(w.outlived, plain(serial))
	case before == nil:
		w.queuedAt[plain(serial)] = time.Now()
		c := w.storedCert(serial)
		w.outlived[plain(serial)] = c != nil && c.Role != "" && hasOutlived(w, by, c)
	}
}
