// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// foresees asks what campaign friday would come to.
func (m *mount) foresees(more map[string]any) map[string]any {
	m.t.Helper()
	fields := map[string]any{"dry_run": true}
	for name, value := range more {
		fields[name] = value
	}
	return m.campaign(fields).Data
}

func TestADryRunSaysWhatACampaignComesTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, nil)
		config := m.account()
		config["product_prices"] = map[string]any{"842": "25.00"}
		m.write("config", config)
		m.annIssues()
		m.asks("issue/web", map[string]any{"common_name": "b.example.com"})
		m.write("roles/moves", map[string]any{
			"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "generate_lease": false, "renewal": "reissue",
		})
		m.asks("issue/moves", map[string]any{"common_name": "c.example.com"})
		keys := m.storageKeys()
		plan := m.foresees(map[string]any{"roles": "*", "per_hour": 2})
		require.Equal(t, 3, plan["total"])
		require.Equal(t, 2, plan["orders"])
		require.Equal(t, 1, plan["reissues"])
		require.Equal(t, "50.00", plan["price"])
		require.Equal(t, int64(90*60), plan["duration"])
		require.Equal(t, map[string]int{"web": 2, "moves": 1}, plan["by_role"])
		names := map[any]bool{}
		for _, row := range plan["certificates"].([]map[string]any) {
			names[row["names"].([]string)[0]] = true
		}
		require.Equal(t, map[any]bool{"www.example.com": true, "b.example.com": true, "c.example.com": true}, names)
		require.Equal(t, keys, m.storageKeys(), "nothing is stored")

		require.Equal(t, 3, m.foresees(map[string]any{"roles": "*", "revoke": true})["orders"], "what is to be revoked is of another order then")
		require.Contains(t, m.refused("replace/friday", map[string]any{"roles": "*", "note": "n", "max_spend": "49.99"}), "max_spend: ")
		require.Contains(t, m.refused("replace/friday", map[string]any{"roles": "*", "note": "n", "max_certificates": 2}), "max_certificates: 3 ")
		require.Equal(t, keys, m.storageKeys(), "nothing is begun")
		m.campaign(map[string]any{"max_spend": "50.00", "max_certificates": 2})
	})
}

func TestACampaignSelects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, nil)
		first := m.annIssues()
		m.asks("issue/web", map[string]any{"common_name": "b.example.com"})
		issuer := m.read("inventory/certs").Data["certificates"].([]map[string]any)[0]["issuer"].(string)
		total := func(more map[string]any) int { return m.foresees(more)["total"].(int) }
		require.Equal(t, 2, total(nil))
		require.Equal(t, 0, total(map[string]any{"roles": "other"}))
		require.Equal(t, 2, total(map[string]any{"issuers": issuer}))
		require.Equal(t, 0, total(map[string]any{"issuers": "Another CA"}))
		require.Equal(t, 0, total(map[string]any{"key_types": "rsa-4096"}))
		require.Equal(t, 2, total(map[string]any{"products": "842"}))
		require.Equal(t, 0, total(map[string]any{"products": "844"}))
		require.Equal(t, 0, total(map[string]any{"roots": "Another Root"}))
		require.Equal(t, 0, total(map[string]any{"ca_keys": strings.Repeat("ab", 32)}))
		require.Equal(t, 1, total(map[string]any{"roles": "", "serial_numbers": first["serial_number"]}))
		for field, wrong := range map[string]map[string]any{
			"serial_numbers": {"serial_numbers": "01:02"}, "ca_keys": {"ca_keys": "x"}, "refused_by": {"refused_by": "nobody"},
			"note": {"note": ""}, "reason": {"revoke": true, "reason": "ca-compromise"}, "order": {"order": "size"}, "per_hour": {"per_hour": -1},
			"revoke_unclaimed": {"revoke_unclaimed": true}, "roles": {"roles": ""}, "revoke_after": {"revoke_after": "-1h"}, "max_spend": {"max_spend": "x"},
		} {
			fields := map[string]any{"roles": "web", "note": "n"}
			for name, value := range wrong {
				fields[name] = value
			}
			require.Contains(t, m.refused("replace/friday", fields), field+": ")
		}
		m.asks("revoke/web", map[string]any{"serial_number": first["serial_number"]})
		require.Equal(t, 1, total(nil), "what is revoked is not replaced")
	})
}

