// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A client that asks more often than revoke_after lasts is answered with the replacement each time. The one before is revoked that long after the
// first of these answers, and not after the latest.
func TestACampaignRevokesHoweverOftenItsRequesterAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, map[string]any{"reuse": true})
		first := m.annIssues()
		m.campaign(map[string]any{"revoke": true, "revoke_after": "24h", "reason": "superseded"})
		m.campaigns(5)
		second := m.annIssues()
		require.NotEqual(t, first["serial_number"], second["serial_number"])
		for range 3 {
			m.rests(6 * time.Hour)
			require.Equal(t, second["serial_number"], m.annIssues()["serial_number"])
		}
		require.Equal(t, "valid", m.certificate(first)["state"], "before its time")
		m.rests(8 * time.Hour)
		require.Equal(t, "revoked", m.certificate(first)["state"])
		m.campaigns(2)
		require.Equal(t, "done", m.campaignState())
		m.hasBought(2)
	})
}
