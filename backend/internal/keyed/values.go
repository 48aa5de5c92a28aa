// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package keyed

import (
	"context"
	"sync"
)

// Values keeps what is made of stored entries, by name, until the entry changes. The first caller that
// misses a value makes it; others wait for that as long as their own context lasts. The zero value is
// ready for use.
type Values[V any] struct {
	making Mutex

	mu      sync.Mutex
	values  map[string]V
	changes int // counts calls of Forget
}

// Get returns the value of a name, and has it made when there is none. A value whose entry has changed
// while it was made serves its maker only.
func (c *Values[V]) Get(ctx context.Context, name string, produce func() (V, error)) (V, error) {
	if v, ok, _ := c.known(name); ok {
		return v, nil
	}
	unlock, err := c.making.Lock(ctx, name)
	if err != nil {
		var none V
		return none, err
	}
	defer unlock()
	v, ok, changes := c.known(name)
	if ok {
		return v, nil
	}
	if v, err = produce(); err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes == changes {
		if c.values == nil {
			c.values = make(map[string]V)
		}
		c.values[name] = v
	}
	return v, nil
}

// Known returns the value of a name, if there is one, and makes none.
func (c *Values[V]) Known(name string) (V, bool) {
	v, ok, _ := c.known(name)
	return v, ok
}

// known is [Values.Known] with the count of changes.
func (c *Values[V]) known(name string) (v V, ok bool, changes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok = c.values[name]
	return v, ok, c.changes
}

// Forget drops the value of a name, and whatever is being made at this moment.
func (c *Values[V]) Forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	delete(c.values, name)
}
