// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package money

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Kind says what a movement was for.
type Kind string

// The kinds of movements.
const (
	Order        Kind = "order"         // a customer's order
	Reissue      Kind = "reissue"       // another certificate of an order, because somebody asked
	Renewal      Kind = "renewal"       // another certificate of an order, by the CA itself
	RenewalOrder Kind = "renewal-order" // an order by the CA itself
	Refund       Kind = "refund"        // of what was paid for an order
	TopUp        Kind = "top-up"        // of a purse
)

// A Movement is a line of the ledger, for a purse as it was at that time.
type Movement struct {
	// Number counts the movements, from one.
	Number int64
	At     time.Time
	Kind   Kind
	// Purse is whose balance changed; Group is the billing group that the movement is booked for.
	Purse, Group string
	// Order and Request are ids of the order that it belongs to, Product is what that bought, for
	// people. They are empty for a top-up.
	Order, Request, Product string
	// Amount is what was added to the purse: a charge is negative.
	Amount Amount
	// Balance is what the purse held afterwards; nothing where it has no limit.
	Balance Amount
}

// An InsufficientError is returned where a purse holds less than is to be paid.
type InsufficientError struct {
	Purse           string
	Balance, Needed Amount
}

// Error says how much is missing.
func (e *InsufficientError) Error() string {
	return fmt.Sprintf("purse %q holds %s, and %s are to be paid", e.Purse, e.Balance, e.Needed)
}

// ErrFull is returned where a purse would hold more than can be counted.
var ErrFull = errors.New("the purse would hold more than is counted")

// mostHeld is the most that a purse holds. Two such sums do not overflow.
const mostHeld = 1_000 * largest

// A Ledger holds purses and all movements of their money. The zero value has none. It is not safe
// for concurrent use.
type Ledger struct {
	purses    map[string]*Amount // what is held; nil where there is no limit
	movements []Movement
}

// Open gives a purse its first balance: nil for a purse without a limit. A purse that is open stays
// as it is.
func (l *Ledger) Open(purse string, balance *Amount) {
	if _, isOpen := l.purses[purse]; isOpen {
		return
	}
	if l.purses == nil {
		l.purses = make(map[string]*Amount)
	}
	if balance != nil {
		held := *balance
		balance = &held
	}
	l.purses[purse] = balance
}

// Balance is what a purse holds, and whether it has a limit at all.
func (l *Ledger) Balance(purse string) (held Amount, limited bool) {
	if p := l.purses[purse]; p != nil {
		return *p, true
	}
	return Amount{}, false
}

// Affords returns an [InsufficientError] where a purse holds less than the price.
func (l *Ledger) Affords(purse string, price Amount) error {
	held, limited := l.Balance(purse)
	if limited && held.IsLess(price) {
		return &InsufficientError{purse, held, price}
	}
	return nil
}

// Post carries out a movement: it numbers it and enters what the purse holds then. What the purse
// does not afford is an [InsufficientError], and nothing moves.
func (l *Ledger) Post(m Movement) (Movement, error) {
	if m.Amount.IsDebt() {
		if err := l.Affords(m.Purse, m.Amount.Negative()); err != nil {
			return Movement{}, err
		}
	}
	if held := l.purses[m.Purse]; held != nil {
		after := held.Plus(m.Amount)
		if after.units > mostHeld {
			return Movement{}, ErrFull
		}
		*held, m.Balance = after, after
	}
	m.Number = int64(len(l.movements)) + 1
	l.movements = append(l.movements, m)
	return m, nil
}

// Movements returns all of them, the oldest first.
func (l *Ledger) Movements() []Movement { return slices.Clone(l.movements) }

// Select returns those that a filter takes, the oldest first.
func (l *Ledger) Select(filter func(Movement) bool) []Movement {
	var taken []Movement
	for _, m := range l.movements {
		if filter(m) {
			taken = append(taken, m)
		}
	}
	return taken
}
