// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package subscriptions knows what an order of CERTInext's has bought: not a certificate but a term
// of one to three years, within which certificates of a shorter life are issued. It is pure: it
// neither stores nor asks.
package subscriptions

import "time"

// longest is how many years a subscription lasts at most (documented).
const longest = 3

// slack is by how much CERTInext's end of a subscription may exceed the longest term: a term may
// begin with the first certificate, and what is left of an earlier one may be added to it.
const slack = 366 * 24 * time.Hour

// A Subscription is the term that an order has bought, as it is stored with the order and its
// certificates. The zero value is one of which nothing is known.
type Subscription struct {
	EndsAt time.Time `json:"ends_at,omitzero"`
	// Status is CERTInext's: active, expired or cancelled (documented); empty when it has not said.
	Status string `json:"status,omitempty"`
	// Told is set when CERTInext has said when the term ends. Otherwise EndsAt is reckoned from
	// what was ordered.
	Told bool `json:"told,omitempty"`
	// Price is what the order that has bought the term was said to cost, as 25.00, and Currency
	// that of the price; empty when they are not known. Certificates within the term cost nothing
	// more, as far as is known.
	Price    string `json:"price,omitempty"`
	Currency string `json:"currency,omitempty"`
}

// At returns the subscription at a price.
func (s Subscription) At(price, currency string) Subscription {
	s.Price, s.Currency = price, currency
	return s
}

// Cost returns price and currency in one text, as "25.00 USD"; empty when they are not known.
func (s Subscription) Cost() string {
	if s.Price == "" {
		return ""
	}
	return s.Price + " " + s.Currency
}

// Ordered returns the subscription of an order by its own words: placed at a time, for so many
// years. Nothing is known of one whose product implies its term, for which years is 0.
func Ordered(at time.Time, years int) Subscription {
	if at.IsZero() || years <= 0 {
		return Subscription{}
	}
	return Subscription{EndsAt: at.AddDate(min(years, longest), 0, 0).UTC()}
}

// Told returns the subscription of an order or reissue that was asked for at a time, as CERTInext
// describes it when it tracks the order; false when the description is not to be believed, since
// such a term cannot be bought: it was over by then, or lasts too long.
func Told(at, endsAt time.Time, status string) (Subscription, bool) {
	if endsAt.Before(at) || endsAt.After(at.AddDate(longest, 0, 0).Add(slack)) {
		return Subscription{}, false
	}
	return Subscription{EndsAt: endsAt.UTC(), Status: status, Told: true}, true
}
