// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"context"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"
)

// A Forecast is what one budget says of an order that is not placed.
type Forecast struct {
	Budget *Budget
	// Refusal is why the budget does not admit the order; nil when it does.
	Refusal error
	// After is what the subject has used of the budget once the order is counted; what it has used
	// now when the budget does not admit it.
	After Usage
}

// Foresee returns what each budget that covers the role of an order would say of it, and what the
// order costs, as far as that is known. It stores nothing and reserves nothing.
func (k *Keeper) Foresee(
	ctx context.Context, s logical.Storage, p Purchase,
) ([]Forecast, Price, error) {
	all, _, err := k.load(ctx, s)
	if err != nil {
		return nil, Price{}, err
	}
	price, err := k.books.Price(ctx, s, p, true)
	if err != nil {
		return nil, Price{}, err
	}
	under := covering(all, p.Role)
	// In the order in which [Keeper.Reserve] asks them: the first that refuses is named there.
	slices.SortFunc(under, func(a, b *Budget) int {
		return strings.Compare(a.key(a.subject(p)), b.key(b.subject(p)))
	})
	out := make([]Forecast, 0, len(under))
	for _, b := range under {
		f, err := k.foresee(ctx, s, b, p, price)
		if err != nil {
			return nil, Price{}, err
		}
		out = append(out, f)
	}
	return out, price, nil
}

// foresee is Foresee for one budget.
func (k *Keeper) foresee(
	ctx context.Context, s logical.Storage, b *Budget, p Purchase, price Price,
) (Forecast, error) {
	subject := b.subject(p)
	c := count{budget: b, key: b.key(subject)}
	if _, err := k.settleRead(ctx, s, &c); err != nil {
		return Forecast{}, err
	}
	c.Subject = subject
	now := k.books.Time()
	to, refusal := b.admits(&c.counter, demand{subject: subject, price: price, now: now})
	if refusal == nil {
		c.reserve(to, reservation{OrderID: p.OrderID, Key: p.Key, Role: p.Role}, price)
	}
	return Forecast{Budget: b, Refusal: refusal, After: b.usage(&c.counter, now)}, nil
}
