// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// TestARestoredSnapshotIsHeld is the story of docs/guides/restore.md: a snapshot is restored on another server while the first one is
// still alive, and its certificates are in use.
func TestARestoredSnapshotIsHeld(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	leased := v.write("certinext/issue/web", map[string]any{"common_name": "www.example.com", "ttl": "20s"})
	kept := v.write("certinext/issue/web", map[string]any{"common_name": "api.example.com"})
	ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
	open := text(t, v.write("certinext/orders/web", map[string]any{"common_name": "open.example.com"}).Data["order_id"])
	var snapshot bytes.Buffer
	require.NoError(t, v.api.Sys().RaftSnapshotWithContext(t.Context(), &snapshot))
	_, err := v.api.Sys().RenewWithContext(t.Context(), leased.LeaseID, 3600) // which the snapshot does not know
	require.NoError(t, err)

	w := v.restored(t, &snapshot, "CERTINEXT_HOLD=1")
	require.Equal(t, true, w.read("certinext/config/check")["held"])
	for path, data := range map[string]map[string]any{
		"certinext/issue/web":  {"common_name": "new.example.com"},
		"certinext/orders/web": {"common_name": "new.example.com"},
		"certinext/revoke":     {"serial_number": kept.Data["serial_number"]},
	} {
		require.Contains(t, w.refused(path, data), "CERTINEXT_HOLD")
	}
	serial := text(t, leased.Data["serial_number"])
	waitUntil(t, time.Minute, "the lease is over for the restored server", func() bool {
		return strings.Contains(strings.Join(w.list("certinext/certs/revocation-queue"), " "), serial)
	})
	w.write("certinext/sync", nil)
	waitUntil(t, time.Minute, "it is compared with the CA", func() bool { return w.read("certinext/sync")["state"] == "done" })
	blocked := w.read("certinext/operator/revocations/" + serial)
	require.Contains(t, blocked["blocked"], "CERTINEXT_HOLD")
	w.write("certinext/operator/revocations/"+serial, map[string]any{"end": true, "reason": "still in use"})
	require.Empty(t, w.list("certinext/certs/revocation-queue"))
	require.Equal(t, open, w.read("certinext/orders/web/" + open)["order_id"])
	require.Len(t, ca.Orders(), 3)
	for _, o := range ca.Orders() {
		require.Contains(t, []string{"issued", "pending-approval"}, o.Status, o.Domain)
	}
	waitUntil(t, 2*time.Minute, "the log says so", func() bool {
		return strings.Contains(w.process.output(t), "this mount is held")
	})

	v.crash() // the first one is gone for good, and the restored one is released
	w.crash()
	w.env = nil
	w.restart()
	w.endLease(kept)
	require.Equal(t, "revoked", ca.ordersFor("api.example.com")[0].Status)
	require.Equal(t, "issued", ca.ordersFor("www.example.com")[0].Status, "its revocation was ended")
}

// restored is another server, with a snapshot of v's storage, and with variables in its environment.
func (v *server) restored(t *testing.T, snapshot *bytes.Buffer, env ...string) *server {
	t.Helper()
	w := newServer(t, "restored", "performance_multiplier = 1")
	w.process.stop()
	w.env = env
	w.launch(t)
	w.initialize()
	w.awaken()
	require.NoError(t, w.api.Sys().RaftSnapshotRestoreWithContext(t.Context(), snapshot, true))
	w.unseal = v.unseal // the snapshot's
	w.api.SetToken(v.api.Token())
	waitUntil(t, 30*time.Second, "Vault is sealed by the snapshot", func() bool {
		h, err := w.api.Sys().HealthWithContext(t.Context())
		return err == nil && h.Sealed
	})
	w.awaken()
	return w
}