func TestTheNewestOfARequestersCertificatesIsReplaced(t *testing.T) {
	for _, each := range []bool{false, true} {
		t.Run(fmt.Sprint(each), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := inCampaign(t, nil)
				old := m.annIssues()
				m.rests(30 * time.Hour)
				newer := m.annIssues()
				require.NotEqual(t, old["serial_number"], newer["serial_number"])
				m.campaign(map[string]any{"revoke": true, "revoke_after": "1h", "each": each})
				m.campaigns(3)
				require.Len(t, m.ca.Orders(), 3, "what waits for being collected is collected first")
				m.annIssues()
				if each { // two servers of one identity
					m.rests(time.Hour)
					m.annIssues()
				}
				m.rests(5 * time.Hour)
				require.Equal(t, "done", m.campaignState(), "%v %v", m.campaignRow(old["serial_number"]), m.campaignRow(newer["serial_number"]))
				for _, one := range []map[string]any{old, newer} {
					require.Equal(t, "revoked", m.read("cert/" + one["serial_number"].(string)).Data["state"])
				}
			})
		})
	}
}

func TestACampaignIsPausedResumedAndAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, nil)
		first := m.annIssues()
		second := m.asks("issue/web", map[string]any{"common_name": "b.example.com"}).Data
		m.campaign(map[string]any{"revoke": true, "revoke_after": "1h", "per_hour": 1})
		m.campaigns(3)
		require.Equal(t, map[string]int{"made": 1, "waiting": 1}, m.stages(), "one in an hour")
		last := first // to have its turn
		if m.campaignRow(first["serial_number"])["stage"] == "made" {
			last = second
		}
		m.annIssues()
		m.asks("issue/web", map[string]any{"common_name": "b.example.com"})
		require.Equal(t, "paused", m.write("replace/friday/pause", nil).Data["state"])
		m.write("replace/friday/pause", nil)
		m.rests(10 * time.Hour)
		require.Equal(t, "paused", m.campaignState())
		require.Len(t, m.ca.Orders(), 3, "nothing is bought")
		for _, one := range []map[string]any{first, second} {
			require.Equal(t, "valid", m.read("cert/" + one["serial_number"].(string)).Data["state"], "nothing is revoked")
		}
		m.write("replace/friday/resume", nil)
		m.rests(time.Hour)
		require.Len(t, m.ca.Orders(), 4)
		require.Contains(t, m.deleteRefused("replace/friday"), "is not over yet")
		require.Equal(t, "aborted", m.write("replace/friday/abort", nil).Data["state"])
		m.rests(12 * time.Hour)
		require.Len(t, m.ca.Orders(), 4)
		require.Equal(t, "valid", m.read("cert/" + last["serial_number"].(string)).Data["state"])
		require.Contains(t, m.refused("replace/friday/resume", nil), "is over")
		require.Contains(t, m.refused("replace/friday", map[string]any{"roles": "web", "note": "n"}), "is there already")
		m.must(call{op: logical.DeleteOperation, path: "replace/friday"})
		for _, key := range m.storageKeys() {
			require.NotContains(t, key, "campaign/")
		}
		require.Contains(t, m.noCampaign("replace/friday"), "no campaign")
	})
}

// deleteRefused returns why a delete is refused.
func (m *mount) deleteRefused(path string) string {
	m.t.Helper()
	resp, err := m.send(call{op: logical.DeleteOperation, path: path})
	require.NoError(m.t, err)
	require.True(m.t, resp.IsError())
	return resp.Error().Error()
}

func (m *mount) noCampaign(path string) string {
	m.t.Helper()
	resp, err := m.send(call{op: logical.ReadOperation, path: path})
	if err != nil {
		return err.Error()
	}
	return resp.Error().Error()
}

// What an aborted campaign has filed is not replaced, and answers as before.
func TestAnAbortTakesBackWhatIsNotReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, map[string]any{"reuse": true})
		first := m.annIssues()
		m.ordering("paused")
		m.campaign(nil)
		m.campaigns(3)
		require.Equal(t, map[string]int{"stuck": 1}, m.stages())
		require.Equal(t, "friday", m.read("cert/" + first["serial_number"].(string)).Data["replacement"].(map[string]any)["campaign"])
		m.write("replace/friday/abort", nil)
		m.campaigns(2)
		m.ordering("on")
		m.rests(3 * time.Hour)
		require.Equal(t, map[string]int{"left": 1}, m.stages())
		resp := m.asks("issue/web", map[string]any{"common_name": "www.example.com"})
		require.Equal(t, first["serial_number"], serialOf(resp))
		require.Empty(t, resp.Warnings)
		require.Empty(t, m.read("cert/" + first["serial_number"].(string)).Data["replacement"])
		require.Len(t, m.ca.Orders(), 1)
		for _, key := range m.storageKeys() {
			require.False(t, strings.HasPrefix(key, "replacing/") || strings.HasPrefix(key, "ahead/"), key)
		}
	})
}

