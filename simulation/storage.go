// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"
)

// errDisk is the error of failing storage.
var errDisk = errors.New("storage is away for a moment")

// errGone is the error that a dead process receives. It has no effect.
var errGone = errors.New("the process has died")

// A disk is the storage of the mount. It survives every process.
type disk struct {
	entries map[string][]byte
	writes  int
	// written is called for every key that has changed, with what it was and its new value; nil if
	// there was none, or if it was deleted.
	written func(ctx context.Context, by *process, key string, before, value []byte)
}

// sorted returns all keys in order.
func (d *disk) sorted() []string { return slices.Sorted(maps.Keys(d.entries)) }

// under returns the keys with a prefix, in order.
func (d *disk) under(prefix string) []string {
	var out []string
	for _, key := range d.sorted() {
		if strings.HasPrefix(key, prefix) {
			out = append(out, key)
		}
	}
	return out
}

// A view is the disk as one process accesses it. It implements [logical.Storage].
type view struct {
	world *world
	proc  *process
}

// do carries out an operation when the scheduler lets it continue.
func (v *view) do(ctx context.Context, what string, effect func()) error {
	if v.proc.dead.Load() {
		return errGone
	}
	if v.world.unscheduled {
		effect()
		return nil
	}
	op := &operation{ctx: ctx, actor: actorOf(ctx), what: what, proc: v.proc, disk: true}
	switch v.world.sched.park(op) {
	case goOn:
		effect()
		return nil
	case failAfter:
		effect()
		return errDisk
	case failBefore:
		return errDisk
	case leftAfter:
		effect()
		return context.Cause(ctx)
	case left:
		return context.Cause(ctx)
	case goneAfter:
		effect()
	}
	return errGone
}

// Get reads an entry.
func (v *view) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	var e *logical.StorageEntry
	err := v.do(ctx, "get "+key, func() {
		if value, ok := v.world.disk.entries[key]; ok {
			e = &logical.StorageEntry{Key: key, Value: bytes.Clone(value)}
		}
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Put writes an entry.
func (v *view) Put(ctx context.Context, e *logical.StorageEntry) error {
	v.world.books.closes(e.Key)
	key, value := e.Key, bytes.Clone(e.Value)
	lookDry(ctx, v.world, "put "+key)
	return v.do(ctx, "put "+key, func() { v.change(ctx, key, value) })
}

// Delete removes an entry.
func (v *view) Delete(ctx context.Context, key string) error {
	lookDry(ctx, v.world, "delete "+key)
	return v.do(ctx, "delete "+key, func() { v.change(ctx, key, nil) })
}

func (v *view) change(ctx context.Context, key string, value []byte) {
	d := v.world.disk
	d.writes++
	before := d.entries[key]
	if value == nil {
		delete(d.entries, key)
	} else {
		d.entries[key] = value
	}
	d.written(ctx, v.proc, key, before, value)
}

// List returns what is directly below a prefix; folders end in a slash.
func (v *view) List(ctx context.Context, prefix string) ([]string, error) {
	var out []string
	err := v.do(ctx, "list "+prefix, func() {
		for _, key := range v.world.disk.under(prefix) {
			name, _, folder := strings.Cut(strings.TrimPrefix(key, prefix), "/")
			if folder {
				name += "/"
			}
			if len(out) == 0 || out[len(out)-1] != name {
				out = append(out, name)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return slices.Compact(slices.Sorted(slices.Values(out))), nil
}
