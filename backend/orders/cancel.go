// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"
	"net/http"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// CancelOrder ends an order that nobody has got a certificate of, and erases its key. A draft is discarded, an order that
// CERTInext has not issued yet is cancelled there, and the certificate of an issued one is revoked.
func (journal *Journal) CancelOrder(ctx context.Context, s logical.Storage, role, id, reason string) (*Order, error) {
	if reason == "" {
		reason = "No longer required"
	}
	c := &cancellation{journal: journal, storage: s, role: role, id: id, reason: reason}
	ended, err := c.cancelOpen(ctx)
	if err != nil || ended != nil {
		return ended, err
	}
	if err := c.revokeUndelivered(ctx); err != nil {
		return nil, err
	}
	o, err := journal.Order(ctx, s, role, id)
	if err == nil && o == nil {
		err = &fault.NotFoundError{Kind: "order", Name: sanitize.Short(id)}
	}
	return o, err
}

// A cancellation ends one order on request.
type cancellation struct {
	journal  *Journal
	storage  logical.Storage
	role, id string
	reason   string
}

// revokeUndelivered revokes the certificate of an issued order, or queues that, unless somebody has got it.
func (c *cancellation) revokeUndelivered(ctx context.Context) error {
	// It may not be downloaded yet, or was handed over by a process that has died since.
	if err := c.journal.passOrder(ctx, c.storage, tracked{id: c.id, role: c.role}); err != nil {
		return err
	}
	o, err := c.journal.findOrder(ctx, c.storage, c.role, c.id)
	switch {
	case err != nil:
		return err
	case o == nil:
		return &fault.NotFoundError{Kind: "order", Name: sanitize.Short(c.id)}
	case o.State == StateRevoked:
		return nil
	}
	serial := o.Serial
	if serial == "" {
		// It may have been handed over by a process that has died, and CERTInext may not serve it now.
		stored, err := c.journal.Certificates.OfOrder(ctx, c.storage, c.id)
		if err != nil {
			return err
		}
		if stored == nil {
			return c.revokeUnseen(ctx)
		}
		serial = stored.Serial
	}
	asked, cancel := account.WhileAsked(ctx)
	defer cancel()
	q := &certificates.Queued{Version: 1, Serial: serial, Reason: certificates.DefaultReason, Note: c.reason, QueuedAt: c.journal.Now(), Due: true}
	revoked, err := c.journal.Certificates.RevokeQueued(asked, c.storage, q, func(cert *certificates.Entry) error {
		switch {
		case cert == nil:
			return fmt.Errorf("order %s: its certificate %s is not stored", c.id, serial)
		case cert.Delivery != nil:
			return handedOver(c.id)
		}
		return nil
	})
	if err != nil || !revoked.Queued && !revoked.Reissued {
		return err
	}
	return c.closeCancelled(ctx)
}

// revokeUnseen revokes an issued order whose certificate cannot be had, by its number.
func (c *cancellation) revokeUnseen(ctx context.Context) error {
	h, err := c.journal.holdOrder(ctx, c.storage, c.role, c.id)
	if err != nil {
		return err
	}
	defer h.Release()
	o := h.entry
	client, err := c.journal.clientOf(ctx, c.storage, o)
	if err != nil {
		return err
	}
	if o.State != StatePending {
		return fault.BadField("id", "order %s is %s by now: try again", c.id, o.State)
	}
	asked, cancel := account.WhileAsked(ctx)
	defer cancel()
	if err := h.confirmNumber(asked, client); err != nil {
		return err
	}
	sent, err := client.RevokeOrder(asked, o.Placement.Family, o.CAOrderID, certinext.RevokeRequest{Reason: certificates.DefaultReason, Note: c.reason, IdempotencyKey: "revoke-" + o.Placement.IdempotencyKey})
	if err != nil {
		return fault.Refused(err)
	}
	if err := mustShow(asked, client, o, certinext.StatusRevoked); err != nil {
		return err
	}
	o.State = StateRevoked
	o.note(c.journal.Now(), "cancelled on request: revoked (%s) before its certificate could be had", sent)
	return h.closeOrder(ctx)
}

// closeCancelled closes an issued order whose certificate is to be revoked, so that nobody gets its key meanwhile.
func (c *cancellation) closeCancelled(ctx context.Context) error {
	h, _ := c.journal.acquire(c.storage, c.id)
	if h == nil {
		return nil // closed, or being handed over at this moment
	}
	defer h.Release()
	open, err := h.readHeld(ctx)
	if err != nil || !open {
		return err
	}
	h.entry.note(c.journal.Now(), "ended on request; key erased")
	return h.closeOrder(ctx)
}

