// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A laterOrder is an order that CERTInext has taken, and that may prove an earlier one absent (ADR
// 0009): records that show it, and do not show an order that was asked for much earlier, prove that
// CERTInext never took the earlier one. Records may lag, but they show the older of two orders
// first.
//
// It proves this only for orders of the same account, product, group and organization, since it is
// not known whose orders the report leaves out, and only where its own row shows its own marker:
// records that show no markers prove nothing. It is remembered by the process that placed it, which
// knows when it asked, by a clock that nobody sets.
type laterOrder struct {
	scope     orderScope
	caOrderID string
	marker    string
	asked     time.Time // when CERTInext was asked for it, by the clock that nobody sets
	answered  time.Time // when CERTInext had answered that it took it, by the same clock
}

// An orderScope is what two orders must have in common for one to prove the other absent.

type orderScope struct {
	account      string
	family       certinext.Family
	group        string
	product      string
	organization string
}

// laterOrderOf describes o, asked for at a time, either as such an order or as the earlier one.
func laterOrderOf(o *orderEntry, asked time.Time) laterOrder {
	return laterOrder{
		scope: orderScope{
			account:      account.CanonicalAccount(o.Account),
			family:       o.Placement.Family,
			group:        o.Placement.GroupNumber,
			product:      o.Placement.ProductCode,
			organization: o.Placement.OrganizationNumber,
		},
		caOrderID: o.CAOrderID,
		marker:    o.marker(),
		asked:     asked,
	}
}

// laterOrders holds a sample of the orders that this process has placed lately, oldest first: at
// most one a minute in each scope, and maxLaterOrders in all.
type laterOrders struct {
	mu     sync.Mutex
	recent []laterOrder
}

const (
	laterOrderEvery = time.Minute
	maxLaterOrders  = 256
)

// add remembers an order, unless a similar one was placed less than laterOrderEvery before it.
func (l *laterOrders) add(order laterOrder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, known := range l.recent {
		if known.scope == order.scope && order.asked.Sub(known.asked) < laterOrderEvery {
			return
		}
	}
	l.recent = append(l.recent, order)
	if len(l.recent) > maxLaterOrders {
		l.recent = append(l.recent[:0], l.recent[1:]...)
	}
}

// taken returns when CERTInext had taken the orders, by its own numbers for them.
func (l *laterOrders) taken() map[string]time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := make(map[string]time.Time, len(l.recent))
	for _, known := range l.recent {
		taken[known.caOrderID] = known.answered
	}
	return taken
}

// list returns the markers, by CERTInext's order number, of the orders in earlier's scope that were
// asked for no earlier than it was.
func (l *laterOrders) list(earlier laterOrder) map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	later := make(map[string]string)
	for _, known := range l.recent {
		if known.scope == earlier.scope && !known.asked.Before(earlier.asked) {
			later[known.caOrderID] = known.marker
		}
	}
	return later
}
