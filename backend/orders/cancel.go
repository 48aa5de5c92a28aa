// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// CancelOrder ends an order whose certificate was not handed over, erases its key, and returns the
// order as it stands then. A draft is discarded, an order that CERTInext has not issued yet is
// cancelled there, and the certificate of an issued one is revoked. reason is for CERTInext; when
// empty, a general one is given. requester is who asks for it, or [Operator]. Of an order that
// CERTInext never took, the record is removed.
func (journal *Journal) CancelOrder(
	ctx context.Context, s logical.Storage, role, id, reason, requester string,
) (*Order, error) {
	if err := journal.mayActOn(ctx, s, role, id, requester); err != nil {
		return nil, err
	}
	if requester == Operator {
		if gone, err := endUnreadable(ctx, journal, s, role, id); err != nil || gone != nil {
			return gone, err
		}
	}
	if reason == "" {
		reason = "No longer required"
	}
	if gone, err := journal.forgetNeverTaken(ctx, s, role, id); err != nil || gone != nil {
		return gone, err
	}
	waited, err := cancelWaiting(ctx, journal, s, role, id, requester)
	if err != nil || waited != nil {
		return waited, err
	}
	if requester == Operator {
		ended, err := endStranded(ctx, journal, s, role, id, reason)
		if err != nil || ended != nil {
			return ended, err
		}
	}
	if err := journal.Account.MayChange(); err != nil {
		return nil, err
	}
	c := &cancellation{
		journal: journal, storage: s, role: role, id: id, reason: reason, requester: requester,
	}
	ended, err := c.cancelOpen(ctx)
	if err != nil || ended != nil {
		return ended, err
	}
	if err := c.revokeUndelivered(ctx); err != nil {
		return nil, err
	}
	o, err := journal.Order(ctx, s, role, id)
	if err == nil && o == nil {
		err = fault.NoOrder(role, sanitize.Short(id))
	}
	if err == nil && requester == Operator && o.Serial != "" {
		q, err := journal.Certificates.QueuedFor(ctx, s, o.Serial)
		if err != nil {
			return nil, err
		}
		if q != nil && q.Blocked != "" {
			o.Left = leftQueued(o, q.Account)
		}
	}
	return o, err
}

// A cancellation ends one order because a client or operator asks for that.
type cancellation struct {
	journal  *Journal
	storage  logical.Storage
	role, id string
	reason   string
	// requester is who asks for it, or [Operator].
	requester string
}

