// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// host is a request for the n-th of many names.
func host(n int) map[string]any {
	return map[string]any{"common_name": fmt.Sprintf("h%d.example.com", n)}
}

// budgetUsage is what a budget's reading says of its only subject.
func (m *mount) budgetUsage(name string) map[string]any {
	m.t.Helper()
	usage := m.read("budgets/" + name).Data["usage"].([]map[string]any)
	require.Len(m.t, usage, 1)
	return usage[0]
}

// A slowStorage takes its time, so that requests overtake each other.
type slowStorage struct{ logical.Storage }

func (s slowStorage) Get(ctx context.Context, key string) (*logical.StorageEntry, error) {
	time.Sleep(5 * time.Millisecond)
	return s.Storage.Get(ctx, key)
}

func (s slowStorage) Put(ctx context.Context, e *logical.StorageEntry) error {
	time.Sleep(20 * time.Millisecond)
	err := s.Storage.Put(ctx, e)
	time.Sleep(20 * time.Millisecond)
	return err
}

// Sixty-four requests for as many names, all at once.
func TestABudgetHoldsExactlyUnderConcurrency(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		ca := validated(dialect)
		m := newMount(t, ca)
		m.write("budgets/web", map[string]any{"max_orders": 10})
		m.storage.lay(slowStorage{m.storage.under()})
		var (
			mu       sync.Mutex
			refusals []string
			wg       sync.WaitGroup
		)
		for n := range 64 {
			wg.Go(func() {
				resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", data: host(n)})
				assert.NoError(t, err)
				if resp.IsError() {
					mu.Lock()
					defer mu.Unlock()
					refusals = append(refusals, resp.Error().Error())
				}
			})
		}
		wg.Wait()
		require.Equal(t, 10, len(ca.Orders())) //nolint:testifylint // Len would print them
		require.Len(t, refusals, 54)
		month := time.Now().UTC().Format("January 2006")
		for _, text := range refusals {
			require.Contains(t, text, `nothing was ordered: budget "web" (max_orders) is used up: 10 of 10 orders were placed in `+month)
			require.Contains(t, text, "certinext/budgets/web can change it")
		}
		usage := m.budgetUsage("web")
		require.Equal(t, 10, usage["orders"])
		require.Equal(t, 0, usage["orders_left"])
		require.Equal(t, 0, usage["open_orders"], "all are issued")

		refills, err := time.Parse(time.RFC3339, usage["refills_at"].(string))
		require.NoError(t, err)
		time.Sleep(time.Until(refills) - time.Second)
		require.Contains(t, m.refused("issue/web", host(64)), "It refills at "+usage["refills_at"].(string))
		time.Sleep(time.Second)
		m.write("issue/web", host(64))
		require.Equal(t, 9, m.budgetUsage("web")["orders_left"], "the month is over")
	})
}

// A refused request leaves nothing behind, and CERTInext never hears of it.
func TestARequestThatABudgetRefusesStoresAndAsksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.write("budgets/web", map[string]any{"max_orders": 1, "period": "day"})
		m.write("issue/web", www)
		asked := &traffic{next: ca.Client().Transport, by: map[int]int{}, revoke: map[string]int{}}
		m.startWith(&http.Client{Transport: asked})
		m.write("issue/web", www)
		calls, _ := asked.counts()
		m.storage.reset()
		before := m.storage.dump(t)
		m.refused("issue/web", host(1))
		m.refused("orders/web", host(1))
		require.Empty(t, m.storage.writes())
		require.Equal(t, before, m.storage.dump(t))
		now, _ := asked.counts()
		require.Equal(t, calls, now)
		again := m.write("issue/web", www)
		require.Equal(t, true, again.Data["reused"], "what is bought is answered whatever the budget")
	})
}

// Without a budget, an order costs the storage and the CA what it did.
func TestAnOrderWithoutABudgetCostsNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		storage := &faultyStorage{Storage: m.storage.under()}
		m.storage.lay(storage)
		m.start()
		count := func(n int) int {
			storage.arm(1000000, 1, false)
			m.write("issue/web", host(n))
			storage.disarm()
			return storage.done
		}
		first, second := count(0), count(1)
		m.write("budgets/other", map[string]any{"roles": "other", "max_orders": 1})
		count(2) // reads the budgets
		require.Equal(t, second, count(3), "a budget of another role costs nothing")
		m.write("budgets/web", map[string]any{"roles": "web", "max_orders": 100})
		count(4)
		require.Equal(t, second+2, count(5), "a budget costs a read and a write of its counter")
		require.LessOrEqual(t, second, first)
	})
}

// Storage refuses one operation after the other, before or after it took effect. The budget holds, and nothing of it is lost.
func TestABudgetHoldsWhateverStorageRefuses(t *testing.T) {
	atSize(t)
	for name, after := range map[string]bool{"before": false, "after": true} {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				hit := ""
				synctest.Test(t, func(t *testing.T) {
					ca := validated(certinexttest.Live)
					m := newMount(t, ca)
					m.write("budgets/web", map[string]any{"max_orders": 3})
					m.write("budgets/role", map[string]any{"max_orders": 4, "per": "role"})
					storage := &faultyStorage{Storage: m.storage.under()}
					m.storage.lay(storage)
					storage.arm(n, 1, after)
					m.try(logical.UpdateOperation, "issue/web", host(0))
					m.try(logical.UpdateOperation, "issue/web", host(1))
					hit = storage.disarm()
					// Every client asks until it has its certificate, or is refused.
					for range 4 {
						for n := range 5 {
							m.try(logical.UpdateOperation, "issue/web", host(n))
						}
						time.Sleep(3 * time.Minute)
						m.pass()
					}
					require.Equal(t, 3, len(ca.Orders()), "%s was refused", hit) //nolint:testifylint // Len would print them
					require.Equal(t, 3, m.budgetUsage("web")["orders"])
					require.Equal(t, 1, m.budgetUsage("role")["orders_left"])
				})
				if hit == "" {
					require.Greater(t, n, 10)
					return
				}
			}
		})
	}
}

// The leader is killed at each point in turn, and another node takes over; what the first one has sent to CERTInext goes on there.
func TestABudgetHoldsWhenTheLeaderIsKilled(t *testing.T) {
	for n := 1; ; n++ {
		hit := ""
		synctest.Test(t, func(t *testing.T) {
			ca := validated(certinexttest.Live)
			ca.ReportDelay = 0
			m := newMount(t, ca)
			m.write("budgets/web", map[string]any{"max_orders": 3})
			shared := m.storage.under()
			dying := &faultyStorage{Storage: shared}
			m.storage.lay(dying)
			dying.arm(n, 1000000, false)
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() { m.try(logical.UpdateOperation, "issue/web", host(i)) })
			}
			wg.Wait()
			dying.mu.Lock()
			hit = dying.hit
			dying.mu.Unlock()
			m.storage = counting(shared)
			m.start()
			for range 4 {
				for i := range 8 {
					wg.Go(func() { m.try(logical.UpdateOperation, "issue/web", host(i)) })
				}
				wg.Wait()
				require.LessOrEqual(t, len(ca.Orders()), 3, "killed at %s", hit)
				time.Sleep(time.Hour)
				m.pass()
			}
			require.LessOrEqual(t, len(ca.Orders()), 3)
			require.LessOrEqual(t, len(ca.Orders()), m.budgetUsage("web")["orders"])
		})
		if hit == "" {
			require.Greater(t, n, 20)
			return
		}
	}
}
