// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// keepUnclaimed stores a certificate that nobody has fetched yet.
func (e *Engine) keepUnclaimed(ctx context.Context, s logical.Storage, o *orderEntry, cert *issuedCert) error {
	c, known, err := e.certOf(ctx, s, o, cert)
	if err != nil {
		return err
	}
	if !known {
		if err := put(ctx, s, c.key(), c); err != nil {
			return err
		}
		e.rememberChain(c.Chain)
	}
	o.State, o.Serial, o.Needs, o.Delivered = StateIssued, c.Serial, nil, c.Delivery != nil
	o.note(e.now(), "issued as %s", c.view().Serial)
	return e.saveOrder(ctx, s, o)
}

// certOf returns the entry of a downloaded certificate: the stored one when there is one, since it knows of deliveries and
// leases, and else a new one that is not stored yet.
func (e *Engine) certOf(ctx context.Context, s logical.Storage, o *orderEntry, cert *issuedCert) (c *certEntry, known bool, err error) {
	c = newCertEntry(o, cert, e.now())
	stored, err := get[certEntry](ctx, s, c.key())
	if err != nil {
		return nil, false, err
	}
	if stored == nil || stored.Imported && stored.Revocation == nil {
		return c, false, nil // a synchronization that ran meanwhile knows less of it
	}
	if stored.Certificate != c.Certificate {
		return nil, false, fmt.Errorf("order %s: another certificate of this mount has the serial number %s", o.ID, c.Serial)
	}
	return stored, true, nil
}

// deliverNew hands over a certificate that has just been downloaded.
func (e *Engine) deliverNew(ctx context.Context, s logical.Storage, a *attendance, cert *issuedCert) (*Issued, error) {
	unlock, err := e.certLocks.lock(ctx, serialKey(cert.leaf.SerialNumber))
	if err != nil {
		e.orders.release(a.order.ID, e.now())
		return nil, err
	}
	defer unlock()
	c, _, err := e.certOf(ctx, s, a.order, cert)
	if err != nil {
		e.orders.release(a.order.ID, e.now())
		return nil, err
	}
	issued, err := e.deliver(ctx, s, a, c)
	if err != nil {
		return nil, err
	}
	if missing := cert.missingNames(&a.order.Placement); len(missing) > 0 {
		issued.Warnings = append(issued.Warnings, "CERTInext left out of the certificate: "+strings.Join(missing, ", "))
	}
	return issued, nil
}

// deliverStored hands over a certificate that the background pass, or an earlier request, has stored.
func (e *Engine) deliverStored(ctx context.Context, s logical.Storage, a *attendance) (*Issued, error) {
	unlock, err := e.certLocks.lock(ctx, a.order.Serial)
	if err != nil {
		e.orders.release(a.order.ID, e.now())
		return nil, err
	}
	defer unlock()
	c, err := get[certEntry](ctx, s, certPrefix+a.order.Serial)
	if err == nil && c == nil {
		err = fmt.Errorf("order %s: its certificate %s is not stored", a.order.ID, a.order.Serial)
	}
	if err != nil {
		e.orders.release(a.order.ID, e.now())
		return nil, err
	}
	return e.deliver(ctx, s, a, c)
}

// deliver stores that the certificate is handed over, and hands it over. The caller holds the certificate's lock.
func (e *Engine) deliver(ctx context.Context, s logical.Storage, a *attendance, c *certEntry) (*Issued, error) {
	o, now := a.order, e.now()
	over, err := e.overIfSpent(ctx, s, o, c)
	switch {
	case err != nil:
		e.orders.release(o.ID, now)
		return nil, err
	case over:
		return nil, errSpent
	}
	first := c.Delivery == nil
	if first {
		c.Delivery = &delivery{At: now}
	}
	issued := &Issued{Certificate: c.view(), PrivateKey: o.PrivateKey, PrivateKeyType: o.Placement.KeyType}
	err = e.addLease(c, a, issued)
	if err == nil {
		err = put(context.WithoutCancel(ctx), s, c.key(), c)
	}
	if err != nil {
		e.orders.release(o.ID, now)
		return nil, fmt.Errorf("order %s: %w", o.ID, err)
	}
	e.rememberChain(c.Chain)
	if ctx.Err() != nil {
		e.takeBack(ctx, s, c, issued, first)
		e.orders.release(o.ID, now)
		return nil, &OrderError{Order: o.view()}
	}
	erase := c.Delivery.At.Add(o.Grace)
	e.orders.markAnswered(o.ID, c.Serial, erase)
	e.orders.release(o.ID, erase)
	return issued, nil
}

