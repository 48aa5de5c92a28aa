// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets_test

import (
	"fmt"
	"testing"
	"time"

	certinextsecrets "github.com/certinext/vault-plugin-secrets-certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
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

func benchMount(b *testing.B, ca *certinexttest.Server) func(path string, data map[string]any) {
	b.Helper()
	storage := new(logical.InmemStorage)
	backend, err := certinextsecrets.FactoryWith(certinextsecrets.Options{HTTPClient: ca.Client()})(b.Context(), &logical.BackendConfig{
		System: &logical.StaticSystemView{MaxLeaseTTLVal: 365 * 24 * time.Hour}, StorageView: storage,
	})
	require.NoError(b, err)
	send := func(path string, data map[string]any) {
		resp, err := backend.HandleRequest(b.Context(), &logical.Request{
			Operation: logical.UpdateOperation, Path: path, Data: data, Storage: storage, ClientTokenAccessor: "a",
		})
		require.NoError(b, err)
		require.False(b, resp.IsError(), "%v", resp)
	}
	send("config", map[string]any{
		"base_url": sandboxURL, "client_id": certinexttest.DefaultAccountNumber, "client_secret": certinexttest.DefaultClientSecret,
		"requestor_name": "Platform Team", "requestor_email": "platform@example.com", "signer_place": "Bengaluru",
	})
	return send
}
