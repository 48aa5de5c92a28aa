// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package reconciliation adds up what the orders of a mount cost, by its own books, and compares
// that with CERTInext's ledger.
//
// It promises that each order counts in exactly one row of a [Report], that amounts of several
// currencies are never added, and that what is not known is never shown as nothing: neither a price
// that nobody has told, nor a charge that the ledger does not show.
//
// It is pure: the orders and the rows of the ledger are handed to [Books], one by one, and it knows
// neither where they come from nor who asks. Of each order that it was handed it keeps a few
// hundred bytes, and of each row of the ledger that is about one of them a few dozen.
package reconciliation

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// An Order is an order, or a reissue, of the mount, which CERTInext has taken or may have.
type Order struct {
	ID, Role string
	// Requester is who asked for it, as people are shown it, and RequesterName what Vault called
	// them then; empty when that is not known.
	Requester, RequesterName string
	ProductCode              string
	GroupNumber              string    // that pays; empty for the account's default
	At                       time.Time // when CERTInext was asked for it, at the earliest

	Number, Request string // CERTInext's; empty while they are not known
	// Reissue is set for another certificate within an order, which has the Number of that.
	Reissue bool
	// Adopted is set for an order that was placed outside of the mount.
	Adopted bool
	// Price is what it was said to cost when it was ordered; only if Priced is set. The currency is
	// empty when it was not told.
	Price    money.Amount
	Priced   bool
	Currency string
	// ReissueCharged is what the ledger has said of a reissue right after it.
	ReissueCharged Verdict
	// Elsewhere is set when it was placed in another account than the one whose ledger is read.
	Elsewhere bool
	// Source is whatever it was made of, for whoever acts on a [Correction]. It is handed through.
	Source any
}

// A Verdict is whether CERTInext has charged for something.
type Verdict string

// The verdicts. The zero value is [Unknown], too.
const (
	Yes     Verdict = "yes"
	No      Verdict = "no"
	Unknown Verdict = "unknown"
)

// A Dimension is what orders are added up by.
type Dimension string

// The dimensions. Orders of several currencies are never added up.
const (
	ByMonth     Dimension = "month" // in which the order was placed, in UTC
	ByRole      Dimension = "role"
	ByRequester Dimension = "requester"
	ByProduct   Dimension = "product"
)

// A Query selects orders, and says by what they are added up. Empty fields select all.
type Query struct {
	From, To    time.Time // the first and the last day of the order, in UTC
	Role        string
	Requester   string // as it is shown, or the id of an entity
	ProductCode string
	GroupNumber string
	GroupBy     []Dimension
}

// Validate returns a [*fault.FieldError] about the first field that is wrong.
func (q Query) Validate() error {
	if !q.From.IsZero() && !q.To.IsZero() && q.To.Before(q.From) {
		return fault.BadField("to", "is before from")
	}
	for _, d := range q.GroupBy {
		switch d {
		case ByMonth, ByRole, ByRequester, ByProduct:
		default:
			return fault.BadField("group_by", "%q is not %s", sanitize.Short(string(d)),
				phrase.Or(ByMonth, ByRole, ByRequester, ByProduct))
		}
	}
	return nil
}

// selects reports whether an order is asked for.
func (q Query) selects(o *Order) bool {
	switch {
	case !q.From.IsZero() && o.At.Before(q.From),
		!q.To.IsZero() && !o.At.Before(q.To.AddDate(0, 0, 1)),
		q.Role != "" && q.Role != o.Role,
		q.ProductCode != "" && q.ProductCode != o.ProductCode,
		q.GroupNumber != "" && q.GroupNumber != o.GroupNumber:
		return false
	}
	return q.Requester == "" || q.Requester == o.Requester ||
		q.Requester == strings.TrimPrefix(o.Requester, "entity:")
}

// A key says to which row an order counts. Fields by which nothing is added up are empty.
type key struct{ month, role, requester, product, currency string }

func (q Query) key(o *Order, currency string) key {
	k := key{currency: currency}
	for _, d := range q.GroupBy {
		switch d {
		case ByMonth:
			k.month = o.At.UTC().Format("2006-01")
		case ByRole:
			k.role = o.Role
		case ByRequester:
			k.requester = o.Requester
		case ByProduct:
			k.product = o.ProductCode
		}
	}
	return k
}

func (k key) compare(other key) int {
	return cmp.Or(
		cmp.Compare(k.month, other.month), cmp.Compare(k.role, other.role),
		cmp.Compare(k.requester, other.requester), cmp.Compare(k.product, other.product),
		cmp.Compare(k.currency, other.currency),
	)
}

// withDefaults completes a query.
func (q Query) withDefaults() Query {
	q.GroupBy = slices.Clone(q.GroupBy)
	if len(q.GroupBy) == 0 {
		q.GroupBy = []Dimension{ByMonth}
	}
	return q
}
