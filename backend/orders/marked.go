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

// IsOwn reports whether a row of the report is about an open order of this mount, by its number in
// the account or by its marker: the engine takes care of those itself. It reads no entries, unless
// the registry is still to be filled.
func (journal *Journal) IsOwn(
	ctx context.Context, s logical.Storage, acct string, row certinext.ReportRow,
) (bool, error) {
	if err := journal.registry.load(ctx, s); err != nil {
		return false, err
	}
	return journal.registry.has(acct, row), nil
}

// has reports whether an open order has the number of a row, or one of its tags for a marker.
func (r *registry) has(acct string, row certinext.ReportRow) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if row.OrderID != "" && r.holderOf(acct, row.OrderID, "") != "" {
		return true
	}
	if !slices.ContainsFunc(row.Tags, account.IsMarker) {
		return false
	}
	for _, t := range r.orders {
		if t.tag != "" && containsFold(row.Tags, t.tag) {
			return true
		}
	}
	return false
}