func handedOver(id string) error {
	return fault.BadField("id", "order %s is issued and was handed over: revoke its certificate instead", id)
}

// cancelOpen cancels an order, and returns it as it ended; nil when CERTInext has issued it.
func (c *cancellation) cancelOpen(ctx context.Context) (*Order, error) {
	h, err := c.journal.holdOrder(ctx, c.storage, c.role, c.id)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	o := h.entry
	t, _ := c.journal.registry.status(c.id)
	switch {
	case o.Reissue != nil:
		return nil, noCancel(o)
	case t.handed != nil || o.Delivered:
		return nil, handedOver(c.id)
	case o.State == StateIssued:
		return nil, nil
	case o.State != StatePending && o.State != StateDraft:
		return nil, fault.BadField("id", "order %s is %s: it can be cancelled when it is known whether CERTInext took it; who is certain that it did not writes never_placed=true to orders/%s/%s", c.id, o.State, c.role, c.id)
	}
	client, err := c.journal.clientOf(ctx, c.storage, o)
	if err != nil {
		return nil, err
	}
	asked, cancel := account.WhileAsked(ctx)
	defer cancel()
	issued := false
	if o.State == StateDraft {
		err = h.discardDraft(asked, client, c.reason)
	} else if err = h.confirmNumber(asked, client); err == nil {
		issued, err = cancelPlaced(asked, client, o, c.reason)
	}
	if err != nil || issued {
		return nil, err
	}
	o.State = StateCancelled
	o.note(c.journal.Now(), "cancelled on request")
	return o.view(), h.closeOrder(ctx)
}

// confirmNumber looks into CERTInext's records for the number of an order that is to be ended: by a wrong one, somebody else's would be. The
// records may not show the order yet.
func (h *heldOrder) confirmNumber(ctx context.Context, client *certinext.Client) error {
	_, cfg, err := h.journal.Account.Client(ctx, h.storage)
	if err != nil {
		return err
	}
	d := &driver{journal: h.journal, storage: h.storage, client: client, config: cfg, order: h.entry, held: h}
	found, err := d.locatePlaced(ctx)
	switch {
	case hasNoRecords(err):
		return nil
	case err != nil:
		return fault.BadField("id", "CERTInext's records, which tell whose its order %s is, cannot be read (%v): try again", sanitize.Short(h.entry.CAOrderID), err)
	}
	d.takeNumber(ctx, found, "it is to be ended")
	return nil
}

// cancelPlaced cancels an order at CERTInext. It reports whether CERTInext has issued it instead. That it is cancelled is believed when the
// order itself says so: the answer to the call may be a middleman's.
func cancelPlaced(ctx context.Context, client *certinext.Client, o *orderEntry, reason string) (issued bool, err error) {
	cause := client.CancelOrder(ctx, o.Placement.Family, o.CAOrderID, reason)
	remote, err := client.TrackOrder(ctx, o.Placement.Family, o.CAOrderID)
	named := err == nil && account.IsAbout(remote, o.CAOrderID, client.Version)
	switch {
	case named && remote.Status == certinext.StatusIssued:
		return true, nil
	case named && remote.Status == certinext.StatusCancelled:
		return false, nil // also by an earlier call whose answer was lost
	case cause == nil:
		return false, notShown(o, remote, err, certinext.StatusCancelled)
	case certinext.HasStatus(err, http.StatusNotFound):
		return false, fault.BadField("id", "CERTInext does not know its order %s any more (%v): if its portal does not show it either, write never_placed=true to orders/%s/%s",
			sanitize.Short(o.CAOrderID), cause, o.Role, o.ID)
	}
	return false, fault.Refused(cause)
}

// mustShow says why it is not believed yet that an order has reached a status, although CERTInext has answered so.
func mustShow(ctx context.Context, client *certinext.Client, o *orderEntry, status certinext.Status) error {
	remote, err := client.TrackOrder(ctx, o.Placement.Family, o.CAOrderID)
	if err == nil && remote.Status == status && account.IsAbout(remote, o.CAOrderID, client.Version) {
		return nil
	}
	return notShown(o, remote, err, status)
}

func notShown(o *orderEntry, remote *certinext.Order, err error, status certinext.Status) error {
	if err != nil {
		return fault.BadField("id", "CERTInext has answered that its order %s is %s, and the order's own status cannot be read (%v): try again", sanitize.Short(o.CAOrderID), status, err)
	}
	return fault.BadField("id", "CERTInext has answered that its order %s is %s, and the order's own status is %s: try again in a moment", sanitize.Short(o.CAOrderID), status, sanitize.Short(string(remote.Status)))
}
