// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package index

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Source tells what an index is about, from the entries in storage. Its methods only read.
type Source interface {
	// Keys returns the keys, as in [Index.Remove], of all that is stored.
	Keys(ctx context.Context, s logical.Storage) ([]string, error)
	// Changed returns those of the keys whose entries say, as far as that can be told without
	// reading them, what their saved rows do not; saved returns the row of a key.
	Changed(
		ctx context.Context, s logical.Storage, saved func(key string) (Row, bool),
	) ([]string, error)
	// Row returns the row of a stored entry; nil when there is none under the key. An error that is
	// no [*store.Fault] says that the entry cannot be read.
	Row(ctx context.Context, s logical.Storage, key string) (*Row, error)
}

const (
	// startDelay is how long after its first pass a process begins to fill its index: whoever waits
	// for the start comes first.
	startDelay = time.Second
	// After so many entries, the goroutine that reads them pauses: 2,000 a second at most.
	readsAtOnce = 100
	readPause   = 50 * time.Millisecond
	// recent is how old what a row is about was at most, when its page was saved, for its entry to
	// be read again after a start. What a row tells of a certificate changes mostly around its
	// delivery.
	recent = 48 * time.Hour
	// maxDoubted is how many entries may be doubted before the whole index is filled anew.
	maxDoubted = 10_000
	// verifiedAtOnce is how many rows a pass compares with their entries, and roundEvery how often
	// it begins with the first one again.
	verifiedAtOnce = 10
	roundEvery     = 24 * time.Hour
	// patience is how long a list waits for an index that is being filled.
	patience = time.Second
)

// Begin starts to fill the index in the background after a delay, if it is neither whole nor being
// filled. The channel is closed when that has ended, be it that storage did not answer. It reads
// storage after the request of ctx is over, and ends with the engine.
func (x *Index) Begin(
	ctx context.Context, s logical.Storage, delay time.Duration,
) <-chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.filling != nil {
		return x.filling
	}
	done := make(chan struct{})
	if x.complete && len(x.doubted) == 0 {
		close(done)
		return done
	}
	x.filling = done
	ctx, stop := x.Detached(ctx)
	x.Work.Go(func() {
		defer stop()
		var err error
		if !x.delay(ctx, delay) {
			err = x.fill(ctx, s)
		}
		if err != nil && x.Alive.Err() == nil {
			x.Log.Warn("the index could not be filled; the next pass goes on", "of", x.prefix,
				"error", err)
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		x.filling = nil
		close(done)
	})
	return done
}

// delay waits for d, until somebody is in a hurry, or until ctx ends. It reports whether ctx has
// ended.
func (x *Index) delay(ctx context.Context, d time.Duration) (over bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-x.hurry:
	case <-ctx.Done():
	}
	return ctx.Err() != nil
}

