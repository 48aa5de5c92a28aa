// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv/dcvtest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// aheadOf mounts the engine on a live CA with a role "web" that renews ahead, and an identity entity "ann".
func aheadOf(t *testing.T, more map[string]any) *mount {
	t.Helper()
	ca := validated(certinexttest.Live)
	ca.DomainValidity = 10 * 365 * day
	m := newMount(t, ca)
	m.system.EntityVal = &logical.Entity{ID: "ann", Name: "Ann", Metadata: map[string]string{"domain": "example.com"}}
	role := map[string]any{
		"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "generate_lease": false, "renew_ahead": "10%",
	}
	for name, value := range more {
		role[name] = value
	}
	m.write("roles/web", role)
	return m
}

// asks sends a request as ann.
func (m *mount) asks(path string, data map[string]any) *logical.Response {
	m.t.Helper()
	return m.must(call{op: logical.UpdateOperation, path: path, data: data, entity: "ann"})
}

func (m *mount) annIssues() map[string]any {
	m.t.Helper()
	return m.asks("issue/web", map[string]any{"common_name": "www.example.com"}).Data
}

// untilDue sleeps until the renewal of an answer's certificate is due, with passes each half day.
func (m *mount) untilDue(answer map[string]any) {
	m.t.Helper()
	due := time.Unix(answer["renew_after"].(int64), 0)
	for time.Until(due) > 12*time.Hour {
		time.Sleep(12 * time.Hour)
		m.pass()
	}
	time.Sleep(time.Until(due))
}

// wantedAhead are the storage keys of what is to be made ahead.
func (m *mount) wantedAhead() []string {
	m.t.Helper()
	keys, err := logical.CollectKeysWithPrefix(m.t.Context(), m.storage, "ahead/")
	require.NoError(m.t, err)
	return keys
}

// orderCalls are how often the CA was called for an order. A new process also asks for its clock before it hands anything over.
func (m *mount) orderCalls() map[string]int {
	calls := m.ca.Calls()
	delete(calls, certinexttest.OpToken)
	delete(calls, certinexttest.OpMe)
	return calls
}

// ordering has config place orders, or pauses them.
func (m *mount) ordering(how string) {
	m.t.Helper()
	config := m.account()
	config["ordering"] = how
	m.write("config", config)
}

func TestTheSuccessorIsThereBeforeItIsAskedFor(t *testing.T) {
	for _, renewal := range []string{"order", "reissue"} {
		t.Run(renewal, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := aheadOf(t, map[string]any{"renewal": renewal})
				first := m.annIssues()
				require.Len(t, m.wantedAhead(), 1)
				m.untilDue(first)
				bought := map[string]int{"order": 2, "reissue": 1}[renewal]
				require.Len(t, m.ca.Orders(), bought, "it was made ahead")
				require.Empty(t, m.wantedAhead(), "what is made is not to be made any more")

				before := m.orderCalls()
				second := m.annIssues()
				require.Equal(t, before, m.orderCalls(), "the request has waited for the CA")
				m.isFor(second, "www.example.com")
				require.NotEqual(t, first["serial_number"], second["serial_number"])
				require.NotEqual(t, first["private_key"], second["private_key"])
				require.Equal(t, false, second["reused"])
				require.Len(t, m.ca.Orders(), bought)
				require.Equal(t, second["serial_number"], m.read("cert/" + first["serial_number"].(string)).Data["renewed_by"])
				require.Equal(t, first["serial_number"], m.read("cert/" + second["serial_number"].(string)).Data["renewal_of"])

				require.Len(t, m.wantedAhead(), 1, "it is renewed ahead in its turn")
				m.untilDue(second)
				third := m.annIssues()
				require.NotEqual(t, second["serial_number"], third["serial_number"])
			})
		})
	}
}

func TestNobodyComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.annIssues()
		expires := time.Unix(first["expiration"].(int64), 0)
		for time.Now().Before(expires.Add(400 * day)) {
			time.Sleep(day)
			m.pass()
		}
		require.Len(t, m.ca.Orders(), 2, "one more was bought, and none for that one")
		require.Empty(t, m.wantedAhead())
		successor := m.read("cert/" + first["serial_number"].(string)).Data["renewed_by"].(string)
		order := m.read("orders/web/" + m.read("cert/" + successor).Data["order_id"].(string)).Data
		require.Equal(t, "unclaimed", order["state"])
	})
}

func TestWhatIsMadeAheadWaitsUntilTheOneBeforeExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.annIssues()
		expires := time.Unix(first["expiration"].(int64), 0)
		for time.Now().Before(expires.Add(-day)) {
			time.Sleep(day / 2)
			m.pass()
		}
		second := m.annIssues()
		require.NotEqual(t, first["serial_number"], second["serial_number"])
		require.Len(t, m.ca.Orders(), 2, "it was kept for her")
	})
}

func TestNothingIsMadeAheadForWhomNobodyKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		resp := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		require.Contains(t, strings.Join(resp.Warnings, "\n"), "nothing is made ahead for a token without an identity entity")
		require.Empty(t, m.wantedAhead())
	})
}

func TestTheRequesterIsLookedAtBeforeAnythingIsMadeAhead(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*mount)
		why    string
		stays  int // entries of what is to be made
	}{
		"the entity is no more": {func(m *mount) { m.system.EntityVal = nil }, "identity entity is no more", 0},
		"the entity is disabled": {func(m *mount) {
			m.system.EntityVal = &logical.Entity{ID: "ann", Disabled: true}
		}, "identity entity is disabled", 1},
		"the template gives another domain": {func(m *mount) {
			m.system.EntityVal = &logical.Entity{ID: "ann", Metadata: map[string]string{"domain": "example.org"}}
		}, "common_name: ", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := aheadOf(t, map[string]any{
					"allowed_domains": "{{identity.entity.metadata.domain}}", "allowed_domains_template": true,
				})
				first := m.annIssues()
				c.change(m)
				m.untilDue(first)
				require.Len(t, m.ca.Orders(), 1)
				require.Contains(t, m.read("cert/" + first["serial_number"].(string)).Data["renew_ahead_refused"], c.why)
				require.Equal(t, 1, strings.Count(m.log.String(), "could not be made ahead"), "it is told once")
				require.Len(t, m.wantedAhead(), c.stays)
			})
		})
	}
}

func TestWhatIsRefusedAheadIsToldOnceAndMadeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.annIssues()
		m.ordering("paused")
		due := time.Unix(first["renew_after"].(int64), 0)
		for time.Until(due) > 5*day {
			time.Sleep(6 * time.Hour)
			m.pass()
		}
		serial := first["serial_number"].(string)
		require.Contains(t, m.read("cert/" + serial).Data["renew_ahead_refused"], "ordering: is paused")
		require.Equal(t, 1, strings.Count(m.log.String(), "could not be made ahead"), "it is told once")
		m.ordering("on")
		m.untilDue(first)
		require.Len(t, m.ca.Orders(), 2)
		require.Empty(t, m.read("cert/" + serial).Data["renew_ahead_refused"])
	})
}

func TestABudgetHoldsForWhatIsMadeAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.annIssues()
		m.write("budgets/year", map[string]any{"period": "year", "max_orders": 1, "roles": "web"})
		m.asks("issue/web", map[string]any{"common_name": "other.example.com"})
		m.untilDue(first)
		require.Len(t, m.ca.Orders(), 2, "a budget does not cover it")
		require.Contains(t, m.read("cert/" + first["serial_number"].(string)).Data["renew_ahead_refused"], "budget")
	})
}

func TestAnApprovalIsAskedForAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, map[string]any{"renewal": "order"})
		first := m.annIssues()
		m.patchRole(map[string]any{"require_approval": true, "approval_timeout": "480h"})
		m.untilDue(first)
		require.Len(t, m.ca.Orders(), 1)
		ids := m.list("approvals/")
		require.Len(t, ids, 1, "an approver is asked once")
	})
}

func TestRenewingByTheSerialNumberFindsWhatWasMadeAhead(t *testing.T) {
	for _, renewal := range []string{"order", "reissue"} {
		t.Run(renewal, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := aheadOf(t, map[string]any{"renewal": renewal})
				first := m.annIssues()
				m.untilDue(first)
				bought := len(m.ca.Orders())
				path := "renew/web/" + first["serial_number"].(string)
				second := m.asks(path, nil).Data
				require.Equal(t, first["serial_number"], m.read("cert/" + second["serial_number"].(string)).Data["renewal_of"])
				require.Equal(t, second["serial_number"], m.asks(path, nil).Data["serial_number"], "a lost answer")
				time.Sleep(time.Hour)
				m.pass()
				resp, err := m.send(call{op: logical.UpdateOperation, path: path, entity: "ann"})
				require.NoError(t, err)
				require.ErrorContains(t, resp.Error(), "was renewed already, ahead of this request")
				require.Len(t, m.ca.Orders(), bought)
			})
		})
	}
}

// TestARenewalThatWasAnsweredBuysNothingOnceTheRoleRenewsAheadNoMore repeats a renewal that was answered with what was made ahead.
func TestARenewalThatWasAnsweredBuysNothingOnceTheRoleRenewsAheadNoMore(t *testing.T) {
	for _, renewal := range []string{"order", "reissue"} {
		t.Run(renewal, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := aheadOf(t, map[string]any{"renewal": renewal})
				first := m.annIssues()
				m.untilDue(first)
				path := "renew/web/" + first["serial_number"].(string)
				m.patchRole(map[string]any{"renew_ahead": ""})
				second := m.asks(path, nil).Data
				bought := len(m.ca.Orders())
				time.Sleep(time.Hour)
				m.pass()
				m.start() // another process
				for _, dry := range []bool{false, true} {
					resp, err := m.send(call{op: logical.UpdateOperation, path: path, data: map[string]any{"dry_run": dry}, entity: "ann"})
					require.NoError(t, err)
					said := fmt.Sprint(resp.Data["refusals"], resp.Error())
					require.Contains(t, said, "was renewed already, ahead of this request")
					require.Contains(t, said, second["serial_number"])
				}
				require.Len(t, m.ca.Orders(), bought)
				require.LessOrEqual(t, m.ca.Calls()[certinexttest.OpReissue], 1)
				m.asks(path, map[string]any{"request_id": "another"})
			})
		})
	}
}

// TestTheRecordOfWhatWasRefusedAheadStays: renew_ahead_refused names an order that can be read, whoever is refused the same meanwhile.
func TestTheRecordOfWhatWasRefusedAheadStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.annIssues()
		m.rests(time.Hour)
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRefusal, Code: "EMS-1162", Text: "Invalid Product Code."})
		refused := func() string {
			return m.read("cert/" + first["serial_number"].(string)).Data["renew_ahead_refused"].(string)
		}
		for refused() == "" {
			time.Sleep(6 * time.Hour)
			m.pass()
		}
		made := slices.DeleteFunc(m.list("orders/web"), func(id string) bool { return id == first["order_id"] })
		require.Len(t, made, 1)
		for range 3 { // it is tried again, as the same order
			time.Sleep(7 * time.Hour)
			m.pass()
			require.Contains(t, m.list("orders/web"), made[0], "renew_ahead_refused is about an order without a record: %s", refused())
		}
		require.Greater(t, m.ca.Calls()[certinexttest.OpCreateSSL], 3)
		time.Sleep(time.Until(time.Unix(first["renew_after"].(int64), 0)))
		for range 2 {
			_, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
			require.NoError(t, err)
			require.Contains(t, m.list("orders/web"), made[0], "its record was removed for that of another order")
		}
		require.Len(t, m.list("orders/web"), 3, "of each request, the latest refusal is kept")
	})
}

