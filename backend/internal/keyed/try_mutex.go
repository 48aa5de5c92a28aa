// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package keyed

import "sync"

// A TryMutex is a lock for each name that no caller waits for. The zero value is ready for use.
type TryMutex struct {
	mu    sync.Mutex
	names map[string]bool
}

// TryLock locks a name unless another caller holds it. With locked, the caller calls unlock exactly
// once; otherwise unlock is nil.
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
