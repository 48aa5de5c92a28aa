// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
)

// A counter is what one subject of a budget has ordered, as it is stored. It lasts longer than its
// periods, since orders do.
type counter struct {
	Version int    `json:"version"`
	Budget  string `json:"budget"` // its name
	Per     Per    `json:"per"`
	Subject string `json:"subject,omitempty"` // see Budget.subject
	// Currency is that of the amounts, as far as a price has told it.
	Currency string `json:"currency,omitempty"`
	// Tallies are those of the latest periods, the one that an order was counted to last at the
	// end. They hold the reservations, too.
	Tallies []tally `json:"tallies,omitempty"`
	// Open are the orders that are counted and of which it is not settled yet whether they cost.
	Open []reservation `json:"open,omitempty"`
}

// totals are what is counted.
type totals struct {
	Orders int          `json:"orders"`
	Spent  money.Amount `json:"spent"` // of the orders whose price is known
}

// A reservation is an order that is counted. Nothing but what becomes of the order ends it.
type reservation struct {
	OrderID string `json:"order"`
	Key     string `json:"key"` // see Purchase
	Role    string `json:"role"`
	// Period and Begins name the tally.
	Period Period       `json:"period"`
	Begins time.Time    `json:"begins"`
	Price  money.Amount `json:"price"` // nothing when it is not known
	// Process is the one that has made the reservation.
	Process string `json:"process"`
}

const (
	// maxTallies is how many periods a counter keeps. A clock that jumps ahead and back opens new
	// ones, and the one that is right has to be there still.
	maxTallies = 8
	// maxOpen bounds the entry, which storage has to take, and so [Budget.MaxOpenOrders].
	maxOpen = 1000
)

// find returns the tally of a period that begins at a time; nil when there is none.
func (c *counter) find(p Period, begins time.Time) *tally {
	i := slices.IndexFunc(c.Tallies, func(t tally) bool {
		return t.Period == p && t.Begins.Equal(begins)
	})
	if i < 0 {
		return nil
	}
	return &c.Tallies[i]
}

// reserve counts an order to a tally, which may be a new one. A price that cannot be added to what
// is counted is not.
func (c *counter) reserve(to tally, r reservation, price Price) {
	r.Period, r.Begins = to.Period, to.Begins
	if c.unpriced(price) == "" {
		r.Price = price.Amount
		if c.Currency == "" {
			c.Currency = price.Currency
		}
	}
	if t := c.find(to.Period, to.Begins); t != nil {
		to = *t
	}
	to.Orders++
	to.Spent = to.Spent.Plus(r.Price)
	c.Tallies = slices.DeleteFunc(c.Tallies, func(t tally) bool {
		return t.Period == to.Period && t.Begins.Equal(to.Begins)
	})
	if len(c.Tallies) >= maxTallies {
		c.Tallies = slices.Delete(c.Tallies, 0, len(c.Tallies)-maxTallies+1)
	}
	c.Tallies = append(c.Tallies, to)
	if len(c.Open) < maxOpen { // what is beyond counts, whatever becomes of it
		c.Open = append(c.Open, r)
	}
}

// giveBack takes an order off the tally that it was counted to.
func (c *counter) giveBack(r reservation) {
	t := c.find(r.Period, r.Begins)
	if t == nil {
		return
	}
	t.Orders = max(t.Orders-1, 0)
	t.Spent = t.Spent.Minus(r.Price)
	t.Told = false
	if r.Period == Year { // which begins with the first order that counts
		c.Tallies = slices.DeleteFunc(c.Tallies, func(t tally) bool {
			return t.Period == Year && t.Orders == 0
		})
	}
}

// settle ends the reservations whose orders have come to something, and reports whether there were
// any. fates has a fate for each of [counter.Open]; isLost tells of a reservation whose order is
// gone that it will not be stored any more.
func (c *counter) settle(fates []Fate, isLost func(reservation) bool) (changed bool) {
	kept := make([]reservation, 0, len(c.Open))
	for i, fate := range fates {
		r := c.Open[i]
		switch {
		case fate == FateTaken:
		case fate == FateFree, fate == FateGone && isLost(r):
			c.giveBack(r)
		default:
			kept = append(kept, r)
		}
	}
	changed = len(kept) < len(c.Open)
	c.Open = kept
	return changed
}

// isIdle reports whether nothing depends on the counter any more: no order is open, and all of its
// periods have been over for longer than a clock is likely to be wrong.
func (c *counter) isIdle(now time.Time) bool {
	const patience = 31 * 24 * time.Hour
	return len(c.Open) == 0 && !slices.ContainsFunc(c.Tallies, func(t tally) bool {
		return now.Before(t.Ends.Add(patience))
	})
}
