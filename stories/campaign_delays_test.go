// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// What is behind a newer certificate, which may be another server's, has the delay from its turn on: the newer one was handed over long ago.
func TestWhatIsBehindANewerCertificateHasTheDelayToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, nil)
		old := m.annIssues()
		m.rests(30 * time.Hour)
		m.annIssues()
		m.rests(48 * time.Hour)
		m.campaign(map[string]any{"revoke": true, "revoke_after": "24h"})
		m.campaigns(10)
		require.Equal(t, "valid", m.certificate(old)["state"])
		m.rests(12 * time.Hour)
		require.Equal(t, "valid", m.certificate(old)["state"])
		m.rests(14 * time.Hour)
		require.Equal(t, "revoked", m.certificate(old)["state"])
	})
}

// The newer certificate is revoked before the older one had its turn: what has replaced the newer one takes the place of both.
func TestWhatIsBehindARevokedCertificateIsRevokedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, nil)
		old := m.annIssues()
		m.rests(30 * time.Hour)
		newer := m.annIssues()
		m.rests(time.Hour)
		m.campaign(map[string]any{"revoke": true, "revoke_after": "24h"})
		m.campaigns(5)
		m.write("replace/friday/pause", nil)
		third := m.annIssues()
		m.write("revoke", map[string]any{"serial_number": newer["serial_number"]})
		m.rests(2 * time.Hour)
		m.write("replace/friday/resume", nil)
		m.rests(50 * time.Hour)
		require.Equal(t, "valid", m.certificate(third)["state"])
		require.Equal(t, "revoked", m.certificate(old)["state"])
	})
}

// Who revokes what a campaign has not replaced yet has not replaced it.
func TestWhatSomebodyElseRevokesIsNotCalledReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, nil)
		first := m.annIssues()
		m.asks("issue/web", map[string]any{"common_name": "b.example.com"})
		m.rests(time.Hour)
		m.ordering("paused")
		m.campaign(map[string]any{"revoke": true, "revoke_after": "24h"})
		m.campaigns(5)
		m.write("revoke", map[string]any{"serial_number": first["serial_number"]})
		m.rests(3 * time.Hour)
		require.NotEqual(t, "replaced", m.campaignRow(first["serial_number"])["stage"])
	})
}

// Two campaigns want the same certificate, and the one that was first is paused.
func TestAPausedCampaignHoldsUpNoOtherOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, nil)
		m.annIssues()
		m.rests(30 * time.Hour)
		m.ordering("paused")
		m.write("replace/slow", map[string]any{"roles": "web", "note": "n"})
		m.campaigns(3)
		m.write("replace/slow/pause", nil)
		m.ordering("on")
		m.campaign(map[string]any{"revoke": true, "revoke_after": "1h"})
		m.rests(5 * time.Hour)
		require.Len(t, m.ca.Orders(), 2)
	})
}

// The newest certificate of an order cannot be replaced any more: the others are not waited for.
func TestACampaignEndsAlthoughTheNewestOfAnOrderIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, map[string]any{"renewal": "reissue"})
		m.annIssues()
		m.rests(30 * time.Hour)
		m.annIssues()
		require.Len(t, m.ca.Orders(), 1)
		m.ordering("paused")
		m.campaign(map[string]any{"revoke": true, "revoke_after": "1h"})
		m.campaigns(5)
		m.must(call{op: logical.DeleteOperation, path: "roles/web"})
		m.rests(10 * time.Hour)
		require.Equal(t, "done", m.campaignState())
	})
}

// This server's clock is days behind when a certificate has its turn, and is set right then: the delay has not passed by that.
func TestTheDelayIsNotOverByAClockThatIsSetRight(t *testing.T) {
	for _, how := range []string{"nobody", "made", "behind"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := inCampaign(t, nil)
				first := m.annIssues()
				if how == "behind" {
					m.rests(30 * time.Hour)
					m.annIssues()
				}
				m.rests(30 * time.Hour)
				if how == "nobody" {
					m.ordering("paused")
				}
				m.later(-3 * day)
				m.rests(2 * time.Hour)
				m.campaign(map[string]any{"revoke": true, "revoke_after": "24h", "revoke_unclaimed": true})
				m.campaigns(5)
				m.later(3 * day)
				m.rests(10 * time.Hour)
				require.Equal(t, "valid", m.certificate(first)["state"])
				m.rests(20 * time.Hour)
				require.Equal(t, "revoked", m.certificate(first)["state"], m.campaignRow(first["serial_number"]))
			})
		})
	}
}

// It was days ahead, and is set right: the delay does not last until then.
func TestADelayIsNotHeldUpByAClockThatWasAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, nil)
		first := m.annIssues()
		m.rests(30 * time.Hour)
		m.ordering("paused")
		m.later(20 * day)
		m.rests(2 * time.Hour)
		m.campaign(map[string]any{"revoke": true, "revoke_after": "24h", "revoke_unclaimed": true})
		m.campaigns(5)
		m.later(-20 * day)
		m.rests(20 * time.Hour)
		require.Equal(t, "valid", m.certificate(first)["state"])
		m.rests(20 * time.Hour)
		require.Equal(t, "revoked", m.certificate(first)["state"], m.campaignRow(first["serial_number"]))
	})
}

// A job has got the replacement, and ends its lease when it is done: what it has replaced is revoked all the same.
func TestWhatAJobHasReplacedIsRevokedAfterItsLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, map[string]any{"generate_lease": true})
		first := m.annIssues()
		m.rests(30 * time.Hour)
		m.campaign(map[string]any{"revoke": true, "revoke_after": "24h"})
		m.campaigns(5)
		second := m.asks("issue/web", map[string]any{"common_name": "www.example.com"})
		m.rests(time.Hour)
		m.endLease(second)
		m.rests(30 * time.Hour)
		require.Equal(t, "revoked", m.certificate(second.Data)["state"])
		require.Equal(t, "revoked", m.certificate(first)["state"])
	})
}