func TestACertificateThatIsOverIsNotRenewedAhead(t *testing.T) {
	for name, end := range map[string]func(*mount, map[string]any){
		"revoked": func(m *mount, first map[string]any) {
			m.asks("revoke/web", map[string]any{"serial_number": first["serial_number"]})
		},
		"the role is gone":   func(m *mount, _ map[string]any) { m.must(call{op: logical.DeleteOperation, path: "roles/web"}) },
		"the role does not":  func(m *mount, _ map[string]any) { m.patchRole(map[string]any{"renew_ahead": ""}) },
		"asked for long ago": func(m *mount, _ map[string]any) { m.patchRole(map[string]any{"renew_ahead_for": "24h"}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := aheadOf(t, nil)
				first := m.annIssues()
				end(m, first)
				m.untilDue(first)
				require.Len(t, m.ca.Orders(), 1)
				require.Empty(t, m.wantedAhead())
			})
		})
	}
}

func TestOnlyTheNewestCertificateIsRenewedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.annIssues()
		time.Sleep(60 * day)
		m.pass()
		second := m.annIssues()
		require.Len(t, m.ca.Orders(), 2)
		m.untilDue(first)
		require.Len(t, m.ca.Orders(), 2, "the older one is not renewed ahead")
		m.untilDue(second)
		require.Len(t, m.ca.Orders(), 3)
	})
}

// A mount that has named another account for a while knows a newest certificate of each account.
func TestTheNewestOfAnotherAccountIsRenewedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.asks("orders/web", map[string]any{"common_name": "www.example.com"}).Data
		for range 20 {
			time.Sleep(day)
			m.pass()
		}
		require.Equal(t, "unclaimed", m.read("orders/web/" + first["order_id"].(string)).Data["state"])
		move := func(number string) {
			m.ca.Configure(func(s *certinexttest.Server) { s.AccountNumber = number })
			config := m.account()
			config["client_id"], config["force"] = number, true
			m.write("config", config)
		}
		move("2222222222")
		second := m.annIssues()
		require.Len(t, m.ca.Orders(), 2)
		m.passes(1)
		move(certinexttest.DefaultAccountNumber)
		m.untilDue(second)
		require.Len(t, m.ca.Orders(), 3, "the older one of the first account is no newer one")
		third := m.annIssues()
		require.NotEqual(t, second["serial_number"], third["serial_number"])
		require.Len(t, m.ca.Orders(), 3, "and it is what she comes to")
	})
}

func TestAnyOfTheRequestsFieldsMayChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.annIssues()
		m.untilDue(first)
		second := m.asks("issue/web", map[string]any{"common_name": "WWW.example.com", "ttl": "48h", "format": "pem_bundle", "force_new": true}).Data
		require.NotEqual(t, first["serial_number"], second["serial_number"])
		require.Len(t, m.ca.Orders(), 2, "what is the same request finds it, however it is phrased")

		m.patchRole(map[string]any{"key_type": "rsa"})
		m.untilDue(second)
		third := m.annIssues()
		require.Equal(t, "rsa", third["private_key_type"])
		require.Len(t, m.ca.Orders(), 3, "it is made by the role as it is then")
	})
}

func TestTheLeaseBeginsWhenItIsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, map[string]any{"generate_lease": true, "renewal": "reissue"})
		m.system.MaxLeaseTTLVal = 400 * day
		first := m.asks("issue/web", map[string]any{"common_name": "www.example.com"})
		m.untilDue(first.Data)
		second := m.asks("issue/web", map[string]any{"common_name": "www.example.com"})
		left := time.Until(time.Unix(second.Data["expiration"].(int64), 0))
		require.InDelta(t, left.Hours(), second.Secret.TTL.Hours(), 1)
		m.endLease(first)
		m.pass()
		require.Zero(t, m.read("cert/" + second.Data["serial_number"].(string)).Data["revocation_time"], "only the newest one's lease ends it")
	})
}

