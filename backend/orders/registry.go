// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A registry is what the engine keeps in memory of its open orders: enough to find them without reading storage, and to
// see to it that one at a time works on each. Storage is the truth; the registry is filled from it once, and knows better only
// while storage refuses to take what has happened.
type registry struct {
	mu       sync.Mutex
	loaded   bool
	loading  chan struct{}       // closed when whoever fills the registry is done; nil when nobody does
	outdated int                 // counts the times that storage has changed elsewhere
	orders   map[string]*tracked // by order id

	unreadable []string // storage keys of entries that could not be decoded
}

// tracked is one open order.
type tracked struct {
	id               string
	role             string
	fingerprint      string
	namesFingerprint string // see orderEntry.twin; empty for most
	marker           string // its Idempotency-Key, which the marker is made of
	number           string // CERTInext's; empty until it is known
	named            bool   // has a request_id: found by id, never by fingerprint
	created          time.Time
	busy             chan struct{} // closed when the present holder lets go; nil when there is none
	attempts         int           // of the background pass since the order last changed
	next             time.Time     // when the background pass looks at it again

	unsaved *orderEntry // what storage could not take; nil when storage knows all
	unsent  bool        // CERTInext has certainly not been told of it
	handed  *handed     // what this process knows of answers that held the certificate; nil when there was none

	stored     string    // the serial number of its certificate, which this process has stored and handed over once
	futureSeen time.Time // when this process first saw that CERTInext was asked later than now, by a clock set right since
}

// handed is what the registry knows of a certificate that was handed over.
type handed struct {
	serial   string // with dashes
	delivery certificates.Delivery
}

// load fills the registry from storage, once. After a failover that may take seconds, which everybody waits for only as long
// as its own request lasts.
func (r *registry) load(ctx context.Context, s logical.Storage) error {
	for {
		r.mu.Lock()
		if r.loaded {
			r.mu.Unlock()
			return nil
		}
		if others := r.loading; others != nil {
			r.mu.Unlock()
			select {
			case <-others:
				continue
			case <-ctx.Done():
				return stillLoading(ctx)
			}
		}
		done, state := make(chan struct{}), r.outdated
		r.loading = done
		r.mu.Unlock()

		err := r.read(ctx, s)

		r.mu.Lock()
		r.loading = nil
		r.loaded = err == nil && r.outdated == state
		r.mu.Unlock()
		close(done)
		if err != nil && ctx.Err() != nil {
			return stillLoading(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// stillLoading is the answer to a request whose time was over before the open orders were read. What was read is kept, so that the next one
// goes on from there.
func stillLoading(ctx context.Context) error {
	return &fault.RefusedError{Err: fmt.Errorf("the mount's open orders are still being read, as after every start: ask again in a moment (%w)", ctx.Err())}
}

// read adds what storage holds and the registry does not.
func (r *registry) read(ctx context.Context, s logical.Storage) error {
	roles, err := store.List(ctx, s, OpenPrefix)
	if err != nil {
		return err
	}
	for _, role := range roles {
		if err := r.readRole(ctx, s, strings.TrimSuffix(role, "/")); err != nil {
			return err
		}
	}
	return nil
}

func (r *registry) readRole(ctx context.Context, s logical.Storage, role string) error {
	ids, err := store.List(ctx, s, OpenPrefix+role+"/")
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, known := r.status(id); known {
			continue
		}
		key := OpenPrefix + role + "/" + id
		e, err := s.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("reading %s: %w", key, err)
		}
		if e != nil {
			r.take(e)
		}
	}
	return nil
}

// take adds the order of a stored entry. One that cannot be read must not keep all others from going on.
func (r *registry) take(e *logical.StorageEntry) {
	o := new(orderEntry)
	err := e.DecodeJSON(o)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case err != nil:
		r.unreadable = append(r.unreadable, e.Key)
	case r.orders[o.ID] == nil:
		r.add(&tracked{id: o.ID, role: o.Role}).describe(o)
	}
}

// add makes t known. The caller holds mu.
func (r *registry) add(t *tracked) *tracked {
	if r.orders == nil {
		r.orders = make(map[string]*tracked)
	}
	r.orders[t.id] = t
	return t
}

// describe takes over what an order's entry says that it is found by.
func (t *tracked) describe(o *orderEntry) {
	t.fingerprint, t.namesFingerprint, t.marker = o.Fingerprint, o.namesFingerprint(), o.Placement.IdempotencyKey
	t.named, t.created, t.number = o.RequestID != "", o.CreatedAt, o.CAOrderID
}

// hold makes the caller the one who works on t. It returns nil when somebody else does. The caller holds mu.
func (r *registry) hold(t *tracked) *heldOrder {
	if t.busy != nil {
		return nil
	}
	t.busy = make(chan struct{})
	return &heldOrder{registry: r, id: t.id, role: t.role, busy: t.busy}
}

// forget makes the next load read storage again. Orders that somebody works on, or that storage does not know all of, stay.
func (r *registry) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loaded = false
	r.outdated++
	for id, t := range r.orders {
		if t.busy == nil && t.handed == nil && t.unsaved == nil && !t.unsent {
			delete(r.orders, id)
		}
	}
}

