// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// BenchmarkShareOfAnIssue says where the time of an issue goes: to the CA, to storage, to the key, and to the engine itself,
// which is the rest. Each issue is for a name of its own, with a lease, as a client after the other sends them.
func BenchmarkShareOfAnIssue(b *testing.B) {
	ca := &certinexttest.Server{VerifiedDomains: []string{"example.com"}}
	transport := &timedTransport{next: ca.Client().Transport}
	storage := &timedStorage{Storage: new(logical.InmemStorage)}
	backend, err := certinextsecrets.FactoryWith(certinextsecrets.Options{HTTPClient: &http.Client{Transport: transport}})(b.Context(), &logical.BackendConfig{
		System: &logical.StaticSystemView{MaxLeaseTTLVal: 365 * 24 * time.Hour}, StorageView: storage,
	})
	require.NoError(b, err)
	send := sender(b, backend, storage)
	send("config", benchAccount())
	send("roles/web", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true, "generate_lease": true})
	send("issue/web", map[string]any{"common_name": "warm.example.com"})
	transport.took.Store(0)
	storage.took.Store(0)
	storage.reads.Store(0)
	storage.writes.Store(0)
	var n int64
	for b.Loop() {
		n++
		send("issue/web", map[string]any{"common_name": fmt.Sprintf("n%d.example.com", n)})
	}
	wall := float64(b.Elapsed()) / float64(n)
	caTime, storageTime, key := float64(transport.took.Load())/float64(n), float64(storage.took.Load())/float64(n), keyTime(b)
	b.ReportMetric(caTime, "ca-ns/op")
	b.ReportMetric(storageTime, "storage-ns/op")
	b.ReportMetric(key, "key-ns/op")
	b.ReportMetric(max(0, wall-caTime-storageTime-key), "own-ns/op")
	b.ReportMetric(float64(storage.reads.Load())/float64(n), "reads/op")
	b.ReportMetric(float64(storage.writes.Load())/float64(n), "writes/op")
}

// keyTime is what a key takes to be made, in nanoseconds.
func keyTime(b *testing.B) float64 {
	b.Helper()
	const keys = 200
	began := time.Now()
	for range keys {
		_, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(b, err)
	}
	return float64(time.Since(began)) / keys
}

// timedTransport adds up how long the CA takes to answer.
type timedTransport struct {
	next http.RoundTripper
	took atomic.Int64
}

func (t *timedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	began := time.Now()
	defer func() { t.took.Add(int64(time.Since(began))) }()
	return t.next.RoundTrip(req)
}

// timedStorage adds up how long storage takes, and how often it is asked.
type timedStorage struct {
	logical.Storage
	took, reads, writes atomic.Int64
}

func (s *timedStorage) time(n *atomic.Int64) func() {
	n.Add(1)
	began := time.Now()
	return func() { s.took.Add(int64(time.Since(began))) }
}

func (s *timedStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	defer s.time(&s.reads)()
	return s.Storage.Get(ctx, key)
}

func (s *timedStorage) List(ctx context.Context, prefix string) ([]string, error) {
	defer s.time(&s.reads)()
	return s.Storage.List(ctx, prefix)
}

func (s *timedStorage) Put(ctx context.Context, e *logical.StorageEntry) error {
	defer s.time(&s.writes)()
	return s.Storage.Put(ctx, e)
}

func (s *timedStorage) Delete(ctx context.Context, key string) error {
	defer s.time(&s.writes)()
	return s.Storage.Delete(ctx, key)
}
