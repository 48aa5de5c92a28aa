// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"time"
)

// rollbackTrials restore a snapshot of Vault, and go back to an earlier version of the plugin.
//
// A restored snapshot knows nothing of what has happened since: who asks again may buy again, and a
// lease that was renewed ends as it would have. What it must not do is to end what it does not
// know, to send an order again that was sent since, or to buy without being asked.
var rollbackTrials = []trial{
	{"snapshot restored", 4, func(d *dice) []Action {
		r := d.fresh(pick(d, "web", "bare", "hasty", "hand", "rekey"))
		if d.IntN(3) == 0 {
			r = d.named(r)
		}
		later := d.fresh(pick(d, "web", "bare", "hasty"))
		act := func() Action {
			return pick(d,
				Action{Do: "issue", Request: r},
				Action{Do: "issue", Request: later},
				Action{Do: "collect", Request: pick(d, r, later)},
				Action{Do: "cancel", Request: pick(d, r, later)},
				Action{Do: "revoke", Request: pick(d, r, later), How: "serial"},
				Action{Do: "reissue", Request: r},
				Action{Do: "renew", Request: r},
				Action{Do: "lease-end", Request: pick(d, r, later)},
				Action{Do: "lease-renew", Request: r, For: 12 * time.Hour},
				Action{Do: "sync"},
				Action{Do: "pass"},
				Action{Do: "time", For: pick(d, 20*time.Second, 6*time.Minute, 9*time.Hour)})
		}
		var out []Action
		if d.IntN(3) > 0 {
			out = append(out, Action{Do: pick(d, "issue", "order", "async"), Request: r})
		} else { // in the middle of the placement
			out = append(out, Action{
				Do: "wire", At: pick(d, "> create-", "< create-"),
				Bad: pick(d, "slow", "before", "crash"), For: 20 * time.Second,
			},
				Action{Do: "issue", Request: r})
		}
		out = append(out, Action{Do: "snapshot"}, Action{Do: "issue", Request: later})
		for range 1 + d.IntN(4) {
			out = append(out, act())
		}
		out = append(out, Action{Do: "rollback"})
		for range 1 + d.IntN(4) {
			out = append(out, act())
		}
		return out
	}},
	{"version rolled back", 2, func(d *dice) []Action {
		r := d.fresh(pick(d, "web", "bare", "hasty", "hand"))
		return []Action{
			{Do: pick(d, "issue", "order"), Request: r},
			{Do: "future", At: pick(d, "role/", "order/open/", "order/closed/", "cert/", "config")},
			{Do: pick(d, "issue", "collect", "cancel", "show"), Request: r},
			{Do: pick(d, "pass", "sync", "lease-end", "revoke"), Request: r, How: "serial"},
			{Do: "time", For: pick(d, 6*time.Minute, 9*time.Hour)},
			{
				Do:      pick(d, "issue", "collect", "cancel", "show"),
				Request: pick(d, r, d.fresh(r.Role)),
			},
			{Do: "present"},
		}
	}},
}

// A snapshot is a copy of Vault's storage: the mount's entries, and Vault's leases.
type snapshot struct {
	entries map[string][]byte
	leases  map[*lease]lease
}

func doSnapshot(w *world, _ Action) {
	w.note("a snapshot is taken")
	w.snapshot = &snapshot{maps.Clone(w.disk.entries), make(map[*lease]lease)}
	for _, l := range w.vault.leases {
		w.snapshot.leases[l] = *l
	}
}

