// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package spending

import (
	"context"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// StoredUsages is [Keeper.Usages] by what is stored, for who looks often: it reads one entry for
// each subject, at most so many of them, and none of the orders that are counted. What has become
// of those since shows once the background pass, or the next order, has looked at them.
func (k *Keeper) StoredUsages(
	ctx context.Context, s logical.Storage, b *Budget, most int,
) (some []Usage, err error) {
	folder := counterPrefix + b.id + "/"
	names := []string{strings.TrimPrefix(b.key(""), folder)}
	if b.Per != PerMount {
		if names, err = store.List(ctx, s, folder); err != nil {
			return nil, err
		}
	}
	slices.Sort(names)
	for _, name := range names[:min(len(names), most)] {
		c, err := store.Get[counter](ctx, s, folder+name)
		if err != nil {
			return nil, err
		}
		if c == nil && b.Per == PerMount {
			c = &counter{Per: b.Per}
		}
		if c != nil && c.Per == b.Per {
			some = append(some, b.usage(c, k.books.Time()))
		}
	}
	return some, nil
}
