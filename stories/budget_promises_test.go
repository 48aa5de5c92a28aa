// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What an operator ends in the mount's books alone may be paid for, and counts: the record goes when the request's name is used again.
func TestANamedOrderThatIsAbandonedCounts(t *testing.T) {
	stranding(t, func(t *testing.T, m *mount, lose func(m *mount, force bool) *logical.Response) {
		m.write("budgets/web", map[string]any{"max_orders": 1})
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError})
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
		data := host(0)
		data["request_id"] = "deploy-17"
		doubtful := "orders/web/" + m.write("orders/web", data).Data["order_id"].(string)
		m.ca.ClearFaults()
		bought := len(m.ca.Orders())
		lose(m, true)
		m.write("operator/"+doubtful, map[string]any{"end": true})
		require.Equal(t, "unknown", m.read(doubtful).Data["charged"])
		m.write("config", m.account())
		resp, err := m.attempt("orders/web", data)
		require.NoError(t, err)
		require.True(t, resp.IsError(), "1 of 1 orders")
		require.Equal(t, bought, len(m.ca.Orders())) //nolint:testifylint // Len would print them
	})
}

// The same, when its record is deleted.
func TestAnAbandonedOrderWhoseRecordIsDeletedCounts(t *testing.T) {
	stranding(t, func(t *testing.T, m *mount, lose func(m *mount, force bool) *logical.Response) {
		m.write("budgets/web", map[string]any{"max_orders": 1})
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError})
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
		doubtful := "orders/web/" + m.write("orders/web", host(0)).Data["order_id"].(string)
		m.ca.ClearFaults()
		bought := len(m.ca.Orders())
		lose(m, true)
		m.write("operator/"+doubtful, map[string]any{"end": true})
		m.must(call{op: logical.DeleteOperation, path: doubtful})
		m.write("config", m.account())
		resp, err := m.attempt("orders/web", host(1))
		require.NoError(t, err)
		require.True(t, resp.IsError(), "1 of 1 orders")
		require.Equal(t, bought, len(m.ca.Orders())) //nolint:testifylint // Len would print them
	})
}

// ADR 0036: "A clock that jumps opens another period, and finds the right one again."
func TestAClockThatJumpsForgetsNoCount(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(map[bool]string{false: "same process", true: "after a restart"}[restart], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				m.write("budgets/web", map[string]any{"max_orders": 1})
				m.write("issue/web", host(0))
				m.passes(2)
				if restart {
					m.start()
				}
				m.later(80 * 24 * time.Hour)
				m.pass()
				m.pass()
				m.later(-80 * 24 * time.Hour)
				m.pass()
				require.Contains(t, m.refused("issue/web", host(1)), "1 of 1 orders")
			})
		})
	}
}

// A promise of the budget's help: writing it again keeps what was counted.
func TestABudgetThatIsWrittenAgainKeepsWhatWasCounted(t *testing.T) {
	for name, change := range map[string]map[string]any{
		"period": {"max_orders": 2, "period": "year"},
		"per":    {"max_orders": 2, "per": "role"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				m.write("budgets/web", map[string]any{"max_orders": 2})
				m.write("issue/web", host(0))
				m.write("issue/web", host(1))
				resp := m.write("budgets/web", change)
				require.NotNil(t, resp)
				require.Contains(t, strings.Join(resp.Warnings, " "), name+": what was counted for")
			})
		})
	}
}

// As many orders wait as before, whoever has the budget now.
func TestOpenOrdersStayOpenWhenTheBudgetIsWrittenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 48 * time.Hour
		m := newMount(t, ca)
		m.write("budgets/web", map[string]any{"max_open_orders": 2})
		m.write("orders/web", host(0))
		m.write("orders/web", host(1))
		resp := m.write("budgets/web", map[string]any{"max_open_orders": 2, "per": "role"})
		require.NotNil(t, resp)
		require.Contains(t, strings.Join(resp.Warnings, " "), "open orders included")
	})
}

// A limit in money that is added later: what was ordered before is not counted.
func TestALimitInMoneyThatIsAddedCountsWhatWasOrdered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := priced(certinexttest.Live, map[string]string{"1 Year": "20.00"})
		m := newMount(t, ca)
		m.write("budgets/web", map[string]any{"max_orders": 10})
		m.write("issue/web", host(0))
		m.write("issue/web", host(1))
		resp := m.write("budgets/web", map[string]any{"max_orders": 10, "max_spend": "40.00"})
		require.NotNil(t, resp)
		require.Contains(t, strings.Join(resp.Warnings, " "), "max_spend: of what was ordered before")
	})
}