// reserve makes a new order known by what it is found by, and the caller the one who works on it. Where there is an order of that id, or
// one that is wanted, it returns nil: the caller looks again.
func (r *registry) reserve(t tracked, wanted func(*tracked) bool) *heldOrder {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.orders[t.id] != nil || wanted != nil && r.best(wanted) != nil {
		return nil
	}
	t.unsent = true
	return r.hold(r.add(&t))
}

// acquire holds an order for the caller. When somebody else holds it, busy is that one's end; when the order is not open, both
// are nil.
func (r *registry) acquire(id string) (h *heldOrder, busy <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.orders[id]
	if t == nil {
		return nil, nil
	}
	if h = r.hold(t); h == nil {
		return nil, t.busy
	}
	return h, nil
}

// fingerprintOf returns the fingerprint of an open order; ok is false when there is none.
func (r *registry) fingerprintOf(id string) (fingerprint string, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[id]; t != nil {
		return t.fingerprint, true
	}
	return "", false
}

// claim looks for an unnamed order that is wanted, and holds it for the caller unless somebody else does: then busy is that one's end. The
// order has no id when there is none.
func (r *registry) claim(wanted func(*tracked) bool) (found tracked, h *heldOrder, busy <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.best(wanted)
	if t == nil {
		return tracked{}, nil, nil
	}
	if h = r.hold(t); h == nil {
		return *t, nil, t.busy
	}
	return *t, h, nil
}

// best is the wanted order that serves soonest: one whose certificate was handed over already, then the oldest that nobody works on,
// then the oldest. The caller holds mu.
func (r *registry) best(wanted func(*tracked) bool) *tracked {
	rank := func(t *tracked) int {
		switch {
		case t.busy != nil:
			return 2
		case t.handed == nil:
			return 1
		}
		return 0
	}
	var best *tracked
	for _, t := range r.orders {
		if t.named || !wanted(t) {
			continue
		}
		if best == nil || rank(t) < rank(best) || rank(t) == rank(best) && (t.created.Before(best.created) || t.created.Equal(best.created) && t.id < best.id) {
			best = t
		}
	}
	return best
}

// release lets go of an order, see [heldOrder.Release].
func (r *registry) release(h *heldOrder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.orders[h.id]
	if t == nil || t.busy != h.busy {
		return // forgotten, and perhaps made anew by somebody else
	}
	if o := h.entry; o != nil {
		t.describe(o)
		t.unsent = o.fresh
		if t.unsaved = nil; o.dirty {
			t.unsaved = o
		}
	}
	if !h.next.IsZero() {
		t.next = h.next
	}
	close(t.busy)
	t.busy = nil
}

// drop forgets an order that is no longer open.
func (r *registry) drop(h *heldOrder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.orders[h.id]
	if t == nil || t.busy != h.busy {
		return
	}
	close(t.busy)
	delete(r.orders, h.id)
}