func TestTheLastLeaseEndsWhatNobodyHasCollected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, map[string]any{"generate_lease": true, "renewal": "reissue"})
		m.system.MaxLeaseTTLVal = 400 * day
		first := m.asks("issue/web", map[string]any{"common_name": "www.example.com"})
		m.untilDue(first.Data)
		m.endLease(first) // the client is gone
		m.passes(3)
		require.NotZero(t, m.read("cert/" + first.Data["serial_number"].(string)).Data["revocation_time"])
	})
}

func TestAStandbyMakesNothingAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.annIssues()
		active := m.storage
		m.storage = counting(readOnly{active, logical.ErrReadOnly})
		m.start()
		m.untilDue(first)
		require.Len(t, m.ca.Orders(), 1)
		m.storage = active
		m.start()
		m.passes(12)
		require.Len(t, m.ca.Orders(), 2, "the active node does")
	})
}

func TestOurClockAloneMakesNothingAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		m.annIssues()
		m.passes(1) // its order is over
		m.later(150 * day)
		m.start()
		m.passes(3)
		require.Len(t, m.ca.Orders(), 1, "a clock that is ahead has bought")
		m.later(-150 * day)
		m.passes(3)
		require.Len(t, m.ca.Orders(), 1)
		require.Len(t, m.wantedAhead(), 1)
	})
}

// What is to be made ahead is not forgotten, either, since the certificate has expired, or nobody has asked for it for long, by our clock alone.
func TestOurClockAloneForgetsNothingToBeMadeAhead(t *testing.T) {
	for name, more := range map[string]map[string]any{
		"expired": nil, "not asked for": {"renew_ahead_for": "4000h"},
	} {
		for _, isKnown := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, CERTInext's clock known: %t", name, isKnown), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := aheadOf(t, more)
					first := m.annIssues()
					m.passes(1) // its order is over
					m.later(map[string]time.Duration{"expired": 250 * day, "not asked for": 180 * day}[name])
					if !isKnown {
						m.start()
						m.ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultServerError, Times: 100})
					}
					m.passes(3)
					m.ca.ClearFaults()
					m.passes(3)
					require.Len(t, m.wantedAhead(), 1, "a clock that is ahead has forgotten it")
					m.later(map[string]time.Duration{"expired": -250 * day, "not asked for": -180 * day}[name])
					m.untilDue(first)
					require.Len(t, m.ca.Orders(), 2, "it was not made ahead")
				})
			})
		}
	}
}

func TestWithoutTheFieldNothingIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, map[string]any{"renew_ahead": ""})
		m.annIssues()
		for _, key := range m.storage.writes() {
			require.False(t, strings.HasPrefix(key, "ahead/") || strings.HasPrefix(key, "renewal/"), key)
		}
	})
}

// atStart sleeps until the successor of an answer's certificate is to be made, without a pass.
func atStart(answer map[string]any) {
	time.Sleep(time.Until(time.Unix(answer["renew_after"].(int64), 0).Add(-19 * day)))
}

// witness places an order that proves that one of a while ago is absent (ADR 0009).
func (m *mount) witness() {
	m.t.Helper()
	m.passes(2)
	m.write("issue/web", map[string]any{"common_name": "other.example.com"})
}

