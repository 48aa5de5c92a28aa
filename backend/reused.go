// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"errors"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reuse"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/hashicorp/vault/sdk/logical"
)

// whileSwept changes or deletes a role, and has the pass look at what is kept for reuse under it.
// That is noted before, since the process may die, and after, since a pass may come in between.
func whileSwept(
	ctx context.Context, s logical.Storage, name string, change func() error,
) error {
	role, err := roles.Read(ctx, s, name)
	switch {
	case err != nil:
		return err
	case role == nil || !role.Reuse:
		return change()
	}
	if err := reuse.SweepLater(ctx, s, name); err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	return reuse.SweepLater(ctx, s, name)
}

// tendReuse is the pass's work on what is kept for reuse: it erases what no request is answered
// with any more, since it is over or its role or config has changed.
func tendReuse(ctx context.Context, e *Engine, s logical.Storage) error {
	lock := func(ctx context.Context, role string) (unlock func(), err error) {
		return e.roleWrites.Lock(ctx, roles.Prefix+role)
	}
	fits := func(
		ctx context.Context, name, fingerprint string, k *reuse.Kept,
	) (bool, error) {
		role, err := roles.Read(ctx, s, name)
		if err != nil {
			return false, err
		}
		return orders.StaysKept(ctx, e.Orders, s, role, fingerprint, k)
	}
	err := reuse.Sweep(ctx, s, &e.Certificates.Kept, lock, fits)
	// While the clock is in doubt, nothing is over: an erased key does not come back (ADR 0022).
	certain := func() bool { return e.Account.ConfirmClock(ctx, s) }
	return errors.Join(err, reuse.EraseOver(ctx, s, &e.Certificates.Kept, e.Now(), certain))
}