// A price that is written in a way in which it is never looked up is refused, or counts.
func TestAPriceThatIsWrittenOtherwiseCounts(t *testing.T) {
	for _, key := range []string{"842/02", "842/+2"} {
		t.Run(key, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				m.patchRole(map[string]any{"validity_years": 2})
				resp, err := m.attempt("config", map[string]any{"product_prices": map[string]any{"842": "1.00", key: "500.00"}})
				require.NoError(t, err)
				if resp.IsError() {
					return
				}
				m.write("budgets/web", map[string]any{"max_spend": "600.00"})
				m.write("issue/web", host(0))
				require.Equal(t, "500.00", m.budgetUsage("web")["spent"])
			})
		})
	}
}

// An order counts as its requester's: bob promotes ann's drafts.
func TestAPromotionCountsForWhoeverPromotes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.patchRole(map[string]any{"order_access": "role"})
		m.write("budgets/people", map[string]any{"max_orders": 1, "per": "requester"})
		resp, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web", draft())
		require.Empty(t, refusal)
		id := resp.Data["order_id"].(string)
		_, refusal = m.asEntity("bob", logical.UpdateOperation, "orders/web/"+id, map[string]any{"promote": true})
		require.Empty(t, refusal)
		_, refusal = m.asEntity("ann", logical.UpdateOperation, "issue/web", host(1))
		require.Empty(t, refusal, "ann has ordered nothing; bob has")
	})
}

// README: "nothing was stored or ordered then".
func TestARefusedRequestStoresNothingWhateverItWas(t *testing.T) {
	for name, story := range map[string]func(m *mount) (path string, data map[string]any){
		"renew": func(m *mount) (string, map[string]any) {
			serial := m.write("issue/web", www).Data["serial_number"].(string)
			return "renew/web/" + serial, nil
		},
		"renew in a role that reissues": func(m *mount) (string, map[string]any) {
			m.patchRole(map[string]any{"renewal": "reissue", "generate_lease": false})
			serial := m.write("issue/web", www).Data["serial_number"].(string)
			time.Sleep(199 * day)
			return "renew/web/" + serial, nil
		},
		"the last renewal of a subscription": func(m *mount) (string, map[string]any) {
			m.patchRole(map[string]any{"renewal": "reissue", "generate_lease": false})
			m.write("issue/web", www)
			time.Sleep(150 * day)
			m.write("issue/web", www)
			time.Sleep(150 * day)
			m.write("issue/web", www)
			time.Sleep(63 * day)
			return "issue/web", www
		},
		"a name that is free again": func(m *mount) (string, map[string]any) {
			data := map[string]any{"common_name": "shop.example.com", "request_id": "deploy-17"}
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRefusal, Code: "EMS-1162", Times: 1})
			m.refused("orders/web", data)
			return "orders/web", data
		},
		"a draft": func(*mount) (string, map[string]any) { return "orders/web", draft() },
		"a promotion": func(m *mount) (string, map[string]any) {
			id := m.write("orders/web", draft()).Data["order_id"].(string)
			return "orders/web/" + id, map[string]any{"promote": true}
		},
		"async": func(*mount) (string, map[string]any) {
			return "issue/web", map[string]any{"common_name": "shop.example.com", "async": true}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.DomainValidity = 10 * 365 * day
				m := newMount(t, ca)
				path, data := story(m)
				m.passes(1)
				m.write("budgets/web", map[string]any{"max_orders": 1, "period": "year"})
				m.write("issue/web", map[string]any{"common_name": "last.example.com"})
				m.passes(2)
				before := m.storage.dump(t)
				creates := creates(ca)
				require.Contains(t, m.refused(path, data), `budget "web"`)
				require.Equal(t, creates, ca.Calls()[certinexttest.OpCreateSSL])
				after := m.storage.dump(t)
				for key := range before {
					require.Contains(t, after, key, "removed")
					require.Equal(t, string(before[key]), string(after[key]), "changed: %s", key)
				}
				for key := range after {
					require.Contains(t, before, key, "stored")
				}
			})
		})
	}
}

