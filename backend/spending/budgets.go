// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// prefix is where budgets are stored, each under its name.
const prefix = "budget/"

// A stored is the stored form of a [Budget].
type stored struct {
	Version       int      `json:"version"`
	ID            string   `json:"id"`
	Roles         []string `json:"roles,omitempty"`
	Per           Per      `json:"per"`
	Period        Period   `json:"period"`
	MaxOrders     int      `json:"max_orders,omitempty"`
	MaxOpenOrders int      `json:"max_open_orders,omitempty"`
	MaxSpend      string   `json:"max_spend,omitempty"`

	Since time.Time `json:"since,omitzero"` // when it was written first
}

func newStored(b *Budget) *stored {
	return &stored{
		Version: 1, ID: b.id, Roles: b.Roles, Per: b.Per, Period: b.Period,
		MaxOrders: b.MaxOrders, MaxOpenOrders: b.MaxOpenOrders, MaxSpend: b.MaxSpend,
		Since: b.since,
	}
}

// budget returns the budget that was stored under name; nil when s is.
func (s *stored) budget(name string) *Budget {
	if s == nil {
		return nil
	}
	return &Budget{
		Name: name, id: s.ID, Roles: s.Roles, Per: s.Per, Period: s.Period,
		MaxOrders: s.MaxOrders, MaxOpenOrders: s.MaxOpenOrders, MaxSpend: s.MaxSpend,
		since: s.Since,
	}
}

// budgets has the budgets of the mount in memory, so that an order under none of them reads
// nothing. Storage is the truth: whatever changes there makes it be read again.
type budgets struct {
	mu      sync.Mutex
	known   bool
	changes int       // how often the budgets have changed since this process began
	all     []*Budget // by name; shared, and never changed
}

// current returns the budgets; known is false when storage has to be read.
func (x *budgets) current() (all []*Budget, changes int, known bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.all, x.changes, x.known
}

// set keeps what was read of storage, unless the budgets have changed since.
func (x *budgets) set(all []*Budget, changes int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.changes == changes {
		x.all, x.known = all, true
	}
}

// forget has storage be read again.
func (x *budgets) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.known, x.changes = false, x.changes+1
}

// Load reads the budgets into memory, unless they are there.
func (k *Keeper) Load(ctx context.Context, s logical.Storage) error {
	_, _, err := k.load(ctx, s)
	return err
}

// load is Load, and returns the budgets, and by what a later change of them is noticed.
func (k *Keeper) load(
	ctx context.Context, s logical.Storage,
) (all []*Budget, changes int, err error) {
	all, changes, known := k.budgets.current()
	if known {
		return all, changes, nil
	}
	names, err := store.List(ctx, s, prefix)
	if err != nil {
		return nil, 0, err
	}
	slices.Sort(names)
	all = nil
	for _, name := range names {
		entry, err := store.Get[stored](ctx, s, prefix+name)
		if err != nil {
			return nil, 0, err
		}
		if entry != nil {
			all = append(all, entry.budget(name))
		}
	}
	k.budgets.set(all, changes)
	return all, changes, nil
}

// changedSince reports whether budgets have been written since they were loaded.
func (k *Keeper) changedSince(changes int) bool {
	_, now, _ := k.budgets.current()
	return now != changes
}

// Invalidate drops what is remembered of a storage key that another node has changed. What this
// process has reserved before counts as reserved by another one from then on.
func (k *Keeper) Invalidate(key string) {
	switch {
	case strings.HasPrefix(key, prefix):
		k.budgets.forget()
	case strings.HasPrefix(key, counterPrefix):
		k.process.Store(nil)
	}
}

// Budgets returns the names of the budgets.
func (k *Keeper) Budgets(ctx context.Context, s logical.Storage) ([]string, error) {
	return store.List(ctx, s, prefix)
}

// Budget returns a budget, or nil and no error when there is none of that name.
func (k *Keeper) Budget(ctx context.Context, s logical.Storage, name string) (*Budget, error) {
	entry, err := store.Get[stored](ctx, s, prefix+name)
	return entry.budget(name), err
}

// WriteBudget stores the budget that change makes of one with the default of every field. admit may
// refuse it, and may ask others; no lock is held meanwhile. It is told what it replaces, nil for
// nothing. What was counted under an earlier one
// of the same name goes on to count. A limit that is lower than what is used admits nothing until
// the budget is filled again.
func (k *Keeper) WriteBudget(
	ctx context.Context, s logical.Storage, name string,
	change func(*Budget) error, admit func(before, after *Budget) error,
) error {
	id, err := k.NewID()
	if err != nil {
		return err
	}
	return store.Update[stored]{
		Locks: &k.writes,
		Make: func(before *stored) (*stored, error) {
			b := NewBudget(name)
			b.id, b.since = id, k.books.Time().UTC()
			if before != nil {
				b.id, b.since = before.ID, before.Since
			}
			if err := change(b); err != nil {
				return nil, err
			}
			b.clean()
			if err := b.validate(); err != nil {
				return nil, err
			}
			return newStored(b), admit(before.budget(name), b)
		},
		Stored: k.budgets.forget,
	}.Apply(ctx, s, prefix+name)
}

// DeleteBudget removes a budget and what was counted under it: one that is made again under its
// name begins with nothing. It is no error that there is none.
func (k *Keeper) DeleteBudget(ctx context.Context, s logical.Storage, name string) error {
	b, err := k.Budget(ctx, s, name)
	if err == nil && b == nil {
		return nil
	}
	// An entry that cannot be read may go, unless a later version has written it.
	if err := store.RefuseFuture(ctx, s, prefix+name); err != nil {
		return err
	}
	err = store.DeleteLocked(ctx, s, &k.writes, prefix+name, nil)
	k.budgets.forget()
	if err != nil || b == nil || b.id == "" {
		return err
	}
	// What a fault of storage leaves of the counters, the background pass removes.
	return k.removeCounters(ctx, s, b.id)
}

// removeCounters removes the counters of a budget that there is not any more.
func (k *Keeper) removeCounters(ctx context.Context, s logical.Storage, id string) error {
	folder := counterPrefix + id + "/"
	names, err := store.List(ctx, s, folder)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := store.Delete(ctx, s, folder+name); err != nil {
			return err
		}
		k.idle.forget(folder + name)
	}
	return nil
}
