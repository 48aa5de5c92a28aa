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
	registry *registry // nil once the order was let go or handed on
	id, role string
	busy     chan struct{} // the hold in the registry
	next     time.Time     // when the background pass looks at the order again; when it would have, if zero

	// entry is what is known of the order, storage included; nil until it was read.
	entry *orderEntry
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
func (journal *Journal) readHeld(ctx context.Context, s logical.Storage, h *heldOrder) (bool, error) {
	if err := journal.readEntry(ctx, s, h); err != nil {
		return false, err
	}
	switch {
	case h.entry == nil:
		h.drop()
		return false, nil
	case h.entry.State.Final(), h.entry.closing:
		return false, journal.closeOrder(ctx, s, h)
	case h.entry.dirty && !h.entry.fresh: // storage could not take it the last time
		return true, journal.saveOrder(ctx, s, h.entry)
	}
	return true, nil
}

// readEntry sets the entry of a held order, or leaves it nil when storage has none among the open ones.
func (journal *Journal) readEntry(ctx context.Context, s logical.Storage, h *heldOrder) error {
	t, _ := journal.registry.status(h.id)
	if t.unsaved != nil {
		h.entry = t.unsaved
		h.entry.seeHanded(t)
		return nil
	}
	o, err := store.Get[orderEntry](ctx, s, OpenPrefix+h.role+"/"+h.id)
	if err != nil || o == nil {
		return err
	}
	closed, err := store.Get[orderEntry](ctx, s, o.closedKey())
	if err != nil {
		return err
	}
	if closed != nil { // closing it was cut short between its two writes
		return store.Delete(context.WithoutCancel(ctx), s, closed.openKey())
	}
	o.fresh = t.unsent
	o.seeHanded(t)
	h.entry = o
	return nil
}

// seeHanded takes over what this process knows of a certificate that was handed over, or taken back: the stored entry is brought up to date when its key
// is erased.
func (o *orderEntry) seeHanded(t tracked) {
	if t.stored != "" && o.State == StatePending {
		o.State, o.Serial = StateIssued, t.stored
	}
}