// Await has the index filled, and waits for that for a second at most. A list that is shorter than
// it should be says so: see [Index.IsComplete].
func (x *Index) Await(ctx context.Context, s logical.Storage) {
	done := x.Begin(ctx, s, 0)
	select {
	case x.hurry <- struct{}{}:
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Doubt has the entry under a key read again, before the index counts as whole: another node has
// changed it, or it is not known whether storage has taken a change.
func (x *Index) Doubt(key string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.settle(packID(key))
	x.doubted[packID(key)] = true
	if len(x.doubted) > maxDoubted {
		x.reset()
	}
}

// reset empties the index, which has to be filled anew. The caller holds mu.
func (x *Index) reset() {
	x.slots, x.free, x.byKey = nil, nil, make(map[string]int32)
	x.pages, x.doubted = pages{}, make(map[string]bool)
	x.loaded, x.complete = false, false
	x.resets++
}

// fill reads the saved pages, and then what they lack.
func (x *Index) fill(ctx context.Context, s logical.Storage) error {
	x.mu.RLock()
	loaded, complete, resets := x.loaded, x.complete, x.resets
	x.mu.RUnlock()
	if !complete {
		var recently []string
		if !loaded {
			var err error
			if recently, err = x.load(ctx, s, resets); err != nil {
				return err
			}
		}
		if err := x.topUp(ctx, s, recently); err != nil {
			return err
		}
		x.mu.Lock()
		x.complete = x.resets == resets
		x.mu.Unlock()
	}
	return x.readAll(ctx, s, x.takeDoubted())
}

// takeDoubted returns the keys of entries that are to be read again.
func (x *Index) takeDoubted() []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	out := make([]string, 0, len(x.doubted))
	for key := range x.doubted {
		out = append(out, unpackID(key))
	}
	slices.Sort(out)
	return out
}

// load reads the saved pages, and returns the keys whose entries may have changed since.
func (x *Index) load(
	ctx context.Context, s logical.Storage, resets int,
) (recently []string, err error) {
	names, err := store.List(ctx, s, x.prefix)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	if recently, err = x.loadChanged(ctx, s); err != nil {
		return nil, err
	}
	savedAt := make(map[int32]time.Time)
	for _, name := range names {
		number, err := strconv.ParseInt(name, 10, 32)
		if err != nil || pageName(int32(number)) != name {
			continue // not one of the pages
		}
		keys, err := x.loadPage(ctx, s, int32(number), savedAt)
		if err != nil {
			return nil, err
		}
		recently = append(recently, keys...)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.loaded = x.resets == resets
	return recently, nil
}

// loadPage reads one page. One that cannot be read is passed over, and deleted by a pass: its rows
// are read from their entries. One of a later version stays, and is passed over, too.
func (x *Index) loadPage(
	ctx context.Context, s logical.Storage, number int32, savedAt map[int32]time.Time,
) (recently []string, err error) {
	key := x.prefix + pageName(number)
	g, err := store.Get[StoredPage](ctx, s, key)
	if store.IsFault(err) {
		return nil, err
	}
	var future *store.FutureError
	var rows []Row
	if err == nil && g != nil {
		rows, err = g.rows()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.pages.next = max(x.pages.next, number+1)
	switch {
	case errors.As(err, &future):
		return nil, nil
	case err != nil:
		x.Log.Warn("a page of the index cannot be read; its rows are read anew", "key", key,
			"error", err)
		x.pages.drop(number)
		return nil, nil
	case g == nil:
		return nil, nil
	}
	savedAt[number] = g.SavedAt
	return x.enterPage(number, rows, savedAt), nil
}

// enterPage enters the rows of a page that was read. Of two pages with the same row, after a crash
// between them, the one that was saved later is right. The caller holds mu.
func (x *Index) enterPage(
	number int32, rows []Row, savedAt map[int32]time.Time,
) (recently []string) {
	intact := x.pages.all[number] == nil && len(rows) > 0
	for _, r := range rows {
		p := x.pack(&r)
		if at, known := x.byKey[p.key]; known {
			have := &x.slots[at]
			if have.told || !savedAt[have.page].Before(savedAt[number]) {
				intact = false
				continue
			}
			x.remove(p.key)
		}
		x.pages.open = number
		x.add(p, number)
		if r.Held || r.isOfBefore() || r.latest().After(savedAt[number].Add(-recent)) {
			recently = append(recently, r.key())
		}
	}
	switch {
	case intact:
		delete(x.pages.dirty, number)
	case x.pages.all[number] == nil:
		x.pages.drop(number)
	}
	return recently
}

// isOfBefore reports whether a row is a certificate's that an earlier version has saved, which did
// not know its chain.
func (r *Row) isOfBefore() bool { return r.State == "" && r.Chain == "" }

// latest returns when what the row is about was last known to change.
func (r *Row) latest() time.Time {
	at := r.NotBefore
	for _, other := range []time.Time{r.MadeAt, r.ChangedAt} {
		if other.After(at) {
			at = other
		}
	}
	return at
}

// topUp makes the rows agree with what is stored: it reads the entries that have none, and those
// that may have changed since their rows were saved, and removes the rows of entries that are gone.
func (x *Index) topUp(ctx context.Context, s logical.Storage, recently []string) error {
	stored, err := x.source.Keys(ctx, s)
	if err != nil {
		return err
	}
	changed, err := x.source.Changed(ctx, s, x.get)
	if err != nil {
		return err
	}
	missing := x.compare(stored)
	return x.readAll(ctx, s, slices.Concat(missing, changed, recently))
}

// compare removes the rows of which nothing is stored, and returns the keys of what is stored and
// has no row. What this process was told of stays: it may have been stored since the list was read.
func (x *Index) compare(stored []string) (missing []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	there := make(map[string]bool, len(stored))
	for _, key := range stored {
		short := packID(key)
		there[short] = true
		if _, known := x.byKey[short]; !known {
			missing = append(missing, key)
		}
	}
	for i := range x.slots {
		if p := &x.slots[i]; p.key != "" && !p.told && !there[p.key] {
			x.remove(p.key)
		}
	}
	return missing
}

// readAll reads entries, with pauses.
func (x *Index) readAll(ctx context.Context, s logical.Storage, keys []string) error {
	for i, key := range keys {
		if i%readsAtOnce == readsAtOnce-1 && host.Sleep(ctx, readPause) {
			return ctx.Err()
		}
		if err := x.readOne(ctx, s, key); err != nil {
			return err
		}
	}
	return nil
}

// readOne sets the row of a key to what its entry says, unless it was told of a change meanwhile.
// The error is one of storage.
func (x *Index) readOne(ctx context.Context, s logical.Storage, key string) error {
	select {
	case x.turn <- struct{}{}:
		defer func() { <-x.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	short := packID(key)
	x.mu.Lock()
	x.reading[short] = false
	x.mu.Unlock()
	r, err := x.source.Row(ctx, s, key)
	x.mu.Lock()
	defer x.mu.Unlock()
	told := x.reading[short]
	delete(x.reading, short)
	switch {
	case store.IsFault(err), ctx.Err() != nil:
		return errors.Join(err, ctx.Err())
	case told:
		return nil
	case err != nil:
		x.Log.Warn("an entry cannot be read, and is not listed in full", "key", key, "error", err)
	case r == nil:
		x.remove(short)
	default:
		x.set(x.pack(r))
	}
	delete(x.doubted, short)
	return nil
}

// Tend saves what has changed, has the index filled after a start, and compares some rows with
// their entries, so that one that is out of date for whatever reason does not stay so. The
// background pass calls it. What fails is logged: the next pass goes on.
func (x *Index) Tend(ctx context.Context, s logical.Storage) {
	x.Begin(ctx, s, startDelay)
	x.mu.RLock()
	loaded, complete := x.loaded, x.complete
	x.mu.RUnlock()
	var err error
	if loaded {
		announced := x.takeAnnounced()
		if err = x.save(ctx, s); err == nil {
			err = x.forgetAnnounced(ctx, s, announced)
		}
	}
	if complete && err == nil {
		err = x.verify(ctx, s)
	}
	if err != nil && ctx.Err() == nil {
		x.Log.Warn("the index could not be saved; the next pass goes on", "of", x.prefix,
			"error", err)
	}
}

// verify compares the next rows with their entries.
func (x *Index) verify(ctx context.Context, s logical.Storage) error {
	return x.readAll(ctx, s, x.nextToVerify(verifiedAtOnce))
}

// nextToVerify returns the keys of some rows, and of others each time. After the last ones there
// are none until a day after the first ones.
func (x *Index) nextToVerify(most int) (keys []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := x.Now()
	age := now.Sub(x.roundBegan)
	if len(x.slots) == 0 || (x.verified == 0 && age >= 0 && age < roundEvery) {
		return nil
	}
	if x.verified == 0 {
		x.roundBegan = now
	}
	for x.verified < len(x.slots) && len(keys) < most {
		if p := &x.slots[x.verified]; p.key != "" && !p.unsaved {
			keys = append(keys, unpackID(p.key))
		}
		x.verified++
	}
	if x.verified >= len(x.slots) {
		x.verified = 0
	}
	return keys
}
