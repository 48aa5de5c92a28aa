// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// BenchmarkStart is the start of a process up to its first answer, with few and with many certificates stored: one that is read,
// and one that is bought. What is listed is read in the background meanwhile.
func BenchmarkStart(b *testing.B) {
	for _, stored := range []struct{ certificates, orders int }{{100, 10}, {100_000, 10}, {100_000, 10_000}} {
		storage := new(logical.InmemStorage)
		ca := &certinexttest.Server{VerifiedDomains: []string{"example.com"}}
		fillForStanding(b, ca, storage, stored.certificates, stored.orders)
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
		serials, err := storage.List(b.Context(), "cert/")
		require.NoError(b, err)
		n := 0
		for what, ask := range map[string]func() *logical.Request{
			"read": func() *logical.Request {
				return &logical.Request{Operation: logical.ReadOperation, Path: "cert/" + slices.Max(serials)}
			},
			"issue": func() *logical.Request {
				n++
				return &logical.Request{
					Operation: logical.UpdateOperation, Path: "issue/web", ClientTokenAccessor: "accessor",
					Data: map[string]any{"common_name": fmt.Sprintf("start-%d.example.com", n)},
				}
			},
		} {
			b.Run(fmt.Sprintf("%s/%d-certificates-%d-orders", what, stored.certificates, stored.orders), func(b *testing.B) {
				var longest time.Duration
				for b.Loop() {
					longest = max(longest, firstAnswer(b, ca, storage, ask()))
				}
				b.ReportMetric(float64(longest.Microseconds())/1000, "longest-ms")
			})
		}
	}
}

// firstAnswer starts a process on what is stored, and returns how long its first answer takes from then on.
func firstAnswer(b *testing.B, ca *certinexttest.Server, storage logical.Storage, req *logical.Request) time.Duration {
	b.Helper()
	began := time.Now()
	backend, err := certinextsecrets.FactoryWith(certinextsecrets.Options{HTTPClient: ca.Client()})(b.Context(),
		&logical.BackendConfig{System: &logical.StaticSystemView{MaxLeaseTTLVal: 365 * 24 * time.Hour}, StorageView: storage})
	require.NoError(b, err)
	require.NoError(b, backend.Initialize(b.Context(), &logical.InitializationRequest{Storage: storage}))
	req.Storage = storage
	resp, err := backend.HandleRequest(b.Context(), req)
	took := time.Since(began)
	require.NoError(b, err)
	require.NotNil(b, resp)
	require.False(b, resp.IsError(), "%v", resp)
	b.StopTimer()
	backend.Cleanup(context.Background())
	b.StartTimer()
	return took
}
