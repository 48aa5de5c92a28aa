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

// Marked are the open orders whose markers are among the tags of a report, by [markerKey].
type Marked map[string]tracked

// Marked finds the open orders whose markers are among the tags of rows. It reads no entries,
// unless the registry is still to be filled.
func (journal *Journal) Marked(
	ctx context.Context, s logical.Storage, rows []certinext.ReportRow,
) (Marked, error) {
	if err := journal.registry.load(ctx, s); err != nil {
		return nil, err
	}
	return journal.registry.marked(rows), nil
}

// Of returns the role and the id of the open order that a row shows; both are empty when it shows
// none. Everyone who may order in the account can write tags, so the order's entry has to agree
// with the row.
func (m Marked) Of(
	ctx context.Context, s logical.Storage, row certinext.ReportRow,
) (role, id string, err error) {
	t, known := m[markerKey(row.Tags)]
	if !known {
		return "", "", nil
	}
	own, err := store.Get[orderEntry](ctx, s, OpenPrefix+t.role+"/"+t.id)
	if err != nil || own == nil || !own.adoptable(row) {
		return "", "", err
	}
	if own.CAOrderID != "" && own.CAOrderID != row.OrderID {
		return "", "", nil
	}
	return own.Role, own.ID, nil
}

// markerKey returns the random part of the first marker among tags, in lower case; empty when there
// is none.
func markerKey(tags []string) string {
	if i := slices.IndexFunc(tags, account.IsMarker); i >= 0 {
		return strings.ToLower(tags[i][len(account.MarkerPrefix):])
	}
	return ""
}

// Own returns the set of CERTInext's order numbers and of the markers, in lower case, of this
// mount's open orders: the engine takes care of those itself.
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
