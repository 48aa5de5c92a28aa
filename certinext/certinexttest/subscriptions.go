// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/settings"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/terms"
)

// Subscriptions are how long what was bought lasts, and what the CA renews of itself. An order buys
// a subscription of one to three years, in which certificates of a shorter life are issued. With
// autoRenew, which both versions have on by default, the CA renews a certificate by itself,
// renewBeforeDays before its end, but not in the first half of its life. Those that live for less
// than a day are not renewed.
//
// A renewal within a subscription is seen as a reissue is: the order keeps its number and gets
// another request number; track has the new expiresAt, a download the new certificate, for the same
// key, and the orders report the new serial number. None of it was ever observed.
type Subscriptions struct {
	// AutoRenewal is what autoRenew does.
	AutoRenewal AutoRenewal
	// BareRenewals has orders that the CA places by itself carry neither tags nor remarks. By
	// default they are those of the order that they renew. No source says so.
	BareRenewals bool
	// FromIssuance has a subscription begin with its first certificate instead of with its order.
	// The dates of the one order that was observed suggest it.
	FromIssuance bool
	// Outlived subscriptions do not end the life of their certificates, and can be reissued.
	Outlived bool
	// Untold subscriptions are left out of track, as was observed in one production account.
	// Version 1 has no field for it.
	Untold bool
}

// An AutoRenewal is what a CA does of itself for an order with autoRenew.
type AutoRenewal int

const (
	// RenewUntilEnd renews certificates for as long as the subscription lasts: "auto-renew
	// certificates until coverage", "automatically reissue before 30 days of certificate expiry"
	// (documented for version 1).
	RenewUntilEnd = AutoRenewal(terms.UntilEnd)
	// RenewBeyondEnd does so, and places a new order, for its price, before the subscription ends.
	RenewBeyondEnd = AutoRenewal(terms.BeyondEnd)
	// RenewByOrder places a new order, for its price, for each certificate that ends.
	RenewByOrder = AutoRenewal(terms.ByOrder)
	// RenewNothing takes the setting and does nothing.
	RenewNothing = AutoRenewal(terms.Never)
)

var autoRenewals = []string{
	RenewUntilEnd: "until-end", RenewBeyondEnd: "beyond-end", RenewByOrder: "by-order",
	RenewNothing: "nothing",
}

// MarshalText names what is done.
func (a AutoRenewal) MarshalText() ([]byte, error) { return nameOf(autoRenewals, a) }

// UnmarshalText reads until-end, beyond-end, by-order or nothing.
func (a *AutoRenewal) UnmarshalText(b []byte) error { return byName(autoRenewals, b, a) }

// renewBeforeDays is the default of both versions (documented).
const renewBeforeDays = 30

// renewalTerms are what an order says of automatic renewal.
type renewalTerms struct {
	auto bool
	days int // before the end of a certificate
}

// renewalTermsOf reads those of version 2, whose defaults are to renew, 30 days before
// (documented).
func renewalTermsOf(sub *wireSubscription) renewalTerms {
	w := orZero(sub)
	return renewalTerms{
		auto: w.AutoRenew == nil || *w.AutoRenew,
		days: orDefault(orZero(w.RenewBeforeDays), renewBeforeDays),
	}
}

// v1RenewalTermsOf reads those of version 1, whose defaults are the same (documented).
func v1RenewalTermsOf(sub *wireV1Subscription) renewalTerms {
	w := orZero(sub)
	terms := renewalTerms{auto: w.AutoRenew != "0", days: renewBeforeDays}
	if w.RenewCriteria == "60" {
		terms.days = 60
	}
	return terms
}

// terms are those of the subscription that o bought.
func (s *Server) terms(o *order) terms.Terms {
	begins := o.createdAt
	if first := o.signings[0]; s.Subscriptions.FromIssuance && !first.issuedAt.IsZero() {
		begins = first.issuedAt
	}
	return terms.Terms{
		Begins: begins.Truncate(time.Second), Years: o.years, AutoRenew: o.renewal.auto,
		RenewBefore: time.Duration(o.renewal.days) * 24 * time.Hour,
	}
}

// isOver reports whether no certificate of o can be issued any more.
func (s *Server) isOver(o *order, now time.Time) bool {
	if s.Subscriptions.Outlived || (s.Subscriptions.FromIssuance && o.certificate() == nil) {
		return false
	}
	return s.terms(o).IsOver(now)
}

// lifeWithin is how long a certificate of o lives that begins then.
func (s *Server) lifeWithin(o *order, begins time.Time, life time.Duration) time.Duration {
	if s.Subscriptions.Outlived {
		return life
	}
	return s.terms(o).Life(begins, life)
}

