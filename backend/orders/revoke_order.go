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

// Revoke revokes a certificate at CERTInext, which the request names by its serial number or by its
// order. It is idempotent. While CERTInext cannot be reached, the revocation is queued.
func (journal *Journal) Revoke(
	ctx context.Context, s logical.Storage, r certificates.RevokeRequest,
) (*certificates.Revoked, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	admit, err := journal.mayRevoke(ctx, s, r)
	if err != nil {
		return nil, err
	}
	r.Admit = admit
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
	r.Serial = serial
	r.OrderID = ""
	return journal.Certificates.Revoke(ctx, s, r)
}

// Keep has a certificate stay valid although another one has replaced it, which the request names
// as for a revocation.
func Keep(
	ctx context.Context, journal *Journal, s logical.Storage, r certificates.RevokeRequest,
) (serial string, err error) {
	if r.OrderID != "" {
		return "", fault.BadField("keep", "is for a certificate that serial_number or certificate "+
			"names")
	}
	if err := r.Check(); err != nil {
		return "", err
	}
	if r.Admit, err = journal.mayRevoke(ctx, s, r); err != nil {
		return "", err
	}
	return certificates.KeepReplaced(ctx, journal.Certificates, s, r)
}

// serialOfOrder returns the serial number, with dashes, of the certificate of a role's order. The
// error is a [*revokedOrder] when CERTInext revoked the order before the mount saw its certificate.
func (journal *Journal) serialOfOrder(
	ctx context.Context, s logical.Storage, role, id string,
) (string, error) {
	if role == "" {
		return "", fault.BadField("order_id",
			"an order is found through its role: use <mount>/revoke/<role>")
	}
	o, err := journal.Order(ctx, s, role, id)
	if err == nil && o != nil && o.State == StatePending {
		// A process that has died since may have handed over its certificate: the entry does not
		// say so until a drive finds the certificate (ADR 0005).
		if err = journal.registry.load(ctx, s); err == nil {
			err = journal.passOrder(ctx, s, id)
		}
		if err == nil {
			o, err = journal.Order(ctx, s, role, id)
		}
	}
	switch {
	case err != nil:
		return "", err
	case o == nil:
		return "", fault.NoOrder(role, sanitize.Short(id))
	case o.Serial == "" && o.State == StateRevoked:
		return "", &revokedOrder{id: o.ID, at: o.UpdatedAt}
	case o.Serial == "":
		// The drive does not find it while CERTInext cannot be reached.
		c, err := journal.Certificates.Numbers.OfOrder(ctx, s, o.CAOrderID, id)
		switch {
		case err != nil:
			return "", err
		case c != nil && c.Role == role:
			return c.Serial, nil
		}
		if o.ReissueOf != "" && !o.State.Final() {
			return "", noCertificateYet(ctx, s, journal, role, id)
		}
		return "", fault.BadField("order_id",
			"order %s has no certificate (%s): delete the order to cancel it", o.ID, o.State)
	}
	return strings.ReplaceAll(o.Serial, ":", "-"), nil
}

// noCertificateYet is the error for a reissue that is to be revoked and has no certificate yet.
func noCertificateYet(
	ctx context.Context, s logical.Storage, journal *Journal, role, id string,
) error {
	o, err := journal.findOrder(ctx, s, role, id)
	switch {
	case err != nil:
		return err
	case o == nil || o.Reissue == nil:
		return fault.NoOrder(role, sanitize.Short(id))
	}
	end, err := endOfReissue(ctx, s, journal.Certificates, o)
	if err != nil {
		return err
	}
	return fault.BadField("order_id", "order %s is a reissue and has no certificate yet (%s). %s",
		o.ID, o.State, end)
}

// A revokedOrder is the error for an order that CERTInext revoked before the mount saw its
// certificate.
type revokedOrder struct {
	id string
	at time.Time // when the mount learned of the revocation
}

func (e *revokedOrder) Error() string { return fmt.Sprintf("order %s is revoked", e.id) }

// FinishRevoked closes the order of a certificate that has just been revoked, if it is open and not
// held. It implements [certificates.Orders].
func (journal *Journal) FinishRevoked(
	ctx context.Context, s logical.Storage, c *certificates.Entry,
) error {
	if err := journal.registry.load(ctx, s); err != nil {
		return err
	}
	h, _ := journal.acquire(s, c.OrderID)
	if h == nil {
		return nil // it is closed, or its holder sees the revocation
	}
	defer h.Release()
	h.lookAgain(journal.Now())
	open, err := h.readHeld(ctx)
	if err != nil || !open {
		return err
	}
	return h.finish(ctx, c, isRevoked)
}
