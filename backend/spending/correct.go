// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// What was counted when an order was placed is corrected by what CERTInext's ledger says later (ADR
// 0039): an order that was paid back is given back, in the period in which it was counted, and a
// reissue that was charged is counted. Each tally keeps what it was corrected by, in the entry that
// is corrected: however often a correction is made, and wherever a crash cuts it short, it counts
// once.

// A Counted names the tally that an order was counted to.
type Counted struct {
	Key    string    `json:"key"` // of the counter, in storage
	Period Period    `json:"period"`
	Begins time.Time `json:"begins"`
}

// A Refund is a purchase that was paid back.
type Refund struct {
	Key     string    // of the purchase
	Counted []Counted // where it was counted, as [Keeper.Reserve] has told
	Price   Price     // as it was counted
	// Amount is what came back. With Whole, it is all that was charged, so that all that was
	// counted is given back, the order included.
	Amount money.Amount
	Whole  bool
}

// A correction is by how much a tally was corrected because of one purchase.
type correction struct {
	Key    string       `json:"key"` // of the purchase
	Amount money.Amount `json:"amount"`
	Order  bool         `json:"order,omitempty"` // it is counted as an order, or no more
}

// maxCorrections bounds what a tally keeps. Beyond it, nothing is corrected: what is counted is too
// much then, and never too little.
const maxCorrections = 1000

// GiveBack takes what was paid back off the tallies that the purchase was counted to, as far as
// there are any still. It returns how many of them have changed.
func (k *Keeper) GiveBack(ctx context.Context, s logical.Storage, r Refund) (int, error) {
	changed := 0
	for _, at := range r.Counted {
		did, err := k.amend(ctx, s, at.Key, func(c *counter) bool {
			return c.refund(at, r)
		})
		if err != nil {
			return changed, err
		}
		if did {
			changed++
		}
	}
	return changed, nil
}

// amend settles the reservations of a counter and changes it, if there is one and change says that
// it did.
func (k *Keeper) amend(
	ctx context.Context, s logical.Storage, key string, change func(*counter) bool,
) (bool, error) {
	unlock, err := k.locks.Lock(ctx, key)
	if err != nil {
		return false, err
	}
	defer unlock()
	own, err := k.own()
	if err != nil {
		return false, err
	}
	c, err := store.Get[counter](ctx, s, key)
	if err != nil {
		return false, k.unreadableAt(ctx, s, key, err)
	}
	if c == nil {
		return false, nil
	}
	fates, err := k.fates(ctx, s, c, "")
	if err != nil {
		return false, err
	}
	c.settle(fates, k.isLost(own))
	if !change(c) {
		return false, nil
	}
	return true, store.Put(ctx, s, key, c)
}

// unreadableAt is [Keeper.unreadable] for a counter that is known by its key only.
func (k *Keeper) unreadableAt(
	ctx context.Context, s logical.Storage, key string, err error,
) error {
	all, _, loading := k.load(ctx, s)
	if loading != nil {
		return loading
	}
	for _, b := range all {
		if strings.HasPrefix(key, counterPrefix+b.id+"/") {
			return k.unreadable(b, key, err)
		}
	}
	return err
}

// refund takes what was paid back off a tally, and reports whether that changed it. Of an order
// that is still reserved it is not known yet what it comes to.
func (c *counter) refund(at Counted, r Refund) bool {
	t := c.find(at.Period, at.Begins)
	isOpen := slices.ContainsFunc(c.Open, func(o reservation) bool { return o.Key == r.Key })
	if t == nil || isOpen {
		return false
	}
	var counted money.Amount
	if r.Price.Known && c.unpriced(r.Price) == "" {
		counted = r.Price.Amount
	}
	back := correction{Key: r.Key, Amount: min(r.Amount, counted), Order: r.Whole}
	if r.Whole {
		back.Amount = counted
	}
	before, ok := t.corrected(back)
	if !ok {
		return false
	}
	t.Spent = t.Spent.Minus(back.Amount.Minus(before.Amount))
	if back.Order && !before.Order {
		t.Orders = max(t.Orders-1, 0)
	}
	return true
}

// corrected keeps a correction, and returns the one of the same purchase that it follows. It
// reports false, and keeps nothing, when it says no more than that, or there is no room.
func (t *tally) corrected(by correction) (before correction, ok bool) {
	i := slices.IndexFunc(t.Corrections, func(c correction) bool { return c.Key == by.Key })
	switch {
	case i < 0 && (len(t.Corrections) >= maxCorrections || (by.Amount == 0 && !by.Order)):
		return before, false
	case i < 0:
		t.Corrections = append(t.Corrections, by)
		return before, true
	}
	before = t.Corrections[i]
	if by.Amount <= before.Amount && (before.Order || !by.Order) {
		return before, false
	}
	t.Corrections[i] = correction{
		Key: by.Key, Amount: max(by.Amount, before.Amount), Order: by.Order || before.Order,
	}
	return before, true
}

// CountCharged counts a reissue that was charged to the budgets that cover its role, in the period
// in which it was asked for, if that lasts or is counted still. at is that time, and price what was
// charged. It returns how many counters have changed.
func (k *Keeper) CountCharged(
	ctx context.Context, s logical.Storage, p Purchase, at time.Time, price Price,
) (int, error) {
	all, _, err := k.load(ctx, s)
	if err != nil {
		return 0, err
	}
	changed := 0
	for _, b := range covering(all, p.Role) {
		if at.Before(b.since) {
			continue // a budget counts from when it was written
		}
		did, err := k.countCharged(ctx, s, b, p, at, price)
		if err != nil {
			return changed, err
		}
		if did {
			changed++
		}
	}
	return changed, nil
}

func (k *Keeper) countCharged(
	ctx context.Context, s logical.Storage, b *Budget, p Purchase, at time.Time, price Price,
) (bool, error) {
	subject := b.subject(p)
	c := count{budget: b, key: b.key(subject)}
	unlock, err := k.locks.Lock(ctx, c.key)
	if err != nil {
		return false, err
	}
	defer unlock()
	if err := k.read(ctx, s, &c, subject); err != nil {
		return false, err
	}
	if !c.charge(b.Period, at, k.books.Time(), p.Key, price) {
		return false, nil
	}
	return true, store.Put(ctx, s, c.key, &c.counter)
}

// charge counts a charge of a time to the tally of that time, and reports whether that changed it.
// Of a period that is over and in which nothing was counted, nothing depends any more.
func (c *counter) charge(p Period, at, now time.Time, key string, price Price) bool {
	i := slices.IndexFunc(c.Tallies, func(t tally) bool {
		return t.Period == p && !at.Before(t.Begins) && at.Before(t.Ends)
	})
	if i < 0 {
		begins, ends := p.span(at)
		if now.Before(begins) || !now.Before(ends) || len(c.Tallies) >= maxTallies {
			return false
		}
		c.Tallies = append(c.Tallies, tally{Period: p, Begins: begins, Ends: ends})
		i = len(c.Tallies) - 1
	}
	t := &c.Tallies[i]
	by := correction{Key: key, Order: true}
	if price.Known && c.unpriced(price) == "" {
		by.Amount = price.Amount
		if c.Currency == "" {
			c.Currency = price.Currency
		}
	}
	before, ok := t.corrected(by)
	if !ok {
		return false
	}
	t.Spent = t.Spent.Plus(by.Amount.Minus(before.Amount))
	if !before.Order {
		t.Orders++
	}
	return true
}
