// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func (m *mount) store(key, value string) {
	m.t.Helper()
	require.NoError(m.t, m.storage.under().Put(m.t.Context(), &logical.StorageEntry{Key: key, Value: []byte(value)}))
}

// tries runs the background pass for some hours, whatever it says.
func (m *mount) tries(hours int) {
	for range hours {
		time.Sleep(time.Hour)
		_, _ = m.backend.HandleRequest(m.t.Context(), &logical.Request{
			Operation: logical.RollbackOperation, Storage: m.storage, Data: map[string]any{"immediate": true},
		})
	}
}

// One entry that cannot be read keeps no other key from being erased.
func TestAnUnreadableKeptEntryKeepsOtherKeys(t *testing.T) {
	for name, value := range map[string]string{"of a later version": `{"version":9}`, "not JSON": "x"} {
		for what, end := range map[string]func(m *mount){
			"the role reuses no more": func(m *mount) { m.patchRole(map[string]any{"reuse": false}) },
			"it is to be renewed":     func(*mount) { time.Sleep(150 * day) },
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := reusing(t, nil)
					m.asksFor("ann", "a.example.com")
					m.asksFor("ann", "b.example.com")
					m.asksFor("ann", "c.example.com")
					m.rests(3 * time.Hour)
					kept := m.kept()
					require.Len(t, kept, 3)
					first := kept[0]
					for _, key := range kept {
						first = min(first, key)
					}
					m.store(first, value)
					end(m)
					m.tries(30)
					require.LessOrEqual(t, len(m.kept()), 1)
				})
			})
		}
	}
}

func TestAnUnreadableKeptEntryIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, nil)
		m.asksFor("ann", "a.example.com")
		m.rests(3 * time.Hour)
		m.store(m.kept()[0], "x")
		resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "a.example.com"}, entity: "ann"})
		require.NoError(t, err, "an entry that is out of date costs a certificate at worst")
		require.False(t, resp.IsError())
	})
}

// Requests that come in the middle of the pass that makes a successor.
func TestRequestsMeetThePassThatRenewsAhead(t *testing.T) {
	for _, renewal := range []string{"order", "reissue"} {
		for reads := 1; reads < 60; reads++ {
			isRead := true
			synctest.Test(t, func(t *testing.T) {
				m := aheadOf(t, map[string]any{"renewal": renewal, "reuse": true, "revoke_replaced_after": "72h"})
				first := m.annIssues()
				m.passes(1)
				atStart(first)
				time.Sleep(time.Hour)
				var second, third *logical.Response
				met := m.meanwhile(reads, func() {
					second, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com", "force_new": reads%2 == 0}, entity: "ann"})
					third, _ = m.send(call{op: logical.UpdateOperation, path: "renew/web/" + first["serial_number"].(string), entity: "ann"})
				})
				m.pass()
				if !met() {
					isRead = false
					return
				}
				m.passes(5)
				bought, serials := len(m.ca.Orders()), map[any]bool{}
				for _, resp := range []*logical.Response{second, third} {
					require.NotNil(t, resp)
					if resp.IsError() {
						t.Log(renewal, reads, resp.Error())
						continue
					}
					serials[resp.Data["serial_number"]] = true
					require.Zero(t, m.certificate(resp.Data)["revocation_time"])
				}
				delete(serials, first["serial_number"])
				most := map[string]int{"order": 2, "reissue": 1}[renewal]
				if len(serials) > 1 {
					t.Log(renewal, reads, "two successors", bought)
				}
				if bought > most+max(0, len(serials)-1) {
					for _, id := range m.list("orders/web") {
						o := m.read("orders/web/" + id).Data
						t.Log(id, o["state"], o["ca_order_id"], o["serial_number"], o["renewal_of"], o["reissue_of"], o["timeline"])
					}
				}
				require.LessOrEqual(t, bought, most+max(0, len(serials)-1), "%s, read %d: %d successors were handed over", renewal, reads, len(serials))
			})
			if !isRead {
				break
			}
		}
	}
}

// The reply to the order that is made ahead is lost, and nobody knows for a while.
func TestLostReplyAhead(t *testing.T) {
	for _, renewal := range []string{"order", "reissue"} {
		for _, reuse := range []bool{false, true} {
			for _, op := range []string{certinexttest.OpCreateSSL, certinexttest.OpReissue} {
				t.Run(fmt.Sprint(renewal, reuse, op), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						m := aheadOf(t, map[string]any{"renewal": renewal, "reuse": reuse, "revoke_replaced_after": "72h"})
						m.write("budgets/all", map[string]any{"period": "year", "max_orders": 10})
						first := m.annIssues()
						m.passes(1)
						m.ca.Inject(certinexttest.Fault{Operation: op, Kind: certinexttest.FaultLostReply, Times: 1})
						m.untilDue(first)
						m.start()
						m.passes(3)
						var second map[string]any
						for range 48 {
							resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
							if err == nil && !resp.IsError() {
								second = resp.Data
								break
							}
							time.Sleep(time.Hour)
							m.pass()
						}
						require.NotNil(t, second)
						require.NotEqual(t, first["serial_number"], second["serial_number"])
						require.Len(t, m.ca.Orders(), map[string]int{"order": 2, "reissue": 1}[renewal])
						require.Equal(t, len(m.ca.Orders()), m.budgetUsage("all")["orders"])
					})
				})
			}
		}
	}
}

