// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/stretchr/testify/require"
)

var november = time.Date(2026, time.November, 29, 12, 0, 0, 0, time.UTC)

// price is a price that is known.
func price(text string) Price {
	amount, err := money.Parse(text)
	if err != nil {
		panic(err)
	}
	return Price{Amount: amount, Known: true, Currency: "USD"}
}

// order counts one more order at a time, or returns why it is not admitted.
func order(b *Budget, c *counter, at time.Time, p Price) error {
	to, err := b.admits(c, demand{price: p, now: at})
	if err == nil {
		c.reserve(to, reservation{OrderID: fmt.Sprint(len(c.Open))}, p)
	}
	return err
}

func TestARefusalSaysWhichBudgetHowMuchIsLeftAndWhenItRefills(t *testing.T) {
	for name, c := range map[string]struct {
		budget   Budget
		subject  string
		cost     string
		says     string
		limit    Limit
		refillAt time.Time
	}{
		"orders of a month": {
			budget: Budget{Name: "web", Period: Month, MaxOrders: 2}, cost: "25",
			says: `nothing was ordered: budget "web" (max_orders) is used up: 2 of 2 orders were ` +
				"placed in November 2026. It refills at 2026-12-01T00:00:00Z; whoever may write " +
				"<mount>/budgets/web can change it",
			limit: LimitOrders, refillAt: time.Date(2026, time.December, 1, 0, 0, 0, 0, time.UTC),
		},
		"money of a day": {
			budget: Budget{Name: "web", Period: Day, MaxSpend: "70", Per: PerRole}, cost: "25",
			subject: "shop",
			says: `budget "web" (max_spend) has not enough left: this order costs 25.00 USD, and ` +
				"50.00 of 70.00 USD of role shop are spent on 2026-11-29, which leaves 20.00. " +
				"It refills at 2026-11-30T00:00:00Z",
			limit: LimitSpend, refillAt: time.Date(2026, time.November, 30, 0, 0, 0, 0, time.UTC),
		},
		"open orders of a requester": {
			budget:  Budget{Name: "web", Period: Year, MaxOpenOrders: 2, Per: PerRequester},
			subject: "entity:1234", cost: "25",
			says: `budget "web" (max_open_orders) is full: 2 of 2 orders of this requester are ` +
				"open. It has room again once one of them is issued or has ended",
			limit: LimitOpen,
		},
	} {
		t.Run(name, func(t *testing.T) {
			kept := new(counter)
			require.NoError(t, order(&c.budget, kept, november, price(c.cost)))
			require.NoError(t, order(&c.budget, kept, november, price(c.cost)))
			_, err := c.budget.admits(kept,
				demand{subject: c.subject, price: price(c.cost), now: november})
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "1234")
			var refused *fault.RefusedError
			require.ErrorAs(t, err, &refused, "it is answered with a 400")
			var exhausted *ExhaustedError
			require.ErrorAs(t, err, &exhausted)
			require.Equal(t, c.limit, exhausted.Limit)
			require.Equal(t, c.refillAt, exhausted.RefillsAt)
		})
	}
}

func TestMoneyThatIsNotKnownIsNotSpent(t *testing.T) {
	b := &Budget{Name: "web", Period: Month, MaxSpend: "70.00"}
	c := new(counter)
	err := order(b, c, november, Price{Unknown: "the catalog says 0.0"})
	require.ErrorContains(t, err, "what this one costs is not known: the catalog says 0.0. Give "+
		"the price with product_prices at <mount>/config")
	require.NoError(t, order(b, c, november, price("20.00")))
	euros := price("20.00")
	euros.Currency = "EUR"
	require.ErrorContains(t, order(b, c, november, euros), "it is in EUR, and the budget counts USD")
	require.NoError(t, order(b, c, november, Price{Amount: euros.Amount, Known: true}),
		"a price of config is in the account's currency")
	require.NoError(t, order(b, c, november, price("30.00")), "to the last cent")
	require.Error(t, order(b, c, november, price("0.0001")))
	require.NoError(t, order(b, c, november, price("0")))
}

// What was used stays used: a limit that is lowered below it admits nothing, and one that is raised
// admits the difference.
func TestALimitCountsWhatWasOrderedBeforeItWasWritten(t *testing.T) {
	b, c := &Budget{Name: "web", Period: Month, MaxOrders: 5}, new(counter)
	for range 4 {
		require.NoError(t, order(b, c, november, price("25")))
	}
	lower := &Budget{Name: "web", Period: Month, MaxOrders: 2}
	require.ErrorContains(t, order(lower, c, november, price("25")), "4 of 2 orders")
	require.Equal(t, 0, lower.usage(c, november).OrdersLeft)
	money := &Budget{Name: "web", Period: Month, MaxSpend: "110.00"}
	require.ErrorContains(t, order(money, c, november, price("25")), "100.00 of 110.00 USD")
	require.Equal(t, "10.00", money.usage(c, november).SpendLeft.String())
	require.NoError(t, order(b, c, november, price("25")))
	require.NoError(t, order(lower, c, november.AddDate(0, 1, 0), price("25")), "another month")
}

