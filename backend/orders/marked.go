// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// Marked are open orders whose markers are among the tags of a report, by what the markers are made of.
type Marked map[string]tracked

// Marked finds the open orders whose markers are among the tags of rows. It reads no entry.
func (journal *Journal) Marked(ctx context.Context, s logical.Storage, rows []certinext.ReportRow) (Marked, error) {
	if err := journal.registry.load(ctx, s); err != nil {
		return nil, err
	}
	return journal.registry.marked(rows), nil
}

// Of returns the role and the id of the open order that a row shows; empty when it shows none. Tags are anybody's to write, so the order has
// to say the same.
func (m Marked) Of(ctx context.Context, s logical.Storage, row certinext.ReportRow) (role, id string, err error) {
	t, known := m[markerKey(row.Tags)]
	if !known {
		return "", "", nil
	}
	own, err := store.Get[orderEntry](ctx, s, OpenPrefix+t.role+"/"+t.id)
	if err != nil || own == nil || !own.adoptable(row) || own.CAOrderID != "" && own.CAOrderID != row.OrderID {
		return "", "", err
	}
	return own.Role, own.ID, nil
}

// markerKey returns what tells an order from others in the first marker among tags; empty when there is none.
func markerKey(tags []string) string {
	if i := slices.IndexFunc(tags, account.IsMarker); i >= 0 {
		return strings.ToLower(tags[i][len(account.MarkerPrefix):])
	}
	return ""
}

// Own are CERTInext's numbers, and the markers, of this mount's open orders: the engine looks after those by itself.
func (journal *Journal) Own(ctx context.Context, s logical.Storage) (map[string]bool, error) {
	own := make(map[string]bool)
	roles, err := store.List(ctx, s, OpenPrefix)
	if err != nil {
		return nil, err
	}
	for _, role := range roles {
		ids, err := store.List(ctx, s, OpenPrefix+role)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			o, err := store.Get[orderEntry](ctx, s, OpenPrefix+role+id)
			if err != nil {
				return nil, err
			}
			if o != nil {
				own[o.CAOrderID], own[strings.ToLower(o.marker())] = true, true
			}
		}
	}
	delete(own, "")
	return own, nil
}
