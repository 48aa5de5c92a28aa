// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// judgeBudget checks that no more was ordered under a role than its budget allows, ahead of
// requests or for them. A snapshot that is restored does not know what was ordered since (ADR
// 0036).
func judgeBudget(w *world, orders []certinexttest.OrderRecord) {
	if len(w.rollbacks) > 0 || time.Since(w.sched.trace.begun) > 300*aDay {
		return // its period may be over, too
	}
	bought := make(map[string][]string)
	for _, o := range orders {
		p := w.books.purchases[markerIn(o)]
		if !paid(o) || isForeign(w, &o) || p == nil {
			continue
		}
		role := ""
		if a := madeAhead(w, p.marker); a != nil {
			role = a.request.Role
		} else if p.call != nil && p.call.request != nil {
			role = p.call.request.Role
		}
		bought[role] = append(bought[role], o.ID)
	}
	for role, most := range budgets {
		if len(bought[role]) > most {
			w.violate("money/over-budget", "a budget of %d orders has bought %d: %v", most,
				len(bought[role]), bought[role])
		}
	}
}