// revokeUndelivered revokes the certificate of an issued order, or queues its revocation, unless it
// was handed over.
func (c *cancellation) revokeUndelivered(ctx context.Context) error {
	// The certificate may not be downloaded yet, or a process that has died since may have handed
	// it over: the pass finds that out.
	if err := c.journal.passOrder(ctx, c.storage, c.id); err != nil {
		return err
	}
	o, err := c.journal.findOrder(ctx, c.storage, c.role, c.id)
	switch {
	case err != nil:
		return err
	case o == nil:
		return fault.NoOrder(c.role, sanitize.Short(c.id))
	case o.State == StateRevoked:
		return nil
	}
	serial := o.Serial
	if serial == "" {
		// A process that has died may have handed it over, and CERTInext may not serve it now.
		stored, err := c.journal.Certificates.Numbers.OfOrder(ctx, c.storage, o.CAOrderID, c.id)
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
	q := &certificates.Queued{
		Version: 1, Serial: serial, Reason: certificates.DefaultReason, Note: c.reason,
		QueuedAt: c.journal.Now(), Due: true,
	}
	admit := func(cert *certificates.Entry) error {
		switch {
		case cert == nil:
			return fmt.Errorf("order %s: its certificate %s is not stored", c.id, serial)
		case cert.Delivery != nil:
			return alreadyDelivered(c.id)
		}
		return mayAct(ctx, c.storage, c.role, cert.Requester, c.requester, "id", "order "+c.id)
	}
	revoked, err := c.journal.Certificates.RevokeQueued(asked, c.storage, q, admit)
	if err != nil || (!revoked.Queued && !revoked.Reissued) {
		return err
	}
	return c.closeCancelled(ctx)
}

// revokeUnseen revokes an issued order by its number, since its certificate cannot be downloaded.
func (c *cancellation) revokeUnseen(ctx context.Context) error {
	h, err := holdFor(ctx, c.journal, c.storage, c.role, c.id, c.requester)
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
	if _, err := h.confirmNumber(asked, client); err != nil {
		return err
	}
	sent, err := client.RevokeOrder(asked, o.Placement.Family, o.CAOrderID, certinext.RevokeRequest{
		Reason: certificates.DefaultReason, Note: c.reason,
		IdempotencyKey: "revoke-" + o.Placement.IdempotencyKey,
	})
	if err != nil {
		return fault.Refused(err)
	}
	if err := confirmStatus(asked, client, o, certinext.StatusRevoked); err != nil {
		return err
	}
	o.State = StateRevoked
	o.note(c.journal.Now(),
		"cancelled on request: revoked (%s) before its certificate could be downloaded", sent)
	return h.closeOrder(ctx)
}

// closeCancelled closes an issued order whose certificate is to be revoked, so that its key is not
// handed over meanwhile.
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

// alreadyDelivered is the answer to a cancellation that comes too late.
func alreadyDelivered(id string) error {
	return fault.BadField("id",
		"order %s is issued and was handed over: revoke its certificate instead", id)
}

// cancelOpen cancels an open order, and returns it as it ended. It returns nil without an error
// when CERTInext has issued the order.
func (c *cancellation) cancelOpen(ctx context.Context) (*Order, error) {
	h, err := holdFor(ctx, c.journal, c.storage, c.role, c.id, c.requester)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	o := h.entry
	t, _ := c.journal.registry.status(c.id)
	switch {
	case o.Reissue != nil:
		return nil, noCancel(ctx, h)
	case t.handed != nil || o.Delivered:
		return nil, alreadyDelivered(c.id)
	case o.State == StateIssued:
		return nil, nil
	case o.State != StatePending && o.State != StateDraft:
		return nil, fault.BadField("id", "order %s is %s: "+
			"it can be cancelled once it is known whether CERTInext took it, "+
			"which an operator of Vault can settle", c.id, o.State)
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
	} else if issued, err = h.confirmNumber(asked, client); err == nil && !issued {
		issued, err = cancelPlaced(asked, client, o, c.reason)
	}
	if err != nil || issued {
		return nil, err
	}
	o.State = StateCancelled
	o.note(c.journal.Now(), "cancelled on request")
	return o.view(), h.closeOrder(ctx)
}

// confirmNumber makes sure that the number of an order that is to be ended is its own, and corrects
// it: by a wrong number, another order would be ended, which cannot be undone. CERTInext's records
// are asked and, where they do not show the order yet, what its order of that number is for. What
// cannot be read is no consent (ADR 0021). issued reports that the records show a valid certificate
// of the order.
func (h *heldOrder) confirmNumber(
	ctx context.Context, client *certinext.Client,
) (issued bool, err error) {
	_, cfg, err := h.journal.Account.Client(ctx, h.storage)
	if err != nil {
		return false, err
	}
	o := h.entry
	d := &driver{
		journal: h.journal, storage: h.storage, client: client, config: cfg, order: o, held: h,
	}
	seen := d.numberInRecords(ctx)
	whose := o.whoseNumber(seen)
	switch {
	case whose == numberOther:
		if err := d.leaveToOther(ctx, seen.found, "it was placed for another order"); err != nil {
			return false, err
		}
	case whose == numberUnreadable:
		return false, fault.BadField("id",
			"CERTInext's records, which show whose order %s is, cannot be read (%v): try again",
			sanitize.Short(o.CAOrderID), seen.err)
	case whose != numberOwn:
		return false, d.confirmUnseen(ctx, whose)
	}
	now, certain := h.journal.Account.Time()
	return seen.found.isValid(now, certain), nil
}

// leaveToOther gives the order another number than the one by which it was to be ended, which is
// another order's. The error says that the order has none now.
func (d *driver) leaveToOther(ctx context.Context, found remoteID, why string) error {
	was := sanitize.Short(d.order.CAOrderID)
	d.moveNumber(ctx, found, why)
	if d.order.CAOrderID != "" {
		return nil
	}
	return fault.BadField("id", "CERTInext's order %s is not order %s: %s. "+
		"The order is %s now, and nothing was ended", was, d.order.ID, why, d.order.State)
}

// confirmUnseen makes sure that the number of an order that CERTInext's records do not show is its
// own: the number is not an operator's word alone, and CERTInext's order of that number is for the
// same name.
func (d *driver) confirmUnseen(ctx context.Context, whose verdict) error {
	o := d.order
	number := sanitize.Short(o.CAOrderID)
	switch {
	case o.Adopted && whose == numberNoRecords:
		return fault.BadField("id", "CERTInext's order %s was given by hand, "+
			"and CERTInext has no records that show whether it is this order: "+
			"if its portal shows that it is, cancel it there; "+
			"an operator of Vault can settle this one then", number)
	case o.Adopted:
		return fault.BadField("id", "CERTInext's order %s was given by hand, "+
			"and its records do not show yet that it is this order: try again later", number)
	}
	remote, err := track(ctx, d.client, o, o.CAOrderID)
	switch {
	case certinext.IsRefusal(err, http.StatusNotFound):
		return unknownNumber(o, err)
	case err != nil:
		return fault.BadField("id", "what CERTInext's order %s is for, which shows whether it is "+
			"this order, cannot be read (%v): try again", number, err)
	case !o.mayBeCalled(remote.Domain):
		return d.leaveToOther(ctx, remoteID{}, "it is for "+sanitize.Short(remote.Domain))
	case remote.Status == certinext.StatusIssued && o.Reissue == nil:
		return confirmKey(ctx, d)
	}
	return nil
}

// confirmKey returns an error when CERTInext's order of the number delivers a certificate for
// another key, so that only the name speaks for its being this order's.
func confirmKey(ctx context.Context, d *driver) error {
	o := d.order
	key, err := o.publicKey()
	if err != nil {
		return err
	}
	bundle, err := d.client.Certificate(ctx, o.Placement.Family, o.CAOrderID)
	if err == nil {
		_, err = certificates.Assemble(bundle, key)
	}
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, certificates.ErrNoLeaf):
		return fault.BadField("id", "the certificate of CERTInext's order %s, which shows whether "+
			"it is this order, cannot be read (%v): try again. If it stays so and CERTInext's "+
			"portal shows that it is this order, revoke it there", sanitize.Short(o.CAOrderID), err)
	}
	return fault.BadField("id", "CERTInext's order %s delivers a certificate for another key than "+
		"that of order %s, and its records do not show whose it is: nothing was ended. If its "+
		"portal shows that it is this order, revoke it there; an operator of Vault can settle "+
		"this one then", sanitize.Short(o.CAOrderID), o.ID)
}

