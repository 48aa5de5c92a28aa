// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A registry keeps the open orders in memory: enough to find them without reading storage, and to
// let one request, or the background pass, work on each of them at a time. Storage is the truth:
// the registry is filled from it once, and knows better only after storage has refused a write.
type registry struct {
	mu       sync.Mutex
	loaded   bool
	loading  chan struct{}       // closed when a running load has ended; nil when none runs
	outdated int                 // counts how often another node has changed an order in storage
	since    time.Time           // by when what was read was stored, by the clock that nobody sets
	orders   map[string]*tracked // by order id

	unreadable map[string]*unreadableEntry // by storage key
}

// A tracked is one open order.
type tracked struct {
	id               string
	role             string
	requester        string // whose it is; empty until its entry is known
	fingerprint      string
	namesFingerprint string // see orderEntry.namesFingerprint; empty for most
	names            string // orderEntry.Names while it may yet get its certificate
	marker           string // the random key of which its marker is made
	promotion        string // see orderEntry.PromotionKey
	state            State  // as it was stored last, or is known to the one who held it last
	held             bool   // see orderEntry.Held
	waitsFor         Party  // who has to act next
	tag              string // its marker
	number           string // CERTInext's; empty until it is known
	account          string // in which it was placed
	renews           string // serial number, with dashes, of the certificate that it succeeds
	named            bool   // its request has a request_id: it is found by id, never by fingerprint
	created          time.Time
	busy             chan struct{} // closed when its holder releases it; nil when it is not held
	attempts         int           // of the background pass since the order last changed
	next             time.Time     // when the background pass looks at it again

	unsaved *orderEntry // what storage has refused to take; nil when storage is up to date
	unsent  bool        // CERTInext has certainly not heard of it
	handed  *handed     // the certificate, once this process has handed it over; else nil

	// stored is the serial number, with dashes, of the certificate that this process has stored and
	// handed over, even if the answer was taken back.
	stored string
	quiet  quiet // see quietFor
	// sent is when this process last sent the order to CERTInext, by the clock that nobody sets;
	// the zero time when it has not done so.
	sent time.Time

	// waits is set while the order waits for its approval, and decided is closed when it no longer
	// does; nil while nobody waits for that.
	waits   bool
	decided chan struct{}
	// madeHere is set when this process has stored the intent itself, so that no snapshot can have
	// brought it back.
	madeHere bool
}

// A handed is a certificate that was handed over.
type handed struct {
	serial   string // with dashes
	delivery certificates.Delivery
}

// load fills the registry from storage, once. After a failover that may take seconds: each request
// waits for it no longer than its own context lasts, and is told to ask again then.
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

// stillLoading answers a request whose context ended before all open orders were read. The orders
// read so far stay in the registry, so the next request goes on from there.
func stillLoading(ctx context.Context) error {
	return &fault.RefusedError{Err: fmt.Errorf("the mount's open orders are still being read, "+
		"as after every start: ask again in a moment (%w)", ctx.Err())}
}

