// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// inCampaign mounts the engine on a live CA with a role "web" without leases, and an identity entity "ann".
func inCampaign(t *testing.T, more map[string]any) *mount {
	t.Helper()
	role := map[string]any{"renew_ahead": ""}
	for name, value := range more {
		role[name] = value
	}
	return aheadOf(t, role)
}

// campaign begins a campaign called friday for all certificates of role web, without a limit of how many have their turn in an hour.
func (m *mount) campaign(more map[string]any) *logical.Response {
	m.t.Helper()
	fields := map[string]any{"roles": "web", "note": "its root is distrusted", "per_hour": 0}
	for name, value := range more {
		fields[name] = value
	}
	return m.write("replace/friday", fields)
}

// campaigns lets minutes go by, with a pass in each.
func (m *mount) campaigns(n int) {
	m.t.Helper()
	for range n {
		time.Sleep(time.Minute)
		m.pass()
	}
}

// stages are how many certificates of campaign friday are at which stage, without those at which none is.
func (m *mount) stages() map[string]int {
	m.t.Helper()
	out := make(map[string]int)
	for stage, n := range m.read("replace/friday").Data["stages"].(map[string]any) {
		if n.(int) > 0 {
			out[stage] = n.(int)
		}
	}
	return out
}

// campaignRow is what campaign friday tells of a certificate.
func (m *mount) campaignRow(serial any) map[string]any {
	m.t.Helper()
	for _, row := range m.read("replace/friday/certs").Data["certificates"].([]map[string]any) {
		if row["serial_number"] == serial {
			return row
		}
	}
	m.t.Fatalf("campaign friday does not tell of %v", serial)
	return nil
}

func (m *mount) campaignState() any {
	m.t.Helper()
	return m.read("replace/friday").Data["state"]
}

func TestACampaignReplacesWhatItsRequestersAskForNext(t *testing.T) {
	for name, c := range map[string]struct {
		role   map[string]any
		orders int // of one certificate and its replacement
	}{
		"order":       {nil, 2},
		"reissue":     {map[string]any{"renewal": "reissue"}, 1},
		"reuse":       {map[string]any{"reuse": true}, 2},
		"renew_ahead": {map[string]any{"renew_ahead": "10%"}, 2},
		"leases":      {map[string]any{"generate_lease": true}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := inCampaign(t, c.role)
				first := m.annIssues()
				m.campaign(nil)
				require.Equal(t, map[string]int{"waiting": 1}, m.stages())
				m.campaigns(3)
				require.Equal(t, map[string]int{"made": 1}, m.stages())
				require.Equal(t, "running", m.campaignState())
				require.Len(t, m.ca.Orders(), c.orders)

				before := m.orderCalls()
				second := m.annIssues()
				require.Equal(t, before, m.orderCalls(), "the request has waited for the CA")
				require.NotEqual(t, first["serial_number"], second["serial_number"])
				require.Equal(t, first["serial_number"], m.read("cert/" + second["serial_number"].(string)).Data["renewal_of"])
				m.campaigns(2)
				require.Equal(t, map[string]int{"replaced": 1}, m.stages())
				require.Equal(t, "done", m.campaignState())
				require.Equal(t, second["serial_number"], m.campaignRow(first["serial_number"])["replaced_by"])
				require.Len(t, m.ca.Orders(), c.orders, "what is new is not replaced in its turn")
				require.Equal(t, "valid", m.read("cert/" + first["serial_number"].(string)).Data["state"])
			})
		})
	}
}

