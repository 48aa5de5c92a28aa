// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// BenchmarkIssue is a whole issue of a validated domain, the simulator's work included: what the engine itself costs
// beside the CA's seconds.
func BenchmarkIssue(b *testing.B) {
	for _, key := range []map[string]any{
		{"key_type": "ec", "key_bits": 256}, {"key_type": "ec", "key_bits": 384}, {"key_type": "rsa", "key_bits": 2048},
	} {
		b.Run(fmt.Sprintf("%s-%d", key["key_type"], key["key_bits"]), func(b *testing.B) {
			ca := &certinexttest.Server{VerifiedDomains: []string{"example.com"}}
			send := benchMount(b, ca)
			role := map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true}
			for k, v := range key {
				role[k] = v
			}
			send("roles/web", role)
			for b.Loop() {
				send("issue/web", map[string]any{"common_name": "www.example.com"})
			}
		})
	}
}

// BenchmarkIssueOfAnUnvalidatedDomain is a whole issue of a domain that a solver validates on the way, at a real DNS server.
func BenchmarkIssueOfAnUnvalidatedDomain(b *testing.B) {
	dns := dcvtest.Start(b, dcvtest.Zone{Name: "example.com"})
	send := benchMount(b, &certinexttest.Server{Resolver: dns.Addr, NoReuse: true})
	send("dcv/solvers/corp", dns.Settings())
	send("roles/web", map[string]any{
		"product_code": "842", "product_variant": "dv", "allow_any_name": true,
		"dcv_solver": "corp", "dcv_resolvers": dns.Addr, "dcv_propagation_servers": dns.Addr,
	})
	for b.Loop() {
		send("issue/web", map[string]any{"common_name": "www.example.com"})
	}
}

func benchMount(b *testing.B, ca *certinexttest.Server) func(path string, data map[string]any) {
	b.Helper()
	storage := new(logical.InmemStorage)
	backend, err := certinextsecrets.FactoryWith(certinextsecrets.Options{HTTPClient: ca.Client()})(b.Context(), &logical.BackendConfig{
		System: &logical.StaticSystemView{MaxLeaseTTLVal: 365 * 24 * time.Hour}, StorageView: storage,
	})
	require.NoError(b, err)
	send := sender(b, backend, storage)
	send("config", benchAccount())
	return send
}

func benchAccount() map[string]any {
	return map[string]any{
		"base_url": sandboxURL, "client_id": certinexttest.DefaultAccountNumber, "client_secret": certinexttest.DefaultClientSecret,
		"requestor_name": "Platform Team", "requestor_email": "platform@example.com", "signer_place": "Bengaluru",
	}
}

// sender returns a function that sends a write which has to succeed.
func sender(b *testing.B, backend logical.Backend, storage logical.Storage) func(path string, data map[string]any) {
	return func(path string, data map[string]any) {
		b.Helper()
		resp, err := backend.HandleRequest(b.Context(), &logical.Request{
			Operation: logical.UpdateOperation, Path: path, Data: data, Storage: storage, ClientTokenAccessor: "a",
		})
		require.NoError(b, err)
		require.False(b, resp.IsError(), "%v", resp)
	}
}