// read adds the orders in storage that the registry does not have.
func (r *registry) read(ctx context.Context, s logical.Storage) error {
	roles, err := store.List(ctx, s, OpenPrefix)
	if err != nil {
		return err
	}
	var errs []error
	for _, role := range roles {
		errs = append(errs, r.readRole(ctx, s, strings.TrimSuffix(role, "/")))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// maxReadFaults is after how many entries that storage does not read the others are not tried.
const maxReadFaults = 10

// readRole adds a role's orders in storage that the registry does not have. An entry that storage
// does not read keeps no other order from going on, but the registry does not count as filled.
func (r *registry) readRole(ctx context.Context, s logical.Storage, role string) error {
	ids, err := store.List(ctx, s, OpenPrefix+role+"/")
	if err != nil {
		return err
	}
	var faults []error
	for _, id := range ids {
		if _, known := r.status(id); known {
			continue
		}
		key := OpenPrefix + role + "/" + id
		e, err := s.Get(ctx, key)
		switch {
		case err != nil && (ctx.Err() != nil || len(faults) == maxReadFaults):
			return fmt.Errorf("reading %s: %w", key, err)
		case err != nil:
			faults = append(faults, fmt.Errorf("reading %s: %w", key, err))
		default:
			r.addStored(key, e)
		}
	}
	return errors.Join(faults...)
}

// addStored adds the order of a stored entry, which is nil when it is gone. An entry that cannot be
// decoded is only remembered as such.
func (r *registry) addStored(key string, e *logical.StorageEntry) {
	o, err := store.Decode[orderEntry](e, key)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.setUnreadable(key, err)
	if err == nil && o != nil && r.orders[o.ID] == nil {
		r.add(&tracked{id: o.ID, role: o.Role}).describe(o)
	}
}

// add adds t and returns it. The caller holds mu.
func (r *registry) add(t *tracked) *tracked {
	if r.orders == nil {
		r.orders = make(map[string]*tracked)
	}
	r.orders[t.id] = t
	return t
}

// describe copies from an order's entry whatever the order is found by.
func (t *tracked) describe(o *orderEntry) {
	t.fingerprint, t.requester = o.Fingerprint, o.Requester
	t.namesFingerprint, t.names = o.namesFingerprint(), ""
	if o.Serial == "" && !o.Draft {
		t.names = o.Names
	}
	t.marker, t.tag = o.Placement.IdempotencyKey, o.marker()
	t.promotion, t.state = o.PromotionKey, o.State
	t.held, t.waitsFor = o.Held, o.waitsFor()
	t.number, t.account = o.CAOrderID, o.Account
	t.named, t.renews = o.RequestID != "", succeededBy(o)
	t.created = o.CreatedAt
	t.await(o.State == StateApproval)
}

// hold holds t for the caller; it returns nil when t is already held. The caller holds mu.
func (r *registry) hold(t *tracked) *heldOrder {
	if t.busy != nil {
		return nil
	}
	t.busy = make(chan struct{})
	return &heldOrder{registry: r, id: t.id, role: t.role, busy: t.busy}
}

// forget makes the next load read storage again. It keeps the orders that are held, and those of
// which the registry knows more than storage. now is [host.Options.Steady]'s.
func (r *registry) forget(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.loaded, r.since = false, now
	r.outdated++
	for id, t := range r.orders {
		if t.busy == nil && t.handed == nil && t.unsaved == nil && !t.unsent {
			t.await(false)
			delete(r.orders, id)
		}
	}
}

// reserve adds a new order, so that it can be found, and holds it for the caller. It returns nil,
// and adds nothing, when there is an order of that id, or one that is wanted: then the caller has
// to look again.
func (r *registry) reserve(t tracked, wanted func(*tracked) bool) *heldOrder {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.orders[t.id] != nil || (wanted != nil && r.best(wanted) != nil) {
		return nil
	}
	t.unsent, t.madeHere = true, true
	return r.hold(r.add(&t))
}

// acquire holds an order for the caller. When the order is already held, h is nil and busy is
// closed on its release; when it is not open, both are nil.
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

// claim finds the best of the wanted orders, see [registry.best], and holds it for the caller. When
// it is already held, h is nil and busy is closed on its release; when there is none, found has no
// id.
func (r *registry) claim(
	wanted func(*tracked) bool,
) (found tracked, h *heldOrder, busy <-chan struct{}) {
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

// best returns the wanted unnamed order that serves a request soonest; nil when there is none.
// Orders whose certificate was handed over already come first, then those that are not held, and
// among equals the oldest. The caller holds mu.
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
	compare := func(a, b *tracked) int {
		return cmp.Or(
			cmp.Compare(rank(a), rank(b)), a.created.Compare(b.created), cmp.Compare(a.id, b.id),
		)
	}
	var best *tracked
	for _, t := range r.orders {
		if t.named || !wanted(t) {
			continue
		}
		if best == nil || compare(t, best) < 0 {
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
		return // it was dropped, and perhaps added again since
	}
	if o := h.entry; o != nil {
		t.describe(o)
		t.unsent = o.fresh
		t.unsaved = nil
		if o.dirty {
			t.unsaved = o
		}
	}
	if !h.next.IsZero() {
		t.next = h.next
	}
	close(t.busy)
	t.busy = nil
}

// drop removes a held order that is no longer open.
func (r *registry) drop(h *heldOrder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.orders[h.id]
	if t == nil || t.busy != h.busy {
		return
	}
	close(t.busy)
	t.await(false)
	delete(r.orders, h.id)
}

// amend updates what a held order is found by from its entry.
func (r *registry) amend(o *orderEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[o.ID]; t != nil {
		t.describe(o)
	}
}

// markDelivered records that the order's certificate was handed over.
func (r *registry) markDelivered(id, serial string, d certificates.Delivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[id]; t != nil {
		t.handed = &handed{serial: serial, delivery: d}
		t.stored = serial
	}
}

// recall corrects the entry of an order's certificate by what this process knows of its own
// answers.
func (r *registry) recall(id string, c *certificates.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.orders[id]
	if t == nil || t.handed == nil || t.handed.serial != c.Serial || c.Delivery == nil {
		return
	}
	c.Delivery.Recall(t.handed.delivery)
}

// unmarkDelivered forgets answers that did not reach their clients, but not that the certificate is
// stored. The background pass looks at the order from next on.
func (r *registry) unmarkDelivered(id string, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[id]; t != nil {
		t.handed = nil
		t.next = next
	}
}

// lookAgain has the background pass look at the orders of an account that wait for CERTInext from
// next on, however often it has looked before.
func (r *registry) lookAgain(acct string, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range r.orders {
		if t.handed == nil && account.SameAccount(t.account, acct) {
			t.next, t.attempts = next, 0
		}
	}
}

// attempt counts an attempt of the background pass and returns how many there were since the order
// last changed.
func (r *registry) attempt(id string, changed bool) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.orders[id]
	if t == nil {
		return 0
	}
	t.attempts++
	if changed {
		t.attempts = 0
	}
	return t.attempts
}

// status returns a copy of an open order; it reports false when there is none of that id.
func (r *registry) status(id string) (tracked, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.orders[id]
	if t == nil {
		return tracked{}, false
	}
	return *t, true
}

// marked returns the open orders whose markers are among the tags of rows, by [markerKey].
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

// inRecords returns the sets of the markers, in lower case, and of CERTInext's numbers by which the
// open orders are found in its records.
func (r *registry) inRecords() (markers, numbers map[string]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	markers, numbers = make(map[string]bool, len(r.orders)), make(map[string]bool, len(r.orders))
	for _, t := range r.orders {
		markers[strings.ToLower(markerOf(t.marker))] = true
		if t.number != "" {
			numbers[t.number] = true
		}
	}
	return markers, numbers
}

// longestLook is how long the background pass leaves an order alone at most. The clock was ahead
// when an order that is to wait longer was last looked at, so it is due.
const longestLook = issuing.LongestReuse + time.Hour

// due lists the ids of orders that are not held and due for the background pass, the longest
// overdue first: those whose certificate was handed over, and the others, at most limit of each.
func (r *registry) due(now time.Time, limit int) (handed, others []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var overdue []*tracked
	latest := now.Add(longestLook)
	for _, t := range r.orders {
		if t.busy == nil && (!t.next.After(now) || t.next.After(latest)) {
			overdue = append(overdue, t)
		}
	}
	slices.SortFunc(overdue, func(a, b *tracked) int {
		return cmp.Or(a.next.Compare(b.next), strings.Compare(a.id, b.id))
	})
	for _, t := range overdue {
		list := &others
		if t.handed != nil {
			list = &handed
		}
		if len(*list) < limit {
			*list = append(*list, t.id)
		}
	}
	return handed, others
}

// Invalidate has the open orders read again when another node has changed one of them in storage.
func (journal *Journal) Invalidate(key string) {
	if strings.HasPrefix(key, OpenPrefix) {
		journal.registry.forget(journal.Steady())
	}
	journal.replacing.Invalidate(key)
}
