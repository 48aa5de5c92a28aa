// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/logical"
)

// heldPass is what is left of [Engine.Pass] while the mount is held (ADR 0031): keys that nobody is
// handed any more are erased, revocations that follow from overdue leases are queued, and a
// synchronization that somebody has asked for goes on, which only reads. held says why, and is
// logged once.
func (e *Engine) heldPass(ctx context.Context, s logical.Storage, held error) error {
	e.warnHeld.Do(func() { e.Log.Warn(held.Error()) })
	local, others, err := e.Orders.Due(ctx, s, passOrders)
	errs := []error{
		err,
		e.Certificates.Numbers.IndexPage(ctx, s),
		e.Certificates.Chains.StoreNewest(ctx, s),
		e.Certificates.EndOverdue(ctx, s),
		tendReuse(ctx, e, s),
	}
	_, failed := runJobs(ctx, local, func() bool { return true })
	errs = append(errs, failed...)
	if !e.Account.Paused() && ctx.Err() == nil {
		errs = append(errs, e.Inventory.Tend(ctx, s, true))
		_, failed = runJobs(ctx, others, func() bool { return !e.Account.Paused() })
		errs = append(errs, failed...)
	}
	return errors.Join(errs...)
}
