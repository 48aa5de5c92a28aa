// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package keyed

import (
	"context"
	"sync"
)

// A Mutex is a lock for each name. A caller waits for its turn as long as its context lasts. The zero
// value is ready for use.
type Mutex struct {
	mu    sync.Mutex
	locks map[string]*lock
}

// lock is the lock of one name, while it is held or waited for.
type lock struct {
	turn    chan struct{} // holds an element while it is held
	waiting int           // holders and callers that wait
}

// Lock locks a name and returns what unlocks it. The error is that of the context.
func (m *Mutex) Lock(ctx context.Context, name string) (unlock func(), err error) {
	m.mu.Lock()
	if m.locks == nil {
		m.locks = make(map[string]*lock)
	}
	l := m.locks[name]
	if l == nil {
		l = &lock{turn: make(chan struct{}, 1)}
		m.locks[name] = l
	}
	l.waiting++
	m.mu.Unlock()
	select {
	case l.turn <- struct{}{}:
		return func() {
			<-l.turn
			m.leave(name, l)
		}, nil
	case <-ctx.Done():
		m.leave(name, l)
		return nil, ctx.Err()
	}
}

func (m *Mutex) leave(name string, l *lock) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l.waiting--; l.waiting == 0 {
		delete(m.locks, name)
	}
}
