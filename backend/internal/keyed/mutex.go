// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package keyed

import (
	"context"
	"sync"
)

// A Mutex is a lock for each name. A caller waits for it until its context ends. The zero value is
// ready for use.
type Mutex struct {
	mu    sync.Mutex
	locks map[string]*lock
}

// lock is the lock of one name. It exists while a caller holds it or waits for it.
type lock struct {
	held  chan struct{} // of capacity 1; full while a caller holds the lock
	users int           // the holder and the callers that wait
}

// Lock locks a name. The caller calls unlock exactly once. Without the lock, it returns ctx.Err().
func (m *Mutex) Lock(ctx context.Context, name string) (unlock func(), err error) {
	m.mu.Lock()
	if m.locks == nil {
		m.locks = make(map[string]*lock)
	}
	l := m.locks[name]
	if l == nil {
		l = &lock{held: make(chan struct{}, 1)}
		m.locks[name] = l
	}
	l.users++
	m.mu.Unlock()
	select {
	case l.held <- struct{}{}:
		return func() {
			<-l.held
			m.release(name, l)
		}, nil
	case <-ctx.Done():
		m.release(name, l)
		return nil, ctx.Err()
	}
}

// release drops the lock of a name with its last user.
func (m *Mutex) release(name string, l *lock) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.users--
	if l.users == 0 {
		delete(m.locks, name)
	}
}
