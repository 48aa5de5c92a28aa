// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reconciliation"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/spending"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
	"github.com/hashicorp/vault/sdk/logical"
)

// Bounds of a report of what was spent, so that its answer comes before Vault's clients give up,
// and its books fit into some megabytes of memory.
const (
	// MaxSpendOrders is how many entries of the journal one report reads at most.
	MaxSpendOrders = 20_000
	journalTime    = 25 * time.Second
	ledgerTime     = 18 * time.Second
	maxLedgerRows  = 20_000
	strangersTime  = 2 * time.Second
	chainsTime     = 5 * time.Second
)

// A SpendQuery selects what was ordered, and how much of the journal is read for it.
type SpendQuery struct {
	SpendFilter
	After string // the Next of an earlier report; the beginning when it is empty
	Limit int    // entries of the journal
}

func (q SpendQuery) validate() error {
	role, _, isOrder := strings.Cut(q.After, "/")
	switch {
	case q.Limit < 1 || q.Limit > MaxSpendOrders:
		return fault.BadField("limit", "must be between 1 and %d", MaxSpendOrders)
	case q.Role != "" && !issuing.RoleName.MatchString(q.Role):
		return fault.BadField("role", "%q is not the name of a role", sanitize.Short(q.Role))
	case q.After != "" && (!isOrder || !issuing.RoleName.MatchString(role)):
		return fault.BadField("after", "%q is not the next of an earlier answer",
			sanitize.Short(q.After))
	}
	return q.SpendFilter.Validate()
}

// A SpendReport is what was ordered and what it has cost.
type SpendReport struct {
	*reconciliation.Report
	orders.Reading
	// Notes say what the report cannot tell, for people.
	Notes []string
}

// ReportSpending adds up what the mount's orders cost, by its own journal, and compares that with
// the account's ledger. It writes nothing. That the ledger cannot be read is told in the report,
// which has what the journal says all the same.
func ReportSpending(
	ctx context.Context, e *Engine, s logical.Storage, q SpendQuery,
) (*SpendReport, error) {
	if err := q.validate(); err != nil {
		return nil, err
	}
	a, none := e.Account.Session(ctx, s)
	if none != nil && !errors.Is(none, fault.ErrNotConfigured) {
		return nil, none
	}
	books := reconciliation.NewBooks(q.SpendFilter)
	reading, err := orders.EachBought(ctx, e.Orders, s, orders.BoughtWindow{
		Role: q.Role, After: q.After, Limit: q.Limit, Until: e.Steady().Add(journalTime),
	}, func(o *orders.Bought) { books.Add(bookable(o, a)) })
	if err != nil {
		return nil, err
	}
	l := readLedger(ctx, a, none, q.GroupNumber, books)
	if q.After != "" || reading.Next != "" {
		if err := completeChains(ctx, e, s, a, books); err != nil {
			return nil, err
		}
	}
	report, err := books.Report(l)
	if err != nil {
		return nil, err
	}
	out := &SpendReport{Report: report, Reading: reading}
	if q.Role == "" && q.After == "" && reading.Next == "" {
		err = tellUnrecorded(ctx, e, s, a, books.Strangers(), report)
	}
	out.Notes = notesOf(out, q)
	return out, err
}

// completeChains adds to the books of one page what the journal has, on other pages, of the orders
// that the ledger shows more than one movement of: each page says of a charge that it was for the
// same part of such an order. Where the time is over, it says that it cannot tell.
func completeChains(
	ctx context.Context, e *Engine, s logical.Storage, a *account.Session,
	books *reconciliation.Books,
) error {
	until := e.Steady().Add(chainsTime)
	for _, o := range books.Split() {
		whole := false
		if e.Steady().Before(until) {
			var err error
			whole, err = orders.EachOfChain(ctx, e.Orders, s, o.Role, o.ID,
				func(o *orders.Bought) { books.AddOutside(bookable(o, a)) })
			if store.IsFault(err) {
				return err
			}
		}
		if !whole {
			books.Unsure(o)
		}
	}
	return nil
}

