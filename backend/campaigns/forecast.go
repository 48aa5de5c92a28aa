// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package campaigns

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/hashicorp/vault/sdk/logical"
)

// countWithin returns of how many certificates of a role that reissues the replacement may be
// within what is paid for. The mount's books say that of the others it is not: a charge has ended
// reissues, or the subscription is over.
func countWithin(
	ctx context.Context, r *Runner, s logical.Storage, role string, list []Chosen,
) (n int, err error) {
	stop, err := renewal.Stopped(ctx, s, role)
	if err != nil || stop.Holds() {
		return 0, err
	}
	for _, one := range list {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		c, err := certificates.Read(ctx, s, one.Serial)
		if err != nil {
			return 0, err
		}
		if c != nil && !c.ReissueRefused &&
			renewal.Why(c.Life(), c.Subscription, r.Account.Corrected()) == "" {
			n++
		}
	}
	return n, nil
}

// withNewest adds to what a campaign revokes the newest certificate of each order, which CERTInext
// revokes with the others: it has to be replaced, too, and what that costs counts.
func withNewest(
	ctx context.Context, r *Runner, s logical.Storage, chosen []Chosen,
) ([]Chosen, error) {
	has := make(map[string]bool, len(chosen))
	for _, one := range chosen {
		has[one.Serial] = true
	}
	added := make(map[string]bool)
	for _, one := range chosen {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		c, err := certificates.Read(ctx, s, one.Serial)
		if err != nil || c == nil || c.Role == "" {
			if err != nil {
				return nil, err
			}
			continue
		}
		newest, err := newestOfOrder(ctx, r, s, c)
		if err != nil {
			return nil, err
		}
		if newest != "" && !has[newest] {
			added[newest] = true
		}
	}
	if len(added) == 0 {
		return chosen, nil
	}
	r.Certificates.Index.Each(func(row index.Row) bool {
		if added[row.Serial] && row.State == "" && row.Revoked.IsZero() {
			chosen = append(chosen, Chosen{
				Serial: row.Serial, Role: row.Role, NotAfter: row.NotAfter, Names: row.Names,
			})
		}
		return true
	})
	return chosen, nil
}
