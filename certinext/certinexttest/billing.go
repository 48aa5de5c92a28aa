// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/settings"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// An Amount is an exact sum of money, in the currency of [Billing]. The zero value is nothing.
type Amount = money.Amount

// Money reads an amount such as "150.00". It panics on anything else: amounts are written in tests.
func Money(text string) Amount { return sure.Must(money.Parse(text)) }

// A Billing is how the account pays. The zero value has the catalog's prices, no limit to what may
// be spent, reissues for nothing, and gives back what was paid for an order that ends before it is
// issued.
type Billing struct {
	// Currency is that of all prices and balances; "" means USD. The catalog has it as currencyType
	// (observed).
	Currency string
	// AccountBalance is what the account holds at the first request; nil means that it has no
	// limit, and shows as "0.00", as was observed. Groups draw on it that have no [Group.Balance]
	// (documented).
	AccountBalance *Amount

	// ChargeReissues has a reissue cost as much as the order, and so each certificate that the CA
	// renews within a subscription. The text for version 1 promises "free renewals" for as long as
	// the subscription lasts; nobody was seen to have run a reissue.
	ChargeReissues bool
	// Refunds says when money comes back, which no source does; RefundGrace is the time that
	// [RefundInGrace] has. RefundFee is what is kept of each refund.
	Refunds     RefundRule
	RefundGrace time.Duration
	RefundFee   Amount

	// InsufficientCode says whether "Insufficient Credits" comes with its code, EMS-1139. It is in
	// the published list for version 1; a client of the live service recorded the words alone,
	// hence by default the live version 1 has no code. What version 2 says is not known.
	InsufficientCode Switch
	// InsufficientStatus is the HTTP status of that in version 2; zero means 422.
	InsufficientStatus int

	// Ledger is which rows the ledger statement has.
	Ledger LedgerShape
	// FreeRows has the statement show what cost nothing, too. Observed: an account with prices of
	// 0.0 has orders and an empty statement.
	FreeRows bool
	// LedgerDelay passes between a movement and its row in the statement.
	LedgerDelay time.Duration
	// LedgerFromOne counts the pages of version 2's statement from one, as the newer collection
	// does, "matches /reports/orders"; the older one counts them from zero. The live dialect is
	// the newer one's.
	LedgerFromOne Switch
}

// A RefundRule says which orders are paid back.
type RefundRule int

const (
	// RefundUnissued pays an order back that is cancelled or rejected before it is issued.
	RefundUnissued RefundRule = iota
	// RefundInGrace pays back what is cancelled, rejected or revoked within RefundGrace of the
	// order.
	RefundInGrace
	// RefundNothing pays nothing back.
	RefundNothing
)

var refundRules = []string{
	RefundUnissued: "unissued", RefundInGrace: "in-grace", RefundNothing: "nothing",
}

// MarshalText names the rule.
func (r RefundRule) MarshalText() ([]byte, error) { return nameOf(refundRules, r) }

// UnmarshalText reads unissued, in-grace or nothing.
func (r *RefundRule) UnmarshalText(b []byte) error { return byName(refundRules, b, r) }

// A LedgerShape is what the rows of a ledger statement are.
type LedgerShape int

const (
	// LedgerSample has the members of the newer collection's sample of version 2: invoiceNumber,
	// date, dueDate, creditNoteNumber, orderId, product, totalAmount, currencyId, status and
	// invoiceDetailsId, all of them text. Charges have an invoice, what comes in has a credit note.
	// Version 1 has no sample; it is given the same, with orderNumber for orderId (inferred).
	LedgerSample LedgerShape = iota
	// LedgerProse has what the same page says in words instead: date, description, debit or credit,
	// the balance after it, order and request. No source names these members; the names are
	// invented.
	LedgerProse
	// LedgerEmpty has no rows, whatever was paid, as all of the accounts that were observed.
	LedgerEmpty
)

var ledgerShapes = []string{LedgerSample: "sample", LedgerProse: "prose", LedgerEmpty: "empty"}

// MarshalText names the shape.
func (l LedgerShape) MarshalText() ([]byte, error) { return nameOf(ledgerShapes, l) }

// UnmarshalText reads sample, prose or empty.
func (l *LedgerShape) UnmarshalText(b []byte) error { return byName(ledgerShapes, b, l) }