// doRollback restores the latest snapshot, as an operator does: every process ends before it.
func doRollback(w *world, _ Action) {
	if w.snapshot == nil {
		return
	}
	w.note("the snapshot is restored")
	if w.standby != nil {
		w.kill(w.standby)
		w.procs = append(w.procs, w.standby)
		w.standby = nil
	}
	w.kill(w.active)
	w.disk.entries = maps.Clone(w.snapshot.entries)
	w.vault.leases = slices.DeleteFunc(w.vault.leases, func(l *lease) bool {
		was, there := w.snapshot.leases[l]
		if there {
			*l = was
		}
		return !there
	})
	w.rollbacks, w.pausedAt = append(w.rollbacks, time.Now()), time.Time{}
	clear(w.queuedAt)
	w.books.forgetClosing()
	for _, key := range w.disk.under("revocation/") {
		noteQueued(w, nil, key, nil, w.disk.entries[key])
	}
	forget(w)
	forgetDecisions(w)
	restoreVersions(w)
	w.active = w.start(false)
	w.procs = append(w.procs, w.active)
}

// forget records which orders the mount does not know any more. A number alone says nothing of a
// record: CERTInext may have answered with another order's, even with one that it gave away later.
func forget(w *world) {
	stored := w.storedOrders()
	for _, o := range ordersOf(w) {
		w.unknown[o.ID] = !slices.ContainsFunc(stored, func(s *storedOrder) bool {
			return s.marker() == markerIn(o)
		})
	}
}

// restoreVersions records which of the restored entries are of a later version. Each is as it was
// when the snapshot was taken, whatever has become of it since.
func restoreVersions(w *world) {
	clear(w.future)
	for key, value := range w.disk.entries {
		if bytes.Contains(value, laterVersion) {
			w.future[key] = value
		}
	}
}

// watchUnknown checks that no order is changed that the mount does not know any more. text is the
// request as it is sent, which names the order.
func watchUnknown(w *world, name, text string) {
	if len(w.rollbacks) == 0 || !changesOrders(name) || strings.HasPrefix(name, "create-") {
		return
	}
	for _, o := range ordersOf(w) {
		if o.ID != "" && w.unknown[o.ID] && strings.Contains(text, o.ID) && !w.books.typed[o.ID] &&
			!endWanted(w, o.ID, o.Serials) {
			w.violate("rollback/changed", "%s was sent for CERTInext's order %s, of which the "+
				"restored mount knows nothing", name, o.ID)
		}
	}
}

// beforeRollback reports whether something happened before the snapshot was restored, so that the
// mount may know nothing of it.
func beforeRollback(w *world, at time.Time) bool {
	return len(w.rollbacks) > 0 && !at.After(last(w.rollbacks))
}

// laterVersion is the version of entries that a later release of the plugin has written.
var thisVersion, laterVersion = []byte(`"version":1,`), []byte(`"version":7,`)

// doFuture has an entry be one of a later version, as after the plugin was rolled back.
func doFuture(w *world, a Action) {
	keys := slices.DeleteFunc(w.disk.under(a.At), func(key string) bool {
		return !bytes.Contains(w.disk.entries[key], thisVersion)
	})
	if len(keys) == 0 {
		return
	}
	key := keys[len(keys)-1]
	w.note("%s is of a later version", key)
	w.kill(w.active)
	w.disk.entries[key] = bytes.Replace(w.disk.entries[key], thisVersion, laterVersion, 1)
	w.future[key] = w.disk.entries[key]
	w.active = w.start(false)
	w.procs = append(w.procs, w.active)
}

// doPresent has the later version of the plugin take over again.
func doPresent(w *world, _ Action) {
	if len(w.future) == 0 {
		return
	}
	w.note("the later version takes over again")
	w.kill(w.active)
	for key := range w.future {
		w.disk.entries[key] = bytes.Replace(w.disk.entries[key], laterVersion, thisVersion, 1)
	}
	clear(w.future)
	w.active = w.start(false)
	w.procs = append(w.procs, w.active)
}

// watchFuture checks that an entry of a later version stays as it is.
func watchFuture(w *world, key string, after []byte) {
	if is := w.future[key]; is != nil && !bytes.Equal(is, after) {
		w.violate("future/rewritten", "%s is of a later version, and was written or deleted", key)
		delete(w.future, key)
	}
}
