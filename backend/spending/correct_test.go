// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counted returns a counter with one order of November at 25.00, of the purchase "k".
func counted() (*counter, Counted) {
	c := &counter{Version: 1, Currency: "USD"}
	begins, ends := Month.span(time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC))
	c.reserve(tally{Period: Month, Begins: begins, Ends: ends}, reservation{Key: "k"}, price("25.00"))
	c.Open = nil
	return c, Counted{Period: Month, Begins: begins}
}

func TestRefund(t *testing.T) {
	amount := func(text string) Refund {
		return Refund{Key: "k", Price: price("25.00"), Amount: price(text).Amount}
	}
	whole, foreign, unknown := amount("25.00"), amount("25.00"), amount("25.00")
	whole.Whole, foreign.Price.Currency, unknown.Price.Known = true, "EUR", false
	for name, c := range map[string]struct {
		refunds []Refund
		orders  int
		spent   string
		changed bool // by the last one
	}{
		"a part":                        {[]Refund{amount("10.00")}, 1, "15.00", true},
		"the same part again":           {[]Refund{amount("10.00"), amount("10.00")}, 1, "15.00", false},
		"more of it":                    {[]Refund{amount("10.00"), amount("15.00")}, 1, "10.00", true},
		"less than before":              {[]Refund{amount("10.00"), amount("5.00")}, 1, "15.00", false},
		"all of it":                     {[]Refund{whole}, 0, "0.00", true},
		"all of it after a part":        {[]Refund{amount("10.00"), whole}, 0, "0.00", true},
		"a part after all of it":        {[]Refund{whole, amount("10.00")}, 0, "0.00", false},
		"more than was counted":         {[]Refund{amount("99.00")}, 1, "0.00", true},
		"nothing":                       {[]Refund{amount("0.00")}, 1, "25.00", false},
		"counted in another currency":   {[]Refund{foreign}, 1, "25.00", false},
		"counted without a known price": {[]Refund{unknown}, 1, "25.00", false},
	} {
		t.Run(name, func(t *testing.T) {
			counter, at := counted()
			var changed bool
			for _, r := range c.refunds {
				changed = counter.refund(at, r)
			}
			require.Equal(t, c.changed, changed)
			require.Equal(t, c.orders, counter.Tallies[0].Orders)
			require.Equal(t, c.spent, counter.Tallies[0].Spent.String())
		})
	}
}

func TestARefundOfWhatIsReservedOrOverChangesNothing(t *testing.T) {
	c, at := counted()
	whole := Refund{Key: "k", Price: price("25.00"), Amount: price("25.00").Amount, Whole: true}
	c.Open = []reservation{{Key: "k"}}
	require.False(t, c.refund(at, whole), "it may be given back by what becomes of it")
	c.Open = nil
	require.False(t, c.refund(Counted{Period: Month, Begins: at.Begins.AddDate(0, -1, 0)}, whole))
	require.False(t, c.refund(Counted{Period: Day, Begins: at.Begins}, whole))
	require.True(t, c.refund(at, whole))
}

func TestCorrectionsAreBounded(t *testing.T) {
	c, at := counted()
	c.Tallies[0].Orders = 2000
	for n := range maxCorrections + 5 {
		r := Refund{Key: fmt.Sprint(n), Price: price("25.00"), Whole: true}
		require.Equal(t, n < maxCorrections, c.refund(at, r))
	}
	require.Equal(t, 2000-maxCorrections, c.Tallies[0].Orders)
	require.Len(t, c.Tallies[0].Corrections, maxCorrections)
}

func TestCharge(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	c, _ := counted()
	require.True(t, c.charge(Month, now, now, "r", price("9.00")))
	require.False(t, c.charge(Month, now, now, "r", price("9.00")), "once")
	require.Equal(t, 2, c.Tallies[0].Orders)
	require.Equal(t, "34.00", c.Tallies[0].Spent.String())
	require.True(t, c.charge(Month, now, now, "u", Price{}), "an order, at a price that is not known")
	require.True(t, c.charge(Month, now, now, "u", price("1.00")), "and known later")
	require.Equal(t, 3, c.Tallies[0].Orders)
	require.Equal(t, "35.00", c.Tallies[0].Spent.String())
	require.False(t, c.charge(Month, now.AddDate(0, -2, 0), now, "p", price("9.00")), "a period that is over")
	require.True(t, c.charge(Day, now, now, "d", price("9.00")), "a period in which nothing was counted")
	require.Len(t, c.Tallies, 2)
	require.Equal(t, "9.00", c.Tallies[1].Spent.String())
}
