// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A slowReader is a storage whose next answer about a key takes a second: it is old when it arrives.
type slowReader struct {
	logical.Storage
	mu  sync.Mutex
	key string
}

// slow makes the next read of key a slow one.
func (s *slowReader) slow(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = key
}

func (s *slowReader) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	e, err := s.Storage.Get(ctx, key)
	s.mu.Lock()
	slow := s.key == key
	if slow {
		s.key = ""
	}
	s.mu.Unlock()
	if slow {
		time.Sleep(time.Second)
	}
	return e, err
}

// settings are what operators patch: two changes of different fields, each with what it leaves in storage.
var settings = map[string]struct {
	path, key     string
	slow, quick   map[string]any
	left, patched string
}{
	"a role": {
		path: "roles/web", key: "role/web",
		slow: map[string]any{"remarks": "of the web team"}, left: "of the web team",
		quick: map[string]any{"allowed_domains": "narrow.example.com"}, patched: "narrow.example.com",
	},
	"a solver": {
		path: "dcv/solvers/corp", key: "dcv/solver/corp",
		slow: map[string]any{"ttl": "2m"}, left: `"ttl":120000000000`,
		quick: map[string]any{"tsig_secret": "bmV3ZXI="}, patched: "bmV3ZXI=",
	},
}

// settingsMount is a mount with a role and a solver, on a storage that may be slow.
func settingsMount(t *testing.T) (*mount, *slowReader) {
	m := newMount(t, new(certinexttest.Server))
	m.write("dcv/solvers/corp", map[string]any{
		"provider": "rfc2136", "server": "ns1.example.com", "tsig_key_name": "vault", "tsig_secret": "b2xkZXI=",
	})
	storage := &slowReader{Storage: m.storage.Storage}
	m.storage.Storage = storage
	return m, storage
}

// Two operators patch different fields at the same time: neither change is lost, least of all one that narrows what may be ordered.
func TestOfTwoPatchesAtOnceNeitherIsLost(t *testing.T) {
	for name, c := range settings {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, storage := settingsMount(t)
				storage.slow(c.key)
				var slow sync.WaitGroup
				slow.Go(func() { m.must(call{op: logical.PatchOperation, path: c.path, data: c.slow}) })
				time.Sleep(time.Millisecond)
				m.must(call{op: logical.PatchOperation, path: c.path, data: c.quick})
				slow.Wait()
				stored := string(m.storage.dump(t)[c.key])
				require.Contains(t, stored, c.patched, "the change that came in between")
				require.Contains(t, stored, c.left, "the change that took longer")
			})
		})
	}
}

// What was deleted while it was patched stays deleted.
func TestAPatchBringsNothingBackThatWasDeleted(t *testing.T) {
	for name, c := range settings {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, storage := settingsMount(t)
				storage.slow(c.key)
				var slow sync.WaitGroup
				slow.Go(func() {
					resp, err := m.send(call{op: logical.PatchOperation, path: c.path, data: c.slow})
					if err == nil {
						err = resp.Error()
					}
					require.ErrorContains(t, err, "no "+strings.TrimPrefix(name, "a "))
				})
				time.Sleep(time.Millisecond)
				m.must(call{op: logical.DeleteOperation, path: c.path})
				slow.Wait()
				require.NotContains(t, m.storage.dump(t), c.key)
			})
		})
	}
}
