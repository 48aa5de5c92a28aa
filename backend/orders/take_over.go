// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
)

// A role's revocation_delay holds the revocation of a certificate back after its last lease has
// ended (ADR 0028). Meanwhile the request that the certificate was issued for gets it again, with a
// lease of its own: where the engine has the key, as long as the order is open, and where the
// client has it, also when the order is closed. That one is opened again, so that the next request
// like it finds it as it finds any other.

// takeOver holds the order of such a certificate; nil when there is none.
func (w *caller) takeOver(ctx context.Context) (*heldOrder, error) {
	if w.forced() || w.plan.Request.Draft {
		return nil, nil
	}
	found, err := w.journal.Certificates.HeldBackFor(ctx, w.storage, w.plan.Identity)
	if err != nil {
		return nil, err
	}
	for _, c := range found {
		if w.passed[c.OrderID] {
			continue
		}
		if h, err := w.takeOrder(ctx, c, ""); h != nil || err != nil {
			return h, err
		}
	}
	return nil, nil
}

// takeOrder holds the order of one certificate; nil when the order does not serve the request. key
// is the certificate's private key, in PEM, where the engine has kept it.
func (w *caller) takeOrder(
	ctx context.Context, c *certificates.Entry, key string,
) (*heldOrder, error) {
	h, err := holdAwaited(ctx, w, c.Role, c.OrderID)
	switch {
	case err != nil:
		return nil, err
	case h == nil:
		return w.reopen(ctx, c, key)
	case serves(w, h.entry):
		return h, nil
	}
	h.Release()
	return nil, nil
}

// serves reports whether an order is that of the same request without a name, or of what CERTInext
// has made for the request's key.
func serves(w *caller, o *orderEntry) bool {
	return (w.plan.Matches(o.Fingerprint) && o.RequestID == "") || isMadeFor(w, o)
}

// reopen opens the closed order of a certificate again, and holds it. It returns nil when the order
// does not serve the request: its key was the engine's and is erased, or it has ended otherwise
// than by the delivery of its certificate.
//
// The open entry is written first, and says that it replaces the closed one: a crash in between
// leaves an open order, and nothing is lost.
func (w *caller) reopen(
	ctx context.Context, c *certificates.Entry, key string,
) (*heldOrder, error) {
	if w.plan.CSR == "" && key == "" {
		return nil, nil
	}
	o, err := store.Get[orderEntry](ctx, w.storage, closedOrderPrefix+c.Role+"/"+c.OrderID)
	if err != nil || o == nil || o.ended() != StateIssued || o.Serial != c.Serial ||
		!serves(w, o) {
		return nil, err
	}
	h := w.journal.reserve(w.storage,
		tracked{id: o.ID, role: o.Role, fingerprint: o.Fingerprint}, nil)
	if h == nil {
		return w.takeOrder(ctx, c, key) // the same request has come at the same moment
	}
	o.Reopened, o.PrivateKey = true, key
	o.note(w.journal.Now(), "opened again: its certificate is asked for")
	if err := h.storeReopened(ctx, o); err != nil {
		return nil, err
	}
	return h, nil
}

// storeReopened stores a closed order as an open one. On failure the hold has ended.
func (h *heldOrder) storeReopened(ctx context.Context, o *orderEntry) error {
	h.entry = o
	if err := h.journal.saveOrder(ctx, h.storage, o); err != nil {
		// It may have been stored all the same. Then the background pass closes it again.
		h.lookAgain(h.journal.Now())
		h.Release()
		return err
	}
	h.journal.registry.amend(o)
	if err := store.Delete(context.WithoutCancel(ctx), h.storage, o.closedKey()); err != nil {
		h.journal.Log.Warn("the record of an order that is open again could not be removed; "+
			"it is when the order is looked at next", "order_id", o.ID, "error", err)
	}
	return nil
}
