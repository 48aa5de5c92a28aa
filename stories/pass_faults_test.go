// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A storage of which a part cannot be read.
type unreadable struct {
	logical.Storage
	mu     sync.Mutex
	prefix string // of the keys that cannot be read; none when empty
}

// below has reads below prefix fail from now on; an empty one ends that.
func (s *unreadable) below(prefix string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prefix = prefix
}

func (s *unreadable) refuses(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.prefix != "" && strings.HasPrefix(key, s.prefix)
}

func (s *unreadable) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	if s.refuses(key) {
		return nil, errStorageAway
	}
	return s.Storage.Get(ctx, key)
}

func (s *unreadable) List(ctx context.Context, prefix string) ([]string, error) {
	if s.refuses(prefix) {
		return nil, errStorageAway
	}
	return s.Storage.List(ctx, prefix)
}

// partly puts a storage of which a part may be unreadable below the mount.
func (m *mount) partly() *unreadable {
	s := &unreadable{Storage: m.storage.under()}
	m.storage.lay(s)
	return s
}

// failedPass runs a background pass that meets errors, and returns them.
func (m *mount) failedPass() error {
	m.t.Helper()
	_, err := m.send(call{op: logical.RollbackOperation, data: map[string]any{"immediate": true}})
	return err
}

// An open order whose entry cannot be read says nothing about what waits in the queue of revocations, and keeps nobody's certificate valid.
func TestAPassRevokesWhileAnOrderCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		issued := m.write("issue/web", www)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError, Times: 1})
		m.endLease(issued) // is queued
		ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
		m.write("orders/web", map[string]any{"common_name": "open.example.com"})
		storage := m.partly()
		storage.below("order/open/web/")
		m.start() // which reads the open orders anew
		time.Sleep(time.Hour)
		require.ErrorIs(t, m.failedPass(), errStorageAway, "the operator hears of the fault")
		require.Equal(t, "revoked", ca.Orders()[0].Status)
	})
}

// A domain whose entry cannot be read lets no other one expire.
func TestAPassKeepsTheOtherDomainsWhileOneCannotBeRead(t *testing.T) {
	z := clocked(t, &certinexttest.Server{DomainValidity: 100 * day}, dcvtest.Zone{Name: "example.com"})
	z.register("example.com", map[string]any{"keep_validated": true})
	first := z.onlyDomain().ValidTill
	storage := z.partly()
	entry, err := logical.StorageEntryJSON("dcv/domain/a.example.com", map[string]any{"version": 1})
	require.NoError(t, err)
	require.NoError(t, storage.Storage.Put(t.Context(), entry))
	storage.below(entry.Key)
	z.later(75 * day)
	require.ErrorIs(t, z.failedPass(), errStorageAway, "the operator hears of the fault")
	require.True(t, z.onlyDomain().ValidTill.After(first), "nobody has validated it again")
}

// One hour of watched leases that cannot be listed keeps no other lease from being ended.
func TestAnHourOfLeasesThatCannotBeListedHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		for name, ttl := range map[string]string{"a": "3h", "b": "5h"} {
			m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"ttl": ttl}})
			m.write("issue/web", map[string]any{"common_name": name + ".example.com"})
		}
		for range 30 {
			time.Sleep(time.Minute)
			m.pass() // closes the orders
		}
		var watches []string
		for key := range m.storage.dump(t) {
			if strings.HasPrefix(key, "lease/") {
				watches = append(watches, key)
			}
		}
		slices.Sort(watches)
		require.Len(t, watches, 2)
		time.Sleep(6 * time.Hour)
		storage := m.partly()
		storage.below(path.Dir(watches[0]) + "/")
		status := func() map[string]string {
			out := map[string]string{}
			for _, o := range ca.Orders() {
				out[o.Domain] = o.Status
			}
			return out
		}
		for range 5 {
			require.ErrorIs(t, m.failedPass(), errStorageAway)
			time.Sleep(time.Minute)
		}
		require.Equal(t, map[string]string{"a.example.com": "issued", "b.example.com": "revoked"}, status())
		storage.below("")
		for range 5 {
			m.pass()
			time.Sleep(time.Minute)
		}
		require.Equal(t, map[string]string{"a.example.com": "revoked", "b.example.com": "revoked"}, status())
	})
}
