// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"sync"
)

// A keyedGate lets one at a time through for each name, for work that asks others: who waits for its turn stops with its context. The zero
// value is ready for use.
type keyedGate struct {
	mu    sync.Mutex
	gates map[string]*gate
}

type gate struct {
	turn    chan struct{} // holds an element while somebody is inside
	waiting int           // those inside and before it
}

// lock waits for its turn and returns the unlock.
func (k *keyedGate) lock(ctx context.Context, name string) (unlock func(), err error) {
	k.mu.Lock()
	if k.gates == nil {
		k.gates = make(map[string]*gate)
	}
	g := k.gates[name]
	if g == nil {
		g = &gate{turn: make(chan struct{}, 1)}
		k.gates[name] = g
	}
	g.waiting++
	k.mu.Unlock()
	select {
	case g.turn <- struct{}{}:
		return func() {
			<-g.turn
			k.leave(name, g)
		}, nil
	case <-ctx.Done():
		k.leave(name, g)
		return nil, ctx.Err()
	}
}

func (k *keyedGate) leave(name string, g *gate) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if g.waiting--; g.waiting == 0 {
		delete(k.gates, name)
	}
}
