// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"sync"
	"time"
)

// A memo remembers CERTInext's answers for a while. Whoever misses an answer that is just being asked for waits for it, so that
// CERTInext is asked once. An error is told to all who waited, and not remembered. What comes out is shared and must not be
// changed.
type memo[V any] struct {
	life time.Duration
	now  func() time.Time
	run  func(func()) // runs a question apart from whoever asked it first: others may wait when that one has left

	mu    sync.Mutex
	known map[string]*remembered[V]
}

// remembered is the last answer to one question, and the asking that is under way.
type remembered[V any] struct {
	value  V
	asked  time.Time // zero when there is no answer
	asking *asking[V]
}

// asking is one call of CERTInext that any number of callers wait for.
type asking[V any] struct {
	began time.Time
	done  chan struct{}
	value V
	err   error
}

// maxRemembered bounds a memo, whose keys are the callers' words. One that is full forgets everything.
const maxRemembered = 64

// get returns the answer to the question key, which ask puts to CERTInext. With anew it is asked whatever is remembered. old
// tells that the answer was there before the call.
func (m *memo[V]) get(ctx context.Context, key string, anew bool, ask func() (V, error)) (value V, old bool, err error) {
	m.mu.Lock()
	r := m.at(key)
	if !anew && !r.asked.IsZero() && m.now().Before(r.asked.Add(m.life)) {
		defer m.mu.Unlock()
		return r.value, true, nil
	}
	a := r.asking
	if a == nil || anew { // an asking under way may have missed what the caller wants to see
		a = &asking[V]{began: m.now(), done: make(chan struct{})}
		r.asking = a
		m.run(func() {
			a.value, a.err = ask()
			m.settle(r, a)
			close(a.done)
		})
	}
	m.mu.Unlock()
	select {
	case <-a.done:
		return a.value, false, a.err
	case <-ctx.Done():
		return value, false, ctx.Err()
	}
}

// at returns the place of a question. The caller holds mu.
func (m *memo[V]) at(key string) *remembered[V] {
	r := m.known[key]
	if r == nil {
		if m.known == nil || len(m.known) >= maxRemembered {
			m.known = make(map[string]*remembered[V])
		}
		r = new(remembered[V])
		m.known[key] = r
	}
	return r
}

// settle keeps an answer, unless a later one has come first.
func (m *memo[V]) settle(r *remembered[V], a *asking[V]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a.err == nil && !a.began.Before(r.asked) {
		r.value, r.asked = a.value, a.began
	}
	if r.asking == a {
		r.asking = nil
	}
}

// forget drops all answers, those that are under way included.
func (m *memo[V]) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known = nil
}