func TestWhatHasToBeRevokedIsOnceItsReplacementWasHandedOver(t *testing.T) {
	for name, role := range map[string]map[string]any{
		"order":   nil,
		"reissue": {"renewal": "reissue"},
		"leases":  {"generate_lease": true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := inCampaign(t, role)
				first := m.annIssues()
				state := func() any { return m.read("cert/" + first["serial_number"].(string)).Data["state"] }
				m.campaign(map[string]any{"revoke": true, "revoke_after": "6h", "reason": "keyCompromise"})
				m.rests(5 * day)
				require.Equal(t, "valid", state(), "nobody has its replacement")
				require.Equal(t, map[string]int{"made": 1}, m.stages())
				second := m.annIssues()
				require.NotEqual(t, first["serial_number"], second["serial_number"])
				require.Len(t, m.ca.Orders(), 2, "the replacement is of another order")
				m.rests(5 * time.Hour)
				require.Equal(t, "valid", state(), "before its time")
				require.Equal(t, map[string]int{"handed": 1}, m.stages())
				m.rests(4 * time.Hour)
				require.Equal(t, "revoked", state())
				require.Equal(t, map[string]int{"replaced": 1}, m.stages())
				require.Equal(t, "done", m.campaignState())
				require.Equal(t, "valid", m.read("cert/" + second["serial_number"].(string)).Data["state"])
			})
		})
	}
}

func TestASignersNextRequestIsTheReplacement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, map[string]any{"reuse": true})
		_, csr := freshCSR(t, "www.example.com")
		sign := func(csr map[string]any) *logical.Response { return m.asks("sign/web", csr) }
		first := sign(csr)
		require.Equal(t, serialOf(first), serialOf(sign(csr)))
		m.campaign(map[string]any{"revoke": true, "revoke_after": "1h"})
		m.campaigns(2)
		require.Equal(t, map[string]int{"requester": 1}, m.stages())
		require.Len(t, m.ca.Orders(), 1, "nobody else has the key")
		_, other := freshCSR(t, "www.example.com")
		second := sign(other)
		require.NotEqual(t, serialOf(first), serialOf(second))
		require.Len(t, m.ca.Orders(), 2)
		m.rests(2 * time.Hour)
		m.campaigns(3)
		require.Equal(t, map[string]int{"replaced": 1}, m.stages())
		require.Equal(t, "revoked", m.read("cert/" + serialOf(first)).Data["state"])
	})
}

func TestARequestBeforeItsReplacementIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, nil)
		first := m.annIssues()
		m.rests(time.Hour) // its key is gone
		m.campaign(nil)
		m.ordering("paused")
		m.campaigns(2)
		require.Equal(t, map[string]int{"stuck": 1}, m.stages())
		require.Contains(t, m.campaignRow(first["serial_number"])["why"], "ordering: is paused")
		m.ordering("on")
		second := m.annIssues()
		m.rests(time.Hour)
		m.campaigns(15)
		require.Len(t, m.ca.Orders(), 2, "the pass has bought, too")
		require.Equal(t, map[string]int{"replaced": 1}, m.stages())
		require.Equal(t, second["serial_number"], m.campaignRow(first["serial_number"])["replaced_by"])
	})
}

func TestAnAnswerSaysThatItsCertificateIsToBeReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, map[string]any{"reuse": true})
		first := m.annIssues()
		m.campaign(nil)
		m.ordering("paused")
		m.campaigns(2)
		resp := m.asks("issue/web", map[string]any{"common_name": "www.example.com"})
		require.Equal(t, first["serial_number"], serialOf(resp), "there is no other yet")
		require.LessOrEqual(t, resp.Data["renew_after"].(int64), time.Now().Unix())
		said := strings.Join(resp.Warnings, "\n")
		require.Contains(t, said, "campaign friday")
		require.Contains(t, said, "its root is distrusted")
	})
}

func TestARenewalDuringACampaignIsTheReplacement(t *testing.T) {
	for _, early := range []bool{false, true} {
		t.Run(fmt.Sprint(early), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := inCampaign(t, map[string]any{"renewal_window": "240h"})
				first := m.annIssues()
				path := "renew/web/" + first["serial_number"].(string)
				require.Contains(t, m.refusedFor("ann", path, nil), "renewal_window")
				m.campaign(map[string]any{"revoke": true, "revoke_after": "1h"})
				if early {
					m.ordering("paused")
				}
				m.campaigns(3)
				m.ordering("on")
				second := m.asks(path, nil).Data
				require.NotEqual(t, first["serial_number"], second["serial_number"])
				m.rests(5 * time.Hour)
				require.Equal(t, second["serial_number"], m.campaignRow(first["serial_number"])["replaced_by"])
				require.Equal(t, "done", m.campaignState(), m.stages())
				require.Len(t, m.ca.Orders(), 2)
			})
		})
	}
}