// TestOneIsMadeAheadWhateverStorageRefuses refuses each write and deletion of the pass that makes a successor, in each way, and has the process die there
// or go on. The requester is answered at once when it comes, and one order was bought.
func TestOneIsMadeAheadWhateverStorageRefuses(t *testing.T) {
	atSize(t)
	refused := errors.New("storage refuses")
	for _, renewal := range []string{"order", "reissue"} {
		for name, how := range map[string]struct {
			err  error
			dies bool // the process, at that write
		}{
			"refused": {err: refused}, "stored, and answered with an error": {err: errStored},
			"the process dies": {err: refused, dies: true}, "stored, and the process dies": {err: errStored, dies: true},
		} {
			t.Run(renewal+", "+name, func(t *testing.T) {
				reached := true
				for n := 0; reached; n++ {
					synctest.Test(t, func(t *testing.T) {
						reached = makeAheadWhileRefused(t, renewal, n, how.err, how.dies)
					})
				}
			})
		}
	}
}

// makeAheadWhileRefused refuses the nth write of the pass that makes a successor, and reports whether there was one.
func makeAheadWhileRefused(t *testing.T, renewal string, n int, err error, dies bool) (reached bool) {
	t.Helper()
	m := aheadOf(t, map[string]any{"renewal": renewal})
	first := m.annIssues()
	time.Sleep(time.Hour)
	m.pass() // erases the first key
	atStart(first)
	writes := 0
	m.storage.cutBy(func(string) error {
		writes++
		switch {
		case writes == n+1:
			reached = true
			return err
		case dies && writes > n:
			return errors.New("the process is dead")
		}
		return nil
	})
	_, _ = m.backend.HandleRequest(t.Context(), &logical.Request{
		Operation: logical.RollbackOperation, Storage: m.storage, Data: map[string]any{"immediate": true},
	})
	m.storage.cutBy(nil)
	if dies {
		m.start()
	}
	m.witness()
	m.untilDue(first)
	bought := map[string]int{"order": 3, "reissue": 2}[renewal]
	require.Len(t, m.ca.Orders(), bought, "write %d", n)
	before := m.orderCalls()
	second := m.annIssues()
	require.Equal(t, before, m.orderCalls(), "write %d: the request has waited for the CA", n)
	require.NotEqual(t, first["serial_number"], second["serial_number"], "write %d", n)
	m.isFor(second, "www.example.com")
	require.Len(t, m.ca.Orders(), bought, "write %d", n)
	m.untilDue(second)
	third := m.annIssues()
	require.NotEqual(t, second["serial_number"], third["serial_number"], "write %d", n)
	require.LessOrEqual(t, len(m.ca.Orders()), bought+1, "write %d", n)
	return reached
}

// TestAnAnswerThatIsLostMakesOneAhead loses each of the CA's answers to the pass that makes a successor.
func TestAnAnswerThatIsLostMakesOneAhead(t *testing.T) {
	for _, renewal := range []string{"order", "reissue"} {
		for _, op := range []string{
			certinexttest.OpCreateSSL, certinexttest.OpReissue, certinexttest.OpTrack, certinexttest.OpCertificate,
		} {
			for _, kind := range []certinexttest.FaultKind{
				certinexttest.FaultLostReply, certinexttest.FaultServerError, certinexttest.FaultDropped,
			} {
				t.Run(fmt.Sprint(renewal, op, kind), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						m := aheadOf(t, map[string]any{"renewal": renewal})
						first := m.annIssues()
						time.Sleep(time.Hour)
						m.pass()
						m.ca.Inject(certinexttest.Fault{Operation: op, Kind: kind, Times: 1})
						atStart(first)
						m.passes(24)
						m.ca.ClearFaults()
						m.witness()
						m.untilDue(first)
						bought := map[string]int{"order": 3, "reissue": 2}[renewal]
						require.Len(t, m.ca.Orders(), bought)
						before := m.orderCalls()
						require.NotEqual(t, first["serial_number"], m.annIssues()["serial_number"])
						require.Equal(t, before, m.orderCalls(), "the request has waited for the CA")
						require.Len(t, m.ca.Orders(), bought)
					})
				})
			}
		}
	}
}

