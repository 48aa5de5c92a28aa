// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package renewal

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/ledger"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A Verdict is whether CERTInext has charged for a reissue.
type Verdict string

// The verdicts. The zero value is that of a reissue of which the ledger was not asked yet.
const (
	Charged Verdict = "yes"
	Free    Verdict = "no"
	Unknown Verdict = "unknown"
)

// A Question is what the ledger is asked about a reissue.
type Question struct {
	Order   string    // CERTInext's number of the order
	Request string    // that it has for the reissue; may be empty
	Ordered time.Time // when the order was placed
	Asked   time.Time // when the reissue was asked for
	// Before is how many charges of the order the ledger has shown before the reissue; 0 when it
	// was never read for it, and the order's own is to be expected.
	Before int
}

// A Statement is what a reading of the ledger has shown of a reissue.
type Statement struct {
	Verdict Verdict `json:"verdict"`
	// Charges are those of the order, its own included.
	Charges int `json:"charges,omitempty"`
	// Amount is that of the charge, as CERTInext wrote it; empty when there is none.
	Amount string `json:"amount,omitempty"`
}

// A Reader finds in the rows of a ledger what they say of a reissue. A row is about the order when
// any of its members has the number. A row of money that comes back is no charge.
type Reader struct {
	q       Question
	seen    bool // a row about the order
	unclear bool // such a row of which it cannot be read whether it is a charge
	charges int
	own     bool // a charge that can be nothing but the reissue's
	amount  string
}

// NewReader returns a reader that has seen no row.
func NewReader(q Question) *Reader { return &Reader{q: q} }

// Row takes in a row.
func (r *Reader) Row(row certinext.LedgerRow) {
	forRequest := ledger.Mentions(row, r.q.Request)
	if !forRequest && !ledger.Mentions(row, r.q.Order) {
		return
	}
	r.seen = true
	read := ledger.Read(row)
	r.unclear = r.unclear || read.Kind == ledger.Unclear
	if read.Kind != ledger.Charge {
		return
	}
	r.charges++
	if forRequest || r.isLater(read.Day) {
		r.own, r.amount = true, read.Text
	}
	if r.amount == "" || r.charges > max(1, r.q.Before) {
		r.amount = read.Text
	}
}

// isLater reports whether a row is dated as the reissue is, and later than the order: days apart,
// since a row may have no more than a day, in a time zone of its own.
func (r *Reader) isLater(at time.Time) bool {
	const day = 24 * time.Hour
	return at.After(r.q.Ordered.Add(2*day)) && at.After(r.q.Asked.Add(-2*day))
}

// Statement returns what the rows have shown; whole is whether they were all of them.
func (r *Reader) Statement(whole bool) Statement {
	s := Statement{Verdict: Unknown, Charges: r.charges}
	switch {
	case r.own, r.charges > max(1, r.q.Before):
		s.Verdict, s.Amount = Charged, r.amount
	case r.seen && whole && !r.unclear:
		s.Verdict = Free
	}
	return s
}