// sameRequest is what [registry.claim] wants of an order with a fingerprint.
func sameRequest(fingerprint string) func(*tracked) bool {
	return func(t *tracked) bool { return t.fingerprint == fingerprint }
}

// hasNumber reports whether another open order than id has a number of CERTInext's.
func (r *registry) hasNumber(id, number string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.orders {
		if t.number == number && t.id != id {
			return true
		}
	}
	return false
}

// amend takes over what a held order's entry says that it is found by.
func (r *registry) amend(o *orderEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[o.ID]; t != nil {
		t.describe(o)
	}
}

// markDelivered remembers that the order's certificate was handed over.
func (r *registry) markDelivered(id, serial string, d certificates.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[id]; t != nil {
		t.handed, t.stored = &handed{serial: serial, delivery: d}, serial
	}
}

// recall has the entry of an order's certificate say what this process knows of the answers that held it.
func (r *registry) recall(id string, c *certificates.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[id]; t != nil && t.handed != nil && t.handed.serial == c.Serial && c.Delivery != nil {
		c.Delivery.Recall(t.handed.delivery)
	}
}

// unmarkDelivered forgets answers that did not reach anybody. That the certificate is stored stays known. The background pass looks at the order after next.
func (r *registry) unmarkDelivered(id string, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[id]; t != nil {
		t.handed, t.next = nil, next
	}
}

// attempt counts one more try of the background pass, from the beginning when the order has changed since the last one.
func (r *registry) attempt(id string, changed bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.orders[id]
	if t == nil {
		return 0
	}
	if t.attempts++; changed {
		t.attempts = 0
	}
	return t.attempts
}

// status returns a copy of what is known of an open order.
func (r *registry) status(id string) (tracked, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.orders[id]
	if t == nil {
		return tracked{}, false
	}
	return *t, true
}

// marked returns the open orders whose markers are among the tags of rows, by what the markers are made of.
func (r *registry) marked(rows []certinext.ReportRow) map[string]tracked {
	wanted := make(map[string]bool, len(rows))
	for _, row := range rows {
		wanted[markerKey(row.Tags)] = true
	}
	found := make(map[string]tracked)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.orders {
		if key := markerKey([]string{markerOf(t.marker)}); wanted[key] {
			found[key] = *t
		}
	}
	return found
}

// takeUnreadable returns, once, the storage keys of entries that could not be decoded.
func (r *registry) takeUnreadable() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := r.unreadable
	r.unreadable = nil
	return keys
}

// longestLook is how long the background pass leaves an order alone at most: one that would have to wait longer has its turn from a clock
// that was set right since.
const longestLook = issuing.LongestReuse + time.Hour

// due lists the orders that nobody works on and the background pass should look at, the longest overdue first, at most limit.
func (r *registry) due(now time.Time, limit int) []tracked {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []tracked
	for _, t := range r.orders {
		if t.busy == nil && (!t.next.After(now) || t.next.After(now.Add(longestLook))) {
			out = append(out, *t)
		}
	}
	slices.SortFunc(out, func(a, b tracked) int {
		if c := a.next.Compare(b.next); c != 0 {
			return c
		}
		return strings.Compare(a.id, b.id)
	})
	return out[:min(limit, len(out))]
}

// askedBy returns the latest time at which CERTInext can have been asked for an order, by the present clock. A stored time
// that lies in the future was written by a clock that has been set right since, nobody knows by how much: then it was no
// later than when this process first saw it.
func (r *registry) askedBy(id string, stored, now time.Time) time.Time {
	if !stored.After(now) {
		return stored
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.orders[id]
	if t == nil {
		return now
	}
	if t.futureSeen.IsZero() || t.futureSeen.After(now) {
		t.futureSeen = now
	}
	return t.futureSeen
}

// Invalidate has the open orders read again when one of them has changed in storage elsewhere.
func (journal *Journal) Invalidate(key string) {
	if strings.HasPrefix(key, OpenPrefix) {
		journal.registry.forget()
	}
}
