// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package index

import (
	"context"
	"maps"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// A start reads again the entries that are recent, and takes the word of the saved pages for all
// others. What rarely changes in an old entry, such as whose a certificate is, would be listed as
// it was before, if the process died between the change and the pass that saves the page. So who
// changes that announces it, and the next start reads the entry again. A pass forgets what was
// announced once the pages are saved.

// changedPrefix is below the prefix of the pages.
const changedPrefix = "changed/"

// A Changed is the entry of what was announced. It says all by its key.
type Changed struct {
	Version int `json:"version"`
}

// announcements are the changes that were announced and are not known to be saved. turn is full
// while one is stored or forgotten.
type announcements struct {
	turn    chan struct{}
	pending map[string]int // by key: those of which the index was not told yet
	told    map[string]int // by key: the others, by a number that is another one each time
	last    int
}

// Announce stores, before an old entry changes, that its saved row may be out of date. key is as in
// [Index.Remove], without a slash. told is to be called once the index was told of the change, or
// doubts the entry, or nothing has changed.
func (x *Index) Announce(
	ctx context.Context, s logical.Storage, key string,
) (told func(), err error) {
	select {
	case x.announced.turn <- struct{}{}:
		defer func() { <-x.announced.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := store.Put(ctx, s, x.changedKey(key), Changed{Version: 1}); err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.announced.pending[key]++
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.announced.pending[key]--; x.announced.pending[key] == 0 {
			delete(x.announced.pending, key)
		}
		x.tellAnnounced(key)
	}, nil
}

// tellAnnounced notes that the index was told of what was announced. The caller holds mu.
func (x *Index) tellAnnounced(key string) {
	x.announced.last++
	x.announced.told[key] = x.announced.last
}

func (x *Index) changedKey(key string) string { return x.prefix + changedPrefix + key }

// loadChanged returns the keys of the entries whose change was announced, before this start mostly.
func (x *Index) loadChanged(ctx context.Context, s logical.Storage) ([]string, error) {
	keys, err := store.List(ctx, s, x.prefix+changedPrefix)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, key := range keys {
		x.tellAnnounced(key)
	}
	return keys, nil
}

// takeAnnounced returns the announced changes of which the index was told; none while it is not
// whole, for then some may have yet to be read.
func (x *Index) takeAnnounced() map[string]int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if !x.complete || len(x.doubted) > 0 {
		return nil
	}
	return maps.Clone(x.announced.told)
}

// forgetAnnounced forgets the announced changes that were taken before the pages were saved, if all
// are. One that was announced again since stays.
func (x *Index) forgetAnnounced(
	ctx context.Context, s logical.Storage, taken map[string]int,
) error {
	x.mu.RLock()
	saved := len(x.pages.dirty) == 0
	x.mu.RUnlock()
	if !saved || len(taken) == 0 {
		return nil
	}
	select {
	case x.announced.turn <- struct{}{}:
		defer func() { <-x.announced.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for key, number := range taken {
		x.mu.Lock()
		isOver := x.announced.told[key] == number && x.announced.pending[key] == 0
		x.mu.Unlock()
		if !isOver {
			continue
		}
		if err := store.Delete(ctx, s, x.changedKey(key)); err != nil {
			return err
		}
		x.mu.Lock()
		if x.announced.told[key] == number {
			delete(x.announced.told, key)
		}
		x.mu.Unlock()
	}
	return nil
}
