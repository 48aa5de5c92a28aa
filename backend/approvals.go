// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/hashicorp/vault/sdk/logical"
)

// Approvals is [orders.Approvals].
func (e *Engine) Approvals(
	ctx context.Context, s logical.Storage, role, after string, limit int,
) ([]*Approval, error) {
	return orders.Approvals(ctx, e.Orders, s, role, after, limit)
}

// Approval is [orders.ApprovalOf].
func (e *Engine) Approval(
	ctx context.Context, s logical.Storage, role, id string,
) (*Approval, error) {
	return orders.ApprovalOf(ctx, e.Orders, s, role, id)
}

// Decide is [orders.Decide].
func (e *Engine) Decide(ctx context.Context, s logical.Storage, v Verdict) (*Approval, error) {
	return orders.Decide(ctx, e.Orders, s, v)
}
