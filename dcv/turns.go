// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"context"
	"sync"
)

// turns lets one caller at a time have a key. Whoever waits for one waits no longer than its
// context: a host that hangs holds no goroutine but those whose callers still wait. The zero value
// is ready for use.
type turns struct {
	mu   sync.Mutex
	keys map[string]*turn
}

// A turn is a key that somebody has or waits for.
type turn struct {
	free  chan struct{} // holds one token while nobody has the key
	users int
}

// take returns when the key is free, and release frees it. When ctx ends first, the error is
// ctx.Err().
func (t *turns) take(ctx context.Context, key string) (release func(), err error) {
	t.mu.Lock()
	if t.keys == nil {
		t.keys = map[string]*turn{}
	}
	own := t.keys[key]
	if own == nil {
		own = &turn{free: make(chan struct{}, 1)}
		own.free <- struct{}{}
		t.keys[key] = own
	}
	own.users++
	t.mu.Unlock()
	select {
	case <-own.free:
		return func() {
			own.free <- struct{}{}
			t.leave(key, own)
		}, nil
	case <-ctx.Done():
		t.leave(key, own)
		return nil, ctx.Err()
	}
}

func (t *turns) leave(key string, own *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(t.keys, key)
	}
}

// A lazy value is made at its first use, and again at the next one where that fails. The zero value
// is ready for use.
type lazy[V any] struct {
	turns turns
	made  bool
	value V
}

// get returns the value, and makes it when there is none yet.
func (l *lazy[V]) get(ctx context.Context, produce func(context.Context) (V, error)) (V, error) {
	release, err := l.turns.take(ctx, "")
	if err != nil {
		var none V
		return none, err
	}
	defer release()
	if l.made {
		return l.value, nil
	}
	v, err := produce(ctx)
	l.value, l.made = v, err == nil
	return v, err
}
