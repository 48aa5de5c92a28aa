// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package preview

import (
	"math"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
)

// Lives are how many days publicly trusted certificates live at most: now, from 2027-03-15 on, and
// from 2029-03-15 on.
var Lives = []int{200, 100, 47}

// A Year is what a certificate that is renewed for a year comes to.
type Year struct {
	Days   int     // that each certificate lives
	Orders float64 // that are placed in a year, rounded to hundredths
	Cost   money.Amount
}

// Years returns what a year comes to for each of [Lives], at the price of an order that buys a term
// of some years. Clients renew when two thirds of a certificate's life are over. With within, those
// renewals are reissues within the term, and each term is one order; without, each is an order.
func Years(price money.Amount, term int, within bool) []Year {
	out := make([]Year, 0, len(Lives))
	for _, days := range Lives {
		orders, per := 365*3, 2*days
		if within {
			orders, per = 1, max(term, 1)
		}
		out = append(out, Year{
			Days: days, Orders: math.Round(100*float64(orders)/float64(per)) / 100,
			Cost: price.Part(orders, per),
		})
	}
	return out
}
