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
	storage := &slowReader{Storage: m.storage.under()}
	m.storage.lay(storage)
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

// A solver is deleted while an operator names it: either the deletion is refused, or the write that names it.
func TestNothingNamesASolverThatIsGone(t *testing.T) {
	role := call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"dcv_solver": "corp"}}
	domain := call{op: logical.UpdateOperation, path: "domains/example.org", data: map[string]any{"dcv_solver": "corp", "organization_number": certinexttest.DefaultOrganization}}
	remove := call{op: logical.DeleteOperation, path: "dcv/solvers/corp"}
	for name, c := range map[string]struct {
		slow         string // the key whose next read takes a second
		first, later call
	}{
		"the role has seen it":            {"dcv/solver/corp", role, remove},
		"the deletion has seen the role":  {"role/web", remove, role},
		"the domain has seen it":          {"dcv/solver/corp", domain, remove},
		"the deletion has seen no domain": {"role/web", remove, domain},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, storage := settingsMount(t)
				storage.slow(c.slow)
				answers := map[string]error{}
				var mu sync.Mutex
				send := func(what call) {
					resp, err := m.send(what)
					if err == nil {
						err = resp.Error()
					}
					mu.Lock()
					defer mu.Unlock()
					answers[what.path] = err
				}
				var both sync.WaitGroup
				both.Go(func() { send(c.first) })
				time.Sleep(time.Millisecond)
				both.Go(func() { send(c.later) })
				both.Wait()
				stored := m.storage.dump(t)
				named := strings.Contains(string(stored["role/web"]), `"corp"`) || strings.Contains(string(stored["dcv/domain/example.org"]), `"corp"`)
				_, there := stored["dcv/solver/corp"]
				require.False(t, named && !there, "an entry names a solver that is gone: %v", answers)
				if there {
					require.ErrorContains(t, answers[remove.path], "is used by")
					return
				}
				for path, err := range answers {
					require.Equal(t, path == remove.path, err == nil, "%s: %v", path, err)
					if path != remove.path {
						require.ErrorContains(t, err, `there is no solver "corp"`)
					}
				}
			})
		})
	}
}
