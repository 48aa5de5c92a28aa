// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// What nobody has approved costs nothing, and counts under no budget. What is approved does, and is refused once the budget is used up: the order
// waits on then, until the budget refills.
func TestAnApprovalIsCountedWhenItIsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		m.write("budgets/web", map[string]any{"max_orders": 2, "period": "month"})
		ids := make([]string, 0, 4)
		for n := range 4 {
			ids = append(ids, m.toApprove(host(n)))
		}
		require.EqualValues(t, 0, m.budgetUsage("web")["orders"])

		_, refusal := m.decide("bob", ids[0], "reject", "not this one")
		require.Empty(t, refusal)
		var approvals sync.WaitGroup
		refusals := make(chan string, 3)
		for _, id := range ids[1:] {
			approvals.Go(func() {
				_, refusal := m.decide("bob", id, "approve", "")
				refusals <- refusal
			})
		}
		approvals.Wait()
		refused := 0
		for range 3 {
			if text := <-refusals; text != "" {
				require.Contains(t, text, `budget "web"`)
				refused++
			}
		}
		require.Equal(t, 1, refused, "two may be placed, whoever comes first")
		require.Len(t, m.ca.Orders(), 2)
		require.EqualValues(t, 2, m.budgetUsage("web")["orders"])
		m.pass()
		require.Len(t, m.list("approvals"), 1, "the one that was refused waits on")

		time.Sleep(31 * day / 5) // the approval's time is not over
		m.pass()
		require.Len(t, m.ca.Orders(), 2)
	})
}

// A renewal within the subscription buys nothing, and counts under no budget.
func TestARenewalWithinTheSubscriptionNeedsNoBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.write("budgets/web", map[string]any{"max_orders": 1, "period": "year"})
		m.issue("www.example.com")
		for range 3 {
			time.Sleep(100 * day)
			m.pass()
			m.isFor(m.issue("www.example.com"), "www.example.com")
		}
		require.Len(t, m.ca.Orders(), 1)
		require.Contains(t, m.refused("issue/web", map[string]any{"common_name": "other.example.com"}), `budget "web"`)
	})
}