// wireTerm is what track says of the subscription. Its statuses are documented; that one of a
// revoked order is cancelled is inferred.
func (s *Server) wireTerm(o *order, now time.Time) *wireTrackTerm {
	if s.Subscriptions.Untold {
		return nil
	}
	terms, status := s.terms(o), "active"
	switch {
	case o.revoked != nil:
		status = "cancelled"
	case terms.IsOver(now):
		status = "expired"
	}
	return &wireTrackTerm{o.years, rfc3339(terms.Ends()), status}
}

// A renewal is what the CA is to do of itself after a certificate.
type renewal struct {
	order *order
	of    *signing // unless another one is newer by then
	step  terms.Step
}

// scheduleRenewal notes what becomes of the newest certificate of o.
func (s *Server) scheduleRenewal(o *order) {
	sg := o.current()
	policy := terms.Policy(s.Subscriptions.AutoRenewal)
	if step, at := s.terms(o).Next(policy, sg.issuedAt, sg.ends); step != terms.Nothing {
		s.renewals.Add(at, renewal{o, sg, step})
	}
}

// catchUp renews what has become due, as of the time at which it was. It is called before anyone
// looks at anything, and costs nothing while nothing is due.
func (s *Server) catchUp(now time.Time) {
	for {
		r, at, ok := s.renewals.Due(now)
		if !ok {
			return
		}
		if r.order.current() == r.of && r.order.revoked == nil {
			s.renew(r, at, now)
		}
	}
}

// renew does what was due at the time at. A purse that is too small is asked again day by day,
// until the certificate ends.
func (s *Server) renew(r renewal, at, now time.Time) {
	done := s.renewWithin
	if r.step == terms.Reorder {
		done = s.renewByOrder
	}
	renewed := done(r.order, at)
	if tomorrow := at.AddDate(0, 0, 1); renewed == nil && tomorrow.Before(r.of.ends) {
		s.renewals.Add(tomorrow, r)
	}
	if renewed == nil {
		return
	}
	due := at.Add(s.IssueDelay)
	if due.After(now) {
		due = now
	}
	s.settleOne(renewed, due)
}

// renewWithin starts another certificate of o, for the key of the one before. It returns nil where
// that is not paid for.
func (s *Server) renewWithin(o *order, at time.Time) *order {
	if s.cashier().take(o, money.Renewal, s.cashier().extra(o), at) != nil {
		return nil
	}
	o.signings = append(o.signings, &signing{requestedAt: at, csr: o.current().csr})
	o.requestID = s.newRequestID()
	s.book.file(o)
	return o
}

// renewByOrder places an order like o, in the CA's own name. It returns nil where that is not paid
// for.
func (s *Server) renewByOrder(o *order, at time.Time) *order {
	price, problem := s.cashier().quote(o)
	if problem != nil || s.funds.Affords(s.cashier().purse(o.group), price) != nil {
		return nil
	}
	next := *o
	next.id, next.requestID, next.renewalOf = s.newOrderID(), s.newRequestID(), o.id
	next.createdAt, next.paid = at, Amount{}
	next.creates, next.idempotencyKey, next.downloaded = 0, "", false
	next.approvedAt, next.reusedKey = time.Time{}, true
	next.targets = newTargets(next.leafNames())
	if o.targets == nil {
		next.targets = nil
	}
	next.signings = []*signing{{requestedAt: at, csr: o.current().csr}}
	if s.Subscriptions.BareRenewals {
		next.tags, next.remarks = nil, ""
	}
	_ = s.cashier().sell(&next, money.RenewalOrder, at) // affordable, see above
	s.book.sequence = append(s.book.sequence, &next)
	s.book.file(&next)
	return &next
}

func (s *Server) subscriptionSettings() settings.List {
	b := &s.Subscriptions
	return settings.List{
		{
			Name: "autoRenewal", Field: &b.AutoRenewal, Names: autoRenewals, Source: sourceVendor,
			Help: "`until-end`, beyond-end, by-order or nothing: what autoRenew of an order does",
		},
		{
			Name: "bareRenewals", Field: &b.BareRenewals, Source: sourceUnknown,
			Help: "orders that the CA places by itself carry neither tags nor remarks",
		},
		{
			Name: "fromIssuance", Field: &b.FromIssuance, Source: sourceUnknown,
			Help: "a subscription begins with its first certificate, not with its order",
		},
		{
			Name: "outlived", Field: &b.Outlived, Source: sourceUnknown,
			Help: "certificates may live longer than their subscription, and be reissued then",
		},
		{
			Name: "untold", Field: &b.Untold, Source: sourceReported,
			Help: "leave subscriptions out of track",
		},
	}
}
