// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"context"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"
)

// A Locker lets one caller at a time hold a name. Waiting for it ends with the context.
type Locker interface {
	Lock(ctx context.Context, name string) (unlock func(), err error)
}

// An Update changes an entry, of type T, that several requests may change at once. No change is
// lost, and none brings back an entry that was deleted while it was made.
type Update[T any] struct {
	Locks Locker // by key; [DeleteLocked] uses the same
	// Make returns what replaces before, which is nil when there is no entry. It may ask others and
	// take its time: no lock is held meanwhile. When the entry changes in that time, Make is called
	// again with what is stored by then.
	Make func(before *T) (after *T, err error)
	// Admit is called before after is stored, under the lock, and may refuse it. It may be nil, and
	// asks nobody but storage.
	Admit func(before, after *T) error
	// Within, if not nil, calls put, which stores after, under whatever else has to hold meanwhile,
	// or refuses it. It is called under the lock, after Admit.
	Within func(after *T, put func() error) error
	// Stored is called, under the lock, once after was stored. It may be nil. It is called after a
	// failure, too, since a write that failed may have taken effect.
	Stored func()
}

// Apply applies the update to the entry under key.
func (u Update[T]) Apply(ctx context.Context, s logical.Storage, key string) error {
	for {
		entry, err := read(ctx, s, key)
		if err != nil {
			return err
		}
		before, err := Decode[T](entry, key)
		if err != nil {
			return err
		}
		after, err := u.Make(before)
		if err != nil {
			return err
		}
		done, err := locked(ctx, u.Locks, key, func() (bool, error) {
			now, err := read(ctx, s, key)
			if err != nil || !sameEntry(now, entry) {
				return false, err
			}
			return true, u.store(ctx, s, key, before, after)
		})
		if done || err != nil {
			return err
		}
	}
}

// store stores after in place of before.
func (u Update[T]) store(
	ctx context.Context, s logical.Storage, key string, before, after *T,
) error {
	if u.Admit != nil {
		if err := u.Admit(before, after); err != nil {
			return err
		}
	}
	if u.Stored != nil {
		defer u.Stored()
	}
	put := func() error { return Put(ctx, s, key, after) }
	if u.Within != nil {
		return u.Within(after, put)
	}
	return put()
}

// sameEntry reports whether two readings of a key found the same; nil stands for no entry.
func sameEntry(a, b *logical.StorageEntry) bool {
	if a == nil || b == nil {
		return a == b
	}
	return bytes.Equal(a.Value, b.Value)
}

// locked calls do while the caller holds name.
func locked[T any](
	ctx context.Context, locks Locker, name string, do func() (T, error),
) (T, error) {
	unlock, err := locks.Lock(ctx, name)
	if err != nil {
		var none T
		return none, fmt.Errorf("waiting to change %s: %w", name, err)
	}
	defer unlock()
	return do()
}

// DeleteLocked is [Delete] for an entry that is changed by an [Update] with the same locks. Without
// them, an update between its comparison and its store would bring the entry back. admit is called
// under the lock and may refuse the deletion; it may be nil.
func DeleteLocked(
	ctx context.Context, s logical.Storage, locks Locker, key string, admit func() error,
) error {
	_, err := locked(ctx, locks, key, func() (struct{}, error) {
		if admit != nil {
			if err := admit(); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, Delete(ctx, s, key)
	})
	return err
}