// max_names holds for what is approved, reissued and renewed.
func TestMaxNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		m.patchRole(map[string]any{"product_code": "844", "product_variant": "dv-ucc", "allow_reissue": true, "require_approval": false, "max_names": 0})
		many := map[string]any{"common_name": "www.example.com", "alt_names": "a.example.com,b.example.com,c.example.com"}
		resp, refusal := m.asEntity("ann", logical.UpdateOperation, "issue/web", many)
		require.Empty(t, refusal)
		serial, order := resp.Data["serial_number"].(string), resp.Data["order_id"].(string)
		resp, refusal = m.asEntity("ann", logical.UpdateOperation, "orders/web", draft(map[string]any{"alt_names": "d.example.com,e.example.com,f.example.com"}))
		require.Empty(t, refusal)
		drafted := resp.Data["order_id"].(string)
		m.patchRole(map[string]any{"require_approval": true})
		waiting := m.toApprove(map[string]any{"common_name": "x.example.com", "alt_names": "a.example.com,b.example.com,c.example.com"})
		m.patchRole(map[string]any{"max_names": 2})
		before := len(ca.Orders())
		_, refusal = m.decide("bob", waiting, "approve", "")
		assert.Contains(t, refusal, "max_names", "approve")
		m.patchRole(map[string]any{"require_approval": false})
		for what, c := range map[string]struct {
			path string
			data map[string]any
		}{
			"renew":   {"renew/web/" + serial, nil},
			"reissue": {"orders/web/" + order + "/reissue", map[string]any{}},
			"more":    {"orders/web/" + order + "/reissue", map[string]any{"alt_names": "a.example.com,g.example.com,h.example.com"}},
			"promote": {"orders/web/" + drafted, map[string]any{"promote": true}},
			"sign":    {"sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com", "a.example.com", "b.example.com", "c.example.com")}},
			"async":   {"issue/web", map[string]any{"common_name": "www.example.com", "alt_names": "a.example.com,b.example.com,j.example.com", "async": true}},
			"same":    {"issue/web", map[string]any{"common_name": "x.example.com", "alt_names": "a.example.com,b.example.com,c.example.com"}},
		} {
			_, refusal = m.asEntity("ann", logical.UpdateOperation, c.path, c.data)
			assert.Contains(t, refusal, "max_names", what)
		}
		m.passes(2)
		require.Len(t, ca.Orders(), before)
	})
}

// Everything that orders, all at once, under one budget.
func TestABudgetHoldsForEveryWayAtOnce(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		m.system.EntityVal = &logical.Entity{ID: "ann", Name: "Ann"}
		other := map[string]any{"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true, "require_approval": true}
		m.write("roles/checked", other)
		var drafts, waiting, serials []string
		for n := range 6 {
			d := host(100 + n)
			d["save_as_draft"] = true
			resp, _ := m.asEntity("ann", logical.UpdateOperation, "orders/web", d)
			drafts = append(drafts, resp.Data["order_id"].(string))
			resp, _ = m.asEntity("ann", logical.UpdateOperation, "orders/checked", host(200+n))
			waiting = append(waiting, resp.Data["order_id"].(string))
			resp, refusal := m.asEntity("ann", logical.UpdateOperation, "issue/web", host(300+n))
			require.Empty(t, refusal)
			serials = append(serials, resp.Data["serial_number"].(string))
		}
		count := func() (n int) {
			for _, o := range ca.Orders() {
				if o.Status != "draft" {
					n++
				}
			}
			return n
		}
		m.write("budgets/all", map[string]any{"max_orders": 7, "period": "year"})
		m.write("budgets/role", map[string]any{"max_orders": 5, "period": "day", "per": "role"})
		m.write("budgets/open", map[string]any{"max_open_orders": 6})
		before := count()
		m.storage.lay(slowStorage{m.storage.under()})
		var wg sync.WaitGroup
		for n := range 6 {
			for _, c := range []call{
				{path: "issue/web", data: host(n)},
				{path: "sign/web", data: map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), fmt.Sprintf("s%d.example.com", n))}},
				{path: "orders/web", data: host(50 + n)},
				{path: "orders/web/" + drafts[n], data: map[string]any{"promote": true}},
				{path: "approvals/checked/" + waiting[n], data: map[string]any{"decision": "approve"}, entity: "bob"},
				{path: "renew/web/" + serials[n]},
				{path: "issue/web", data: map[string]any{"common_name": fmt.Sprintf("f%d.example.com", n), "force_new": true}},
				{path: "issue/web", data: map[string]any{"common_name": fmt.Sprintf("n%d.example.com", n), "request_id": fmt.Sprint(n)}},
			} {
				c.op = logical.UpdateOperation
				if c.entity == "" {
					c.entity = "ann"
				}
				wg.Go(func() { _, _ = m.send(c) })
			}
		}
		wg.Wait()
		m.passes(2)
		require.Equal(t, 7, count()-before)
		require.Equal(t, 7, m.budgetUsage("all")["orders"])
		for _, u := range m.read("budgets/role").Data["usage"].([]map[string]any) {
			require.LessOrEqual(t, u["orders"], 5)
		}
	})
}