// As [TestEverythingDiesAnywhere], where storage refuses a write and all after it, in the pass that makes the successor.
func TestEverythingIsRefusedAnywhere(t *testing.T) {
	atSize(t)
	refused := errors.New("storage refuses")
	for _, renewal := range []string{"order", "reissue"} {
		for _, err := range []error{refused, errStored} {
			for _, dies := range []bool{true, false} {
				for n := range 40 {
					over := false
					synctest.Test(t, func(t *testing.T) {
						m := aheadOf(t, map[string]any{
							"renewal": renewal, "reuse": true, "generate_lease": true, "revocation_delay": "1h", "revoke_unclaimed": true,
						})
						m.system.MaxLeaseTTLVal = 400 * day
						m.write("budgets/all", map[string]any{"period": "year", "max_orders": 10})
						ask := func() *logical.Response {
							return m.asks("issue/web", map[string]any{"common_name": "www.example.com"})
						}
						first := ask()
						m.passes(2)
						atStart(first.Data)
						time.Sleep(time.Hour)
						m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 20 * time.Second })
						writes, dead := 0, false
						m.storage.cutBy(func(string) error {
							if writes++; writes == n+1 || (dead && dies) {
								dead = true
								return err
							}
							return nil
						})
						m.tries(1)
						again := ask0(m)
						m.storage.cutBy(nil)
						over = !dead
						if dies {
							m.start()
						}
						m.passes(3)
						if again != nil {
							require.Zero(t, m.certificate(again.Data)["revocation_time"], "write %d", n)
							if again.Data["serial_number"] == first.Data["serial_number"] {
								m.endLease(again)
							}
						}
						m.untilDue(first.Data)
						second := ask()
						require.NotEqual(t, first.Data["serial_number"], second.Data["serial_number"], "write %d", n)
						m.endLease(first)
						m.passes(4)
						require.Zero(t, m.certificate(second.Data)["revocation_time"], "write %d", n)
						require.Len(t, m.ca.Orders(), map[string]int{"order": 2, "reissue": 1}[renewal], "%v %v write %d", err, dies, n)
						require.Equal(t, len(m.ca.Orders()), m.budgetUsage("all")["orders"], "write %d", n)
						if renewal == "order" {
							require.NotZero(t, m.certificate(first.Data)["revocation_time"], "write %d", n)
						}
						for key, value := range m.storage.dump(t) {
							if strings.HasPrefix(key, "reuse/key/") {
								require.NotContains(t, string(value), strings.ReplaceAll(first.Data["serial_number"].(string), ":", "-"), "write %d", n)
							}
						}
					})
					if over {
						break
					}
				}
			}
		}
	}
}

// ask0 is a request that may fail.
func ask0(m *mount) *logical.Response {
	resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
	if err != nil || resp.IsError() {
		return nil
	}
	return resp
}

// Two requests of one identity at the same time come to the certificate that is reused.
func TestTwoRequestsReuseAtOnce(t *testing.T) {
	for _, path := range []string{"issue/web", "sign/web"} {
		for reads := 1; reads < 30; reads++ {
			synctest.Test(t, func(t *testing.T) {
				m := reusing(t, nil)
				data := map[string]any{"common_name": "www.example.com"}
				if path == "sign/web" {
					data = map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}
				}
				first := m.asksAgain("ann", path, data).Data
				m.rests(3 * time.Hour)
				met := m.meanwhile(reads, func() {
					_, _ = m.send(call{op: logical.UpdateOperation, path: path, data: data, entity: "ann"})
				})
				again := m.asksAgain("ann", path, data).Data
				if !met() {
					return
				}
				require.Len(t, m.ca.Orders(), 1, "%s, read %d: was bought again", path, reads)
				require.Equal(t, first["serial_number"], again["serial_number"])
			})
		}
	}
}

// A renewal within the subscription, while the same identity is answered with what is reused.
func TestReuseMeetsAReissue(t *testing.T) {
	for reads := 1; reads < 40; reads++ {
		synctest.Test(t, func(t *testing.T) {
			m := reusing(t, map[string]any{"renewal": "reissue"})
			first := m.asksFor("ann", "www.example.com")
			m.rests(3 * time.Hour)
			met := m.meanwhile(reads, func() {
				_, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
			})
			resp, err := m.send(call{op: logical.UpdateOperation, path: "renew/web/" + first["serial_number"].(string), entity: "ann"})
			require.NoError(t, err)
			if !met() {
				return
			}
			require.Len(t, m.ca.Orders(), 1, "read %d: was bought again: %v", reads, resp.Warnings)
		})
	}
}
