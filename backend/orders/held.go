// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// A heldOrder is an open order that nobody else works on until it is released. Whoever takes one defers Release; who hands it on to
// a goroutine transfers it, after which its own Release does nothing.
type heldOrder struct {
	journal *Journal
	storage logical.Storage

	registry *registry // nil once the order was let go or handed on
	id, role string
	busy     chan struct{} // the hold in the registry
	next     time.Time     // when the background pass looks at the order again; when it would have, if zero

	// entry is what is known of the order, storage included; nil until it was read.
	entry *orderEntry
}

// held gives a hold what it takes to work on its order.
func (journal *Journal) held(s logical.Storage, h *heldOrder) *heldOrder {
	if h != nil {
		h.journal, h.storage = journal, s
	}
	return h
}

// acquire holds an open order. While it is held by another, h is nil, and busy is closed when that one lets go; when it is not open, both are nil.
func (journal *Journal) acquire(s logical.Storage, id string) (h *heldOrder, busy <-chan struct{}) {
	h, busy = journal.registry.acquire(id)
	return journal.held(s, h), busy
}

// claim holds the best of the open orders that are wanted.
func (journal *Journal) claim(s logical.Storage, wanted func(*tracked) bool) (found tracked, h *heldOrder, busy <-chan struct{}) {
	found, h, busy = journal.registry.claim(wanted)
	return found, journal.held(s, h), busy
}

// reserve holds a new order, unless there is one that is wanted instead.
func (journal *Journal) reserve(s logical.Storage, t tracked, wanted func(*tracked) bool) *heldOrder {
	return journal.held(s, journal.registry.reserve(t, wanted))
}

// lookAgain has the background pass look at the order at some time, once it is released.
func (h *heldOrder) lookAgain(at time.Time) { h.next = at }

// transfer returns the hold for somebody else to release.
func (h *heldOrder) transfer() *heldOrder {
	t := *h
	h.registry = nil
	return &t
}

// Release lets go of the order. What storage could not take of its entry is kept for who holds it next.
func (h *heldOrder) Release() {
	if h.registry == nil {
		return
	}
	h.registry.release(h)
	h.registry = nil
}

// drop lets go of an order that is no longer open, and forgets it.
func (h *heldOrder) drop() {
	if h.registry == nil {
		return
	}
	h.registry.drop(h)
	h.registry = nil
}

// readHeld reads the entry of a held order. It reports false, and has let go, when the order is no longer open: one that has ended, and that a
// fault of storage kept from being closed, is closed now.
func (h *heldOrder) readHeld(ctx context.Context) (bool, error) {
	if err := h.readEntry(ctx); err != nil {
		return false, err
	}
	switch {
	case h.entry == nil:
		h.drop()
		return false, nil
	case h.entry.State.Final(), h.entry.closing:
		return false, h.closeOrder(ctx)
	case h.entry.dirty && !h.entry.fresh: // storage could not take it the last time
		return true, h.journal.saveOrder(ctx, h.storage, h.entry)
	}
	return true, nil
}

// readEntry sets the entry of a held order, or leaves it nil when storage has none among the open ones.
func (h *heldOrder) readEntry(ctx context.Context) error {
	t, _ := h.journal.registry.status(h.id)
	if t.unsaved != nil {
		h.entry = t.unsaved
		h.entry.applyDelivery(t)
		return nil
	}
	o, err := store.Get[orderEntry](ctx, h.storage, OpenPrefix+h.role+"/"+h.id)
	if err != nil || o == nil {
		return err
	}
	closed, err := store.Get[orderEntry](ctx, h.storage, o.closedKey())
	if err != nil {
		return err
	}
	if closed != nil { // closing it was cut short between its two writes
		return store.Delete(context.WithoutCancel(ctx), h.storage, closed.openKey())
	}
	o.fresh = t.unsent
	o.applyDelivery(t)
	h.entry = o
	return nil
}

// applyDelivery takes over what this process knows of a certificate that was handed over, or taken back: the stored entry is brought up to date when its key
// is erased.
func (o *orderEntry) applyDelivery(t tracked) {
	if t.stored != "" && o.State == StatePending {
		o.State, o.Serial = StateIssued, t.stored
	}
}
