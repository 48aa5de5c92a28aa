// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package keyed

import (
	"context"
	"sync"
)

// Values keeps what was built from stored entries, such as clients, by name. It is kept until
// Forget reports that the entry has changed. The first caller that finds no value builds it while
// the others wait, each until its own context ends. The zero value is ready for use.
type Values[V any] struct {
	building Mutex

	mu         sync.Mutex
	values     map[string]V
	generation int // counts calls of Forget
}

// Get returns the value of a name, and calls produce when there is none. When Forget is called, for
// any name, while produce runs, its value is returned and not kept.
func (c *Values[V]) Get(ctx context.Context, name string, produce func() (V, error)) (V, error) {
	if v, ok, _ := c.lookUp(name); ok {
		return v, nil
	}
	unlock, err := c.building.Lock(ctx, name)
	if err != nil {
		var none V
		return none, err
	}
	defer unlock()
	v, ok, generation := c.lookUp(name)
	if ok {
		return v, nil
	}
	if v, err = produce(); err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.generation == generation {
		if c.values == nil {
			c.values = make(map[string]V)
		}
		c.values[name] = v
	}
	return v, nil
}

// Known returns the value of a name, and whether there is one. It never builds it.
func (c *Values[V]) Known(name string) (V, bool) {
	v, ok, _ := c.lookUp(name)
	return v, ok
}

// lookUp is [Values.Known] together with the count of calls of Forget at that time.
func (c *Values[V]) lookUp(name string) (v V, ok bool, generation int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok = c.values[name]
	return v, ok, c.generation
}

// Forget drops the value of a name. Of the values that are being built, none is kept.
func (c *Values[V]) Forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	delete(c.values, name)
}
