// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/notices"
)

// usedUp returns the limit by which a budget's period has no room for another order like the last
// one; empty when it has room. An open order makes room by itself, and is no end of a budget.
func (b *Budget) usedUp(t *tally, last Price) Limit {
	limit, limited := b.spend()
	switch {
	case b.MaxOrders > 0 && t.Orders >= b.MaxOrders:
		return LimitOrders
	case limited && last.Known && t.Spent.Plus(last.Amount) > limit:
		return LimitSpend
	}
	return ""
}

// noteSpent marks a tally that was just counted to as spent, and reports by which limit, once in
// its period: that it was told is stored with it.
func (c *count) noteSpent(last Price) Limit {
	t := c.find(c.to.Period, c.to.Begins)
	if t == nil || t.Told {
		return ""
	}
	limit := c.budget.usedUp(t, last)
	t.Told = limit != ""
	return limit
}

// tellSpent tells that a budget is spent. Of a requester's, only who has an entity is told.
func (k *Keeper) tellSpent(c *count, p Purchase, limit Limit) {
	if limit == "" {
		return
	}
	n := notices.Notice{
		Change: notices.BudgetSpent, Budget: c.budget.Name, Limit: string(limit),
		RefillsAt: c.to.Ends.UTC().Format(time.RFC3339), Path: "budgets/" + c.budget.Name,
	}
	switch c.budget.Per {
	case PerRole:
		n.Role = p.Role
	case PerRequester:
		n.Requester = p.Requester
	}
	k.Notices.Tell(n)
}