func TestABudgetHoldsForACampaign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, nil)
		first := m.annIssues()
		m.asks("issue/web", map[string]any{"common_name": "b.example.com"})
		m.write("budgets/day", map[string]any{"period": "day", "max_orders": 1, "roles": "web"})
		m.campaign(nil)
		m.campaigns(20)
		require.Len(t, m.ca.Orders(), 3)
		require.Equal(t, map[string]int{"made": 1, "stuck": 1}, m.stages())
		stuck := m.read("replace/friday").Data["stuck"].([]map[string]any)
		require.Len(t, stuck, 1)
		require.Contains(t, stuck[0]["why"], "budget")
		require.Equal(t, []map[string]any{{"name": "friday", "state": "running", "open": 1, "failed": 1}}, m.read("status").Data["campaigns"])
		m.rests(25 * time.Hour)
		require.Equal(t, map[string]int{"made": 2}, m.stages(), "the next day")
		require.NotEqual(t, first["serial_number"], m.annIssues()["serial_number"])
		require.Len(t, m.ca.Orders(), 4)
	})
}

// A requester that is gone gets nothing; its certificate is revoked only where the campaign says so.
func TestNobodyComesForAReplacement(t *testing.T) {
	for name, c := range map[string]struct {
		unclaimed bool
		gone      func(*mount)
		stage     string
		orders    int
	}{
		"the entity is gone":                   {false, func(m *mount) { m.system.EntityVal = nil }, "stuck", 1},
		"the entity is gone, and told so":      {true, func(m *mount) { m.system.EntityVal = nil }, "replaced", 1},
		"nobody collects it":                   {false, func(*mount) {}, "made", 2},
		"nobody collects it, and that is told": {true, func(*mount) {}, "replaced", 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := inCampaign(t, nil)
				first := m.annIssues()
				c.gone(m)
				m.campaign(map[string]any{"revoke": true, "revoke_after": "6h", "revoke_unclaimed": c.unclaimed})
				m.rests(5 * time.Hour)
				require.Equal(t, "valid", m.read("cert/" + first["serial_number"].(string)).Data["state"])
				m.rests(6 * time.Hour)
				require.Equal(t, map[string]int{c.stage: 1}, m.stages(), m.campaignRow(first["serial_number"]))
				want := map[bool]string{false: "valid", true: "revoked"}[c.unclaimed]
				require.Equal(t, want, m.read("cert/" + first["serial_number"].(string)).Data["state"])
				require.Len(t, m.ca.Orders(), c.orders)
			})
		})
	}
}

// An order with several certificates is revoked when the newest of them was replaced by another order, and that was handed over.
func TestAnOrderWithSeveralCertificatesIsReplacedAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := inCampaign(t, map[string]any{"renewal": "reissue"})
		first := m.annIssues()
		m.rests(30 * time.Hour)
		second := m.annIssues()
		require.Len(t, m.ca.Orders(), 1, "it was reissued")
		m.campaign(map[string]any{"roles": "", "serial_numbers": first["serial_number"], "revoke": true, "revoke_after": "1h"})
		m.rests(12 * time.Hour)
		require.Len(t, m.ca.Orders(), 2)
		state := func(c map[string]any) any { return m.read("cert/" + c["serial_number"].(string)).Data["state"] }
		require.Equal(t, "valid", state(first), "the newest is in use")
		require.Equal(t, "valid", state(second))
		third := m.annIssues()
		require.NotEqual(t, second["serial_number"], third["serial_number"])
		m.rests(6 * time.Hour)
		require.Equal(t, "revoked", state(first))
		require.Equal(t, "revoked", state(second))
		require.Equal(t, "valid", state(third))
		require.Equal(t, map[string]int{"replaced": 2}, m.stages())
	})
}

