// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"sync"
)

// A kept keeps what is made of stored entries, by name, until the entry changes. Whoever misses a value makes it, and the others
// wait for that as long as their own context lasts. The zero value is ready for use.
type kept[V any] struct {
	making keyedGate

	mu      sync.Mutex
	values  map[string]V
	changes int // counts calls of forget
}

// get returns the value of a name, and has it made when there is none. One that was made of an entry which has changed meanwhile
// serves its maker only.
func (k *kept[V]) get(ctx context.Context, name string, produce func() (V, error)) (V, error) {
	if v, ok, _ := k.known(name); ok {
		return v, nil
	}
	unlock, err := k.making.lock(ctx, name)
	if err != nil {
		var none V
		return none, err
	}
	defer unlock()
	v, ok, changes := k.known(name)
	if ok {
		return v, nil
	}
	if v, err = produce(); err != nil {
		return v, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.changes == changes {
		if k.values == nil {
			k.values = make(map[string]V)
		}
		k.values[name] = v
	}
	return v, nil
}

func (k *kept[V]) known(name string) (v V, ok bool, changes int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	v, ok = k.values[name]
	return v, ok, k.changes
}

// forget drops the value of a name, and whatever is being made at this moment.
func (k *kept[V]) forget(name string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changes++
	delete(k.values, name)
}