func TestAnOrderCountsInThePeriodInWhichItWasReserved(t *testing.T) {
	b, c := &Budget{Name: "web", Period: Month, MaxOrders: 1}, new(counter)
	require.NoError(t, order(b, c, november, price("25")))
	december := november.AddDate(0, 0, 5)
	require.NoError(t, order(b, c, december, price("25")))
	require.Error(t, order(b, c, december, price("25")))
	lost := func(reservation) bool { return true }
	require.True(t, c.settle([]Fate{FateFree, FateOpen}, lost))
	require.Error(t, order(b, c, december, price("25")), "November's was given back, not December's")
	require.Equal(t, 0, b.usage(c, november).Orders)
	require.Equal(t, "0.00", b.usage(c, november).Spent.String())
	require.Equal(t, 1, b.usage(c, december).Orders)
}

func TestWhatBecomesOfAnOrderSettlesItsReservation(t *testing.T) {
	for name, c := range map[string]struct {
		fate        Fate
		lost        bool
		open, spent int
	}{
		"CERTInext may have it":                {fate: FateOpen, open: 1, spent: 1},
		"CERTInext has issued it":              {fate: FateTaken, spent: 1},
		"CERTInext never took it":              {fate: FateFree},
		"it may yet be stored":                 {fate: FateGone, open: 1, spent: 1},
		"it will not be stored":                {fate: FateGone, lost: true},
		"it is open, whoever has reserved it":  {fate: FateOpen, lost: true, open: 1, spent: 1},
		"it is issued, whoever has ordered it": {fate: FateTaken, lost: true, spent: 1},
	} {
		t.Run(name, func(t *testing.T) {
			b, kept := &Budget{Name: "web", Period: Month, MaxOrders: 1}, new(counter)
			require.NoError(t, order(b, kept, november, price("25")))
			changed := kept.settle([]Fate{c.fate}, func(reservation) bool { return c.lost })
			require.Equal(t, c.open == 0, changed)
			u := b.usage(kept, november)
			require.Equal(t, c.open, u.Open)
			require.Equal(t, c.spent, u.Orders)
			require.False(t, kept.settle(make([]Fate, u.Open), nil), "settled once")
		})
	}
}

func TestACounterHasRoomForSoManyOpenOrdersOnly(t *testing.T) {
	b, c := &Budget{Name: "web", Period: Month, MaxOrders: most}, new(counter)
	for range maxOpen + 10 {
		require.NoError(t, order(b, c, november, price("25")))
	}
	require.Len(t, c.Open, maxOpen)
	c.settle(slices.Repeat([]Fate{FateFree}, maxOpen), nil)
	require.Equal(t, 10, b.usage(c, november).Orders, "those beyond count for good")
}

func TestAYearBeginsWithTheFirstOrderThatCounts(t *testing.T) {
	b, c := &Budget{Name: "web", Period: Year, MaxOrders: 1}, new(counter)
	require.NoError(t, order(b, c, november, price("25")))
	c.settle([]Fate{FateFree}, nil)
	later := november.AddDate(0, 11, 0)
	require.NoError(t, order(b, c, later, price("25")))
	require.Error(t, order(b, c, later.AddDate(0, 3, 0), price("25")))
}

func TestWhatNobodyMeansIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Budget)
		says   string
	}{
		"no limit":       {func(b *Budget) { b.MaxOrders = 0 }, "max_orders: is required, or"},
		"a negative one": {func(b *Budget) { b.MaxOrders = -1 }, "max_orders: -1 is not between"},
		"too many open": {
			func(b *Budget) { b.MaxOpenOrders = maxOpen + 1 }, "max_open_orders: 1001 is not",
		},
		"no money":         {func(b *Budget) { b.MaxSpend = "0.00" }, "max_spend: 0.00 is not"},
		"money in words":   {func(b *Budget) { b.MaxSpend = "25 USD" }, `max_spend: "25 USD" is no`},
		"negative money":   {func(b *Budget) { b.MaxSpend = "-25" }, `max_spend: "-25" is no amount`},
		"an unknown span":  {func(b *Budget) { b.Period = "week" }, `period: "week" is not day, month`},
		"unknown subjects": {func(b *Budget) { b.Per = "team" }, `per: "team" is not mount, role or`},
		"a path": {
			func(b *Budget) { b.Roles = []string{"a/b"} }, `roles: "a/b" is not the name of a role`,
		},
		"an empty name": {func(b *Budget) { b.Roles = []string{""} }, `roles: "" is not the name`},
		"too many names": {
			func(b *Budget) { b.Roles = make([]string, maxPatterns+1) }, "roles: has 101 names",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := NewBudget("web")
			b.MaxOrders = 1
			require.NoError(t, b.validate())
			c.change(b)
			err := b.validate()
			require.ErrorContains(t, err, c.says)
			var field *fault.FieldError
			require.ErrorAs(t, err, &field)
		})
	}
}

func TestABudgetCoversTheRolesThatItNames(t *testing.T) {
	b := &Budget{Roles: []string{"web", "team-*"}}
	for role, covered := range map[string]bool{
		"web": true, "web2": false, "team-a": true, "team": false, "my-team-a": false,
	} {
		require.Equal(t, covered, b.Covers(role), role)
	}
	require.True(t, new(Budget).Covers("anything"))
}
