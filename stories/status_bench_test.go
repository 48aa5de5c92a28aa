// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// BenchmarkStanding is a reading of status and of metrics, with few and with many certificates and open orders stored.
func BenchmarkStanding(b *testing.B) {
	for _, stored := range []struct{ certificates, orders int }{{100, 10}, {100_000, 10_000}} {
		storage := new(logical.InmemStorage)
		ca := &certinexttest.Server{VerifiedDomains: []string{"example.com"}}
		fillForStanding(b, ca, storage, stored.certificates, stored.orders)
		start := func() logical.Backend {
			backend, err := certinextsecrets.FactoryWith(certinextsecrets.Options{HTTPClient: ca.Client()})(b.Context(),
				&logical.BackendConfig{System: &logical.StaticSystemView{}, StorageView: storage})
			require.NoError(b, err)
			b.Cleanup(func() { backend.Cleanup(context.Background()) })
			return backend
		}
		name := fmt.Sprintf("%d-certificates-%d-orders", stored.certificates, stored.orders)
		backend := start()
		began := time.Now()
		readStanding(b, backend, storage, "status")
		first := time.Since(began)
		var answer map[string]any
		require.Eventually(b, func() bool {
			answer = readStanding(b, backend, storage, "status")
			return answer["certificates"].(map[string]any)["complete"] == true && answer["orders"].(map[string]any)["complete"] == true
		}, 2*time.Minute, 100*time.Millisecond, "%v", answer)
		b.Logf("whole after %s", time.Since(began).Round(time.Millisecond))
		require.Equal(b, stored.orders, answer["orders"].(map[string]any)["open"])
		require.Equal(b, stored.certificates, answer["certificates"].(map[string]any)["live"])
		for _, path := range []string{"status", "metrics"} {
			b.Run(path+"/"+name, func(b *testing.B) {
				for b.Loop() {
					readStanding(b, backend, storage, path)
				}
				b.ReportMetric(float64(first.Milliseconds()), "first-ms")
			})
		}
	}
}

func readStanding(b *testing.B, backend logical.Backend, s logical.Storage, path string) map[string]any {
	b.Helper()
	resp, err := backend.HandleRequest(b.Context(), &logical.Request{Operation: logical.ReadOperation, Path: path, Storage: s})
	require.NoError(b, err)
	require.False(b, resp.IsError(), "%v", resp)
	return resp.Data
}

// fillForStanding stores as many certificates and open orders as a mount makes, as copies of one that it has made.
func fillForStanding(b *testing.B, ca *certinexttest.Server, storage logical.Storage, certificates, orders int) {
	b.Helper()
	backend, err := certinextsecrets.FactoryWith(certinextsecrets.Options{HTTPClient: ca.Client()})(b.Context(),
		&logical.BackendConfig{System: &logical.StaticSystemView{MaxLeaseTTLVal: 365 * 24 * time.Hour}, StorageView: storage})
	require.NoError(b, err)
	send := func(path string, data map[string]any) *logical.Response {
		resp, err := backend.HandleRequest(b.Context(), &logical.Request{
			Operation: logical.UpdateOperation, Path: path, Data: data, Storage: storage, ClientTokenAccessor: "accessor",
		})
		require.NoError(b, err)
		require.False(b, resp.IsError(), "%v", resp)
		return resp
	}
	send("config", (&mount{ca: ca}).account())
	send("roles/web", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
	made := strings.ReplaceAll(send("issue/web", map[string]any{"common_name": "www.example.com"}).Data["serial_number"].(string), ":", "-")
	ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = time.Hour })
	open := send("orders/web", map[string]any{"common_name": "open.example.com"}).Data["order_id"].(string)
	backend.Cleanup(context.Background())

	copyEntries(b, storage, "cert/", made, certificates-1, func(n int) string {
		hex := fmt.Sprintf("%016x", new(big.Int).Add(big.NewInt(1<<40), big.NewInt(int64(n))))
		var parts []string
		for i := 0; i < len(hex); i += 2 {
			parts = append(parts, hex[i:i+2])
		}
		return strings.Join(parts, "-")
	})
	copyEntries(b, storage, "order/open/web/", open, orders-1, func(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) })
	ids, err := storage.List(b.Context(), "order/open/web/")
	require.NoError(b, err)
	for _, id := range ids { // what issue has left: its key waits for being erased
		entry, err := storage.Get(b.Context(), "order/open/web/"+id)
		require.NoError(b, err)
		if !strings.Contains(string(entry.Value), "open.example.com") {
			require.NoError(b, storage.Delete(b.Context(), entry.Key))
		}
	}
}

// copyEntries stores n copies of an entry, each under another name that stands in it, too.
func copyEntries(b *testing.B, storage logical.Storage, prefix, of string, n int, name func(int) string) {
	b.Helper()
	entry, err := storage.Get(b.Context(), prefix+of)
	require.NoError(b, err)
	require.NotNil(b, entry, prefix+of)
	require.True(b, json.Valid(entry.Value))
	for i := range n {
		text := strings.ReplaceAll(string(entry.Value), of, name(i))
		require.NoError(b, storage.Put(b.Context(), &logical.StorageEntry{Key: prefix + name(i), Value: []byte(text)}))
	}
}
