// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Usage is what one subject has used of a budget in the current period.
type Usage struct {
	Subject   string    // a role or a requester; empty for the mount
	Begins    time.Time // of the period; for a year that no order has begun, now
	RefillsAt time.Time
	Orders    int
	Open      int
	Spent     money.Amount
	Currency  string // empty while no price has told it

	OrdersLeft int          // meaningful with max_orders
	OpenLeft   int          // meaningful with max_open_orders
	SpendLeft  money.Amount // meaningful with max_spend
}

// maxUsages is how many subjects one reading shows.
const maxUsages = 100

// Usages returns what each subject has used, by subject, at most 100 of them, and how many there
// are. It stores nothing. The budget of a mount has one, even when nothing was ordered yet.
func (k *Keeper) Usages(
	ctx context.Context, s logical.Storage, b *Budget,
) (some []Usage, subjects int, err error) {
	folder := counterPrefix + b.id + "/"
	names, err := store.List(ctx, s, folder)
	if err != nil {
		return nil, 0, err
	}
	slices.Sort(names)
	if own := strings.TrimPrefix(b.key(""), folder); b.Per == PerMount {
		names = []string{own} // others are from when the budget was not the mount's
	}
	for _, name := range names[:min(len(names), maxUsages)] {
		c := count{budget: b, key: folder + name}
		if _, err := k.settleRead(ctx, s, &c); err != nil {
			return nil, 0, err
		}
		if c.Per != b.Per {
			subjects-- // from when the budget was another subject's
			continue
		}
		some = append(some, b.usage(&c.counter, k.books.Time()))
	}
	slices.SortFunc(some, func(a, b Usage) int { return strings.Compare(a.Subject, b.Subject) })
	return some, subjects + len(names), nil
}

// usage returns what a counter says of the current period.
func (b *Budget) usage(c *counter, now time.Time) Usage {
	t := b.Period.current(c.Tallies, now)
	limit, _ := b.spend()
	return Usage{
		Subject: ShownSubject(c.Subject), Begins: t.Begins, RefillsAt: t.Ends,
		Orders: t.Orders, Open: len(c.Open), Spent: t.Spent, Currency: c.Currency,
		OrdersLeft: max(b.MaxOrders-t.Orders, 0), OpenLeft: max(b.MaxOpenOrders-len(c.Open), 0),
		SpendLeft: limit.Minus(t.Spent),
	}
}

// ShownSubject returns a subject as operators read it, see [sanitize.Subject].
func ShownSubject(subject string) string { return sanitize.Subject(subject) }
