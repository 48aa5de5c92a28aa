// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package keyed

import "sync"

// A TryMutex is a lock for each name that is never waited for: a second caller is told that the name is
// taken. The zero value is ready for use.
type TryMutex struct {
	mu    sync.Mutex
	names map[string]bool
}

// TryLock locks a name, and returns what unlocks it, unless another caller holds it.
func (m *TryMutex) TryLock(name string) (unlock func(), locked bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.names[name] {
		return nil, false
	}
	if m.names == nil {
		m.names = make(map[string]bool)
	}
	m.names[name] = true
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.names, name)
	}, true
}
