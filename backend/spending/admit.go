// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
)

// A Price is what an order costs, as far as that is known.
type Price struct {
	Amount   money.Amount
	Known    bool
	Currency string // empty when it is not known
	// Unknown says why the price is not known.
	Unknown string
}

// in writes an amount with the currency of the price, if that is known.
func (p Price) in(a money.Amount) string {
	if p.Currency == "" {
		return a.String()
	}
	return a.String() + " " + p.Currency
}

// A Limit is one of those of a budget, by the name of its field.
type Limit string

// The limits that an order can exceed.
const (
	LimitOrders Limit = "max_orders"
	LimitOpen   Limit = "max_open_orders"
	LimitSpend  Limit = "max_spend"
)

// An ExhaustedError is an order that a budget does not admit. Nothing was stored for it, and it was
// not placed. Vault's API wraps it in a [*fault.RefusedError].
type ExhaustedError struct {
	Budget string // its name
	Limit  Limit
	// RefillsAt is when the budget is filled again; zero for [LimitOpen], which has room again when
	// an order is issued or ends.
	RefillsAt time.Time
	told      string
}

// Error says which budget it is, how much of it is used and left, what the order would cost, when
// the budget is filled again, and who can change it.
func (e *ExhaustedError) Error() string {
	when := "It has room again once one of them is issued or has ended"
	if !e.RefillsAt.IsZero() {
		when = "It refills at " + e.RefillsAt.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("nothing was ordered: budget %q (%s) %s. %s; whoever may write "+
		"<mount>/budgets/%s can change it", e.Budget, e.Limit, e.told, when, e.Budget)
}

// A demand is one more order, as a budget sees it.
type demand struct {
	subject string
	price   Price
	now     time.Time
}

// admits returns the tally that one more order counts to, or the error that says why the budget
// does not admit it: an [*ExhaustedError], or that its price is not known.
func (b *Budget) admits(c *counter, d demand) (tally, error) {
	to := b.Period.current(c.Tallies, d.now)
	refuse := func(limit Limit, refills time.Time, format string, args ...any) error {
		return &fault.RefusedError{Err: &ExhaustedError{
			Budget: b.Name, Limit: limit, RefillsAt: refills, told: fmt.Sprintf(format, args...),
		}}
	}
	whose, when := b.whose(d.subject), b.Period.said(to.Begins)
	open := len(c.Open)
	switch {
	case b.MaxOpenOrders > 0 && open >= b.MaxOpenOrders:
		return to, refuse(LimitOpen, time.Time{}, "is full: %d of %d orders%s are open",
			open, b.MaxOpenOrders, whose)
	case b.MaxOrders > 0 && to.Orders >= b.MaxOrders:
		return to, refuse(LimitOrders, to.Ends, "is used up: %d of %d orders%s were placed %s",
			to.Orders, b.MaxOrders, whose, when)
	}
	limit, limited := b.spend()
	if !limited {
		return to, nil
	}
	if unknown := c.unpriced(d.price); unknown != "" {
		return to, &fault.RefusedError{Err: fmt.Errorf("nothing was ordered: budget %q "+
			"(max_spend) limits what orders cost, and what this one costs is not known: %s. Give "+
			"the price with product_prices at <mount>/config", b.Name, unknown)}
	}
	if to.Spent.Plus(d.price.Amount) > limit {
		return to, refuse(LimitSpend, to.Ends, "has not enough left: this order costs %s, "+
			"and %s of %s%s are spent %s, which leaves %s", d.price.in(d.price.Amount), to.Spent,
			d.price.in(limit), whose, when, limit.Minus(to.Spent))
	}
	return to, nil
}

// unpriced says why a price cannot be added to what is counted; empty when it can be.
func (c *counter) unpriced(p Price) string {
	switch {
	case !p.Known:
		return p.Unknown
	case p.Currency != "" && c.Currency != "" && p.Currency != c.Currency:
		return fmt.Sprintf("it is in %s, and the budget counts %s", p.Currency, c.Currency)
	}
	return ""
}
