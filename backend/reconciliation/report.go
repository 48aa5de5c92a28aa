// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package reconciliation

import (
	"maps"
	"slices"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
)

// A Figure is an amount of money, or that it is not known.
type Figure struct {
	Amount money.Amount
	Known  bool
}

// String writes the amount; unknown when it is not known.
func (f Figure) String() string {
	if !f.Known {
		return string(Unknown)
	}
	return f.Amount.String()
}

// UnknownCurrency stands for the currency of orders of which neither a price nor a charge is known.
const UnknownCurrency = "unknown"

// A Row is what some orders come to.
type Row struct {
	// Those of them by which the orders were added up; the others are empty. RequesterName is that
	// of the latest of the requester's orders.
	Month, Role, Requester, RequesterName, ProductCode string
	// Currency is that of all amounts: a code, empty where a price is known and its currency is
	// not, or [UnknownCurrency].
	Currency string

	Orders, Reissues int // the reissues are none of the orders
	// Adopted are orders that were placed outside of the mount, which are none of Orders. What the
	// ledger shows of them is part of Charged and Refunded.
	Adopted int
	// Expected is what the orders cost by their prices, and Unpriced how many of them it lacks.
	Expected Figure
	Unpriced int
	// Charged and Refunded are what the ledger shows, for reissues, too, and ChargeUnknown for how
	// many of the orders and reissues it does not show, or not clearly, what was charged.
	Charged, Refunded Figure
	ChargeUnknown     int
	// ReissuesCharged and ReissuesUnknown are the reissues that were charged, and those of which
	// that cannot be told.
	ReissuesCharged, ReissuesUnknown int
}

// maxGroups is how many rows one report has at most.
const maxGroups = 5000

// A Ledger says how much of CERTInext's ledger was read.
type Ledger struct {
	// Whole is set when it was read to its end. Otherwise Problem says why not.
	Whole   bool
	Problem string
	Rows    int
	// Strangers are the rows that are about no order that was read.
	Strangers int
}

// A Report is what orders come to, and where the ledger says otherwise.
type Report struct {
	Rows        []Row
	Differences []Difference // the first of them, see Counts
	// Counts are how many differences there are of each kind.
	Counts map[DifferenceKind]int
	Ledger Ledger
	// Corrections are what the ledger says otherwise than was counted when the orders were placed.
	Corrections []Correction
}

// Report settles what was added, and returns what it comes to. l says how the ledger was read. The
// books are of no use afterwards.
func (b *Books) Report(l Ledger) (*Report, error) {
	l.Rows, l.Strangers = b.rows, b.strangers
	r := &Report{Ledger: l, Counts: make(map[DifferenceKind]int)}
	extras := make(map[*chain]int)
	for _, c := range b.chains {
		extras[c] = c.settle(l.Whole)
	}
	groups := make(map[key]*group)
	for _, e := range b.orders {
		if !e.selected {
			continue
		}
		k := b.query.key(&e.Order, e.currency())
		g := groups[k]
		if g == nil {
			if len(groups) == maxGroups {
				return nil, fault.BadField("group_by", "gives more than %d rows: select fewer "+
					"orders with from, to, role, requester or product, or group by less",
					maxGroups)
			}
			g = &group{Row: Row{
				Month: k.month, Role: k.role, Requester: k.requester, ProductCode: k.product,
				Currency: k.currency,
			}}
			groups[k] = g
		}
		g.add(e)
		c := b.chains[e.Number]
		r.compare(e, c, extras[c])
		r.correct(e)
	}
	for _, k := range slices.SortedFunc(maps.Keys(groups), key.compare) {
		r.Rows = append(r.Rows, groups[k].finished())
	}
	return r, nil
}

// currency returns that of an order's amounts: that of its price, else that of its charge, and of a
// reissue of which nothing is known that of the order within which it is one.
func (e *entry) currency() string {
	switch {
	case e.Priced && e.Currency != "":
		return e.Currency
	case e.charged.currency != "":
		return e.charged.currency
	case e.refunded.currency != "":
		return e.refunded.currency
	case e.within != nil:
		return e.within.currency()
	case e.Priced, e.seen && e.charged.amount > 0:
		return ""
	}
	return UnknownCurrency
}

// A group is a row while orders are added to it.
type group struct {
	Row
	priced, charged, paidBack bool // something of that was added
	refundUnclear             bool // something was paid back, and it is not known how much
	named                     *entry
}

func (g *group) add(e *entry) {
	switch {
	case e.Adopted:
		g.Adopted++
	case e.Reissue:
		g.Reissues++
	case e.Priced:
		g.Orders++
		g.priced = true
		g.Expected.Amount = g.Expected.Amount.Plus(e.Price)
	default:
		g.Orders++
		g.Unpriced++
	}
	switch {
	case e.Reissue && e.verdict == Yes:
		g.ReissuesCharged++
	case e.Reissue && e.verdict != No:
		g.ReissuesUnknown++
	}
	if e.hasClearCharge() {
		g.charged = true
		g.Charged.Amount = g.Charged.Amount.Plus(e.charged.amount)
	} else if !e.Adopted {
		g.ChargeUnknown++
	}
	switch {
	case e.refunded.amount == 0 && !e.refunded.unclear:
	case e.refunded.unclear || !e.inRow(e.refunded.currency):
		g.refundUnclear = true
	default:
		g.paidBack = true
		g.Refunded.Amount = g.Refunded.Amount.Plus(e.refunded.amount)
	}
	if e.RequesterName != "" && (g.named == nil || g.named.At.Before(e.At)) {
		g.named = e
	}
}

// hasClearCharge reports whether the ledger shows what was charged for an order, in the currency of
// its row.
func (e *entry) hasClearCharge() bool {
	return e.seen && !e.charged.unclear && e.inRow(e.charged.currency)
}

// inRow reports whether an amount in a currency may be added to the order's row.
func (e *entry) inRow(currency string) bool {
	return currency == "" || e.currency() == "" || currency == e.currency()
}

// finished returns the row. A sum of which nothing is known is not known to be nothing.
func (g *group) finished() Row {
	g.Expected.Known = g.priced || (g.Orders == 0 && g.Currency != UnknownCurrency)
	g.Charged.Known = g.charged
	// Whatever the ledger has not shown may have been paid back, too.
	g.Refunded.Known = !g.refundUnclear && (g.paidBack || g.ChargeUnknown == 0)
	if g.named != nil && g.Requester != "" {
		g.RequesterName = g.named.RequesterName
	}
	return g.Row
}
