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
	isDueHere := q != nil && q.Due
	file, err := successorOf(ctx, keeper, s, c, reason, isDueHere)
	if err != nil {
		return err
	}
	serial := c.View().Serial
	told := notices.Notice{
		Change: notices.RevokedOutside, Role: c.Role, OrderID: c.OrderID, Number: c.CAOrderID,
		Serial: serial, Requester: c.Requester, Path: "cert/" + serial,
		Reason: string(reason), Successor: file != nil,
	}
	if !isDueHere {
		keeper.Notices.TellBefore(told)
	}
	// It is filed before the entry says that it is revoked, since nobody looks at it again then: a
	// crash in between has it filed once more, which makes no second one.
	if file != nil {
		if err := file(ctx); err != nil {
			return err
		}
	}
	if err := keeper.RecordRevocation(ctx, s, c, at, reason); err != nil {
		return err
	}
	keeper.Notices.Stored(told)
	return nil
}

// A Succession says how a certificate that CERTInext has revoked for a reason gets a successor
// before anybody asks for it; nil when it gets none. It reads, and what it returns writes. The
// caller holds the lock of the certificate, whose entry does not say yet that it is revoked.
type Succession func(
	ctx context.Context, s logical.Storage, c *Entry, reason certinext.Reason,
) (file func(context.Context) error, err error)

// successorOf returns what files a successor of a revoked certificate; nil for none. One whose
// revocation is due here, since a person or the end of its last lease wants it, gets none.
func successorOf(
	ctx context.Context, keeper *Keeper, s logical.Storage, c *Entry, reason certinext.Reason,
	isDueHere bool,
) (file func(context.Context) error, err error) {
	if isDueHere || keeper.Succession == nil {
		return nil, nil
	}
	return keeper.Succession(ctx, s, c, reason)
}
