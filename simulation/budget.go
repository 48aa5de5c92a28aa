// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import "github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"

// judgeBudget checks that no more was ordered under the role tight than its budget allows. A
// snapshot that is restored does not know what was ordered since (ADR 0036).
func judgeBudget(w *world, orders []certinexttest.OrderRecord) {
	if len(w.rollbacks) > 0 {
		return
	}
	var bought []string
	for _, o := range orders {
		p := w.books.purchases[markerIn(o)]
		if !paid(o) || w.neighbour.has(&o) || p == nil || p.call == nil || p.call.request == nil {
			continue
		}
		if p.call.request.Role == "tight" {
			bought = append(bought, o.ID)
		}
	}
	if len(bought) > tightOrders {
		w.violate("money/over-budget", "a budget of %d orders has bought %d: %v", tightOrders,
			len(bought), bought)
	}
}