// bookable returns an order as the books take it. a is nil without an account.
func bookable(o *orders.Bought, a *account.Session) reconciliation.Order {
	out := reconciliation.Order{
		ID: o.ID, Role: o.Role, Requester: spending.ShownSubject(o.Requester),
		RequesterName: o.RequesterName,
		ProductCode:   o.ProductCode, GroupNumber: o.GroupNumber, At: o.At, Number: o.Number,
		Request: o.Request, Reissue: o.Reissue, Adopted: o.Adopted, Source: o,
		Elsewhere: a == nil || !account.SameAccount(o.Account, a.Config.Account()),
		ReissueCharged: map[renewal.Verdict]reconciliation.Verdict{
			renewal.Charged: reconciliation.Yes, renewal.Free: reconciliation.No,
			renewal.Unknown: reconciliation.Unknown,
		}[o.Charged],
	}
	if price, err := money.Parse(o.Cost.Price); err == nil && !o.Reissue && !o.Adopted {
		out.Price, out.Priced, out.Currency = price, true, o.Cost.Currency
	}
	return out
}

// readLedger hands the rows of the ledger to the books, as far as the time goes. What keeps it from
// that is told, and fails nothing. a is nil, and none says why, when there is no account.
func readLedger(
	ctx context.Context, a *account.Session, none error, group string, books *reconciliation.Books,
) reconciliation.Ledger {
	var l reconciliation.Ledger
	if a == nil {
		l.Problem = "there is no account to ask: " + sanitize.Error(none)
		return l
	}
	ctx, cancel := context.WithTimeout(ctx, ledgerTime)
	defer cancel()
	n := 0
	for row, err := range a.Client.Ledger(ctx, group) {
		switch {
		case err != nil && ctx.Err() != nil:
			l.Problem = fmt.Sprintf("it is too long to be read within %s: %d rows were read",
				phrase.Duration(ledgerTime), n)
			return l
		case err != nil:
			l.Problem = sanitize.Error(err)
			return l
		case n == maxLedgerRows:
			l.Problem = fmt.Sprintf("it has more than the %d rows that were read", n)
			return l
		}
		n++
		books.Row(row)
	}
	l.Whole = true
	return l
}

// tellUnrecorded tells of the orders that rows of the ledger name and that the journal does not
// have, although the mount has their certificates. Those of others are not looked at any closer.
func tellUnrecorded(
	ctx context.Context, e *Engine, s logical.Storage, a *account.Session, numbers []string,
	report *reconciliation.Report,
) error {
	if a == nil {
		return nil
	}
	until := e.Steady().Add(strangersTime)
	slices.Sort(numbers)
	for _, number := range numbers {
		if !e.Steady().Before(until) {
			return nil
		}
		c, err := e.Certificates.Numbers.Newest(ctx, s, a.Config.Account(), number, "")
		switch {
		case store.IsFault(err):
			return err
		case err == nil && c != nil && !c.Imported && c.CAOrderID == number:
			report.Unrecorded(number, c.Role, c.OrderID)
		}
	}
	return nil
}

// notesOf say what a report cannot tell.
func notesOf(r *SpendReport, q SpendQuery) (notes []string) {
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	switch l := r.Ledger; {
	case !l.Whole:
		note("CERTInext's ledger was not read to its end, so that no order can be said to be "+
			"missing there: %s", l.Problem)
	case l.Rows == 0:
		note("CERTInext's ledger has no rows, as that of every account that was observed: what " +
			"was charged is not known")
	case q.Role == "" && q.After == "" && r.Next == "" && l.Strangers > 0:
		note("%s of the ledger about no order of this mount's journal: other users of the "+
			"account, payments into it, or orders whose record is gone",
			phrase.Count(l.Strangers, "row"))
	}
	unpriced := 0
	for _, row := range r.Rows {
		unpriced += row.Unpriced
	}
	if unpriced > 0 {
		note("%s without a price: neither product_prices of config nor the catalog told one "+
			"when they were placed", phrase.Count(unpriced, "order"))
	}
	if r.Next != "" {
		note("%d entries of the journal were read, and there are more: add the report after=%s "+
			"to this one, or select a role", r.Read, r.Next)
	}
	if r.Unreadable > 0 {
		note("entries of the journal that cannot be read, and are not counted: %d", r.Unreadable)
	}
	return notes
}
