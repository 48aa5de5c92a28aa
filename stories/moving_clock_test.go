// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// moving is a mount whose clock goes on by some milliseconds whenever the plugin looks at it, as every real one does. A simulated one stands still
// between two looks, which hides what compares a time with one that was taken a moment earlier.
func moving(t *testing.T, dialect certinexttest.Dialect) *mount {
	t.Helper()
	m := newMount(t, validated(dialect))
	m.step.Store(int64(3 * time.Millisecond))
	m.start()
	return m
}

// revokedNow checks how many certificates are revoked, without a background pass.
func (m *mount) revokedNow(n int) {
	m.t.Helper()
	require.Equal(m.t, n, m.revokedAtCA())
	require.Len(m.t, m.list("certs/revoked"), n)
	require.Empty(m.t, m.list("certs/revocation-queue"))
}

func TestWhatIsAskedForIsDoneAtOnceByAClockThatMoves(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		m := moving(t, dialect)
		first := m.write("issue/web", www)
		again := m.write("issue/web", www)
		require.Equal(t, serialOf(first), serialOf(again), "within the reuse window")
		require.Equal(t, true, again.Data["reused"])
		require.Len(t, m.ca.Orders(), 1)

		m.endLease(first)
		require.Zero(t, m.revokedAtCA(), "the other lease runs")
		m.endLease(again)
		m.revokedNow(1)

		second := m.write("issue/web", www)
		require.NotEqual(t, serialOf(first), serialOf(second))
		require.Equal(t, "revoked", m.write("revoke", map[string]any{"serial_number": serialOf(second)}).Data["state"])
		m.revokedNow(2)

		third := m.write("issue/web", www)
		renewed := m.write("renew/web/"+serialOf(third), nil)
		require.NotEqual(t, serialOf(third), serialOf(renewed))
		require.Equal(t, serialOf(renewed), serialOf(m.write("renew/web/"+serialOf(third), nil)), "one renewal is one purchase")
		require.Len(t, m.ca.Orders(), 4)

		collected := m.write("orders/web", map[string]any{"common_name": "b.example.com"})
		for range 5 {
			time.Sleep(time.Minute)
			m.pass()
		}
		m.write("orders/web/"+collected.Data["order_id"].(string)+"/collect", nil)

		secret := leased(third)
		secret.Increment = time.Hour
		resp := m.must(call{op: logical.RenewOperation, path: "issue/web", secret: secret})
		require.InDelta(t, time.Hour.Seconds(), resp.Secret.TTL.Seconds(), 1)
		m.endLease(third)
		m.revokedNow(3)
	})
}

// The delay begins with the end of the last lease, and ends when it says.
func TestADelayByAClockThatMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := moving(t, certinexttest.Live)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"revocation_delay": "2h"}})
		request := signing(t, "www.example.com")
		first := m.write("sign/web", request)
		m.endLease(first)
		m.waits(time.Hour)
		second := m.write("sign/web", request)
		require.Equal(t, serialOf(first), serialOf(second), "taken over")
		m.waits(3 * time.Hour)
		require.Zero(t, m.revokedAtCA(), "a client has it")
		m.endLease(second)
		m.waits(110 * time.Minute)
		require.Zero(t, m.revokedAtCA(), "before the delay is over")
		time.Sleep(11 * time.Minute)
		m.pass()
		m.revokedNow(1)
	})
}

// What was revoked or ordered elsewhere is taken in by one synchronization.
func TestASynchronizationByAClockThatMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := moving(t, certinexttest.Live)
		issued := m.write("issue/web", www)
		client, _ := elsewhere(t, m.ca, "shop.example.com")
		_, err := client.RevokeOrder(t.Context(), certinext.FamilySSL, issued.Data["ca_order_id"].(string), certinext.RevokeRequest{Reason: certinext.ReasonKeyCompromise})
		require.NoError(t, err)
		m.write("sync", nil)
		synctest.Wait()
		status := m.read("sync").Data
		require.Equal(t, []any{"done", 1, 1}, []any{status["state"], status["imported"], status["revoked"]})
		m.revokedNow(1)
		require.NotEqual(t, serialOf(issued), serialOf(m.write("issue/web", www)), "a revoked one is not reused")
	})
}
