// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import "sync"

// An inside is a set of names that are being worked on: whoever comes second is told so, and waits for nothing. The zero value is
// ready for use.
type inside struct {
	mu    sync.Mutex
	names map[string]bool
}

// enter reports whether nobody else works on name, and returns what ends the work.
func (i *inside) enter(name string) (leave func(), first bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.names[name] {
		return nil, false
	}
	if i.names == nil {
		i.names = make(map[string]bool)
	}
	i.names[name] = true
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.names, name)
	}, true
}
