// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// A heldOrder is an open order that one goroutine works on at a time. The function that acquires it
// defers Release. To pass it to another goroutine, it calls transfer, after which its own Release
// does nothing.
type heldOrder struct {
	journal *Journal
	storage logical.Storage

	registry *registry // nil once the order was released, dropped or transferred
	id, role string
	busy     chan struct{} // the hold in the registry
	next     time.Time     // when the background pass looks at the order next; zero changes nothing

	// entry is the order's stored entry with what has changed since; nil until it was read.
	entry *orderEntry
}

// bind gives a hold of the registry its journal and storage. It returns h, which may be nil.
func (journal *Journal) bind(s logical.Storage, h *heldOrder) *heldOrder {
	if h != nil {
		h.journal, h.storage = journal, s
	}
	return h
}

// acquire holds an open order. While the order is held already, h is nil, and busy is closed when
// that hold ends. When the order is not open, both are nil.
func (journal *Journal) acquire(
	s logical.Storage, id string,
) (h *heldOrder, busy <-chan struct{}) {
	h, busy = journal.registry.acquire(id)
	return journal.bind(s, h), busy
}

// holdOpen holds an open order and reads its entry, once those who hold it have released it. It
// returns nil when the order is not open, and busy's error when it is held until a time that the
// caller cannot wait beyond.
func holdOpen(
	ctx context.Context, journal *Journal, s logical.Storage, id string, until time.Time,
	busy func() error,
) (*heldOrder, error) {
	for {
		h, held := journal.acquire(s, id)
		switch {
		case held != nil:
			if err := journal.waitFor(ctx, held, until); err != nil {
				return nil, busy()
			}
			continue
		case h == nil:
			return nil, nil
		}
		open, err := h.readHeld(ctx)
		switch {
		case err != nil:
			h.Release()
			return nil, err
		case !open:
			return nil, nil
		}
		return h, nil
	}
}

// claim holds the best of the open orders that are wanted, see [registry.claim].
func (journal *Journal) claim(
	s logical.Storage, wanted func(*tracked) bool,
) (found tracked, h *heldOrder, busy <-chan struct{}) {
	found, h, busy = journal.registry.claim(wanted)
	return found, journal.bind(s, h), busy
}

// reserve holds a new order. It returns nil when there is one of that id, or a wanted one, already.
func (journal *Journal) reserve(
	s logical.Storage, t tracked, wanted func(*tracked) bool,
) *heldOrder {
	return journal.bind(s, journal.registry.reserve(t, wanted))
}

// lookAgain sets when the background pass looks at the order next, once it is released.
func (h *heldOrder) lookAgain(at time.Time) { h.next = at }

// transfer returns the hold for another goroutine to release. h itself holds nothing any more.
func (h *heldOrder) transfer() *heldOrder {
	t := *h
	h.registry = nil
	return &t
}

// Release ends the hold, if there is one. The registry keeps what storage could not take of the
// entry for the next holder.
func (h *heldOrder) Release() {
	if h.registry == nil {
		return
	}
	h.registry.release(h)
	h.registry = nil
}

// drop ends the hold of an order that is no longer open, and removes it from the registry.
func (h *heldOrder) drop() {
	if h.registry == nil {
		return
	}
	h.registry.drop(h)
	h.registry = nil
}

// readHeld reads the entry of a held order, and reports whether the order is open. One that has
// ended, and that a fault of storage kept from being closed, is closed now. When it reports false
// without an error, the hold has ended.
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
	case h.entry.dirty && !h.entry.fresh: // storage failed to take it the last time
		return true, h.journal.saveOrder(ctx, h.storage, h.entry)
	}
	return true, nil
}

// readEntry sets the entry of a held order, and leaves it nil when the order is not open in
// storage.
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
	if closed != nil {
		defer doubt(h.journal, h.role, h.id)
	}
	switch { // a crash or a fault of storage came between the two writes of one of these:
	case closed != nil && o.Reopened: // storeReopened, or closeOrder, which is done again
		err = store.Delete(context.WithoutCancel(ctx), h.storage, closed.closedKey())
		if err != nil {
			return err
		}
	case closed != nil: // closeOrder
		return store.Delete(context.WithoutCancel(ctx), h.storage, closed.openKey())
	}
	o.fresh, o.news = t.unsent, newsOf(o)
	o.applyDelivery(t)
	h.entry = o
	return nil
}

// applyDelivery sets the state of an order whose certificate this process has stored at delivery.
// A delivery does not write the order's entry, which says so only once the order is closed (ADR
// 0005).
func (o *orderEntry) applyDelivery(t tracked) {
	if t.stored != "" && o.State == StatePending {
		o.State, o.Serial = StateIssued, t.stored
	}
}