// Numbers that are none, in config, budgets and the catalog.
func TestNumbersThatAreNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "25.00"}})
		for _, bad := range []any{"-1", "NaN", "Inf", "1e3", "0x10", " ", "1,000", "1000001", "99999999999999999999", -5, 3.7, "3.7", "true", true, []any{1}, "١"} {
			for _, field := range []string{"max_orders", "max_open_orders"} {
				resp, err := m.attempt("budgets/x", map[string]any{field: bad})
				require.NoError(t, err, "%s=%v", field, bad)
				if !resp.IsError() {
					t.Logf("%s=%#v is taken as %v", field, bad, m.read("budgets/x").Data[field])
				}
			}
		}
		for _, bad := range []any{"-1", "-0.00", "NaN", "1e3", "1E3", "0x10", "1,000.00", "25.00 USD", "$25", "1.00001", "10000000000000", "1000000000000", "+5", ".5", "5.", "٥", 1e21, -3, 0, "0", true} {
			resp, err := m.attempt("budgets/x", map[string]any{"max_spend": bad})
			require.NoError(t, err)
			if !resp.IsError() {
				t.Logf("max_spend=%#v is taken as %v", bad, m.read("budgets/x").Data["max_spend"])
			}
			resp, err = m.attempt("config", map[string]any{"product_prices": map[string]any{"842": bad}})
			require.NoError(t, err)
			if !resp.IsError() {
				t.Logf("price=%#v is taken as %v", bad, m.read("config").Data["product_prices"])
			}
		}
	})
}

// What the catalog may answer.
func TestPricesOfTheCatalog(t *testing.T) {
	for _, price := range []string{"-5", "1e999", "0.0", "", " ", "NaN", "Infinity", "0.00001", "0.00009", "99999999999999999999", "1,000.00", "12.5 USD", "٥", "5\n", "-0"} {
		t.Run(price, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := priced(certinexttest.Live, map[string]string{"1 Year": "20.00"})
				m := newMount(t, ca)
				m.write("budgets/web", map[string]any{"max_spend": "100.00"})
				m.write("issue/web", host(0))
				ca.Configure(func(s *certinexttest.Server) {
					s.Catalog = []certinexttest.Product{{Code: "842", Name: "DV SSL", Type: "13", Years: map[string]string{"1 Year": price}}}
				})
				time.Sleep(10 * time.Minute)
				resp, err := m.attempt("issue/web", host(1))
				require.NoError(t, err)
				require.True(t, resp.IsError())
				require.Contains(t, resp.Error().Error(), "product_prices")
				require.Len(t, ca.Orders(), 1)
				require.Equal(t, "20.00", m.budgetUsage("web")["spent"])
			})
		})
	}
}

// Another spelling of a role's name is another role, or none.
func TestAnotherSpellingOfTheRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.write("budgets/web", map[string]any{"roles": "web", "max_orders": 1, "period": "year"})
		m.write("issue/web", host(0))
		for _, role := range []string{"Web", "WEB", "web/", "web.", "./web", "web ", "%77eb", "web\x00", "wеb"} {
			for _, path := range []string{"issue/", "orders/", "sign/"} {
				data := host(1)
				if path == "sign/" {
					data = map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "h1.example.com")}
				}
				_, _ = m.send(call{op: logical.UpdateOperation, path: path + role, data: data})
			}
		}
		require.Len(t, ca.Orders(), 1)
	})
}

