// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/notices"
	"github.com/hashicorp/vault/sdk/logical"
)

// end closes the order without a certificate and erases its key.
func (d *driver) end(ctx context.Context, state State) error {
	now := d.journal.Now()
	d.order.State = state
	if d.remote != nil && d.remote.Remark != "" {
		d.order.LastError = sanitize.Short(d.remote.Remark)
	}
	d.order.note(now, "ended: %s", state)
	return d.held.closeOrder(ctx)
}

// endRevoked closes an order that CERTInext has revoked. Its certificate may be stored already: an
// order that was answered at once is not marked as issued in its own entry, only its certificate's
// entry tells (ADR 0005). Then it is that certificate which was revoked.
func (d *driver) endRevoked(ctx context.Context) error {
	journal, o := d.journal, d.order
	c, err := journal.Certificates.Numbers.OfOrder(ctx, d.storage, o.CAOrderID, o.ID)
	if err != nil {
		return err
	}
	if c == nil {
		if o.Reissue != nil {
			if err := d.recordReplaced(ctx); err != nil {
				return err
			}
		}
		journal.Notices.Tell(noticeOf(o, notices.RevokedOutside))
		return d.end(ctx, StateRevoked)
	}
	unlock, err := journal.Certificates.Lock(ctx, c.Serial)
	if err != nil {
		return err
	}
	defer unlock()
	if c, err = certificates.Read(ctx, d.storage, c.Serial); err != nil || c == nil {
		return err
	}
	if c.Revocation == nil {
		at, reason := certificates.RevocationOf(d.remote, journal.Now())
		err := certificates.RecordOutside(ctx, journal.Certificates, d.storage, c, at, reason)
		if err != nil {
			return err
		}
	}
	return d.held.finish(ctx, c, isRevoked)
}

func (d *driver) save(ctx context.Context) error {
	return d.journal.saveOrder(ctx, d.storage, d.order)
}

// saveOrder stores an open order, even when the request was cancelled: what has happened at
// CERTInext must not be lost. When storage fails, the entry stays dirty.
func (journal *Journal) saveOrder(ctx context.Context, s logical.Storage, o *orderEntry) error {
	o.dirty = true
	tellNews(journal, o)
	if err := store.Put(context.WithoutCancel(ctx), s, o.openKey(), o); err != nil {
		o.owed = true
		doubt(journal, o.Role, o.ID)
		return fmt.Errorf("order %s (CERTInext order %q): %w", o.ID, o.CAOrderID, err)
	}
	o.dirty, o.owed = false, false
	tell(journal, o)
	return nil
}

// closeOrder moves an order to the closed ones, without its private key, and releases it. When
// storage fails, the hold keeps the entry as it ended, and the background pass tries again.
func (h *heldOrder) closeOrder(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	o := h.entry
	o.PrivateKey = ""
	o.Needs, o.Reopened = nil, false
	o.Placement.Subject = o.Placement.Subject.Forget()
	o.closing, o.dirty = true, true
	tellNews(h.journal, o)
	err := h.indexNumber(ctx)
	if err == nil {
		err = store.Put(ctx, h.storage, o.closedKey(), o)
	}
	if err == nil {
		err = store.Delete(ctx, h.storage, o.openKey())
	}
	if err != nil {
		h.lookAgain(h.journal.Now().Add(host.PassDelay(0)))
		doubt(h.journal, o.Role, o.ID)
		return fmt.Errorf("order %s (CERTInext order %q): %w", o.ID, o.CAOrderID, err)
	}
	o.dirty = false
	journal := h.journal
	h.drop()
	tellClosed(journal, o)
	return nil
}
