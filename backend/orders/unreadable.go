// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// An open order whose entry cannot be decoded must not keep the others from going on. But whose
// request it was is not known, and the same request would buy again: nothing new is ordered under
// its role until the entry is mended, or deleted.

// An unreadableEntry is why an open order's entry could not be decoded.
type unreadableEntry struct {
	why  error
	told bool // the log says so
}

// setUnreadable notes that an entry could not be decoded; a nil why takes that back. The caller
// holds mu.
func (r *registry) setUnreadable(key string, why error) {
	if why == nil {
		delete(r.unreadable, key)
		return
	}
	if r.unreadable == nil {
		r.unreadable = make(map[string]*unreadableEntry)
	}
	if r.unreadable[key] == nil {
		r.unreadable[key] = new(unreadableEntry)
	}
	r.unreadable[key].why = why
}

// blocked returns why nothing new is ordered under a role; nil when nothing speaks against it.
func (r *registry) blocked(role string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, e := range r.unreadable {
		if !strings.HasPrefix(key, OpenPrefix+role+"/") {
			continue
		}
		var future *store.FutureError
		if errors.As(e.why, &future) {
			return future
		}
		return &fault.RefusedError{Err: fmt.Errorf("nothing is ordered under role %s while the "+
			"entry of its open order %s cannot be read, which may be the same request's: an "+
			"operator of Vault has to restore that entry, or end the order", role, key)}
	}
	return nil
}

// endUnreadable removes the entry of an open order that cannot be decoded, because an operator ends
// the order, who has seen in CERTInext's portal what became of it. It returns nil for any other.
func endUnreadable(
	ctx context.Context, journal *Journal, s logical.Storage, role, id string,
) (*Order, error) {
	if err := journal.registry.load(ctx, s); err != nil {
		return nil, err
	}
	o := &orderEntry{ID: id, Role: role, State: StateFailed}
	r := &journal.registry
	r.mu.Lock()
	e := r.unreadable[o.openKey()]
	r.mu.Unlock()
	if e == nil {
		return nil, nil
	}
	if future := new(store.FutureError); errors.As(e.why, &future) {
		return nil, future
	}
	if err := settlePurchases(ctx, journal, s); err != nil {
		return nil, err
	}
	defer doubt(journal, role, id)
	if err := store.Delete(context.WithoutCancel(ctx), s, o.openKey()); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.setUnreadable(o.openKey(), nil)
	journal.Log.Warn("an operator has ended an order whose entry could not be read",
		"key", o.openKey())
	return &Order{ID: id, Role: role, State: StateFailed}, nil
}

// rereadUnreadable looks again at the entries that could not be decoded, which somebody may have
// mended or deleted, and returns the keys of those that were not told of yet.
func (r *registry) rereadUnreadable(
	ctx context.Context, s logical.Storage,
) (untold []string, err error) {
	r.mu.Lock()
	var keys []string
	for key := range r.unreadable {
		keys = append(keys, key)
	}
	r.mu.Unlock()
	slices.Sort(keys)
	for _, key := range keys {
		e, getErr := s.Get(ctx, key)
		if getErr != nil {
			err = errors.Join(err, &store.Fault{Doing: "reading", Key: key, Err: getErr})
			continue
		}
		r.addStored(key, e)
		if r.tellUnreadable(key) {
			untold = append(untold, key)
		}
	}
	return untold, err
}

// tellUnreadable reports whether an entry cannot be decoded and that was not told of yet.
func (r *registry) tellUnreadable(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.unreadable[key]
	if e == nil || e.told {
		return false
	}
	e.told = true
	return true
}
