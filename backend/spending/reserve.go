// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// A process is the run of this program that has made a reservation.
type process struct {
	name  string
	since time.Time // by the clock that nobody sets
}

// takeOver is how long this process has run before it takes a reservation of another one, whose
// order is not stored, for one that never will be. The other one has ended, or may not write any
// more; a write that it had begun is over by then.
const takeOver = 2 * time.Minute

// own returns this process.
func (k *Keeper) own() (*process, error) {
	if p := k.process.Load(); p != nil {
		return p, nil
	}
	id, err := k.NewID()
	if err != nil {
		return nil, err
	}
	p := &process{name: id, since: k.Steady()}
	if !k.process.CompareAndSwap(nil, p) {
		return k.own()
	}
	return p, nil
}

// isLost returns what tells that the order of a reservation, which the journal does not have, will
// not be stored any more. The journal has the orders that this process is about to store.
func (k *Keeper) isLost(own *process) func(reservation) bool {
	waited := k.Steady().Sub(own.since) >= takeOver
	return func(r reservation) bool { return waited || r.Process == own.name }
}

// Reserve counts an order before it is stored, under all budgets that cover its role, or returns
// the error that says which of them does not admit it; then nothing is stored. It returns the
// order's price, as far as that is known, and where it was counted.
//
// A caller that does not store the order after all need not say so: the journal does not have the
// order then, which gives the reservation back.
func (k *Keeper) Reserve(
	ctx context.Context, s logical.Storage, p Purchase,
) (Price, []Counted, error) {
	for {
		all, changes, err := k.load(ctx, s)
		if err != nil {
			return Price{}, nil, err
		}
		covering := covering(all, p.Role)
		price, err := k.books.Price(ctx, s, p, limitsMoney(covering))
		if err != nil || len(covering) == 0 {
			return price, nil, err
		}
		counted, again, err := k.reserve(ctx, s, p, price, covering, changes)
		if err != nil || !again {
			return price, counted, err
		}
	}
}

// covering returns the budgets that cover a role.
func covering(all []*Budget, role string) (some []*Budget) {
	for _, b := range all {
		if b.Covers(role) {
			some = append(some, b)
		}
	}
	return some
}

// MoneyLimit returns the name of a budget that limits what orders under a role cost; empty when
// none does.
func (k *Keeper) MoneyLimit(
	ctx context.Context, s logical.Storage, role string,
) (name string, err error) {
	all, _, err := k.load(ctx, s)
	for _, b := range covering(all, role) {
		if b.MaxSpend != "" {
			return b.Name, err
		}
	}
	return "", err
}

// limitsMoney reports whether one of the budgets has to know prices.
func limitsMoney(all []*Budget) bool {
	return slices.ContainsFunc(all, func(b *Budget) bool { return b.MaxSpend != "" })
}

// A count is the counter of one budget while an order is reserved.
type count struct {
	budget *Budget
	key    string
	counter
	to tally
}

// reserve is Reserve under the given budgets, all of whose counters are locked meanwhile. It
// reports again, and does nothing, when budgets were changed while it waited.
func (k *Keeper) reserve(
	ctx context.Context, s logical.Storage, p Purchase, price Price, under []*Budget, changes int,
) (counted []Counted, again bool, err error) {
	own, err := k.own()
	if err != nil {
		return nil, false, err
	}
	counts := make([]*count, 0, len(under))
	for _, b := range under {
		counts = append(counts, &count{budget: b, key: b.key(b.subject(p))})
	}
	// Always in the same order, so that no two requests wait for each other.
	slices.SortFunc(counts, func(a, b *count) int { return strings.Compare(a.key, b.key) })
	for _, c := range counts {
		unlock, err := k.locks.Lock(ctx, c.key)
		if err != nil {
			return nil, false, err
		}
		defer unlock()
	}
	if k.changedSince(changes) {
		return nil, true, nil
	}
	for _, c := range counts {
		if err := k.decide(ctx, s, c, own, p, price); err != nil {
			return nil, false, err
		}
	}
	for _, c := range counts {
		c.reserve(c.to, reservation{
			OrderID: p.OrderID, Key: p.Key, Role: p.Role, Process: own.name,
		}, price)
		spent := c.noteSpent(price)
		if err := store.Put(ctx, s, c.key, &c.counter); err != nil {
			return nil, false, err
		}
		k.tellSpent(c, p, spent)
		counted = append(counted, Counted{Key: c.key, Period: c.to.Period, Begins: c.to.Begins})
	}
	return counted, false, nil
}

// decide reads a counter, and sets the tally that the order counts to, or returns the error that
// says why the budget does not admit the order. It stores nothing.
func (k *Keeper) decide(
	ctx context.Context, s logical.Storage, c *count, own *process, p Purchase, price Price,
) error {
	subject := c.budget.subject(p)
	if err := k.read(ctx, s, c, subject); err != nil {
		return err
	}
	fates, err := k.fates(ctx, s, &c.counter, p.OrderID)
	if err != nil {
		return err
	}
	c.settle(fates, k.isLost(own))
	c.to, err = c.budget.admits(&c.counter, demand{
		subject: subject, price: price, now: k.books.Time(),
	})
	return err
}

// read reads the counter of a budget's subject, and begins one when there is none.
func (k *Keeper) read(ctx context.Context, s logical.Storage, c *count, subject string) error {
	entry, err := store.Get[counter](ctx, s, c.key)
	if err != nil {
		return k.unreadable(c.budget, c.key, err)
	}
	if entry == nil {
		entry = &counter{
			Version: 1, Budget: c.budget.Name, Per: c.budget.Per, Subject: subject,
		}
	}
	c.counter = *entry
	return nil
}

// unreadable is the error for a counter that cannot be read. Faults of storage, and entries of a
// later version, are what they are; one that is no counter stops the orders under its budget, since
// nobody knows what was counted.
func (k *Keeper) unreadable(b *Budget, key string, err error) error {
	var future *store.FutureError
	if store.IsFault(err) || errors.As(err, &future) {
		return err
	}
	k.Log.Error("a budget's count cannot be read, and nothing is ordered under it",
		"budget", b.Name, "key", key, "error", err)
	return &fault.RefusedError{Err: fmt.Errorf("budget %q has a count that cannot be read, and "+
		"nothing is ordered under it: Vault's log says why. Restore a snapshot of Vault's "+
		"storage, or begin the count anew: vault delete <mount>/budgets/%s, and write the budget "+
		"again", b.Name, b.Name)}
}

// fates asks what has become of the orders that a counter has reservations of. held is the id of
// the order that is about to be reserved; empty when none is.
func (k *Keeper) fates(
	ctx context.Context, s logical.Storage, c *counter, held string,
) ([]Fate, error) {
	fates := make([]Fate, len(c.Open))
	for i, r := range c.Open {
		var err error
		fates[i], err = k.books.Fate(ctx, s, Reserved{
			Role: r.Role, OrderID: r.OrderID, Key: r.Key, Held: r.OrderID == held,
		})
		if err != nil {
			return nil, err
		}
	}
	return fates, nil
}