// BenchmarkPassOverOpenOrders is one round of the background pass, which Vault calls every minute, in a mount with ten
// thousand orders that wait for an approver: idle is a round in which none is due, due one in which as many are looked at as a
// round may. B/order is what an open order costs in memory.
func BenchmarkPassOverOpenOrders(b *testing.B) {
	const orders = 10000
	for name, wait := range map[string]time.Duration{"idle": 0, "due": 24 * time.Hour} {
		b.Run(name, func(b *testing.B) {
			now := time.Now()
			ca := &certinexttest.Server{VerifiedDomains: []string{"example.com"}, HoldForApproval: true}
			storage := new(logical.InmemStorage)
			start := func() logical.Backend {
				backend, err := certinextsecrets.FactoryWith(certinextsecrets.Options{
					HTTPClient: ca.Client(), Now: func() time.Time { return now },
					TickTime: time.Hour, // a pass has ended when it is answered
				})(b.Context(), &logical.BackendConfig{System: new(logical.StaticSystemView), StorageView: storage})
				require.NoError(b, err)
				return backend
			}
			func() {
				send := sender(b, start(), storage)
				send("config", benchAccount())
				send("roles/web", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
				for i := range orders {
					send("orders/web", map[string]any{"common_name": fmt.Sprintf("host-%d.example.com", i)})
				}
			}()
			before := heap()
			backend := start()
			pass := func() {
				_, err := backend.HandleRequest(b.Context(), &logical.Request{
					Operation: logical.RollbackOperation, Storage: storage, Data: map[string]any{"immediate": true},
				})
				if !errors.Is(err, logical.ErrUnsupportedOperation) {
					require.NoError(b, err)
				}
			}
			pass()
			perOrder := (heap() - before) / orders
			for range orders / 200 {
				pass() // each order once, so that none is due
			}
			for b.Loop() {
				now = now.Add(wait)
				pass()
			}
			b.ReportMetric(perOrder, "B/order")
		})
	}
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// BenchmarkRoleWrite is the write of a role that is held against a catalog of a hundred products: remembered is what all but the
// first one in five minutes cost, asked what each would without a memory, where a call of CERTInext takes no time at all.
// calls/op is how often CERTInext was asked.
func BenchmarkRoleWrite(b *testing.B) {
	for name, life := range map[string]time.Duration{"remembered": 0, "asked": time.Hour} {
		b.Run(name, func(b *testing.B) {
			now := time.Now()
			ca := &certinexttest.Server{TokenTTL: 1000 * time.Hour}
			for i := range 100 {
				ca.Catalog = append(ca.Catalog, certinexttest.Product{Code: fmt.Sprint(800 + i), Name: "SSL DV", Type: "13"})
			}
			storage := new(logical.InmemStorage)
			backend, err := certinextsecrets.FactoryWith(certinextsecrets.Options{
				HTTPClient: ca.Client(), Now: func() time.Time { return now },
			})(b.Context(), &logical.BackendConfig{System: new(logical.StaticSystemView), StorageView: storage})
			require.NoError(b, err)
			send := sender(b, backend, storage)
			send("config", benchAccount())
			ca.ResetCalls()
			writes := 0
			for b.Loop() {
				now = now.Add(life)
				send("roles/web", map[string]any{"product_code": "842", "product_variant": "dv"})
				writes++
			}
			calls := ca.Calls()
			b.ReportMetric(float64(calls[certinexttest.OpProducts]+calls[certinexttest.OpCustomFields])/float64(writes), "calls/op")
		})
	}
}

// BenchmarkSync is a synchronization with an account of a thousand certificates that another mount has ordered: first takes in
// all, again finds that all are known. No limit holds it up, and a call of CERTInext takes no time; calls/op is how often it was asked.
func BenchmarkSync(b *testing.B) {
	const certificates = 1000
	ca := &certinexttest.Server{VerifiedDomains: []string{"example.com"}}
	other := benchMount(b, ca)
	other("roles/web", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true, "key_type": "ec"})
	for i := range certificates {
		other("issue/web", map[string]any{"common_name": fmt.Sprintf("host-%d.example.com", i)})
	}
	asked := func() (sum float64) {
		for _, n := range ca.Calls() {
			sum += float64(n)
		}
		return sum
	}
	for _, name := range []string{"first", "again"} {
		b.Run(name, func(b *testing.B) {
			m := newSyncMount(b, ca)
			m.synchronize(b)
			before := asked()
			for b.Loop() {
				if name == "first" {
					m = newSyncMount(b, ca)
				}
				m.synchronize(b)
			}
			b.ReportMetric((asked()-before)/float64(b.N), "calls/op")
		})
	}
}

type syncMount struct {
	backend logical.Backend
	storage logical.Storage
}

func newSyncMount(b *testing.B, ca *certinexttest.Server) *syncMount {
	b.Helper()
	storage := new(logical.InmemStorage)
	backend, err := certinextsecrets.FactoryWith(certinextsecrets.Options{HTTPClient: ca.Client()})(b.Context(), &logical.BackendConfig{
		System: new(logical.StaticSystemView), StorageView: storage,
	})
	require.NoError(b, err)
	config := benchAccount()
	config["requests_per_second"] = 100000
	sender(b, backend, storage)("config", config)
	return &syncMount{backend, storage}
}

func (m *syncMount) synchronize(b *testing.B) {
	b.Helper()
	sender(b, m.backend, m.storage)("sync", nil)
	for {
		resp, err := m.backend.HandleRequest(b.Context(), &logical.Request{Operation: logical.ReadOperation, Path: "sync", Storage: m.storage})
		require.NoError(b, err)
		switch resp.Data["state"] {
		case "done":
			return
		case "running":
			time.Sleep(100 * time.Microsecond)
		default:
			require.FailNow(b, "the synchronization failed", resp.Data)
		}
	}
}
