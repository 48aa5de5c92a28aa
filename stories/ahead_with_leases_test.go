// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestStolenKeyCannotBeRevoked(t *testing.T) {
	for name, revoke := range map[string]func(first map[string]any) (string, map[string]any){
		"revoke/web": func(f map[string]any) (string, map[string]any) {
			return "revoke/web", map[string]any{"serial_number": f["serial_number"], "reason": "key-compromise"}
		},
		"revoke": func(f map[string]any) (string, map[string]any) {
			return "revoke", map[string]any{"serial_number": f["serial_number"], "reason": "key-compromise"}
		},
		"with key": func(f map[string]any) (string, map[string]any) {
			return "revoke-with-key", map[string]any{"serial_number": f["serial_number"], "private_key": f["private_key"]}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := aheadOf(t, map[string]any{"renewal": "reissue"})
				first := m.annIssues()
				m.untilDue(first)
				path, data := revoke(first)
				resp, err := m.send(call{op: logical.UpdateOperation, path: path, data: data, entity: "ann"})
				require.NoError(t, err)
				require.False(t, resp.IsError(), "%v", resp.Error())
				m.passes(3)
				require.NotZero(t, m.certificate(first)["revocation_time"])
				second := m.annIssues()
				require.Zero(t, m.certificate(second)["revocation_time"])
				m.passes(3)
				require.Zero(t, m.certificate(second)["revocation_time"])
			})
		})
	}
}

func TestLeaseEndMeetsCollection(t *testing.T) {
	for _, delay := range []string{"", "1h"} {
		for reads := 1; reads < 30; reads++ {
			synctest.Test(t, func(t *testing.T) {
				m := aheadOf(t, map[string]any{"generate_lease": true, "renewal": "reissue", "revocation_delay": delay})
				m.system.MaxLeaseTTLVal = 400 * day
				first := m.asks("issue/web", map[string]any{"common_name": "www.example.com"})
				m.untilDue(first.Data)
				var second *logical.Response
				met := m.meanwhile(reads, func() {
					second, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
				})
				m.endLease(first)
				if delay != "" {
					time.Sleep(2 * time.Hour)
					m.pass()
				}
				if !met() {
					return
				}
				m.passes(5)
				if second == nil || second.IsError() {
					return
				}
				require.Zero(t, m.certificate(second.Data)["revocation_time"], "delay %q, read %d: is it first? %v", delay, reads, second.Data["serial_number"] == first.Data["serial_number"])
				require.Equal(t, "issued", m.ca.Orders()[len(m.ca.Orders())-1].Status, "delay %q, read %d", delay, reads)
			})
		}
	}
}

func TestDryRunRenewsAhead(t *testing.T) {
	for _, renewal := range []string{"order", "reissue"} {
		t.Run(renewal, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := aheadOf(t, map[string]any{"renewal": renewal})
				m.write("config", map[string]any{"product_prices": map[string]any{"842": "25.00"}})
				first := m.annIssues()
				m.untilDue(first)
				path := "renew/web/" + first["serial_number"].(string)
				said := m.dry("ann", path, nil)
				did := m.done("ann", path, nil)
				require.Equal(t, did.kind, said["would"], "%v", said["summary"])
				m.agrees(said, did)
			})
		})
	}
}

func TestDryRunRenewedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.annIssues()
		m.untilDue(first)
		m.annIssues()
		m.rests(2 * time.Hour)
		path := "renew/web/" + first["serial_number"].(string)
		said := m.dry("ann", path, nil)
		did := m.done("ann", path, nil)
		require.Equal(t, did.kind, said["would"], "%v", said["summary"])
	})
}

// The dry run of each moment in the life of a certificate whose role does everything says what the request then does.
func TestDryRunOfEverything(t *testing.T) {
	atSize(t)
	for _, renewal := range []string{"order", "reissue"} {
		for _, path := range []string{"issue/web", "orders/web", "renew"} {
			t.Run(renewal+" "+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := aheadOf(t, map[string]any{"renewal": renewal, "reuse": true, "revoke_replaced_after": "72h"})
					m.write("config", map[string]any{"product_prices": map[string]any{"842": "25.00"}})
					last := m.annIssues()
					for n := range 60 {
						time.Sleep(10*day - time.Hour)
						if n%3 != 0 {
							m.pass()
						}
						ask, data := path, map[string]any{"common_name": "www.example.com"}
						if path == "renew" {
							ask, data = "renew/web/"+last["serial_number"].(string), map[string]any{}
						}
						said := m.dry("ann", ask, data)
						did := m.done("ann", ask, data)
						require.Equal(t, did.kind, said["would"], "step %d: %v; %v", n, said["summary"], did.refusal)
						if did.data["serial_number"] != nil {
							last = did.data
						}
						time.Sleep(time.Hour)
						m.pass()
					}
				})
			})
		}
	}
}

func TestKeptKeyOfALeaseThatEnds(t *testing.T) {
	for _, delay := range []string{"0", "1h"} {
		synctest.Test(t, func(t *testing.T) {
			m := reusing(t, map[string]any{"generate_lease": true, "revocation_delay": delay})
			first := m.asksAgain("ann", "issue/web", map[string]any{"common_name": "www.example.com"})
			m.rests(3 * time.Hour)
			require.Len(t, m.kept(), 1)
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped})
			m.endLease(first)
			m.rests(3 * time.Hour)
			require.Empty(t, m.kept(), "revocation_delay=%s", delay)
		})
	}
}

func TestKeptKeyOfAnotherAccount(t *testing.T) {
	for name, change := range map[string]func(m *mount){
		"config deleted": func(m *mount) {
			m.must(call{op: logical.DeleteOperation, path: "config", data: map[string]any{"force": true}})
		},
		"product prefix of config": func(m *mount) { m.write("config", map[string]any{"group_number": "77", "verify_connection": false}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := reusing(t, nil)
				m.asksFor("ann", "www.example.com")
				m.rests(3 * time.Hour)
				require.Len(t, m.kept(), 1)
				change(m)
				m.rests(2 * time.Hour)
				require.Empty(t, m.kept())
			})
		})
	}
}