// overIfSpent closes an order whose certificate is not to be handed out any more, and reports whether it has.
func (e *Engine) overIfSpent(ctx context.Context, s logical.Storage, o *orderEntry, c *certEntry) (bool, error) {
	if c.spent(o, e.now()) {
		return true, e.finish(ctx, s, o, c)
	}
	queued, err := get[queuedRevocation](ctx, s, revocationPrefix+c.Serial)
	if err != nil || queued == nil || !queued.Due {
		return false, err
	}
	o.State, o.Serial, o.Delivered = StateIssued, c.Serial, c.Delivery != nil
	o.note(e.now(), "to be revoked; key erased")
	return true, e.closeOrder(ctx, s, o)
}

// takeBack undoes a delivery whose caller has hung up meanwhile: its next request gets the certificate, however late. If it
// cannot be stored, the grace applies.
func (e *Engine) takeBack(ctx context.Context, s logical.Storage, c *certEntry, issued *Issued, first bool) {
	if first {
		c.Delivery = nil
	}
	if issued.Lease != nil {
		delete(c.Leases, issued.Lease.ID)
	}
	if err := put(context.WithoutCancel(ctx), s, c.key(), c); err != nil {
		e.log.Warn("a caller hung up, and its certificate counts as handed over", "order_id", c.OrderID, "error", err)
	}
}

// spent reports whether the certificate is not to be handed out any more: it was handed over longer ago than the order's
// grace, nobody fetched it within the pick-up window, or it is revoked or expired.
func (c *certEntry) spent(o *orderEntry, now time.Time) bool {
	until := c.IssuedAt.Add(o.Pickup)
	if c.Delivery != nil {
		until = c.Delivery.At.Add(o.Grace)
	}
	return now.After(until) || c.Revocation != nil || !c.NotAfter.After(now)
}

// finish closes an order whose certificate is not handed out any more, and erases its key.
func (e *Engine) finish(ctx context.Context, s logical.Storage, o *orderEntry, c *certEntry) error {
	if o.State != StateIssued {
		o.note(e.now(), "issued as %s", strings.ReplaceAll(c.Serial, "-", ":"))
	}
	o.State, o.Serial, o.Delivered = StateIssued, c.Serial, c.Delivery != nil
	switch {
	case o.Delivered:
		o.note(e.now(), "delivered; key erased")
	case c.Revocation != nil:
		o.note(e.now(), "revoked before anybody fetched it; key erased")
	case !c.NotAfter.After(e.now()):
		o.note(e.now(), "expired before anybody fetched it; key erased")
	default:
		o.note(e.now(), "nobody fetched it within %s; key erased", o.Pickup)
		if err := e.revokeUnclaimed(ctx, s, o, c); err != nil {
			return err
		}
	}
	return e.closeOrder(ctx, s, o)
}

// revokeUnclaimed queues the revocation of a certificate that nobody fetched, where the role wants that.
func (e *Engine) revokeUnclaimed(ctx context.Context, s logical.Storage, o *orderEntry, c *certEntry) error {
	if !o.RevokeUnclaimed {
		return nil
	}
	o.note(e.now(), "to be revoked")
	return e.enqueue(ctx, s, &queuedRevocation{
		Version: 1, Serial: c.Serial, Reason: defaultReason, Note: "nobody fetched it", QueuedAt: e.now(), Due: true, Next: e.now(),
	})
}
