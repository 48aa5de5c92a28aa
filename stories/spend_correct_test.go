// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// corrected has the budgets corrected, and returns what was.
func (m *mount) corrected() []map[string]any {
	m.t.Helper()
	return m.write("reports/spend", map[string]any{"correct": true}).Data["corrections"].([]map[string]any)
}

// refundedOrder places and cancels an order, which CERTInext pays back.
func (m *mount) refundedOrder(name string) map[string]any {
	m.t.Helper()
	m.ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
	o := m.write("orders/web", map[string]any{"common_name": name}).Data
	m.must(call{op: logical.DeleteOperation, path: "orders/web/" + o["order_id"].(string)})
	m.ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = false })
	return o
}

func TestAnOrderThatWasPaidBackIsGivenBackOnce(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		m := newMount(t, validated(dialect))
		m.paying(certinexttest.LedgerProse, false)
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
		m.write("budgets/all", map[string]any{"max_spend": "450.00", "max_orders": 10})
		m.write("budgets/each", map[string]any{"max_orders": 10, "per": "requester", "period": "day"})
		m.issue("www.example.com")
		o := m.refundedOrder("back.example.com")
		require.Equal(t, "300.00", fmt.Sprint(m.budgetUsage("all")["spent"]), "a budget is not given back by itself")

		m.query("reports/spend", nil)
		require.Equal(t, "300.00", fmt.Sprint(m.budgetUsage("all")["spent"]), "a read corrects nothing")
		done := m.corrected()
		require.Len(t, done, 1)
		require.Equal(t, o["order_id"], done[0]["order_id"])
		require.Equal(t, "refund", done[0]["kind"])
		require.Equal(t, "150.00", done[0]["amount"])
		require.Equal(t, 2, done[0]["counts"])
		for range 2 {
			require.Equal(t, "150.00", fmt.Sprint(m.budgetUsage("all")["spent"]))
			require.Equal(t, 1, m.budgetUsage("all")["orders"])
			require.Equal(t, 1, m.budgetUsage("each")["orders"])
			require.Empty(t, m.corrected(), "each is given back once")
			m.start()
		}
		m.write("issue/web", host(1))
		m.write("issue/web", host(2))
		require.Contains(t, m.refused("issue/web", host(3)), "has not enough left")
	})
}

func TestWhatIsKeptOfARefundStaysCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.paying(certinexttest.LedgerSample, false)
		m.ca.Configure(func(s *certinexttest.Server) { s.Billing.RefundFee = certinexttest.Money("30.00") })
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
		m.write("budgets/all", map[string]any{"max_spend": "450.00"})
		m.refundedOrder("back.example.com")
		require.Equal(t, "120.00", m.corrected()[0]["amount"])
		require.Equal(t, "30.00", fmt.Sprint(m.budgetUsage("all")["spent"]))
		require.Equal(t, 1, m.budgetUsage("all")["orders"])
		require.Empty(t, m.corrected())
	})
}

// A budget that has not counted an order is not given it back, and one that is over is left alone.
func TestABudgetIsNotGivenWhatItHasNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.paying(certinexttest.LedgerSample, false)
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
		m.write("budgets/old", map[string]any{"max_orders": 10, "period": "day"})
		m.refundedOrder("back.example.com")
		m.write("budgets/new", map[string]any{"max_orders": 10})
		m.must(call{op: logical.DeleteOperation, path: "budgets/old"})
		m.write("budgets/old", map[string]any{"max_orders": 10, "period": "day"})
		m.issue("www.example.com")
		require.Empty(t, m.corrected())
		require.Equal(t, 1, m.budgetUsage("new")["orders"])
		require.Equal(t, 1, m.budgetUsage("old")["orders"])
		time.Sleep(25 * time.Hour)
		m.issue("mail.example.com")
		require.Empty(t, m.corrected())
		require.Equal(t, 1, m.budgetUsage("old")["orders"])
	})
}

func TestAChargedReissueCountsUnderBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.paying(certinexttest.LedgerSample, true)
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
		m.write("budgets/all", map[string]any{"max_orders": 10, "max_spend": "1000.00", "period": "year"})
		m.write("budgets/other", map[string]any{"roles": "other", "max_orders": 10})
		m.issue("www.example.com")
		time.Sleep(130 * day)
		m.pass()
		m.issue("www.example.com")
		require.Len(t, m.ca.Orders(), 1)
		for range 2 {
			require.Equal(t, 2, m.budgetUsage("all")["orders"], "the ledger was read right after the reissue")
			require.Equal(t, "300.00", fmt.Sprint(m.budgetUsage("all")["spent"]))
			require.Equal(t, 0, m.budgetUsage("other")["orders"])
			require.Empty(t, m.corrected(), "it is counted once")
			m.start()
		}
	})
}

// The ledger shows the charge late, so that only the report finds it.
func TestAReissueThatIsChargedLateIsCountedByTheReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.paying(certinexttest.LedgerSample, true)
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
		m.write("budgets/all", map[string]any{"max_orders": 10, "period": "year"})
		m.issue("www.example.com")
		time.Sleep(130 * day)
		m.pass()
		m.ca.Configure(func(s *certinexttest.Server) { s.Billing.LedgerDelay = time.Hour })
		m.issue("www.example.com")
		require.Equal(t, 1, m.budgetUsage("all")["orders"])
		time.Sleep(time.Hour)
		m.write("budgets/later", map[string]any{"max_orders": 10, "period": "year"})
		done := m.corrected()
		require.Len(t, done, 1)
		require.Equal(t, "reissue-charged", done[0]["kind"])
		require.Equal(t, "150.00", done[0]["amount"])
		require.Equal(t, 2, m.budgetUsage("all")["orders"])
		require.Equal(t, 0, m.budgetUsage("later")["orders"], "a budget counts from when it was written")
		require.Empty(t, m.corrected())
	})
}

// Storage fails in the middle of a correction: the next one makes up for it, and counts nothing twice.
func TestACorrectionThatIsCutShortIsMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.paying(certinexttest.LedgerSample, false)
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
		for _, name := range []string{"a", "b", "c"} {
			m.write("budgets/"+name, map[string]any{"max_orders": 10})
		}
		m.refundedOrder("back.example.com")
		m.issue("www.example.com")
		failed := 0
		for n := range 4 { // of the writes, the first, the second and so on fails
			puts := 0
			m.storage.failing(func(key string) error {
				if puts++; puts == n+1 {
					failed++
					return fmt.Errorf("storage fails at %s", key)
				}
				return nil
			})
			_, err := m.send(call{op: logical.UpdateOperation, path: "reports/spend", data: map[string]any{"correct": true}})
			m.storage.failing(nil)
			require.Equal(t, failed > n, err != nil)
		}
		require.Positive(t, failed)
		m.corrected()
		for _, name := range []string{"a", "b", "c"} {
			require.Equal(t, 1, m.budgetUsage(name)["orders"], name)
		}
	})
}

func TestCorrectionsAtOnceCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.paying(certinexttest.LedgerSample, false)
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
		m.write("budgets/a", map[string]any{"max_orders": 20})
		m.refundedOrder("back.example.com")
		m.storage.lay(slowStorage{m.storage.under()})
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				_, err := m.send(call{op: logical.UpdateOperation, path: "reports/spend", data: map[string]any{"correct": true}})
				assert.NoError(t, err)
			})
			wg.Go(func() {
				_, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: host(n)})
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		require.Equal(t, 8, m.budgetUsage("a")["orders"])
	})
}

func TestACorrectionHasToBeAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		require.Contains(t, m.refused("reports/spend", nil), "correct: is missing: write correct=true")
		require.Contains(t, m.refused("reports/spend", map[string]any{"correct": true, "format": "csv"}), "format: is json")
		require.Empty(t, m.corrected())
	})
}
