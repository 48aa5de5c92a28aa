// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import "sync"

// A keyedMutex locks by name, within this process: certificate records are changed on the active node only.
type keyedMutex struct {
	mu    sync.Mutex
	locks map[string]*countedMutex
}

type countedMutex struct {
	sync.Mutex
	waiting int
}

// lock locks name and returns its unlock.
func (k *keyedMutex) lock(name string) func() {
	k.mu.Lock()
	if k.locks == nil {
		k.locks = make(map[string]*countedMutex)
	}
	l := k.locks[name]
	if l == nil {
		l = new(countedMutex)
		k.locks[name] = l
	}
	l.waiting++
	k.mu.Unlock()
	l.Lock()
	return func() {
		l.Unlock()
		k.mu.Lock()
		defer k.mu.Unlock()
		if l.waiting--; l.waiting == 0 {
			delete(k.locks, name)
		}
	}
}
