// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// maxTended is how many counters one background pass looks at.
const maxTended = 100

// Tend settles the reservations of counters, some in each call, and removes the counters that
// nothing depends on any more, and those of budgets that were deleted. Counts hold without it: a
// reservation looks at its own counters.
func (k *Keeper) Tend(ctx context.Context, s logical.Storage) error {
	all, changes, err := k.load(ctx, s)
	if err != nil || (len(all) == 0 && k.process.Load() == nil) {
		return err
	}
	// A process that has reserved something looks even when there is no budget any more.
	folders, err := store.List(ctx, s, counterPrefix)
	if err != nil || len(folders) == 0 {
		return err
	}
	slices.Sort(folders)
	// One budget in each pass, and of its counters the next ones.
	turn := k.tending.Add(1) - 1
	id := strings.TrimSuffix(folders[turn%int64(len(folders))], "/")
	i := slices.IndexFunc(all, func(b *Budget) bool { return b.id == id })
	switch {
	case k.changedSince(changes):
		return nil // the counters may be of a budget that was written meanwhile
	case i < 0:
		return k.removeCounters(ctx, s, id)
	}
	names, err := store.List(ctx, s, counterPrefix+id+"/")
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range page(names, turn/int64(len(folders))) {
		errs = append(errs, k.settleStored(ctx, s, all[i], counterPrefix+id+"/"+name))
	}
	return errors.Join(errs...)
}

// page returns the part of a list that has its turn.
func page(names []string, turn int64) []string {
	pages := int64((len(names) + maxTended - 1) / maxTended)
	if pages == 0 {
		return nil
	}
	slices.Sort(names)
	from := int(turn%pages) * maxTended
	return names[from:min(from+maxTended, len(names))]
}

// Settle settles the reservations of all counters. The journal asks for it before the record of an
// order that may be paid for is removed, or filed under another id.
func (k *Keeper) Settle(ctx context.Context, s logical.Storage) error {
	all, _, err := k.load(ctx, s)
	if err != nil {
		return err
	}
	for _, b := range all {
		folder := counterPrefix + b.id + "/"
		names, err := store.List(ctx, s, folder)
		if err != nil {
			return err
		}
		for _, name := range names {
			if err := k.settleStored(ctx, s, b, folder+name); err != nil {
				return err
			}
		}
	}
	return nil
}

// settleStored settles the reservations of one counter, and removes the counter when it is idle.
func (k *Keeper) settleStored(
	ctx context.Context, s logical.Storage, b *Budget, key string,
) error {
	unlock, err := k.locks.Lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	c := count{budget: b, key: key}
	changed, err := k.settleRead(ctx, s, &c)
	switch {
	case err != nil:
		return err
	case k.idle.forLong(key, c.isIdle(k.books.Time()), k.Steady()):
		return store.Delete(ctx, s, key)
	case changed:
		return store.Put(ctx, s, key, &c.counter)
	}
	return nil
}

// settleRead reads a counter and settles its reservations, without storing anything.
func (k *Keeper) settleRead(ctx context.Context, s logical.Storage, c *count) (bool, error) {
	own, err := k.own()
	if err != nil {
		return false, err
	}
	if err := k.read(ctx, s, c, ""); err != nil {
		return false, err
	}
	fates, err := k.fates(ctx, s, &c.counter, "")
	if err != nil {
		return false, err
	}
	return c.settle(fates, k.isLost(own)), nil
}

// idleFor is how long a counter has to be idle, by the clock that nobody sets, before it is
// removed: the clock that says so may be wrong for a while, and what was counted would be gone.
const idleFor = 24 * time.Hour

// An idleness knows since when counters are idle, by their keys. A restart forgets it.
type idleness struct {
	mu    sync.Mutex
	since map[string]time.Time // by the clock that nobody sets
}

// forLong takes in whether a counter is idle now, and reports whether it has been for [idleFor],
// each time that it was looked at.
func (x *idleness) forLong(key string, idle bool, now time.Time) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !idle {
		delete(x.since, key)
		return false
	}
	since, known := x.since[key]
	if !known {
		if x.since == nil {
			x.since = make(map[string]time.Time)
		}
		x.since[key] = now
		return false
	}
	if now.Sub(since) < idleFor {
		return false
	}
	delete(x.since, key)
	return true
}

// forget forgets a counter, which is removed.
func (x *idleness) forget(key string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.since, key)
}
