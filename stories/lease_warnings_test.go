// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A lease ends with its token, and with it the certificate. Whoever makes the role is told.
func TestARoleWithLeasesSaysWhatEndsThem(t *testing.T) {
	m := newMount(t, validated(certinexttest.Live))
	role := map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true}
	with := strings.Join(m.write("roles/with", role).Warnings, "\n")
	require.Contains(t, with, "generate_lease is on")
	require.Contains(t, with, "with the token")
	without := m.must(call{op: logical.PatchOperation, path: "roles/with", data: map[string]any{"generate_lease": false}})
	require.Nil(t, without, "nothing to warn of")
	again := m.must(call{op: logical.PatchOperation, path: "roles/with", data: map[string]any{"generate_lease": true}})
	require.Contains(t, strings.Join(again.Warnings, "\n"), "generate_lease is on")
}

// Vault tells a plugin nothing of a token's end. But a batch token is known by what it lacks.
func TestABatchTokenIsToldWhatEndsItsCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		ask := func(path string, data map[string]any, batch bool) string {
			resp := m.must(call{op: logical.UpdateOperation, path: path, data: data, batch: batch, entity: "e"})
			require.NotEmpty(t, resp.Data["certificate"])
			return strings.Join(resp.Warnings, "\n")
		}
		issue := func(batch bool) string { return ask("issue/web", www, batch) }
		require.Contains(t, issue(true), "batch tokens")
		require.NotContains(t, issue(false), "batch tokens")
		order := m.must(call{op: logical.UpdateOperation, path: "orders/web", data: map[string]any{"common_name": "b.example.com"}, batch: true, entity: "e"})
		time.Sleep(time.Minute)
		m.pass()
		require.Contains(t, ask("orders/web/"+order.Data["order_id"].(string)+"/collect", nil, true), "batch tokens")
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"generate_lease": false}})
		require.NotContains(t, issue(true), "batch tokens", "without a lease, nothing ends with the token")
	})
}

// A renewal that asks for less than the certificate's life is warned as issuing is.
func TestARenewalThatEndsBeforeTheCertificateSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		issued := m.write("issue/web", www)
		renew := func(increment time.Duration) string {
			secret := *issued.Secret
			secret.Increment = increment
			return strings.Join(m.must(call{op: logical.RenewOperation, path: "issue/web", secret: &secret}).Warnings, "\n")
		}
		require.Contains(t, renew(15*time.Second), "will be revoked at")
		require.Empty(t, renew(0), "the certificate's whole life")

		// What Vault grants counts from when the lease was stored.
		ends := time.Now().Add(20 * 24 * time.Hour).UTC().Format(time.RFC3339)
		issued.Secret.IssueTime = time.Now()
		m.system.MaxLeaseTTLVal = 20 * 24 * time.Hour
		time.Sleep(5 * 24 * time.Hour)
		require.Contains(t, renew(0), "will be revoked at "+ends)
		require.Contains(t, renew(0), "in 15 days at the latest")
		inAnHour := renew(time.Hour)
		require.Contains(t, inAnHour, "will be revoked at "+ends)
		require.Contains(t, inAnHour, "will be revoked at "+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+", when its lease ends, unless")
	})
}