// A LedgerEntry is a movement of money as the CA's books have it, whatever the ledger statement
// shows.
type LedgerEntry struct {
	// Number counts the movements, from one.
	Number int64     `json:"number"`
	At     time.Time `json:"at"`
	// Kind is "order", "reissue", "renewal" for a certificate that the CA renewed within an order,
	// "renewal-order" for an order that the CA placed by itself, "refund" or "top-up".
	Kind string `json:"kind"`
	// Group is the billing group that the movement is booked for. Purse is whose balance it
	// changed: the group's, or "account".
	Group string `json:"group,omitempty"`
	Purse string `json:"purse"`
	// OrderID and RequestID are the order's; a top-up has none.
	OrderID   string `json:"orderId,omitempty"`
	RequestID string `json:"requestId,omitempty"`
	// Product is what was paid for, for people.
	Product string `json:"product"`
	// Amount is what was added to the purse: a charge is negative. Balance is what the purse holds
	// then; "0.00" where it has no limit.
	Amount  Amount `json:"amount"`
	Balance Amount `json:"balance"`
}

// Ledger returns all movements of money, the oldest first, those of nothing included.
func (s *Server) Ledger() []LedgerEntry {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settleAll(s.now())
	entries := []LedgerEntry{}
	for _, m := range s.funds.Movements() {
		entries = append(entries, LedgerEntry{
			Number: m.Number, At: m.At, Kind: string(m.Kind), Group: m.Group, Purse: m.Purse,
			OrderID: m.Order, RequestID: m.Request, Product: m.Product, Amount: m.Amount,
			Balance: m.Balance,
		})
	}
	return entries
}

// TopUp pays into the purse that a group draws on; "" is the account's own.
func (s *Server) TopUp(group string, amount Amount) error {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.checkGroup(group) != nil {
		return fmt.Errorf("no such group %q", cutTo(group, 100))
	}
	if amount.IsZero() || amount.IsDebt() {
		return fmt.Errorf("a top-up of %s is none", amount)
	}
	now := s.now()
	s.catchUp(now)
	purse := s.cashier().account()
	if group != "" {
		purse = s.cashier().purse(group)
	}
	_, err := s.funds.Post(money.Movement{
		At: now, Kind: money.TopUp, Purse: purse, Group: group, Amount: amount,
		Product: "Account credit top-up",
	})
	return err
}

func (s *Server) billingSettings() settings.List {
	b := &s.Billing
	const amount = "an amount of money, such as 150.00"
	return settings.List{
		{
			Name: "currency", Field: &b.Currency, Zero: "USD", Source: sourceLive,
			Help: "currency of all prices and balances",
			Wrong: func() string {
				return wrongText(b.Currency, isCurrency, "is no currency: three capital letters, "+
					"such as EUR")
			},
		},
		{
			Name: "accountBalance", Field: &b.AccountBalance, Fixed: true, Like: amount,
			Source: sourceVendor,
			Wrong:  func() string { return wrongSum(orZero(b.AccountBalance)) },
			Help:   "what the account holds at the start (default: no limit)",
		},
		{
			Name: "chargeReissues", Field: &b.ChargeReissues, Source: sourceUnknown,
			Help: "a reissue costs as much as the order",
		},
		{
			Name: "refunds", Field: &b.Refunds, Names: refundRules, Source: sourceUnknown,
			Help: "`unissued`, in-grace or nothing: which orders that end are paid back",
		},
		{
			Name: "refundGrace", Field: &b.RefundGrace, Source: sourceUnknown,
			Help: "how long after an order in-grace pays back",
		},
		{
			Name: "refundFee", Field: &b.RefundFee, Like: amount, Source: sourceUnknown,
			Wrong: func() string { return wrongSum(b.RefundFee) },
			Help:  "`amount` that is kept of each refund",
		},
		{
			Name: "insufficientCode", Field: &b.InsufficientCode, Names: switches,
			Source: sourceVendor,
			Help:   "`by-dialect`, on or off: whether want of credits has its code, EMS-1139",
		},
		{
			Name: "insufficientStatus", Field: &b.InsufficientStatus, Zero: 422,
			Source: sourceUnknown,
			Wrong: func() string {
				if n := b.InsufficientStatus; n == 0 || (n >= 400 && n <= 499) {
					return ""
				}
				return "must be an HTTP status from 400 to 499"
			},
			Help: "HTTP `status` of want of credits in version 2",
		},
		{
			Name: "ledger", Field: &b.Ledger, Names: ledgerShapes, Source: sourceVendor,
			Help: "`sample`, prose or empty: the rows of the ledger statement",
		},
		{
			Name: "freeRows", Field: &b.FreeRows, Source: sourceUnknown,
			Help: "show in the ledger statement what cost nothing, too",
		},
		{
			Name: "ledgerDelay", Field: &b.LedgerDelay, Source: sourceUnknown,
			Help: "time from a movement of money to its row in the statement",
		},
		{
			Name: "ledgerFromOne", Field: &b.LedgerFromOne, Names: switches, Source: sourceVendor,
			Help: "`by-dialect`, on or off: version 2 counts the statement's pages from one",
		},
	}
}
