// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A registry is what the engine keeps in memory of its open orders: enough to find them without reading storage, and to
// see to it that each has one driver at a time. Storage is the truth; the registry is filled from it once.
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
	id          string
	role        string
	fingerprint string
	twin        string // see orderEntry.twin; empty for most
	marker      string // its Idempotency-Key, which the marker is made of
	named       bool   // has a request_id: found by id, never by fingerprint
	created     time.Time
	busy        chan struct{} // closed when the present driver lets go; nil when there is none
	attended    bool          // a request waits for the present driver
	attempts    int           // of the background pass since the order last changed
	next        time.Time     // when the background pass looks at it again
	// The answer that this process has given, if any. Its key goes at eraseAt.
	answered bool
	serial   string // of the certificate that was handed over
	eraseAt  time.Time
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
				return ctx.Err()
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
		if err != nil {
			return err
		}
	}
}

// read adds what storage holds and the registry does not.
func (r *registry) read(ctx context.Context, s logical.Storage) error {
	roles, err := list(ctx, s, openOrderPrefix)
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
	ids, err := list(ctx, s, openOrderPrefix+role+"/")
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, known := r.status(id); known {
			continue
		}
		key := openOrderPrefix + role + "/" + id
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
		r.add(o)
	}
}

// add makes o known. The caller holds mu.
func (r *registry) add(o *orderEntry) *tracked {
	if r.orders == nil {
		r.orders = make(map[string]*tracked)
	}
	t := &tracked{id: o.ID, role: o.Role, fingerprint: o.Fingerprint, twin: o.twin(), marker: o.Placement.IdempotencyKey, named: o.RequestID != "", created: o.CreatedAt}
	r.orders[o.ID] = t
	return t
}

// forget makes the next load read storage again. Orders that have a driver stay.
func (r *registry) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loaded = false
	r.outdated++
	for id, t := range r.orders {
		if t.busy == nil && !t.answered {
			delete(r.orders, id)
		}
	}
}

// insert makes a new order known, with the caller as its driver. It returns false when there is an order of that id.
func (r *registry) insert(o *orderEntry) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.orders[o.ID] != nil {
		return false
	}
	t := r.add(o)
	t.busy, t.attended = make(chan struct{}), true
	return true
}

// acquire makes the caller the driver of an order. When the order has another one, it returns that one's end; when the
// order is not open, it returns nil and false.
func (r *registry) acquire(id string) (busy <-chan struct{}, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.orders[id]
	switch {
	case t == nil:
		return nil, false
	case t.busy != nil:
		return t.busy, false
	}
	t.busy = make(chan struct{})
	return nil, true
}

// attend says that a request waits for the order that the caller drives, or, with false, that it has left.
func (r *registry) attend(id string, waits bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[id]; t != nil {
		t.attended = waits
	}
}

// A match is an open order of the same requester's same request. Its id is empty when there is none.
type match struct {
	id string
	// busy is the end of the order's present driver. When nil, the caller has become the driver.
	busy <-chan struct{}
	// attended tells whether a request waits for that driver, so that the present one is a second one in flight.
	attended bool
}

// claim looks for an open, unnamed and unanswered order that is wanted: best the oldest one without a driver, whose driver the caller
// becomes, else one that is driven for nobody, else one that another request waits for.
func (r *registry) claim(wanted func(*tracked) bool) match {
	r.mu.Lock()
	defer r.mu.Unlock()
	var best *tracked
	rank := func(t *tracked) int {
		switch {
		case t.busy == nil:
			return 0
		case !t.attended:
			return 1
		}
		return 2
	}
	for _, t := range r.orders {
		if t.named || t.answered || !wanted(t) {
			continue
		}
		if best == nil || rank(t) < rank(best) || rank(t) == rank(best) && t.created.Before(best.created) {
			best = t
		}
	}
	switch {
	case best == nil:
		return match{}
	case best.busy != nil:
		return match{id: best.id, busy: best.busy, attended: best.attended}
	}
	best.busy, best.attended = make(chan struct{}), true
	return match{id: best.id}
}

// release lets go of an order that the caller drives. After next, the background pass may look at it.
func (r *registry) release(id string, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[id]; t != nil && t.busy != nil {
		t.next = next
		close(t.busy)
		t.busy, t.attended = nil, false
	}
}

// putBack lets go of an order that the caller has changed nothing about: it has its turn when it would have had it.
func (r *registry) putBack(id string) {
	t, _ := r.status(id)
	r.release(id, t.next)
}

// printed is what [registry.claim] wants of an order with a fingerprint.
func printed(fingerprint string) func(*tracked) bool {
	return func(t *tracked) bool { return t.fingerprint == fingerprint }
}

// amend takes over what an order's entry says that it is found by.
func (r *registry) amend(o *orderEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[o.ID]; t != nil {
		t.fingerprint, t.twin = o.Fingerprint, o.twin()
	}
}

// markAnswered remembers that this process has handed over the order's certificate.
func (r *registry) markAnswered(id, serial string, eraseAt time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[id]; t != nil {
		t.answered, t.serial, t.eraseAt = true, serial, eraseAt
	}
}

// unanswer forgets an answer that did not reach anybody. The background pass looks at the order after next.
func (r *registry) unanswer(id string, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[id]; t != nil {
		t.answered, t.serial, t.eraseAt, t.next = false, "", time.Time{}, next
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

// drop forgets an order that is no longer open.
func (r *registry) drop(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[id]; t != nil && t.busy != nil {
		close(t.busy)
	}
	delete(r.orders, id)
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

// due lists the unattended orders that the background pass should look at, the longest overdue first, at most limit.
func (r *registry) due(now time.Time, limit int) []tracked {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []tracked
	for _, t := range r.orders {
		if t.busy == nil && !t.next.After(now) && (!t.answered || !t.eraseAt.After(now)) {
			out = append(out, *t)
		}
	}
	slices.SortFunc(out, func(a, b tracked) int { return a.next.Compare(b.next) })
	return out[:min(limit, len(out))]
}
