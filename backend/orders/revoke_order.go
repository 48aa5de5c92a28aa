// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/hashicorp/vault/sdk/logical"
)

// Revoke revokes a certificate at CERTInext. It is idempotent. While CERTInext cannot be reached the revocation is queued.
func (journal *Journal) Revoke(ctx context.Context, s logical.Storage, r certificates.RevokeRequest) (*certificates.Revoked, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	if r.OrderID == "" {
		return journal.Certificates.Revoke(ctx, s, r)
	}
	serial, err := journal.serialOfOrder(ctx, s, r.Role, r.OrderID)
	var over *revokedOrder
	switch {
	case errors.As(err, &over):
		return &certificates.Revoked{At: over.at}, nil
	case err != nil:
		return nil, err
	}
	r.Serial, r.OrderID = serial, ""
	return journal.Certificates.Revoke(ctx, s, r)
}

func (journal *Journal) serialOfOrder(ctx context.Context, s logical.Storage, role, id string) (string, error) {
	if role == "" {
		return "", fault.BadField("order_id", "an order is found through its role: use revoke/<role>")
	}
	o, err := journal.Order(ctx, s, role, id)
	if err == nil && o != nil && o.State == StatePending {
		// An order that was answered by a process that has died since looks like this until it is looked at again.
		if err = journal.registry.load(ctx, s); err == nil {
			err = journal.passOrder(ctx, s, tracked{id: id, role: role})
		}
		if err == nil {
			o, err = journal.Order(ctx, s, role, id)
		}
	}
	switch {
	case err != nil:
		return "", err
	case o == nil:
		return "", &fault.NotFoundError{Kind: "order", Name: sanitize.Short(id)}
	case o.Serial == "" && o.State == StateRevoked:
		return "", &revokedOrder{id: o.ID, at: o.UpdatedAt}
	case o.Serial == "":
		// It may have been handed over by a process that has died, and CERTInext may be away.
		if c, err := journal.Certificates.OfOrder(ctx, s, id); err != nil || c != nil && c.Role == role {
			if err != nil {
				return "", err
			}
			return c.Serial, nil
		}
		return "", fault.BadField("order_id", "order %s has no certificate (%s): delete the order to cancel it", o.ID, o.State)
	}
	return strings.ReplaceAll(o.Serial, ":", "-"), nil
}

// A revokedOrder is one that CERTInext reports as revoked, and whose certificate the mount never saw.
type revokedOrder struct {
	id string
	at time.Time // when that was noticed
}

func (e *revokedOrder) Error() string { return fmt.Sprintf("order %s is revoked", e.id) }

// FinishRevoked closes the order of a certificate that has just been revoked, if it is open and nobody works on it: see [Orders].
func (journal *Journal) FinishRevoked(ctx context.Context, s logical.Storage, c *certificates.Entry) error {
	if err := journal.registry.load(ctx, s); err != nil {
		return err
	}
	h, _ := journal.acquire(s, c.OrderID)
	if h == nil {
		return nil // closed, or worked on at this moment: then whoever does sees the revocation
	}
	defer h.Release()
	h.lookAgain(journal.Now())
	open, err := h.readHeld(ctx)
	if err != nil || !open {
		return err
	}
	return h.finish(ctx, c, false)
}
