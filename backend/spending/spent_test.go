// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/stretchr/testify/require"
)

// A budget in money may admit a cheap order after it has told that it is spent: it does not tell
// that again before something was given back.
func TestThatABudgetIsSpentIsToldOnce(t *testing.T) {
	amount := func(text string) money.Amount {
		a, err := money.Parse(text)
		require.NoError(t, err)
		return a
	}
	c := count{budget: &Budget{Period: Month, MaxSpend: "100"}}
	order := func(id, cost string) Limit {
		now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
		c.to = c.budget.Period.current(c.Tallies, now)
		price := Price{Amount: amount(cost), Known: true}
		c.reserve(c.to, reservation{OrderID: id}, price)
		return c.noteSpent(price)
	}
	require.Empty(t, order("1", "40"))
	require.Equal(t, LimitSpend, order("2", "40"), "20 are left, and an order costs 40")
	require.Empty(t, order("3", "15"), "told before")
	c.giveBack(c.Open[1])
	require.Empty(t, order("4", "20"), "25 are left")
	require.Equal(t, LimitSpend, order("5", "20"))
	require.Empty(t, order("6", "1"))
}

func TestALimitOfOpenOrdersIsNeverSpent(t *testing.T) {
	b := Budget{Period: Month, MaxOpenOrders: 1}
	require.Empty(t, b.usedUp(&tally{totals: totals{Orders: 9}}, Price{}))
	b.MaxOrders = 9
	require.Equal(t, LimitOrders, b.usedUp(&tally{totals: totals{Orders: 9}}, Price{}))
}
