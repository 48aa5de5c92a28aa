// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A CA that learns from others that a key is out revokes each certificate of it within a day, and
// tells nobody. The next synchronization notices, and from then on the mount knows all that follows.
func TestACertificateWhoseKeyWasLostElsewhereIsOver(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		key, uncollected := newKey(t, elliptic.P256()), newKey(t, elliptic.P256())
		signed := m.write("sign/web", map[string]any{"csr": csr(t, key, "www.example.com")})
		other := m.write("issue/web", map[string]any{"common_name": "other.example.com"})
		waits := "orders/web/" + m.write("orders/web", map[string]any{"csr": csr(t, uncollected, "waits.example.com")}).Data["order_id"].(string)
		m.pass()
		require.Equal(t, "issued", m.read(waits).Data["state"])
		serial := signed.Data["serial_number"].(string)
		lost := []string{hashOf(t, key), hashOf(t, uncollected)}
		ca.Configure(func(s *certinexttest.Server) { s.Keys.Blocked = lost })

		m.passMinutes(60)
		m.synchronize()
		require.Empty(t, m.list("certs/revoked"), "CERTInext has not revoked it yet")
		time.Sleep(23 * time.Hour)
		m.synchronize()
		require.Equal(t, 2, m.read("sync").Data["revoked"])
		require.Contains(t, m.list("certs/revoked"), serial)
		read := m.read("cert/" + serial).Data
		require.Equal(t, toldReason(dialect, "key-compromise"), read["revocation_reason"], "what CERTInext says, and nothing else")
		require.NotZero(t, read["revocation_time"])
		require.Zero(t, m.read("cert/" + other.Data["serial_number"].(string)).Data["revocation_time"])

		m.passes(3)
		require.Equal(t, "issued", m.read("orders/web/" + signed.Data["order_id"].(string)).Data["state"], "what became of it is told by its certificate")
		require.Equal(t, "revoked", m.read(waits).Data["state"], "nobody has it yet")
		require.True(t, m.try(logical.UpdateOperation, waits+"/collect", nil).IsError())
		require.Contains(t, m.refused("sign/web", map[string]any{"csr": csr(t, key, "www.example.com")}), "compromised")
		require.Equal(t, "revoked", m.write("revoke", map[string]any{"serial_number": serial}).Data["state"])
		m.must(call{op: logical.RevokeOperation, path: "sign/web", secret: leased(signed)})
		require.Empty(t, m.list("certs/revocation-queue"))
		require.Len(t, ca.Orders(), 3, "nothing was bought for it")
	})
}

// hashOf is how a CA's list of compromised keys names a key.
func hashOf(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
