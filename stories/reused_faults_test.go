// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// opsStorage counts all operations.
type opsStorage struct {
	logical.Storage
	mu  sync.Mutex
	ops map[string]int // by kind and the first folder of the key
}

func (s *opsStorage) count(kind, key string) {
	folder, _, _ := strings.Cut(key, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ops[kind+" "+folder]++
}

func (s *opsStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	s.count("get", key)
	return s.Storage.Get(ctx, key)
}

func (s *opsStorage) List(ctx context.Context, prefix string) ([]string, error) {
	s.count("list", prefix)
	return s.Storage.List(ctx, prefix)
}

func (s *opsStorage) Put(ctx context.Context, e *logical.StorageEntry) error {
	s.count("put", e.Key)
	return s.Storage.Put(ctx, e)
}

func (s *opsStorage) Delete(ctx context.Context, key string) error {
	s.count("delete", key)
	return s.Storage.Delete(ctx, key)
}

// An issue costs the same whether the plugin can reuse or not; and with reuse, one read more while nothing is kept.
func TestIssueCostsNothingMoreWithoutReuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cost := func(role map[string]any) map[string]int {
			m := reusing(t, role)
			m.asksFor("ann", "warm.example.com")
			counting := &opsStorage{Storage: m.storage.under(), ops: make(map[string]int)}
			m.storage.lay(counting)
			m.asksFor("ann", "www.example.com")
			m.asksFor("ann", "www.example.com")
			return counting.ops
		}
		without, with := cost(map[string]any{"reuse": false}), cost(nil)
		for what := range without {
			require.NotContains(t, what, "reuse", "a role that does not ask for it pays for it")
		}
		with["get reuse"]--
		require.Zero(t, with["get reuse"])
		delete(with, "get reuse")
		require.Equal(t, without, with)
		require.Equal(t, map[string]int{
			"get role": 3, "list held-back": 1, "put order": 2, "get order": 2, "get cert": 2, "put cert": 2, "get number": 2, "put number": 1, "get revocation": 2,
		}, without)
	})
}

func TestAReusedCertificateIsRevokedWithItsLastLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, map[string]any{"generate_lease": true, "revocation_delay": "2h"})
		issue := func() *logical.Response {
			return m.asksAgain("ann", "issue/web", map[string]any{"common_name": "www.example.com"})
		}
		first := issue()
		m.rests(3 * time.Hour)
		second := issue()
		require.Equal(t, serialOf(first), serialOf(second))
		m.rests(3 * time.Hour)
		m.endLease(first)
		m.rests(3 * time.Hour)
		require.Zero(t, m.certificate(first.Data)["revocation_time"], "the second lease runs")

		m.endLease(second)
		m.rests(time.Hour)
		third := issue()
		require.Equal(t, serialOf(first), serialOf(third), "it is taken over within revocation_delay, with the key that is kept")
		require.Equal(t, first.Data["private_key"], third.Data["private_key"])
		m.rests(4 * time.Hour)
		require.Zero(t, m.certificate(first.Data)["revocation_time"])

		m.endLease(third)
		m.rests(4 * time.Hour)
		require.NotZero(t, m.certificate(first.Data)["revocation_time"])
		require.Empty(t, m.kept())
		require.NotEqual(t, serialOf(first), serialOf(issue()))
	})
}

// A lease that Vault could not store, or a caller that hung up, has received nothing.
func TestAReusedAnswerThatWasLostIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, map[string]any{"generate_lease": true})
		data := map[string]any{"common_name": "www.example.com"}
		first := m.asksAgain("ann", "issue/web", data)
		m.rests(3 * time.Hour)
		second := m.asksAgain("ann", "issue/web", data)
		m.must(call{op: logical.RevokeOperation, path: "issue/web", secret: second.Secret}) // as Vault hands it back
		m.rests(3 * time.Hour)

		ctx, cancel := context.WithCancel(t.Context())
		m.storage.failing(func(key string) error {
			if strings.HasPrefix(key, "cert/") {
				cancel()
			}
			return nil
		})
		resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: data, entity: "ann", ctx: ctx})
		m.storage.failing(nil)
		require.True(t, err != nil || resp.IsError(), "a caller that has gone was answered")
		m.rests(3 * time.Hour)

		m.endLease(first)
		m.rests(time.Hour)
		require.NotZero(t, m.certificate(first.Data)["revocation_time"], "the lease of the first answer was the last one")
		require.Len(t, m.ca.Orders(), 1)
	})
}

func TestNobodyGetsACertificateWhoseRevocationHasBegun(t *testing.T) {
	for _, order := range []time.Duration{0, time.Second, 9 * time.Second, 11 * time.Second} {
		t.Run(order.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := reusing(t, nil)
				first := m.asksFor("ann", "www.example.com")
				m.rests(3 * time.Hour)
				m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultLatency, Delay: 10 * time.Second, Times: 1})
				var wg sync.WaitGroup
				wg.Go(func() { m.write("revoke", map[string]any{"serial_number": first["serial_number"]}) })
				synctest.Wait() // CERTInext is being asked
				time.Sleep(order)
				again := m.asksFor("ann", "www.example.com")
				require.NotEqual(t, first["serial_number"], again["serial_number"])
				wg.Wait()
				require.NotZero(t, m.certificate(first)["revocation_time"])
			})
		})
	}
}

