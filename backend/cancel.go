// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"fmt"
	"net/http"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// CancelOrder ends an order that nobody has got a certificate of, and erases its key. A draft is discarded, an order that
// CERTInext has not issued yet is cancelled there, and the certificate of an issued one is revoked.
func (e *Engine) CancelOrder(ctx context.Context, s logical.Storage, role, id, reason string) (*Order, error) {
	if reason == "" {
		reason = "No longer required"
	}
	issued, err := e.cancelOpen(ctx, s, role, id, reason)
	if err == nil && issued {
		err = e.revokeUndelivered(ctx, s, role, id, reason)
	}
	if err != nil {
		return nil, err
	}
	return e.Order(ctx, s, role, id)
}

// revokeUndelivered revokes the certificate of an issued order, or queues that, unless somebody has got it.
func (e *Engine) revokeUndelivered(ctx context.Context, s logical.Storage, role, id, reason string) error {
	// It may not be downloaded yet, or was handed over by a process that has died since.
	if err := e.passOrder(ctx, s, tracked{id: id, role: role}); err != nil {
		return err
	}
	o, err := e.findOrder(ctx, s, role, id)
	switch {
	case err != nil:
		return err
	case o == nil:
		return &NotFoundError{Kind: "order", Name: printable(id)}
	case o.State == StateRevoked:
		return nil
	}
	serial := o.Serial
	if serial == "" {
		// It may have been handed over by a process that has died, and CERTInext may not serve it now.
		stored, err := e.certificateOf(ctx, s, id)
		if err != nil {
			return err
		}
		if stored == nil {
			return e.revokeUnseen(ctx, s, role, id, reason)
		}
		serial = stored.Serial
	}
	unlock, err := e.certLocks.lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := get[certEntry](ctx, s, certPrefix+serial)
	if err == nil && c == nil {
		err = fmt.Errorf("order %s: its certificate %s is not stored", id, serial)
	}
	if err != nil {
		return err
	}
	if c.Delivery != nil {
		return handedOver(id)
	}
	ctx, cancel := context.WithTimeout(ctx, askedPatience)
	defer cancel()
	revoked, err := e.revokeOrQueue(ctx, s, c, &queuedRevocation{
		Version: 1, Serial: c.Serial, Reason: defaultReason, Note: reason, QueuedAt: e.now(), Due: true,
	})
	if err != nil || !revoked.Queued && !revoked.Reissued {
		return err
	}
	return e.closeCancelled(ctx, s, o.Role, o.ID)
}

// revokeUnseen revokes an issued order whose certificate cannot be had, by its number.
func (e *Engine) revokeUnseen(ctx context.Context, s logical.Storage, role, id, reason string) error {
	o, err := e.takeOrder(ctx, s, role, id)
	if err != nil {
		return err
	}
	defer func() { e.orders.release(id, e.now()) }()
	client, err := e.clientOf(ctx, s, o)
	if err != nil {
		return err
	}
	if o.State != StatePending {
		return badField("id", "order %s is %s by now: try again", id, o.State)
	}
	sent, err := client.RevokeOrder(ctx, o.Placement.Family, o.CAOrderID, certinext.RevokeRequest{Reason: defaultReason, Note: reason, IdempotencyKey: o.ID})
	if err != nil {
		return refused(err)
	}
	o.State = StateRevoked
	o.note(e.now(), "cancelled on request: revoked (%s) before its certificate could be had", sent)
	return e.closeOrder(ctx, s, o)
}

// closeCancelled closes an issued order whose certificate is to be revoked, so that nobody gets its key meanwhile.
func (e *Engine) closeCancelled(ctx context.Context, s logical.Storage, role, id string) error {
	if _, ok := e.orders.acquire(id); !ok {
		return nil // closed, or being handed over at this moment
	}
	defer func() { e.orders.release(id, e.now()) }()
	o, err := e.reopen(ctx, s, role, id)
	if err != nil || o == nil {
		return err
	}
	o.note(e.now(), "ended on request; key erased")
	return e.closeOrder(ctx, s, o)
}

func handedOver(id string) error {
	return badField("id", "order %s is issued and was handed over: revoke its certificate instead", id)
}

// cancelOpen cancels an order, unless it reports that CERTInext has issued it.
func (e *Engine) cancelOpen(ctx context.Context, s logical.Storage, role, id, reason string) (issued bool, err error) {
	o, err := e.takeOrder(ctx, s, role, id)
	if err != nil {
		return false, err
	}
	defer func() { e.orders.release(id, e.now()) }()
	t, _ := e.orders.status(id)
	switch {
	case o.Reissue != nil:
		return false, noCancel(o)
	case t.answered || o.Delivered:
		return false, handedOver(id)
	case o.State == StateIssued:
		return true, nil
	case o.State != StatePending && o.State != StateDraft:
		return false, badField("id", "order %s is %s: it can be cancelled when it is known whether CERTInext took it; who is certain that it did not writes never_placed=true to orders/%s/%s", id, o.State, role, id)
	}
	client, err := e.clientOf(ctx, s, o)
	if err != nil {
		return false, err
	}
	if o.State == StateDraft {
		err = e.discardDraft(ctx, s, client, o, reason)
	} else {
		issued, err = cancelPlaced(ctx, client, o, reason)
	}
	if err != nil || issued {
		return issued, err
	}
	o.State = StateCancelled
	o.note(e.now(), "cancelled on request")
	return false, e.closeOrder(ctx, s, o)
}

// cancelPlaced cancels an order at CERTInext. It reports whether CERTInext has issued it instead.
func cancelPlaced(ctx context.Context, client *certinext.Client, o *orderEntry, reason string) (issued bool, err error) {
	cause := client.CancelOrder(ctx, o.Placement.Family, o.CAOrderID, reason)
	if cause == nil {
		return false, nil
	}
	remote, err := client.TrackOrder(ctx, o.Placement.Family, o.CAOrderID)
	if err == nil && remote.Status == certinext.StatusIssued {
		return true, nil
	}
	if err == nil && remote.Status == certinext.StatusCancelled {
		return false, nil // by an earlier call whose answer was lost
	}
	if certinext.HasStatus(err, http.StatusNotFound) {
		return false, badField("id", "CERTInext does not know its order %s any more (%v): if its portal does not show it either, write never_placed=true to orders/%s/%s",
			printable(o.CAOrderID), cause, o.Role, o.ID)
	}
	return false, refused(cause)
}
