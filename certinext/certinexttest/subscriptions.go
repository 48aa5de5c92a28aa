// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"slices"
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
		RenewBefore: time.Duration(min(o.renewal.days, mostDays)) * 24 * time.Hour,
	}
}

// mostDays are more than any certificate lives for, and fit in a duration.
const mostDays = 100 * 366

// isOver reports whether no certificate of o can be issued any more.
func (s *Server) isOver(o *order, now time.Time) bool {
	if s.Subscriptions.Outlived || (s.Subscriptions.FromIssuance && o.certificate() == nil) {
		return false
	}
	return s.terms(o).IsOver(now)
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
	of    *signing // unless another certificate is newer by then
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

// catchUp does what has become due for the CA to do of itself, as of the time at which it was, one
// after another. It is called before anyone looks at anything, and costs nothing while nothing is
// due.
func (s *Server) catchUp(now time.Time) {
	for {
		key, at, ok := s.lost.Due(now)
		if !ok {
			break
		}
		s.renewDue(at, now)
		s.revokeKey(key, at)
	}
	s.renewDue(now, now)
}

// renewDue renews what had become due until then.
func (s *Server) renewDue(until, now time.Time) {
	for {
		r, at, ok := s.renewals.Due(until)
		if !ok {
			return
		}
		if s.isWanted(r) {
			s.renew(r, at, now)
		}
	}
}

// isWanted reports whether a renewal that was scheduled still makes sense.
func (s *Server) isWanted(r renewal) bool {
	if r.order.certificate() != r.of || r.order.revoked != nil || s.isBlocked(r.of.csr) {
		return false
	}
	isRenewed := func(o *order) bool { return o.renewalOf == r.order.id }
	return r.step != terms.Reorder || !slices.ContainsFunc(s.book.sequence, isRenewed)
}

// renew does what was due at the time at. What cannot be done yet is tried again day by day, until
// the certificate ends: a purse may be too small, or a reissue under way.
func (s *Server) renew(r renewal, at, now time.Time) {
	done := s.renewWithin
	if r.step == terms.Reorder {
		done = s.renewByOrder
	}
	renewed := done(r, at)
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

// renewWithin starts another certificate of an order, for the key of the one before. It returns nil
// where that is not paid for, or a reissue is under way, beside which there is no other (EMS-941).
// A reissue that nobody has given a CSR does not keep the order from being renewed: it takes that
// of the certificate before (inferred from the vendor's word that certificates are renewed until
// the subscription ends).
func (s *Server) renewWithin(r renewal, at time.Time) *order {
	o := r.order
	if reissue := o.current(); reissue != r.of {
		if reissue.csr != nil {
			return nil
		}
		again := *r.of.csr
		again.at = at
		reissue.csr = &again // it was paid for when it was asked for
		return o
	}
	if s.cashier().take(o, money.Renewal, s.cashier().extra(o), at) != nil {
		return nil
	}
	o.signings = append(o.signings, &signing{requestedAt: at, csr: r.of.csr})
	o.requestID = s.newRequestID()
	s.book.file(o)
	return o
}

// renewByOrder places another order like that of r, in the CA's own name. It returns nil where that
// is not paid for.
func (s *Server) renewByOrder(r renewal, at time.Time) *order {
	o := r.order
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
	next.signings = []*signing{{requestedAt: at, csr: r.of.csr}}
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
