// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// An order that CERTInext refuses costs nothing; one that it takes does, whatever becomes of it.
func TestWhatCERTInextNeverTookIsGivenBack(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		m.write("budgets/web", map[string]any{"max_orders": 2})
		for range 3 {
			ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRefusal, Code: "EMS-1162", Times: 1})
			require.Contains(t, m.refused("issue/web", host(0)), "EMS-1162", "refused by CERTInext, not by a budget")
		}
		require.Equal(t, 0, m.budgetUsage("web")["orders"])
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 48 * time.Hour })
		order := m.write("orders/web", host(0)).Data
		require.Equal(t, 1, m.budgetUsage("web")["open_orders"])
		m.must(call{op: logical.DeleteOperation, path: "orders/web/" + order["order_id"].(string)})
		usage := m.budgetUsage("web")
		require.Equal(t, 1, usage["orders"], "cancelled, and perhaps charged")
		require.Equal(t, 0, usage["open_orders"])
		m.write("orders/web", host(1))
		require.Contains(t, m.refused("orders/web", host(2)), "2 of 2 orders")
	})
}

// The answer to the create is lost: the order counts until it is proved that CERTInext never took it.
func TestAnOrderInDoubtCounts(t *testing.T) {
	for name, taken := range map[string]bool{"CERTInext took it": true, "CERTInext never heard of it": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				ca.ReportDelay = 0
				m := newMount(t, ca)
				m.write("roles/other", map[string]any{"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true})
				m.write("budgets/web", map[string]any{"roles": "web", "max_orders": 1})
				kind := certinexttest.FaultDropped
				if taken {
					kind = certinexttest.FaultLostReply
				}
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError})
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: kind, Times: 1})
				require.Equal(t, "unresolved", m.write("orders/web", host(0)).Data["state"])
				for _, restart := range []bool{false, true} {
					if restart {
						m.start()
						time.Sleep(time.Hour)
					}
					require.Contains(t, m.refused("issue/web", host(1)), "1 of 1 orders")
				}
				ca.ClearFaults()
				m.write("issue/other", host(2)) // a later order, by which the records are judged
				m.passes(2)
				m.write("issue/other", host(3))
				m.passes(2)
				if taken {
					require.Contains(t, m.refused("issue/web", host(1)), "1 of 1 orders")
					return
				}
				m.write("issue/web", host(1))
				require.Contains(t, m.refused("issue/web", host(0)), "1 of 1 orders")
			})
		})
	}
}

// What an operator ends in the mount's books alone may be paid for.
func TestAnOrderThatIsAbandonedCounts(t *testing.T) {
	stranding(t, func(t *testing.T, m *mount, lose func(m *mount, force bool) *logical.Response) {
		m.write("budgets/web", map[string]any{"max_orders": 2})
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpOrdersReport, Kind: certinexttest.FaultServerError})
		m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
		doubtful := "orders/web/" + m.write("orders/web", host(0)).Data["order_id"].(string)
		m.ca.ClearFaults()
		kept := "orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
		lose(m, true)
		for _, path := range []string{doubtful, kept} {
			m.write("operator/"+path, map[string]any{"end": true})
		}
		require.Equal(t, "unknown", m.read(doubtful).Data["charged"])
		require.Equal(t, "no", m.read(kept).Data["charged"])
		for range 3 {
			time.Sleep(time.Hour)
			m.pass()
		}
		require.Equal(t, 1, m.budgetUsage("web")["orders"])
		require.Equal(t, 0, m.budgetUsage("web")["open_orders"])
	})
}

// So may be an order whose entry nobody can read.
func TestAnOrderThatCannotBeReadCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = 48 * time.Hour
		m := newMount(t, ca)
		m.write("budgets/web", map[string]any{"max_orders": 2})
		id := m.write("orders/web", host(0)).Data["order_id"].(string)
		require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: "order/open/web/" + id, Value: []byte("{")}))
		m.start()
		require.Equal(t, 1, m.budgetUsage("web")["orders"])
		m.write("operator/orders/web/"+id, map[string]any{"end": true})
		time.Sleep(time.Hour)
		m.pass()
		require.Equal(t, 1, m.budgetUsage("web")["orders"])
		m.write("orders/web", host(1))
		require.Contains(t, m.refused("orders/web", host(2)), "2 of 2 orders")
	})
}

// Only so many orders wait at a time; those that are issued make room.
func TestOpenOrdersAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = time.Hour
		m := newMount(t, ca)
		m.write("budgets/open", map[string]any{"max_open_orders": 2})
		m.write("orders/web", host(0))
		m.write("orders/web", host(1))
		text := m.refused("orders/web", host(2))
		require.Contains(t, text, `budget "open" (max_open_orders) is full: 2 of 2 orders are open. It has room again once one of them is issued or has ended`)
		m.start()
		require.Contains(t, m.refused("orders/web", host(2)), "2 of 2 orders")
		m.write("orders/web", host(0)) // joined, not placed
		m.passes(2)
		m.write("orders/web", host(2))
		usage := m.budgetUsage("open")
		require.Equal(t, 3, usage["orders"])
		require.Equal(t, 1, usage["open_orders"])
		require.Equal(t, 1, usage["open_orders_left"])
	})
}

