// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// CERTInext revokes orders: what is replaced since it is the newest of one counts before it is begun.
func TestADryRunCountsTheNewestOfAnOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, map[string]any{"renewal": "reissue"})
		config := m.account()
		config["product_prices"] = map[string]any{"842": "25.00"}
		m.write("config", config)
		first := m.annIssues()
		m.rests(30 * time.Hour)
		m.annIssues()
		require.Len(t, m.ca.Orders(), 1)
		plan := m.foresees(map[string]any{"roles": "", "serial_numbers": first["serial_number"], "revoke": true})
		require.Equal(t, 1, plan["orders"])
		require.Equal(t, "25.00", plan["price"])
	})
}

// A charge has ended reissues, so that each replacement is paid for.
func TestADryRunPricesWhatIsNotReissuedAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, map[string]any{"renewal": "reissue"})
		config := m.account()
		config["product_prices"] = map[string]any{"842": "150.00"}
		m.write("config", config)
		m.paying(certinexttest.LedgerSample, true)
		m.annIssues()
		time.Sleep(100 * day)
		m.pass()
		m.annIssues()
		plan := m.foresees(nil)
		require.Equal(t, 1, plan["orders"])
		require.Equal(t, "150.00", plan["price"])
	})
}

// Nothing is bought for what is behind a newer certificate, but it is revoked, and for a reason that CERTInext takes.
func TestTheReasonIsCheckedForWhatIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, nil)
		old := m.annIssues()
		m.rests(30 * time.Hour)
		m.annIssues()
		require.Contains(t, m.refused("replace/friday", map[string]any{
			"serial_numbers": old["serial_number"], "note": "n", "revoke": true, "reason": "unspecified",
		}), "reason: ")
	})
}