// The leader is killed at each point while approvals are given.
func TestABudgetHoldsWhenTheLeaderIsKilledDuringApprovals(t *testing.T) {
	for n := 1; n < 200; n++ {
		hit := ""
		synctest.Test(t, func(t *testing.T) {
			ca := validated(certinexttest.Live)
			ca.ReportDelay = 0
			m := withApproval(t, ca)
			m.write("budgets/web", map[string]any{"max_orders": 2, "period": "year"})
			m.write("budgets/role", map[string]any{"max_orders": 3, "period": "year", "per": "role"})
			var ids []string
			for i := range 4 {
				ids = append(ids, m.toApprove(host(i)))
			}
			shared := m.storage.under()
			dying := &faultyStorage{Storage: shared}
			m.storage.lay(dying)
			dying.arm(n, 1000000, false)
			var wg sync.WaitGroup
			for _, id := range ids {
				wg.Go(func() { m.quietly("bob", "approvals/web/"+id, map[string]any{"decision": "approve"}) })
			}
			wg.Wait()
			dying.mu.Lock()
			hit = dying.hit
			dying.mu.Unlock()
			m.storage = counting(shared)
			m.start()
			for range 4 {
				for _, id := range m.list("approvals/web") {
					_, _ = m.decide("carol", id, "approve", "")
				}
				require.LessOrEqual(t, len(ca.Orders()), 2, "killed at %s", hit)
				time.Sleep(time.Hour)
				m.pass()
			}
			require.LessOrEqual(t, len(ca.Orders()), 2)
			require.LessOrEqual(t, len(ca.Orders()), m.budgetUsage("web")["orders"])
		})
		if hit == "" || t.Failed() {
			return
		}
	}
}

// The answer to an approval that a budget refuses is words, whatever storage does; nothing is written for it.
func TestAnApprovalThatABudgetRefusesWritesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		m.write("budgets/web", map[string]any{"max_orders": 1, "period": "year"})
		m.approve(m.toApprove(host(0)))
		id := m.toApprove(host(1))
		m.storage.reset()
		_, refusal := m.decide("bob", id, "approve", "")
		require.Contains(t, refusal, "1 of 1 orders")
		require.Empty(t, m.storage.writes(), "nothing was stored, as the refusal says")
	})
}

// The same for a promotion.
func TestAPromotionThatABudgetRefusesWaitsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := withApproval(t, ca)
		resp, _ := m.asEntity("ann", logical.UpdateOperation, "orders/web", draft())
		id := resp.Data["order_id"].(string)
		_, refusal := m.asEntity("ann", logical.UpdateOperation, "orders/web/"+id, map[string]any{"promote": true})
		require.Empty(t, refusal)
		m.write("budgets/web", map[string]any{"max_orders": 1, "period": "month"})
		m.approve(m.toApprove(host(0)))
		for range 2 {
			_, refusal = m.decide("bob", id, "approve", "")
			require.Contains(t, refusal, "1 of 1 orders")
			require.Equal(t, "approval", m.read("orders/web/" + id).Data["state"])
			require.Equal(t, []string{id}, m.list("approvals/web"))
			m.start()
		}
		m.write("budgets/web", map[string]any{"max_orders": 2, "period": "month"})
		m.approve(id)
		m.collected(id)
	})
}

// ADR 0022: nothing irrevocable by one clock alone. A counter is removed when CERTInext's Date says for a moment that its periods are long over.
func TestADateThatIsWrongForAMomentForgetsNoCount(t *testing.T) {
	for period, by := range map[string]time.Duration{"month": 80 * day, "year": 800 * day} {
		t.Run(period, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				ahead := time.Duration(0)
				m.startWith(&http.Client{Transport: dateAhead{ca.Client().Transport, &ahead}})
				m.write("budgets/web", map[string]any{"max_orders": 1, "period": period})
				m.write("issue/web", host(0))
				m.passes(2)
				ahead = by
				m.read("config/check")
				m.pass()
				m.pass()
				ahead = 0
				m.read("config/check")
				require.Contains(t, m.refused("issue/web", host(1)), "1 of 1 orders")
			})
		})
	}
}

// A certificate has as many names as max_names allows, those that CERTInext adds included.
func TestMaxNamesCountsWhatCERTInextAdds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		resp, err := m.send(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"auto_secure_www": true, "max_names": 1}})
		require.NoError(t, err)
		if resp.IsError() {
			return
		}
		resp, err = m.attempt("issue/web", map[string]any{"common_name": "example.com"})
		require.NoError(t, err)
		if resp.IsError() {
			return
		}
		require.Len(t, m.chainOK(resp).DNSNames, 1)
	})
}