// A draft costs nothing once CERTInext has said that it is one; its promotion is an order.
func TestADraftCountsWhenItIsPromoted(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		m.write("budgets/web", map[string]any{"max_orders": 1})
		first := "orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
		second := host(1)
		second["save_as_draft"] = true
		other := "orders/web/" + m.write("orders/web", second).Data["order_id"].(string)
		require.Equal(t, 0, m.budgetUsage("web")["orders"])

		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultRefusal, Code: "EMS-1162", Times: 1})
		m.refused(first, map[string]any{"promote": true})
		require.Equal(t, 0, m.budgetUsage("web")["orders"], "still a draft")
		m.write(first, map[string]any{"promote": true})
		require.Equal(t, 1, m.budgetUsage("web")["orders"])
		require.Contains(t, m.refused(other, map[string]any{"promote": true}), "1 of 1 orders")
		require.Equal(t, "draft", m.read(other).Data["state"])
		third := host(2)
		third["save_as_draft"] = true
		require.Contains(t, m.refused("orders/web", third), "1 of 1 orders", "CERTInext may answer with an order instead")
		m.must(call{op: logical.DeleteOperation, path: other})
		m.passes(2)
		require.Equal(t, 1, m.budgetUsage("web")["orders"])
	})
}

// A draft that is promoted while another budget covers its role counts there alone.
func TestADraftDoesNotCountBesideItsPromotion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("budgets/old", map[string]any{"max_orders": 5})
		path := "orders/web/" + m.write("orders/web", draft()).Data["order_id"].(string)
		m.write("budgets/old", map[string]any{"max_orders": 5, "roles": "other"})
		m.write("budgets/new", map[string]any{"max_orders": 5})
		m.write(path, map[string]any{"promote": true})
		require.Equal(t, 0, m.budgetUsage("old")["orders"])
		require.Equal(t, 1, m.budgetUsage("new")["orders"])
		m.write(path+"/collect", nil)
		m.passes(2)
		require.Equal(t, 0, m.budgetUsage("old")["orders"])
		require.Equal(t, 1, m.budgetUsage("new")["orders"])
	})
}

// Every role, and every requester, has as much.
func TestEachRoleAndRequesterHasABudgetOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("roles/team-a", map[string]any{"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true})
		m.write("budgets/roles", map[string]any{"per": "role", "max_orders": 2})
		m.write("budgets/people", map[string]any{"per": "requester", "max_orders": 1, "roles": "web,team-*"})
		ask := func(role, entity string, n int) string {
			resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/" + role, data: host(n), entity: entity})
			require.NoError(t, err)
			if resp.IsError() {
				return resp.Error().Error()
			}
			return ""
		}
		require.Empty(t, ask("web", "alice", 0))
		require.Contains(t, ask("web", "alice", 1), `budget "people" (max_orders) is used up: 1 of 1 orders of this requester`)
		require.Contains(t, ask("team-a", "alice", 1), "of this requester")
		require.Empty(t, ask("web", "bob", 1))
		require.Contains(t, ask("web", "carol", 2), `budget "roles" (max_orders) is used up: 2 of 2 orders of role web`)
		require.Empty(t, ask("team-a", "carol", 2))
		require.Empty(t, ask("team-a", "", 3), "a token without an entity")

		people := m.read("budgets/people").Data
		require.Equal(t, 4, people["subjects"])
		subjects := []string{}
		for _, u := range people["usage"].([]map[string]any) {
			subjects = append(subjects, u["subject"].(string))
		}
		require.Equal(t, []string{"entity:alice", "entity:bob", "entity:carol"}, subjects[:3])
		require.NotContains(t, subjects[3], "accessor-of-the-test")
		require.Regexp(t, "^token-[0-9a-f]{12}$", subjects[3])
	})
}

// An operator's changes: a lower limit, another role, a budget that is deleted and made again.
func TestABudgetIsChangedAndMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("budgets/web", map[string]any{"max_orders": 3})
		m.write("issue/web", host(0))
		m.write("issue/web", host(1))
		m.write("budgets/web", map[string]any{"max_orders": 1})
		require.Equal(t, 0, m.budgetUsage("web")["orders_left"])
		require.Contains(t, m.refused("issue/web", host(2)), "2 of 1 orders")
		m.write("budgets/web", map[string]any{"max_orders": 1, "period": "day"})
		m.write("issue/web", host(2))
		m.write("budgets/web", map[string]any{"max_orders": 3, "roles": "nobody"})
		m.write("issue/web", host(3))
		resp := m.write("budgets/web", map[string]any{"max_orders": 3, "roles": "nobody"})
		require.Contains(t, resp.Warnings, "roles: the budget covers no role that there is now")
		m.must(call{op: logical.DeleteOperation, path: "budgets/web"})
		m.must(call{op: logical.DeleteOperation, path: "budgets/web"})
		require.Empty(t, m.list("budgets"))
		require.Nil(t, m.read("budgets/web"))
		m.write("budgets/web", map[string]any{"max_orders": 1})
		require.Equal(t, 0, m.budgetUsage("web")["orders"])
		m.write("issue/web", host(4))
		m.start()
		require.Contains(t, m.refused("issue/web", host(5)), "1 of 1 orders")
		require.Contains(t, m.refused("budgets/web", map[string]any{"max_orders": 0}), "max_orders: is required")
		require.Contains(t, m.refused("budgets/web", map[string]any{"max_order": 1}), "did you mean max_orders?")
	})
}