// TestTheDomainsOfASignerAreValidatedAhead has a CA whose validations end before its certificates are due.
func TestTheDomainsOfASignerAreValidatedAhead(t *testing.T) {
	z := clocked(t, &certinexttest.Server{DomainValidity: 100 * day}, dcvtest.Zone{Name: "example.com"})
	z.system.EntityVal = &logical.Entity{ID: "ann"}
	z.role("web", map[string]any{
		"product_code": "842", "generate_lease": false, "renew_ahead": "10%", "organization_number": certinexttest.DefaultOrganization, "issue_timeout": "40s",
	})
	sign := func() *logical.Response {
		resp, err := z.send(call{
			op: logical.UpdateOperation, path: "sign/web", data: map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}, entity: "ann",
		})
		require.NoError(t, err)
		require.False(t, resp.IsError(), resp.Error())
		return resp
	}
	first := sign()
	z.later(time.Unix(first.Data["renew_after"].(int64), 0).Sub(z.now()) - 19*day)
	z.read("account") // shows that the CA's clock says so, too
	for range 3 {
		z.pass()
		z.later(12 * time.Hour)
	}
	require.Len(t, z.ca.Orders(), 1, "nothing is ordered for a key that only the requester has")
	require.Empty(t, z.wantedAhead())
	kept := z.read("domains/www.example.com").Data
	require.Equal(t, true, kept["validated"])
	require.NotEmpty(t, kept["kept_until"])
	before := z.orderCalls()
	sign()
	after := z.orderCalls()
	require.Equal(t, before[certinexttest.OpVerifyDCV], after[certinexttest.OpVerifyDCV], "the request has waited for a validation")

	z.later(120 * day)
	z.pass()
	require.Empty(t, z.list("domains/"), "it is not kept for longer")
	require.Len(t, z.ca.Orders(), 2)
}

func TestADomainThatNobodyValidatesIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.asks("sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}).Data
		m.untilDue(first)
		require.Contains(t, m.read("cert/" + first["serial_number"].(string)).Data["renew_ahead_refused"], "dcv_solver: is not set in the role")
		require.Equal(t, 1, strings.Count(m.log.String(), "could not be made ahead"), "it is told once")
		require.Len(t, m.ca.Orders(), 1)
	})
}

// TestWhatTheCARenewsByItselfIsNotBoughtAhead places an order with auto_renew, and then has the role renew ahead instead.
func TestWhatTheCARenewsByItselfIsNotBoughtAhead(t *testing.T) {
	for _, how := range []certinexttest.AutoRenewal{certinexttest.RenewUntilEnd, certinexttest.RenewByOrder} {
		synctest.Test(t, func(t *testing.T) {
			m := aheadOf(t, map[string]any{"renew_ahead": "", "auto_renew": true})
			m.ca.Configure(func(s *certinexttest.Server) { s.Subscriptions.AutoRenewal = how })
			require.Contains(t, m.refused("roles/web", map[string]any{
				"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "auto_renew": true, "renew_ahead": "10%",
			}), "renew_ahead: does not go with auto_renew")
			m.asks("orders/web", map[string]any{"common_name": "www.example.com"}) // placed with auto_renew
			m.patchRole(map[string]any{"renew_ahead": "10%", "auto_renew": false})
			first := m.annIssues()
			require.Len(t, m.wantedAhead(), 1)
			m.untilDue(first) // when the CA has renewed it
			require.Equal(t, 1, m.ca.Calls()[certinexttest.OpCreateSSL])
			require.Contains(t, m.log.String(), "its order was placed with auto_renew")

			m.write("sync", nil)
			synctest.Wait()
			require.Len(t, m.list("certs"), 2, "what the CA has renewed is listed")
		})
	}
}

func TestNothingIsMadeAheadOfARequestThatWillHaveAnotherName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.asks("issue/web", map[string]any{"common_name": "www.example.com", "request_id": "deploy-17"}).Data
		require.Empty(t, m.wantedAhead())
		m.untilDue(first)
		m.asks("issue/web", map[string]any{"common_name": "www.example.com", "request_id": "deploy-18"})
		require.Len(t, m.ca.Orders(), 2, "a name of its own is another order")
	})
}

