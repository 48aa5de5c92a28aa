// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// backend is the engine's, with a desk between it and Vault.
type backend struct {
	logical.Backend
	desk   *desk
	owners owners
	behind behind
	mount  atomic.Value // string; known from the first request on
}

// factory makes the engine's backends and puts the desk around them.
func factory(d *desk) logical.Factory {
	return func(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
		b := &backend{desk: d}
		inner, err := certinextsecrets.FactoryWith(certinextsecrets.Options{Now: b.now, Steady: b.now, TickTime: 85 * time.Second})(ctx, conf)
		b.Backend = inner
		return b, err
	}
}

func (b *backend) now() time.Time {
	mount, _ := b.mount.Load().(string)
	return time.Now().Add(b.desk.forward(mount))
}

// PluginVersion is the engine's, which Vault compares with the one that was registered.
func (b *backend) PluginVersion() logical.PluginVersion {
	if v, ok := b.Backend.(logical.PluginVersioner); ok {
		return v.PluginVersion()
	}
	return logical.EmptyPluginVersion
}

func (b *backend) Initialize(ctx context.Context, req *logical.InitializationRequest) error {
	seen := *req
	seen.Storage = &storage{Storage: req.Storage, backend: b}
	return b.Backend.Initialize(ctx, &seen)
}

var labelled = regexp.MustCompile(`^(?:issue|sign|orders|approvals|operator/orders|revoke)/([^/]+)`)

// HandleRequest hands a request to the engine. The answer is an event, too: the engine has given it, and Vault, which has yet
// to store its lease, has not got it.
func (b *backend) HandleRequest(ctx context.Context, req *logical.Request) (*logical.Response, error) {
	b.mount.Store(strings.TrimSuffix(req.MountPoint, "/"))
	seen := *req
	seen.Storage = &storage{Storage: req.Storage, backend: b}
	switch {
	case req.Operation == logical.RollbackOperation:
		return nil, nil // Vault's minute
	case req.Path == "crash/pass":
		seen.Operation, seen.Path = logical.RollbackOperation, ""
	}
	resp, err := b.Backend.HandleRequest(ctx, &seen)
	label := labelled.FindStringSubmatch(req.Path)
	if label != nil && req.Operation != logical.ReadOperation && req.Operation != logical.ListOperation {
		b.behind.await(label[1])
		b.desk.before(label[1], "answer") // what comes after it, only the client can see
	}
	return resp, err
}

// storage is the mount's, every write to which is an event.
type storage struct {
	logical.Storage
	backend *backend
}

func (s *storage) Put(ctx context.Context, e *logical.StorageEntry) error {
	return s.around(ctx, "put", e.Key, e.Value, func() error { return s.Storage.Put(ctx, e) })
}

func (s *storage) Delete(ctx context.Context, key string) error {
	return s.around(ctx, "delete", key, nil, func() error { return s.Storage.Delete(ctx, key) })
}

func (s *storage) around(ctx context.Context, verb, key string, value []byte, act func() error) error {
	label, kind := s.describe(ctx, key, value)
	if label == "" {
		return act()
	}
	return s.backend.desk.around(label, verb+" "+kind, func() error {
		err := act()
		if err == nil {
			s.backend.behind.note(verb, label, key)
		}
		return err
	})
}
