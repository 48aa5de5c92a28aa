// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// rows tells the index of orders what is stored. It implements [index.Source].
type rows struct{ journal *Journal }

// Keys implements [index.Source]: <role>/<id> of each order, open or closed.
func (rows) Keys(ctx context.Context, s logical.Storage) ([]string, error) {
	open, err := keysBelow(ctx, s, OpenPrefix)
	if err != nil {
		return nil, err
	}
	closed, err := keysBelow(ctx, s, closedOrderPrefix)
	return append(open, closed...), err
}

// Changed implements [index.Source]: it returns the open orders that were closed when their rows
// were saved.
func (rows) Changed(
	ctx context.Context, s logical.Storage, saved func(key string) (index.Row, bool),
) (changed []string, err error) {
	open, err := keysBelow(ctx, s, OpenPrefix)
	for _, key := range open {
		if r, has := saved(key); has && !r.Unsaved {
			changed = append(changed, key)
		}
	}
	return changed, err
}

// Row implements [index.Source].
func (r rows) Row(ctx context.Context, s logical.Storage, key string) (*index.Row, error) {
	role, id, _ := strings.Cut(key, "/")
	o, err := r.journal.findOrder(ctx, s, role, id)
	if err != nil || o == nil {
		return nil, err
	}
	return rowOf(r.journal, o), nil
}

// keysBelow returns <role>/<id> of the orders below a prefix.
func keysBelow(ctx context.Context, s logical.Storage, prefix string) (keys []string, err error) {
	roles, err := store.List(ctx, s, prefix)
	if err != nil {
		return nil, err
	}
	for _, role := range roles {
		ids, err := store.List(ctx, s, prefix+role)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			keys = append(keys, role+id)
		}
	}
	return keys, nil
}

// rowOf returns what is listed of an order. An open one changes too often for its row to be saved.
func rowOf(journal *Journal, o *orderEntry) *index.Row {
	v := journal.shown(o)
	r := &index.Row{
		Serial: strings.ReplaceAll(v.Serial, ":", "-"), Role: o.Role, OrderID: o.ID,
		Requester: sanitize.Subject(o.Requester), Owner: v.Asked.Owner, Account: o.Account,
		PaidUntil: v.Subscription.EndsAt, Price: v.Subscription.Cost(),
		State: string(v.State), WaitsFor: string(v.WaitsFor),
		Number: sanitize.Short(o.CAOrderID), MadeAt: o.CreatedAt, ChangedAt: o.UpdatedAt,
		Unsaved: !o.closed,
	}
	for _, name := range v.Names {
		r.Names = append(r.Names, sanitize.OneLine(name))
	}
	return r
}

// tell tells the index of orders what was just stored of an open one.
func tell(journal *Journal, o *orderEntry) { journal.Index.Put(*rowOf(journal, o)) }

// tellClosed tells the index of orders what was just stored of a closed one, which the registry has
// dropped.
func tellClosed(journal *Journal, o *orderEntry) {
	over := *o
	over.State, over.closed = o.ended(), true
	tell(journal, &over)
}

// doubt has the index read an order's entry again. It is for what happens rarely: whatever changes
// each order tells what it has changed.
func doubt(journal *Journal, role, id string) { journal.Index.Doubt(role + "/" + id) }

// KeyOf returns <role>/<id> of the order under a storage key; false when it is none's.
func KeyOf(key string) (order string, is bool) {
	if order, is = strings.CutPrefix(key, OpenPrefix); is {
		return order, true
	}
	return strings.CutPrefix(key, closedOrderPrefix)
}

// Keys returns <role>/<id> of all orders, open and closed, sorted.
func Keys(ctx context.Context, s logical.Storage) ([]string, error) {
	keys, err := rows{}.Keys(ctx, s)
	slices.Sort(keys)
	return slices.Compact(keys), err
}
