// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/money"
)

// A cashier takes the money for orders, and gives it back.
type cashier struct{ *Server }

func (s *Server) cashier() cashier { return cashier{s} }

// accountPurse holds what groups draw on that have no balance of their own.
const accountPurse = "account"

// purse is the one that a group draws on; "" is the default group. "If group is having its own
// balance, then amount will be deducted from the group balance else the amount will be deducted
// from the account balance" (documented for version 1).
func (s cashier) purse(group string) string {
	number := orDefault(group, s.defaultGroup())
	for _, g := range s.groups() {
		if g.Number == number && g.Balance != nil {
			s.funds.Open(number, g.Balance)
			return number
		}
	}
	return s.account()
}

// account is the purse of the account itself.
func (s cashier) account() string {
	s.funds.Open(accountPurse, s.Billing.AccountBalance)
	return accountPurse
}

// held is what a purse shows to hold: "0.00" where it has no limit (observed).
func (s cashier) held(purse string) string {
	balance, _ := s.funds.Balance(purse)
	return balance.String()
}

// quote is the price of an order for its term, or the refusal of a term that is not on offer
// (inferred: no source shows one). What is no amount, such as "on request", costs nothing.
func (s cashier) quote(o *order) (Amount, *problem) {
	text, onOffer := o.product.cost(o.years)
	if !onOffer {
		return Amount{}, invalidField(
			"subscription.validityYears", "the product is not on offer for this term",
		).inV1("EMS-1216")
	}
	price, err := money.Parse(text)
	if err != nil {
		return Amount{}, nil
	}
	return price, nil
}

// check refuses an order whose term is not on offer or whose purse is too small. A draft is
// "pending for payment" (documented), and asks for nothing yet.
func (s cashier) check(c *call, o *order) *problem {
	price, problem := s.quote(o)
	if problem != nil || o.draft {
		return problem
	}
	return s.affords(c, o, price)
}

// affords refuses what the order's purse does not hold.
func (s cashier) affords(c *call, o *order, price Amount) *problem {
	if s.funds.Affords(s.purse(o.group), price) == nil {
		return nil
	}
	return s.insufficient(c.route.v1())
}

// insufficient is the refusal for want of money. The code and the longer words are in the
// published list for version 1; the words alone were observed.
func (s cashier) insufficient(inV1 bool) *problem {
	coded := s.Billing.InsufficientCode.or(!inV1 || s.Dialect == Documented)
	p := rule("", "Insufficient Credits").inV1(wordsOnly)
	p.because(reason{Name: "credits", Source: sourceLive})
	if coded {
		p = rule("EMS-1139", "Insufficient Credits. "+
			"Please contact your Account Administrator / Finance Manager.")
	}
	if !inV1 {
		p.status = orDefault(s.Billing.InsufficientStatus, p.status)
	}
	return p
}

// sell takes the price of an order that is placed.
func (s cashier) sell(o *order, kind money.Kind, at time.Time) error {
	price, problem := s.quote(o)
	if problem != nil {
		return fmt.Errorf("%s is not on offer for %d years", o.product.Name, o.years)
	}
	return s.take(o, kind, price, at)
}

// extra is what another certificate of an order costs.
func (s cashier) extra(o *order) Amount {
	if !s.Billing.ChargeReissues {
		return Amount{}
	}
	price, _ := s.quote(o)
	return price
}

// take moves a price out of the order's purse, or returns why it cannot.
func (s cashier) take(o *order, kind money.Kind, price Amount, at time.Time) error {
	m := s.movement(o, kind, at)
	m.Amount = price.Negative()
	if _, err := s.funds.Post(m); err != nil {
		return err
	}
	o.paid = o.paid.Plus(price)
	return nil
}

// giveBack refunds an order that was cancelled, rejected or revoked, as far as the rule goes.
func (s cashier) giveBack(o *order, at time.Time) {
	b, issued := s.Billing, o.certificate() != nil
	inTime := !at.After(o.createdAt.Add(b.RefundGrace))
	switch {
	case b.Refunds == RefundNothing, b.Refunds == RefundUnissued && issued,
		b.Refunds == RefundInGrace && !inTime:
		return
	}
	m := s.movement(o, money.Refund, at)
	m.Amount = o.paid.Minus(b.RefundFee)
	if m.Amount.IsZero() || m.Amount.IsDebt() {
		return
	}
	if _, err := s.funds.Post(m); err == nil { // a purse that is too full has no need of it
		o.paid = o.paid.Minus(m.Amount)
	}
}

func (s cashier) movement(o *order, kind money.Kind, at time.Time) money.Movement {
	term := "1 year"
	if o.years != 1 {
		term = fmt.Sprintf("%d years", o.years)
	}
	return money.Movement{
		At: at, Kind: kind, Purse: s.purse(o.group), Group: orDefault(o.group, s.defaultGroup()),
		Order: o.id, Request: o.requestID, Product: o.product.Name + " (" + term + ")",
	}
}

// cost is the price of a product for a term as the catalog writes it, and whether it has one.
func (p Product) cost(years int) (string, bool) {
	if p.Years == nil {
		return "0.0", true
	}
	term := "1 Year"
	if years != 1 {
		term = fmt.Sprintf("%d Years", years)
	}
	text, onOffer := p.Years[term]
	return text, onOffer
}
