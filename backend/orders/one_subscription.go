// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
)

// Requests of one requester for the same names, with several keys, ids or doors, share one
// subscription (ADR 0035). So the first of them buys it, and the others wait for its certificate,
// whose order is then reissued for each of them.

// alone waits until no other order of the requester's may yet get a certificate for the request's
// names, and keeps others from beginning one until unlock is called.
func (w *caller) alone(ctx context.Context, h *heldOrder) (unlock func(), err error) {
	names := namesOf(w.plan)
	if names == "" || !renewsWithin(w.plan) {
		return func() {}, nil
	}
	awaited := map[string]bool{h.id: true}
	for {
		unlock, err := w.lockNames(ctx, names)
		if err != nil {
			return nil, err
		}
		id := w.journal.registry.pendingFor(names, awaited)
		if id == "" {
			return unlock, nil
		}
		unlock()
		awaited[id] = true
		if err := w.awaitOther(ctx, id); err != nil {
			return nil, err
		}
	}
}

// lockNames locks what an order's Names stand for. It waits as long as the request waits for an
// order that another request holds.
func (w *caller) lockNames(ctx context.Context, names string) (unlock func(), err error) {
	waiting, cancel := context.WithTimeout(ctx, w.waitsUntil().Sub(w.journal.Now()))
	defer cancel()
	unlock, err = w.journal.names.Lock(waiting, names)
	if err != nil {
		return nil, &fault.RefusedError{Err: errors.New("another request of the same requester " +
			"for these names is being worked on: send the request again in a moment")}
	}
	return unlock, nil
}

// pendingFor returns the oldest open order with these Names that may yet get its certificate; empty
// when there is none but those to leave out.
func (r *registry) pendingFor(names string, but map[string]bool) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var oldest *tracked
	for _, t := range r.orders {
		if t.names != names || t.handed != nil || t.stored != "" || but[t.id] {
			continue
		}
		if oldest == nil || t.created.Before(oldest.created) {
			oldest = t
		}
	}
	if oldest == nil {
		return ""
	}
	return oldest.id
}

// awaitOther drives another order, whose certificate the request's is to succeed, until it has that
// or has ended: CERTInext reissues an order once at a time, and another order would pay for what
// the subscription covers.
func (w *caller) awaitOther(ctx context.Context, id string) error {
	h, busy := w.journal.acquire(w.storage, id)
	switch {
	case busy != nil:
		if err := w.journal.waitFor(ctx, busy, w.waitsUntil()); err != nil {
			return isOpenFor(id, "is being worked on")
		}
		return nil
	case h == nil:
		return w.hasEnded(ctx, id)
	}
	defer h.Release()
	open, err := h.readHeld(ctx)
	if err != nil || !open {
		return err
	}
	other := *w
	other.purpose, other.plan, other.passed = forReissue, nil, make(map[string]bool)
	if !w.purpose.waits() {
		other.purpose = forStatus
	}
	_, err = other.pursue(ctx, h)
	var (
		standing *Error
		over     *placeAnewError
	)
	switch {
	case errors.As(err, &over):
		return nil
	case !errors.As(err, &standing):
		return err
	case standing.Order.State.Final(),
		standing.Err == nil && standing.Order.State == StateIssued:
		return nil
	}
	return isOpenFor(id, "is "+string(standing.Order.State))
}

// hasEnded returns an error when an order that the registry does not know is open in storage.
func (w *caller) hasEnded(ctx context.Context, id string) error {
	o, err := w.journal.findOrder(ctx, w.storage, w.role.Name, id)
	if err != nil || o == nil || o.State.Final() || o.Serial != "" {
		return err
	}
	return isOpenFor(id, "is "+string(o.State))
}

// isOpenFor is the answer to a request for which another order of its requester's was waited for.
// It is no [*Error] about that order, which the client would take for its own: its certificate is
// for another key.
func isOpenFor(id, state string) error {
	return &fault.RefusedError{Err: fmt.Errorf("order %s of the same requester, for "+
		"these names, %s: this request is answered within the same subscription. Send it again "+
		"when that order has its certificate or has ended", id, state)}
}