func TestWhatIsMadeAheadIsItsRequestersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.annIssues()
		m.untilDue(first)
		require.Len(t, m.ca.Orders(), 2)
		successor := m.read("cert/" + first["serial_number"].(string)).Data["renewed_by"].(string)
		other := m.must(call{
			op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "bob",
		}).Data
		require.NotEqual(t, successor, other["serial_number"], "another requester was handed it")
		id := m.read("cert/" + successor).Data["order_id"].(string)
		resp, err := m.send(call{op: logical.UpdateOperation, path: "orders/web/" + id + "/collect", entity: "bob"})
		require.NoError(t, err)
		require.ErrorContains(t, resp.Error(), "was placed by another requester")
		require.Equal(t, successor, m.annIssues()["serial_number"])
	})
}

// TestTheRequesterComesWhileItIsMade has requests come in the moment in which the pass makes the successor.
func TestTheRequesterComesWhileItIsMade(t *testing.T) {
	for _, renewal := range []string{"order", "reissue"} {
		for range 5 {
			synctest.Test(t, func(t *testing.T) {
				m := aheadOf(t, map[string]any{"renewal": renewal})
				m.ca.IssueDelay = 2 * time.Second
				first := m.annIssues()
				time.Sleep(time.Hour)
				m.pass()
				atStart(first)
				var together sync.WaitGroup
				serials := make([]any, 3)
				for i := range serials {
					together.Go(func() { serials[i] = m.annIssues()["serial_number"] })
				}
				together.Go(m.pass)
				together.Wait()
				require.Len(t, m.ca.Orders(), map[string]int{"order": 2, "reissue": 1}[renewal])
				for _, serial := range serials {
					require.Equal(t, serials[0], serial)
					require.NotEqual(t, first["serial_number"], serial)
				}
			})
		}
	}
}

// TestASnapshotMakesAtMostOneMore restores the storage of before a successor was made, after it was made and handed over.
func TestASnapshotMakesAtMostOneMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := aheadOf(t, nil)
		first := m.annIssues()
		time.Sleep(time.Hour)
		m.pass()
		before := m.storage.dump(t)
		m.untilDue(first)
		m.annIssues()
		require.Len(t, m.ca.Orders(), 2)
		m.storage = counting(logical.NewStorageView(new(logical.InmemStorage), ""))
		for key, value := range before {
			require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: key, Value: value}))
		}
		m.start()
		m.passes(48)
		require.LessOrEqual(t, len(m.ca.Orders()), 3)
		m.annIssues()
		require.LessOrEqual(t, len(m.ca.Orders()), 3)
	})
}

func TestWhatIsMadeAheadWaitsWhileTheCertificateBeforeIsReused(t *testing.T) {
	for _, way := range []string{"order", "reissue"} {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := aheadOf(t, map[string]any{"reuse": true, "renewal": way})
				first := m.annIssues()
				due := time.Unix(first["renew_after"].(int64), 0)
				for time.Until(due) > 12*time.Hour {
					time.Sleep(12 * time.Hour)
					m.pass()
					again := m.annIssues()
					require.Equal(t, first["serial_number"], again["serial_number"], "%s before it is due", time.Until(due))
					require.Equal(t, first["private_key"], again["private_key"])
				}
				certificates := len(m.ca.Orders())
				if way == "reissue" {
					certificates = m.ca.Calls()[certinexttest.OpReissue] + 1
				}
				require.Equal(t, 2, certificates, "its successor was made ahead")
				time.Sleep(13 * time.Hour)
				m.ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultDropped}) // nobody needs the CA
				second := m.annIssues()
				require.NotEqual(t, first["serial_number"], second["serial_number"])
				m.ca.ClearFaults()
				require.Equal(t, second["serial_number"], m.annIssues()["serial_number"])
			})
		})
	}
}
