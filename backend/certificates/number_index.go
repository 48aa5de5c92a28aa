// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"slices"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// Certificates that earlier versions have stored, before an upgrade or after a rollback, are not
// indexed by number. The background pass
// enters them, a page at a time. The index is complete once a pass has found no certificate after
// the last one that it entered: whatever is stored from then on, and was stored meanwhile before
// that one, is of this version, which enters each certificate before it stores it. Until then, who
// does not find a certificate in the index reads all of them, except for the number in CERTInext's
// answer to a create, which cannot wait (see [Numbers.Claim]). Only the background pass and a
// synchronization write here, so a node that may only read can look things up.

// indexStateKey is the storage key of how far the index of numbers has got.
const indexStateKey = "number-index"

// IndexState is the entry of how far the index of numbers has got.
type IndexState struct {
	Version int `json:"version"`
	// Cursor is the serial number, with dashes, of the last certificate that was entered.
	Cursor   string `json:"cursor,omitempty"`
	Complete bool   `json:"complete,omitempty"`
}

// maxIndexPage is the largest number of certificates that one pass enters.
const maxIndexPage = 1000

// isComplete reports whether all stored certificates are in the index.
func (x *Numbers) isComplete(ctx context.Context, s logical.Storage) (bool, error) {
	if x.complete.Load() {
		return true, nil
	}
	state, _, err := readIndexState(ctx, s)
	if err != nil || !state.Complete {
		return false, err
	}
	x.complete.Store(true)
	return true, nil
}

// readIndexState returns how far the index has got. unmarked is the entry under "ca" when that of
// an earlier version has to be replaced, and else nil. Then the index begins anew.
func readIndexState(
	ctx context.Context, s logical.Storage,
) (state *IndexState, unmarked *StoredCA, err error) {
	state, err = store.Get[IndexState](ctx, s, indexStateKey)
	if err != nil {
		return nil, nil, err
	}
	if state == nil {
		state = &IndexState{Version: 1}
	}
	ca, err := store.Get[StoredCA](ctx, s, caKey)
	if err != nil || ca == nil || ca.Indexed {
		return state, nil, err
	}
	return &IndexState{Version: 1}, ca, nil
}

// IndexPage enters a page of the certificates that earlier versions have stored into the index of
// numbers. The background pass calls it. Once the index is complete, it does nothing.
func (x *Numbers) IndexPage(ctx context.Context, s logical.Storage) error {
	_, err := x.page(ctx, s)
	return err
}

// Complete enters all certificates that earlier versions have stored into the index of
// numbers.
func (x *Numbers) Complete(ctx context.Context, s logical.Storage) error {
	for {
		if complete, err := x.page(ctx, s); err != nil || complete {
			return err
		}
	}
}

// page enters one page, and reports whether the index is complete.
func (x *Numbers) page(ctx context.Context, s logical.Storage) (complete bool, err error) {
	if x.complete.Load() {
		return true, nil
	}
	unlock, err := x.locks.Lock(ctx, indexStateKey)
	if err != nil {
		return false, err
	}
	defer unlock()
	state, unmarked, err := readIndexState(ctx, s)
	if err != nil {
		return false, err
	}
	if !state.Complete {
		if err := x.next(ctx, s, state); err != nil {
			return false, err
		}
		if err := store.Put(ctx, s, indexStateKey, state); err != nil {
			return false, err
		}
	}
	if unmarked != nil { // only now: otherwise a crash would leave an index that counts as complete
		if err := store.Put(ctx, s, caKey, newStoredCA(unmarked.chain(), true)); err != nil {
			return false, err
		}
	}
	if state.Complete {
		x.complete.Store(true)
	}
	return state.Complete, nil
}

// next enters the certificates that follow the cursor, a page at most, and moves the cursor.
func (x *Numbers) next(ctx context.Context, s logical.Storage, state *IndexState) error {
	serials, err := store.List(ctx, s, Prefix)
	if err != nil {
		return err
	}
	slices.Sort(serials) // not every storage lists in order
	from, found := slices.BinarySearch(serials, state.Cursor)
	if found {
		from++
	}
	page := serials[from:min(len(serials), from+maxIndexPage)]
	for _, serial := range page {
		if err := x.one(ctx, s, serial); err != nil {
			return err
		}
	}
	if len(page) > 0 {
		state.Cursor = page[len(page)-1]
	}
	state.Complete = from+len(page) == len(serials)
	return nil
}

// one enters a stored certificate. An entry that cannot be decoded is passed over: there is no
// telling whose it is.
func (x *Numbers) one(ctx context.Context, s logical.Storage, serial string) error {
	c, err := Read(ctx, s, serial)
	switch {
	case store.IsFault(err):
		return err
	case err != nil:
		x.host.Log.Warn("a stored certificate cannot be read, and is not found by its order",
			"serial", serial, "error", err)
		return nil
	case c == nil || c.CAOrderID == "":
		return nil
	}
	if err := x.chains.keepFirst(ctx, s, c); err != nil {
		return err
	}
	return x.update(ctx, s, c.CAOrderID, func(n *NumberEntry) (bool, error) {
		return n.add(c.numbered(), false), nil
	})
}

// addUnindexed adds to a number's entry, in memory only, the certificates of that number that are
// not indexed yet. Until the index is complete, that reads all certificates.
func (x *Numbers) addUnindexed(ctx context.Context, s logical.Storage, n *NumberEntry) error {
	if complete, err := x.isComplete(ctx, s); err != nil || complete {
		return err
	}
	serials, err := store.List(ctx, s, Prefix)
	if err != nil {
		return err
	}
	for _, serial := range serials {
		c, err := Read(ctx, s, serial)
		if err != nil {
			return err
		}
		if c != nil && c.CAOrderID == n.Number {
			n.add(c.numbered(), false)
		}
	}
	return nil
}