// Requests and a revocation that meet: whoever is answered with the certificate was answered before the revocation began.
func TestRequestsMeetARevocation(t *testing.T) {
	met := 0
	for reads := 1; reads < 20; reads++ {
		synctest.Test(t, func(t *testing.T) {
			m := reusing(t, nil)
			first := m.asksFor("ann", "www.example.com")
			m.rests(3 * time.Hour)
			var wasRevoked atomic.Bool
			m.meanwhile(reads, func() {
				met++
				began := time.Now()
				m.write("revoke", map[string]any{"serial_number": first["serial_number"]})
				wasRevoked.Store(time.Since(began) < time.Second) // it waits where the request holds the certificate
			})
			again := m.asksFor("ann", "www.example.com")
			time.Sleep(time.Minute)
			if wasRevoked.Load() {
				require.NotEqual(t, first["serial_number"], again["serial_number"], "before read %d", reads)
			}
		})
	}
	require.GreaterOrEqual(t, met, 10, "the request has other reads")
}

// What was revoked beside the mount is noticed before it is handed out again, and believed when it was seen twice.
func TestACertificateThatWasRevokedElsewhereIsNotReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, nil)
		first := m.asksFor("ann", "www.example.com")
		m.rests(3 * time.Hour)
		elsewhere := newMount(t, m.ca)
		elsewhere.write("sync", nil)
		elsewhere.rests(2 * time.Hour)
		elsewhere.write("revoke", map[string]any{"serial_number": first["serial_number"]})

		resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
		require.NoError(t, err)
		require.True(t, resp.IsError())
		require.Contains(t, resp.Error().Error(), "a false answer would cost a new order")
		require.Len(t, m.ca.Orders(), 1)
		time.Sleep(time.Minute)
		require.NotEqual(t, first["serial_number"], m.asksFor("ann", "www.example.com")["serial_number"])
		require.NotContains(t, fmt.Sprint(m.kept()), "reuse/key")
	})
}

// While CERTInext is away, what is paid for is handed out all the same.
func TestReuseDoesNotNeedCERTInext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, nil)
		first := m.asksFor("ann", "www.example.com")
		m.rests(3 * time.Hour)
		m.ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultDropped})
		require.Equal(t, first["serial_number"], m.asksFor("ann", "www.example.com")["serial_number"])
		m.ca.ClearFaults()
		time.Sleep(time.Minute)
	})
}

// A snapshot that is restored brings back an older entry, or an entry beside another certificate: it answers with what it
// names, if that fits, and with nothing else.
func TestWhatARestoredSnapshotKeepsIsCompared(t *testing.T) {
	restore := func(m *mount, entries map[string][]byte) {
		for key, value := range entries {
			require.NoError(m.t, m.storage.under().Put(m.t.Context(), &logical.StorageEntry{Key: key, Value: value}))
		}
	}
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, nil)
		first := m.asksFor("ann", "www.example.com")
		m.rests(3 * time.Hour)
		entries := make(map[string][]byte)
		dump := m.storage.dump(t)
		for _, key := range m.kept() {
			entries[key] = dump[key]
		}
		m.write("revoke", map[string]any{"serial_number": first["serial_number"]})
		restore(m, entries)
		second := m.asksFor("ann", "www.example.com")
		require.NotEqual(t, first["serial_number"], second["serial_number"], "an entry of a revoked certificate")
		m.rests(3 * time.Hour)

		for key, value := range entries { // the old key beside the new certificate
			dashes := strings.NewReplacer(":", "-")
			entries[key] = []byte(strings.ReplaceAll(string(value), dashes.Replace(first["serial_number"].(string)), dashes.Replace(second["serial_number"].(string))))
		}
		restore(m, entries)
		third := m.asksFor("ann", "www.example.com")
		require.NotEqual(t, first["private_key"], third["private_key"])
		m.isFor(third, "www.example.com")
	})
}

// A key that is kept is in its entry and in the answers, and nowhere else.
func TestAKeptKeyAppearsNowhereElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, nil)
		first := m.asksAgain("ann", "issue/web", map[string]any{"common_name": "www.example.com", "private_key_format": "pkcs8"}).Data
		key := strings.Split(first["private_key"].(string), "\n")[1]
		m.rests(3 * time.Hour)
		m.asksFor("ann", "www.example.com")
		m.rests(3 * time.Hour)
		var seen strings.Builder
		seen.WriteString(m.log.String())
		for _, id := range m.list("orders/web") {
			fmt.Fprintln(&seen, m.read("orders/web/"+id).Data)
		}
		fmt.Fprintln(&seen, m.certificate(first), m.read("roles/web").Data)
		kept := 0
		for k, v := range m.storage.dump(t) {
			switch {
			case strings.Contains(string(v), key):
				kept++
				require.True(t, sealWrapped(m.backend.SpecialPaths().SealWrapStorage, k), k)
			}
			fmt.Fprintln(&seen, k)
		}
		require.Equal(t, 1, kept)
		require.NotContains(t, seen.String(), key)
	})
}

// The newest certificate answers, whichever of two orders is closed last.
func TestForceNewReplacesWhatIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, nil)
		first := m.asksFor("ann", "www.example.com")
		m.rests(3 * time.Hour)
		require.Equal(t, first["serial_number"], m.asksFor("ann", "www.example.com")["serial_number"])
		time.Sleep(time.Minute)
		forced := m.asksAgain("ann", "issue/web", map[string]any{"common_name": "www.example.com", "force_new": true}).Data
		require.NotEqual(t, first["serial_number"], forced["serial_number"])
		m.rests(3 * time.Hour)
		require.Equal(t, forced["serial_number"], m.asksFor("ann", "www.example.com")["serial_number"])
	})
}

func TestReuseGoesOnWithinASubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, map[string]any{"renewal": "reissue"})
		begun, serials := time.Now(), map[any]bool{}
		for time.Since(begun) < 300*day {
			serials[m.asksFor("ann", "www.example.com")["serial_number"]] = true
			time.Sleep(10 * day)
			m.pass()
		}
		require.Len(t, m.ca.Orders(), 1)
		require.Len(t, serials, 3)
	})
}