// An overloaded CA delays a campaign, and is not ordered from twice.
func TestACampaignOutlastsTheCA(t *testing.T) {
	for _, op := range []string{certinexttest.OpCreateSSL, certinexttest.OpTrack, certinexttest.OpCertificate, certinexttest.OpRevoke} {
		for _, kind := range []certinexttest.FaultKind{
			certinexttest.FaultRateLimit, certinexttest.FaultServerError, certinexttest.FaultLostReply, certinexttest.FaultDropped,
		} {
			t.Run(fmt.Sprint(op, kind), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := inCampaign(t, nil)
					first := m.annIssues()
					m.rests(time.Hour)
					m.campaign(map[string]any{"revoke": true, "revoke_after": "1h"})
					m.ca.Inject(certinexttest.Fault{Operation: op, Kind: kind, Times: 3})
					m.campaigns(30)
					if op != certinexttest.OpRevoke {
						m.ca.ClearFaults()
					}
					m.witness()
					m.rests(3 * time.Hour)
					second := m.annIssues()
					m.ca.ClearFaults()
					m.rests(30 * time.Hour)
					require.Equal(t, "done", m.campaignState(), m.stages())
					require.Equal(t, "revoked", m.read("cert/" + first["serial_number"].(string)).Data["state"])
					require.Equal(t, "valid", m.read("cert/" + second["serial_number"].(string)).Data["state"])
					require.Len(t, m.ca.Orders(), 3, "with the one of the witness")
				})
			})
		}
	}
}

// inStory runs a campaign from its beginning to its end, with a new process after each step where restarts are wanted.
func inStory(m *mount, after func()) (first map[string]any) {
	m.system.EntityVal = &logical.Entity{ID: "ann", Name: "Ann"}
	m.patchRole(map[string]any{"generate_lease": false, "reuse": true})
	first = m.annIssues()
	m.rests(time.Hour)
	after()
	m.campaign(map[string]any{"revoke": true, "revoke_after": "1h"})
	for range 4 {
		after()
		m.campaigns(1)
	}
	m.annIssues()
	for range 6 {
		after()
		m.rests(time.Hour)
	}
	return first
}

func (m *mount) isOverWith(first map[string]any) {
	m.t.Helper()
	require.Equal(m.t, "done", m.campaignState(), m.stages())
	require.Equal(m.t, map[string]int{"replaced": 1}, m.stages())
	require.Equal(m.t, "revoked", m.read("cert/" + first["serial_number"].(string)).Data["state"])
	again := m.annIssues()
	require.Equal(m.t, again["serial_number"], m.read("cert/" + first["serial_number"].(string)).Data["renewed_by"])
	require.Equal(m.t, "valid", m.read("cert/" + again["serial_number"].(string)).Data["state"])
}

func TestACampaignGoesOnInEachProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		first := inStory(m, m.start)
		m.isOverWith(first)
		require.Len(t, m.ca.Orders(), 2)
	})
}

// TestACampaignOfWhichEachWriteFailsOnce begins a campaign, and has each write of its passes fail.
func TestACampaignOfWhichEachWriteFailsOnce(t *testing.T) {
	var first map[string]any
	eachWrite(t, func(_ *testing.T, m *mount) func() {
		m.system.EntityVal = &logical.Entity{ID: "ann", Name: "Ann"}
		m.patchRole(map[string]any{"generate_lease": false, "reuse": true})
		first = m.annIssues()
		m.rests(time.Hour)
		fields := map[string]any{"roles": "web", "note": "n", "per_hour": 0, "revoke": true, "revoke_after": "1h"}
		return func() {
			_, _ = m.send(call{op: logical.UpdateOperation, path: "replace/friday", data: fields})
			for range 3 {
				time.Sleep(time.Minute)
				m.tryPass()
			}
			_, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
			for range 4 {
				time.Sleep(time.Hour)
				m.tryPass()
			}
		}
	}, func(t *testing.T, m *mount) {
		if names, _ := m.send(call{op: logical.ListOperation, path: "replace"}); names.Data["keys"] == nil {
			m.campaign(map[string]any{"revoke": true, "revoke_after": "1h"})
		}
		m.witness()
		m.rests(3 * time.Hour)
		m.annIssues()
		m.rests(30 * time.Hour)
		m.isOverWith(first)
		require.Len(t, m.ca.Orders(), 3, "with the one of the witness")
	})
}
