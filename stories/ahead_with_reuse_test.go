// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// passesUntil sleeps until some time before the renewal of an answer's certificate is due, with passes each half day.
func (m *mount) passesUntil(answer map[string]any, before time.Duration) {
	m.t.Helper()
	due := time.Unix(answer["renew_after"].(int64), 0).Add(-before)
	for time.Until(due) > 12*time.Hour {
		time.Sleep(12 * time.Hour)
		m.pass()
	}
	time.Sleep(time.Until(due))
}

func TestAheadReplacedIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, map[string]any{"revoke_replaced_after": "72h"})
		first := m.annIssues()
		m.untilDue(first)
		require.Len(t, m.ca.Orders(), 2)
		second := m.annIssues()
		require.NotEqual(t, first["serial_number"], second["serial_number"])
		m.rests(80 * time.Hour)
		require.NotZero(t, m.certificate(first)["revocation_time"])
	})
}

func TestAheadRenewedByNameIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, map[string]any{"revoke_replaced_after": "72h"})
		first := m.annIssues()
		m.untilDue(first)
		second := m.asks("renew/web/"+first["serial_number"].(string), nil).Data
		require.NotEqual(t, first["serial_number"], second["serial_number"])
		require.Len(t, m.ca.Orders(), 2)
		m.rests(80 * time.Hour)
		require.NotZero(t, m.certificate(first)["revocation_time"])
	})
}

func TestReuseAfterRenewByNameAhead(t *testing.T) {
	for _, renewal := range []string{"order", "reissue"} {
		t.Run(renewal, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := aheadOf(t, map[string]any{"reuse": true, "renewal": renewal})
				first := m.annIssues()
				m.passesUntil(first, 10*day)
				second := m.asks("renew/web/"+first["serial_number"].(string), nil).Data
				require.NotEqual(t, first["serial_number"], second["serial_number"])
				time.Sleep(time.Minute)
				third := m.annIssues()
				require.Equal(t, second["serial_number"], third["serial_number"], "within the window")
				m.rests(3 * time.Hour)
				require.NotEqual(t, first["serial_number"], m.annIssues()["serial_number"], "what was renewed is reused no more")
			})
		})
	}
}

func TestReuseAfterForceNewAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, map[string]any{"reuse": true})
		first := m.annIssues()
		m.passesUntil(first, 10*day)
		require.Len(t, m.ca.Orders(), 2)
		second := m.asks("issue/web", map[string]any{"common_name": "www.example.com", "force_new": true}).Data
		require.NotEqual(t, first["serial_number"], second["serial_number"])
		time.Sleep(time.Minute)
		require.Equal(t, second["serial_number"], m.annIssues()["serial_number"], "what force_new buys is reused from then on")
	})
}

func TestHeldBackThenSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, map[string]any{"generate_lease": true, "renewal": "reissue", "revocation_delay": "1h"})
		m.system.MaxLeaseTTLVal = 400 * day
		first := m.asks("issue/web", map[string]any{"common_name": "www.example.com"})
		m.untilDue(first.Data)
		m.endLease(first)
		time.Sleep(10 * time.Minute)
		second := m.asks("issue/web", map[string]any{"common_name": "www.example.com"})
		m.passes(4)
		require.Zero(t, m.certificate(second.Data)["revocation_time"], "first? %v", first.Data["serial_number"] == second.Data["serial_number"])
	})
}

func TestSuccessorOfWhatIsBeingRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, map[string]any{"generate_lease": true, "renewal": "reissue"})
		m.system.MaxLeaseTTLVal = 400 * day
		first := m.asks("issue/web", map[string]any{"common_name": "www.example.com"})
		m.untilDue(first.Data)
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped})
		m.endLease(first)
		second, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
		require.NoError(t, err)
		m.ca.ClearFaults()
		m.passes(4)
		if !second.IsError() {
			require.Zero(t, m.certificate(second.Data)["revocation_time"], "a certificate was handed out whose revocation had begun")
		}
	})
}

func TestUnclaimedReissueRevokesWhatIsInUse(t *testing.T) {
	for name, next := range map[string]func(m *mount) map[string]any{
		"by sign": func(m *mount) map[string]any {
			return m.asks("sign/web", map[string]any{"csr": csr(m.t, newKey(m.t, elliptic.P256()), "www.example.com")}).Data
		},
		"by another key type": func(m *mount) map[string]any {
			m.patchRole(map[string]any{"key_type": "rsa"})
			return m.annIssues()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := aheadOf(t, map[string]any{"renewal": "reissue", "revoke_unclaimed": true})
				first := m.annIssues()
				m.untilDue(first)
				used := next(m)
				for range 100 {
					time.Sleep(day)
					m.pass()
				}
				require.Zero(t, m.certificate(used)["revocation_time"], "in use")
				require.Len(t, m.ca.Orders(), 1)
			})
		})
	}
}