// One operation of storage after the other is refused while an order goes on; then everybody tries again. What is bought is counted, once.
func TestAFaultOfStorageWhileAnOrderGoesOnUnderBudgets(t *testing.T) {
	atSize(t)
	acts := map[string]func(m *mount, id string){
		"approve": func(m *mount, id string) {
			m.quietly("bob", "approvals/web/"+id, map[string]any{"decision": "approve"})
		},
		"waive": func(m *mount, _ string) { m.quietly("ann", "issue/web", www) },
		"cancel": func(m *mount, id string) {
			_, _ = m.backend.HandleRequest(m.t.Context(), &logical.Request{
				Operation: logical.DeleteOperation, Path: "orders/web/" + id, Storage: m.storage, MountPoint: "certinext/", EntityID: "ann",
			})
		},
		"hand over": func(m *mount, id string) {
			m.quietly("op", "operator/orders/web/"+id, map[string]any{"entity_id": "dave"})
		},
	}
	for name, act := range acts {
		for _, lost := range []bool{false, true} {
			for _, dies := range []bool{false, true} {
				for _, after := range []bool{false, true} {
					t.Run(fmt.Sprintf("%s, lost reply %t, restart %t, after %t", name, lost, dies, after), func(t *testing.T) {
						for n := 1; n < 80; n++ {
							hit := ""
							synctest.Test(t, func(t *testing.T) {
								ca := validated(certinexttest.Live)
								ca.ReportDelay = 0
								m := withApproval(t, ca)
								m.write("budgets/web", map[string]any{"max_orders": 1, "period": "year"})
								m.write("budgets/people", map[string]any{"max_orders": 1, "period": "year", "per": "requester"})
								id := m.toApprove()
								if name == "waive" {
									m.patchRole(map[string]any{"require_approval": false})
								}
								if lost {
									ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
								}
								faulty := &faultyStorage{Storage: m.storage.under()}
								m.storage.lay(faulty)
								faulty.arm(n, 1, after)
								act(m, id)
								if hit = faulty.disarm(); hit == "" {
									return
								}
								if dies {
									m.start()
								}
								for range 4 {
									m.passes(1)
									for _, waiting := range m.list("approvals/web") {
										m.quietly("carol", "approvals/web/"+waiting, map[string]any{"decision": "approve"})
									}
									m.quietly("ann", "issue/web", www)
									m.quietly("ann", "issue/web", map[string]any{"common_name": "shop.example.com"})
								}
								m.passes(3)
								require.LessOrEqual(t, len(ca.Orders()), 1, "%d %s", n, hit)
								require.LessOrEqual(t, len(ca.Orders()), m.budgetUsage("web")["orders"], "%d %s: %v", n, hit, m.states())
							})
							if hit == "" || t.Failed() {
								return
							}
						}
					})
				}
			}
		}
	}
}

// What waits for an approval has room for others, and takes it when it is approved.
func TestOpenOrdersAndApprovals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 48 * time.Hour
		m := withApproval(t, ca)
		m.write("budgets/open", map[string]any{"max_open_orders": 1})
		first, second := m.toApprove(host(0)), m.toApprove(host(1))
		m.approve(first)
		_, refusal := m.decide("bob", second, "approve", "")
		require.Contains(t, refusal, "1 of 1 orders are open")
		m.start()
		_, refusal = m.decide("bob", second, "approve", "")
		require.Contains(t, refusal, "1 of 1 orders are open")
		time.Sleep(50 * time.Hour)
		m.pass()
		m.approve(second)
		require.Len(t, ca.Orders(), 2)
	})
}

// The order of a lost reply, found by its records after a restart and a second approver's try, is one and counts once.
func TestALostReplyAfterAnApprovalUnderABudget(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		for _, kind := range []certinexttest.FaultKind{certinexttest.FaultLostReply, certinexttest.FaultDropped, certinexttest.FaultServerError, certinexttest.FaultRateLimit} {
			ca := validated(dialect)
			m := withApproval(t, ca)
			m.write("budgets/web", map[string]any{"max_orders": 1, "period": "year"})
			id := m.toApprove()
			ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: kind, Times: 1})
			m.quietly("bob", "approvals/web/"+id, map[string]any{"decision": "approve"})
			sent := ca.Calls()[certinexttest.OpCreateSSL]
			for range 4 {
				m.start()
				m.passes(2)
				for _, waiting := range m.list("approvals/web") {
					m.quietly("carol", "approvals/web/"+waiting, map[string]any{"decision": "approve"})
				}
				m.quietly("ann", "issue/web", www)
				m.quietly("ann", "issue/web", map[string]any{"common_name": "shop.example.com"})
			}
			require.LessOrEqual(t, len(ca.Orders()), 1, kind)
			require.Equal(t, 1, m.budgetUsage("web")["orders"], "%v sent %d, %v", kind, sent, m.states())
		}
	})
}

