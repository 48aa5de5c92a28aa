// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/notices"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// RecordOutside is [Keeper.RecordRevocation] for a revocation that CERTInext shows and that this
// mount has not heard the answer of. Unless it was due here, too, it is told. The caller holds the
// lock of c, which is not revoked yet by its entry: so it is told once, however often storage
// fails.
func RecordOutside(
	ctx context.Context, keeper *Keeper, s logical.Storage, c *Entry, at time.Time,
	reason certinext.Reason,
) error {
	q, err := store.Get[Queued](ctx, s, RevocationPrefix+c.Serial)
	if err != nil {
		return err
	}
	serial := c.View().Serial
	told := notices.Notice{
		Change: notices.RevokedOutside, Role: c.Role, OrderID: c.OrderID, Number: c.CAOrderID,
		Serial: serial, Requester: c.Requester, Path: "cert/" + serial,
	}
	if q == nil || !q.Due {
		keeper.Notices.TellBefore(told)
	}
	if err := keeper.RecordRevocation(ctx, s, c, at, reason); err != nil {
		return err
	}
	keeper.Notices.Stored(told)
	return nil
}