// unknownNumber is the answer when an order is to be ended whose number CERTInext does not know.
func unknownNumber(o *orderEntry, cause error) error {
	return fault.BadField("id", "CERTInext no longer knows its order %s (%v): "+
		"if its portal does not show the order either, an operator of Vault can settle this one",
		sanitize.Short(o.CAOrderID), cause)
}

// cancelPlaced cancels an order at CERTInext, and reports whether CERTInext has issued it
// instead. The order counts as cancelled only when its own status says so, since a gateway may
// have answered the call in CERTInext's place (ADR 0021).
func cancelPlaced(
	ctx context.Context, client *certinext.Client, o *orderEntry, reason string,
) (issued bool, err error) {
	cause := client.CancelOrder(ctx, o.Placement.Family, o.CAOrderID, reason)
	remote, err := track(ctx, client, o, o.CAOrderID)
	switch {
	case err == nil && remote.Status == certinext.StatusIssued:
		return true, nil
	case err == nil && remote.Status == certinext.StatusCancelled:
		return false, nil // also by an earlier call whose answer was lost
	case cause == nil:
		return false, unconfirmed(o, remote, err, certinext.StatusCancelled)
	case certinext.HasStatus(err, http.StatusNotFound):
		return false, unknownNumber(o, cause)
	}
	return false, fault.Refused(cause)
}

// confirmStatus returns an error unless the order's own status at CERTInext is the one that
// CERTInext has answered (ADR 0021).
func confirmStatus(
	ctx context.Context, client *certinext.Client, o *orderEntry, status certinext.Status,
) error {
	remote, err := track(ctx, client, o, o.CAOrderID)
	if err == nil && remote.Status == status {
		return nil
	}
	return unconfirmed(o, remote, err, status)
}

// unconfirmed is the answer when CERTInext has answered that an order has reached a status, and the
// order's own status, remote or err, does not confirm that.
func unconfirmed(o *orderEntry, remote *certinext.Order, err error, status certinext.Status) error {
	number := sanitize.Short(o.CAOrderID)
	if err != nil {
		return fault.BadField("id", "CERTInext has answered that its order %s is %s, "+
			"but the order's own status cannot be read (%v): try again", number, status, err)
	}
	return fault.BadField("id", "CERTInext has answered that its order %s is %s, "+
		"but the order's own status is %s: try again in a moment",
		number, status, sanitize.Short(string(remote.Status)))
}
