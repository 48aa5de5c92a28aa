// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"slices"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A witness is an order that CERTInext has taken. Records that show it, and do not show an order that was asked for much
// earlier, prove that CERTInext never took the earlier one: they may lag behind, but not for the older of the two.
//
// A witness counts for orders of the same account, product, group and organization only, since it is not known whose orders
// the report leaves out, and only where its own row shows its own marker: records that show no markers prove nothing. It is
// remembered by the process that has seen the order taken, which knows by its own clock when it asked.
type laterOrder struct {
	scope     orderScope
	caOrderID string
	marker    string
	asked     time.Time
}

type orderScope struct {
	account      string
	family       certinext.Family
	group        string
	product      string
	organization string
}

// laterOrderOf describes an order that testifies for, or has to be testified for, from a time on.
func laterOrderOf(o *orderEntry, asked time.Time) laterOrder {
	return laterOrder{
		scope: orderScope{
			account: account.CanonicalAccount(o.Account), family: o.Placement.Family, group: o.Placement.GroupNumber,
			product: o.Placement.ProductCode, organization: o.Placement.OrganizationNumber,
		},
		caOrderID: o.CAOrderID, marker: o.marker(), asked: asked,
	}
}

// witnesses are a sample of the orders that this process has placed, oldest first: one in a minute is enough, and those of
// the last hours.
type laterOrders struct {
	mu     sync.Mutex
	recent []laterOrder
}

const (
	laterOrderEvery = time.Minute
	maxLaterOrders  = 256
)

// add remembers w, unless it says nothing that another one does not.
func (ws *laterOrders) add(w laterOrder) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, known := range ws.recent {
		if known.scope == w.scope && w.asked.Sub(known.asked) < laterOrderEvery {
			return
		}
	}
	if ws.recent = append(ws.recent, w); len(ws.recent) > maxLaterOrders {
		ws.recent = append(ws.recent[:0], ws.recent[1:]...)
	}
}

// after returns the orders in w's scope that were asked for no earlier than w: their markers, by CERTInext's numbers. Those that are later than now
// were asked for by a clock that has been set right since, at a time that nobody knows: they are forgotten.
func (ws *laterOrders) after(w laterOrder, now time.Time) map[string]string {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.recent = slices.DeleteFunc(ws.recent, func(known laterOrder) bool { return known.asked.After(now) })
	later := make(map[string]string)
	for _, known := range ws.recent {
		if known.scope == w.scope && !known.asked.Before(w.asked) {
			later[known.caOrderID] = known.marker
		}
	}
	return later
}