// This server's clock was behind, as its operators find out and mend: CERTInext's Date is as ever, and the budget is as used up as before.
func TestAClockThatIsSetRightForgetsNoCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.later(-80 * day)
		m.read("config/check")
		m.write("budgets/web", map[string]any{"max_orders": 1})
		m.write("issue/web", host(0))
		m.passes(2)
		require.Contains(t, m.refused("issue/web", host(1)), "1 of 1 orders")
		m.later(80 * day)
		m.pass()
		m.pass()
		m.read("config/check")
		require.Contains(t, m.refused("issue/web", host(1)), "1 of 1 orders")
	})
}

// The order that is placed instead of a re-keyed one is an order.
func TestANewOrderInsteadOfARekeyedOneCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.patchRole(map[string]any{"rekey_orders": true, "issue_timeout": "20s"})
		m.write("budgets/web", map[string]any{"max_orders": 1, "period": "year"})
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = time.Hour })
		_, refusal := m.asEntity("ann", logical.UpdateOperation, "sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")})
		require.NotEmpty(t, refusal)
		m.passes(2)
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpReissue, Kind: certinexttest.FaultRefusal, Code: "EMS-1162"})
		_, refusal = m.asEntity("ann", logical.UpdateOperation, "sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")})
		require.Contains(t, refusal, "1 of 1 orders")
		require.Len(t, ca.Orders(), 1)
	})
}

// README: "a year (365 days from the first order that counts)". One that CERTInext never took does not count, and begins no year.
func TestAYearBeginsWithAnOrderThatCounts(t *testing.T) {
	for name, first := range map[string]func(m *mount){
		"refused by CERTInext": func(m *mount) {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRefusal, Code: "EMS-1162", Times: 1})
			m.refused("issue/web", host(0))
		},
		"a draft": func(m *mount) { m.write("orders/web", draft()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.DomainValidity = 10 * 365 * day
				m := newMount(t, ca)
				m.write("budgets/web", map[string]any{"max_orders": 1, "period": "year"})
				first(m)
				m.passes(3)
				require.Equal(t, 0, m.budgetUsage("web")["orders"])
				time.Sleep(363 * day)
				m.pass()
				m.write("issue/web", host(1))
				time.Sleep(3 * day)
				require.Contains(t, m.refused("issue/web", host(2)), "1 of 1 orders", "three days after the first order that counts")
			})
		})
	}
}

// A period that is changed and changed back within itself.
func TestAPeriodThatIsChangedAndChangedBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("budgets/web", map[string]any{"max_orders": 2, "period": "month"})
		m.write("issue/web", host(0))
		m.write("issue/web", host(1))
		m.write("budgets/web", map[string]any{"max_orders": 2, "period": "day"})
		for n := range 9 {
			m.write("issue/web", host(10+n))
			time.Sleep(day)
			m.pass()
		}
		resp := m.write("budgets/web", map[string]any{"max_orders": 2, "period": "month"})
		require.NotNil(t, resp)
		require.Contains(t, strings.Join(resp.Warnings, " "), "period: what was counted for the day")
	})
}

// max_open_orders: "How many orders may wait for CERTInext to issue them, at any time; no limit when 0."
func TestThereIsNoLimitOfOpenOrdersWhenItIsZero(t *testing.T) {
	atSize(t)
	for name, budget := range map[string]map[string]any{
		"none": {"max_orders": 5000, "max_open_orders": 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.IssueDelay = 30 * day
				m := newMount(t, ca)
				m.write("budgets/web", budget)
				for n := range 1001 {
					resp, err := m.attempt("orders/web", host(n))
					require.NoError(t, err)
					if resp.IsError() {
						require.Fail(t, "refused", "after %d: %v", n, resp.Error())
					}
				}
			})
		})
	}
}