// The counters of requesters that come and go do not stay for ever.
func TestCountersAreTidied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("budgets/people", map[string]any{"per": "requester", "max_orders": 1, "period": "day"})
		counters := func() (n int) {
			for key := range m.storage.dump(t) {
				if len(key) > 9 && key[:9] == "spending/" {
					n++
				}
			}
			return n
		}
		for n := range 5 {
			m.must(call{op: logical.UpdateOperation, path: "issue/web", data: host(n), entity: host(n)["common_name"].(string)})
		}
		require.Equal(t, 5, counters())
		m.passes(30)
		require.Equal(t, 5, counters())
		time.Sleep(40 * 24 * time.Hour)
		m.passes(2)
		require.Equal(t, 5, counters(), "the clock may be wrong")
		time.Sleep(25 * time.Hour)
		m.passes(2)
		require.Zero(t, counters())

		m.must(call{op: logical.UpdateOperation, path: "issue/web", data: host(6), entity: "alice"})
		m.storage.failing(nil)
		storage := m.breakStorage()
		storage.deletesFail = true
		_, err := m.send(call{op: logical.DeleteOperation, path: "budgets/people"})
		require.Error(t, err)
		storage.deletesFail = false
		m.must(call{op: logical.DeleteOperation, path: "budgets/people"})
		require.Zero(t, counters())
	})
}

// The record of a renewal that nobody has fetched moves, and its id is that of the next one: both count.
func TestARenewalThatIsOrderedAgainCountsTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"pickup_window": "1h"}})
		first := m.write("issue/web", www)
		m.write("budgets/web", map[string]any{"max_orders": 2, "period": "year"})
		path := "renew/web/" + first.Data["serial_number"].(string)
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 10 * time.Minute })
		order := "orders/web/" + m.write(path, map[string]any{"async": true}).Data["order_id"].(string)
		m.storage.failing(func(key string) error { // so that no pass settles the reservation
			if strings.HasPrefix(key, "spending/") {
				return errStorageAway
			}
			return nil
		})
		for m.read(order).Data["state"] != "unclaimed" {
			time.Sleep(10 * time.Minute)
			m.try(logical.RollbackOperation, "", map[string]any{"immediate": true})
		}
		_, err := m.attempt(path, map[string]any{"async": true})
		require.ErrorIs(t, err, errStorageAway, "what was paid for is settled first")
		m.storage.failing(nil)
		m.write(path, map[string]any{"async": true})
		require.Equal(t, 3, len(ca.Orders())) //nolint:testifylint // Len would print them
		require.Equal(t, 2, m.budgetUsage("web")["orders"])
		m.passes(5)
		require.Contains(t, m.refused(path, map[string]any{"async": true}), "2 of 2 orders")
	})
}

// TestABudgetWhoseCountCannotBeReadSaysWhichAndWhatMendsIt damages a count: nothing is ordered under it until an operator begins it anew.
func TestABudgetWhoseCountCannotBeReadSaysWhichAndWhatMendsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("budgets/web", map[string]any{"max_orders": 5})
		m.write("budgets/all", map[string]any{"max_orders": 9})
		m.issue("www.example.com")
		m.storage.reset()
		m.write("issue/web", host(1))
		damaged := 0
		for _, key := range m.storage.writes() {
			if strings.HasPrefix(key, "spending/") && damaged == 0 {
				require.NoError(t, m.storage.under().Put(t.Context(), &logical.StorageEntry{Key: key, Value: []byte(`{"version": 1, "tallies": "no"}`)}))
				damaged++
			}
		}
		require.Equal(t, 1, damaged)
		refused := m.refused("issue/web", host(2))
		name := "web"
		if strings.Contains(refused, `budget "all"`) {
			name = "all"
		}
		require.Contains(t, refused, `budget "`+name+`" has a count that cannot be read`)
		require.Contains(t, refused, "vault delete certinext/budgets/"+name)
		require.Len(t, m.ca.Orders(), 2, "it was ordered uncounted")
		resp, err := m.send(call{op: logical.ReadOperation, path: "budgets/" + name})
		require.NoError(t, err)
		require.Contains(t, resp.Error().Error(), "has a count that cannot be read")

		m.must(call{op: logical.DeleteOperation, path: "budgets/" + name})
		m.write("budgets/"+name, map[string]any{"max_orders": 5})
		m.issue("other.example.com")
		require.Equal(t, 1, m.budgetUsage(name)["orders"])
	})
}
