// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package reconciliation

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
)

// A DifferenceKind is in which way the ledger differs from the mount's books.
type DifferenceKind string

// The kinds of differences.
const (
	// NotInLedger is an order that the ledger, which was read to its end and is not empty, does not
	// know.
	NotInLedger DifferenceKind = "not-in-ledger"
	// OtherAmount is an order that was charged otherwise than its price, and OtherCurrency one that
	// was charged in another currency.
	OtherAmount   DifferenceKind = "other-amount"
	OtherCurrency DifferenceKind = "other-currency"
	// Refunded is an order of which money came back.
	Refunded DifferenceKind = "refund"
	// ReissueCharged is a reissue that was charged.
	ReissueCharged DifferenceKind = "reissue-charged"
	// ChargedAgain is an order of which the ledger has more charges than the order and its reissues
	// account for.
	ChargedAgain DifferenceKind = "charged-again"
	// Unreadable is an order of which the ledger has a row that cannot be read, or that names other
	// orders, too.
	Unreadable DifferenceKind = "unreadable"
	// NoRecord is an order of which the ledger has rows and the mount a certificate, while its
	// journal does not have it.
	NoRecord DifferenceKind = "no-record"
)

// A Difference is an order of which the ledger says otherwise than the mount's books.
type Difference struct {
	Kind              DifferenceKind
	Role, OrderID     string
	Number            string // CERTInext's
	At                time.Time
	Expected          Figure
	Charged, Refunded Figure
	Currency          string // of the price
	ChargedIn         string // the currency of the charge, as far as a row has told it
	Requester         string
}

// maxDifferences is how many differences a report shows.
const maxDifferences = 1000

// tell adds a difference.
func (r *Report) tell(d Difference) {
	r.Counts[d.Kind]++
	if len(r.Differences) < maxDifferences {
		r.Differences = append(r.Differences, d)
	}
}

// Unrecorded adds an order whose certificate the mount has, and whose record it has not.
func (r *Report) Unrecorded(number, role, orderID string) {
	r.tell(Difference{Kind: NoRecord, Number: number, Role: role, OrderID: orderID})
}

// compare tells what the ledger says otherwise of an order. c is nil for one without a number.
func (r *Report) compare(e *entry, c *chain, extra int) {
	if c == nil {
		return
	}
	for _, kind := range r.differences(e, c, extra) {
		r.tell(Difference{
			Kind: kind, Role: e.Role, OrderID: e.ID, Number: e.Number, At: e.At,
			Expected: Figure{e.Price, e.Priced},
			Charged:  Figure{e.charged.amount, e.seen && !e.charged.unclear},
			Refunded: Figure{e.refunded.amount, e.refunded.amount > 0 && !e.refunded.unclear},
			Currency: e.Currency, ChargedIn: e.charged.currency, Requester: e.Requester,
		})
	}
}

func (r *Report) differences(e *entry, c *chain, extra int) (kinds []DifferenceKind) {
	isOrder := !e.Reissue
	if isOrder && (c.unclear || c.shared) {
		kinds = append(kinds, Unreadable)
	}
	if isOrder && extra > 0 {
		kinds = append(kinds, ChargedAgain)
	}
	if e.refunded.amount > 0 || e.refunded.unclear {
		kinds = append(kinds, Refunded)
	}
	if e.Reissue && e.verdict == Yes {
		kinds = append(kinds, ReissueCharged)
	}
	isFree := e.Priced && e.Price == 0
	switch {
	case !isOrder || e.Adopted || extra > 0 || e.charged.unclear:
	case !e.seen && r.Ledger.Whole && r.Ledger.Rows > 0 && !isFree:
		kinds = append(kinds, NotInLedger)
	case !e.seen || !e.Priced:
	case e.Currency != "" && e.charged.currency != "" && e.Currency != e.charged.currency:
		kinds = append(kinds, OtherCurrency)
	case e.charged.amount != e.Price:
		kinds = append(kinds, OtherAmount)
	}
	return kinds
}

// A Correction is what a budget has counted otherwise than the ledger says.
type Correction struct {
	Order Order
	// PaidBack is what came back of an order's price, and Whole is set when nothing that was
	// charged for it is left.
	PaidBack money.Amount
	Whole    bool
	// Charged is set for a reissue that was charged, and Amount is the charge, if that is Known.
	Charged  bool
	Amount   Figure
	Currency string // of the charge, as far as a row has told it
}

// refundedInOther reports whether money came back in another currency than was charged, or than the
// order's price is in: how much of the price that is, nobody says.
func (e *entry) refundedInOther() bool {
	back, charged := e.refunded.currency, e.charged.currency
	return !e.inRow(back) || (back != "" && charged != "" && back != charged)
}

// correct notes what has to be counted otherwise.
func (r *Report) correct(e *entry) {
	switch {
	case e.Reissue && e.verdict == Yes:
		r.Corrections = append(r.Corrections, Correction{
			Order: e.Order, Charged: true,
			Amount:   Figure{e.charged.amount, e.seen && !e.charged.unclear},
			Currency: e.charged.currency,
		})
	case e.Adopted: // no budget has counted it
	case e.refundedInOther():
	case !e.Reissue && e.refunded.amount > 0 && !e.refunded.unclear && e.hasClearCharge():
		// What was charged beyond the price was not counted, and is not given back.
		left := e.charged.amount.Minus(e.refunded.amount)
		back := e.Price.Minus(left)
		if back > 0 || left == 0 {
			r.Corrections = append(r.Corrections, Correction{
				Order: e.Order, PaidBack: back, Whole: left == 0,
			})
		}
	}
}
