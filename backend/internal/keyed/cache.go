// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package keyed

import (
	"context"
	"sync"
	"time"
)

// A Cache keeps the answers of a remote system for a while. Callers that miss the same answer share
// one call. An error is returned to all of them and is not kept. Values are shared and must not be
// changed. All exported fields are required.
type Cache[V any] struct {
	Life time.Duration    // of an answer, counted from the beginning of its call
	Now  func() time.Time // the clock
	Run  func(func())     // runs a call in a goroutine, so that it outlives its first caller

	mu      sync.Mutex
	entries map[string]*cached[V]
}

// cached is the latest answer under a key, and the call in progress.
type cached[V any] struct {
	value V
	asked time.Time // when the call of value began; zero when there is no value
	call  *call[V]  // nil when there is none in progress
}

// call is one call to the remote system, which any number of callers wait for.
type call[V any] struct {
	began time.Time
	done  chan struct{} // closed when value and err are set
	value V
	err   error
}

// maxEntries bounds a cache, since requests choose its keys. A full cache drops all of its entries.
const maxEntries = 64

// Get returns the answer under key, and calls ask for it when none is kept, or when refresh is set.
// old reports that the answer was kept. When ctx ends first, the error is ctx.Err(), and the call
// goes on for the other callers.
func (c *Cache[V]) Get(
	ctx context.Context, key string, refresh bool, ask func() (V, error),
) (value V, old bool, err error) {
	c.mu.Lock()
	entry := c.entry(key)
	if !refresh && entry.isFresh(c.Now(), c.Life) {
		defer c.mu.Unlock()
		return entry.value, true, nil
	}
	current := entry.call
	if current == nil || refresh { // a call in progress may predate what the caller wants to see
		current = &call[V]{began: c.Now(), done: make(chan struct{})}
		entry.call = current
		c.Run(func() {
			current.value, current.err = ask()
			c.store(entry, current)
			close(current.done)
		})
	}
	c.mu.Unlock()
	select {
	case <-current.done:
		return current.value, false, current.err
	case <-ctx.Done():
		return value, false, ctx.Err()
	}
}

// entry returns the entry of a key, and creates it when there is none. The caller holds mu.
func (c *Cache[V]) entry(key string) *cached[V] {
	entry := c.entries[key]
	if entry == nil {
		if c.entries == nil || len(c.entries) >= maxEntries {
			c.entries = make(map[string]*cached[V])
		}
		entry = new(cached[V])
		c.entries[key] = entry
	}
	return entry
}

// store keeps the answer of a call, unless that of a later call has arrived first.
func (c *Cache[V]) store(entry *cached[V], done *call[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if done.err == nil && !done.began.Before(entry.asked) {
		entry.value, entry.asked = done.value, done.began
	}
	if entry.call == done {
		entry.call = nil
	}
}

// Forget drops all answers. The answer of a call in progress reaches its callers and is not kept.
func (c *Cache[V]) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries = nil
}

// isFresh reports whether an answer was given no longer than life before now. One from the future
// was given by a clock that has been set back since.
func (e *cached[V]) isFresh(now time.Time, life time.Duration) bool {
	return !e.asked.IsZero() && !e.asked.After(now) && now.Before(e.asked.Add(life))
}
