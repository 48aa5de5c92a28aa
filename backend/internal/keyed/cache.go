// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package keyed

import (
	"context"
	"sync"
	"time"
)

// A Cache keeps the answers of a remote system for a while. Callers that miss the same answer share one
// call. An error goes to all of them and is not kept. Values are shared and must not be changed.
type Cache[V any] struct {
	Life time.Duration    // of an answer, from the beginning of the call
	Now  func() time.Time // the clock
	Run  func(func())     // runs a call apart from the first caller: when that one leaves, others still wait

	mu      sync.Mutex
	entries map[string]*cached[V]
}

// cached is the last answer under a key, and the call that is under way.
type cached[V any] struct {
	value V
	asked time.Time // zero when there is no answer
	call  *call[V]
}

// call is one call that any number of callers wait for.
type call[V any] struct {
	began time.Time
	done  chan struct{}
	value V
	err   error
}

// maxEntries bounds a cache, whose keys are the callers' words. One that is full forgets everything.
const maxEntries = 64

// Get returns the answer under key, which ask gets from the remote system. With refresh it is asked
// whatever is kept. old tells that the answer was there before.
func (c *Cache[V]) Get(ctx context.Context, key string, refresh bool, ask func() (V, error)) (value V, old bool, err error) {
	c.mu.Lock()
	r := c.at(key)
	if !refresh && !r.asked.IsZero() && c.Now().Before(r.asked.Add(c.Life)) {
		defer c.mu.Unlock()
		return r.value, true, nil
	}
	a := r.call
	if a == nil || refresh { // a call under way may have missed what the caller wants to see
		a = &call[V]{began: c.Now(), done: make(chan struct{})}
		r.call = a
		c.Run(func() {
			a.value, a.err = ask()
			c.store(r, a)
			close(a.done)
		})
	}
	c.mu.Unlock()
	select {
	case <-a.done:
		return a.value, false, a.err
	case <-ctx.Done():
		return value, false, ctx.Err()
	}
}

// at returns the entry of a key. The caller holds mu.
func (c *Cache[V]) at(key string) *cached[V] {
	r := c.entries[key]
	if r == nil {
		if c.entries == nil || len(c.entries) >= maxEntries {
			c.entries = make(map[string]*cached[V])
		}
		r = new(cached[V])
		c.entries[key] = r
	}
	return r
}

// store keeps an answer, unless a later one has come first.
func (c *Cache[V]) store(r *cached[V], a *call[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.err == nil && !a.began.Before(r.asked) {
		r.value, r.asked = a.value, a.began
	}
	if r.call == a {
		r.call = nil
	}
}

// Forget drops all answers, those that are under way included.
func (c *Cache[V]) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries = nil
}
