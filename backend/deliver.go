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
	if stored != nil {
		return stored, true, nil
	}
	return c, false, nil
}

// deliverNew hands over a certificate that has just been downloaded.
func (e *Engine) deliverNew(ctx context.Context, s logical.Storage, a *attendance, cert *issuedCert) (*Issued, error) {
	unlock := e.certLocks.lock(serialKey(cert.leaf.SerialNumber))
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
	unlock := e.certLocks.lock(a.order.Serial)
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
	if c.spent(o, now) {
		if err := e.finish(ctx, s, o, c.Serial); err != nil {
			e.orders.release(o.ID, now)
			return nil, err
		}
		return nil, errSpent
	}
	if c.Delivery == nil {
		c.Delivery = &delivery{At: now, Process: e.process}
	}
	issued := &Issued{Certificate: c.view(), PrivateKey: o.PrivateKey, PrivateKeyType: o.Placement.KeyType}
	err := e.addLease(c, a, issued)
	if err == nil {
		err = put(context.WithoutCancel(ctx), s, c.key(), c)
	}
	if err != nil {
		e.orders.release(o.ID, now)
		return nil, fmt.Errorf("order %s: %w", o.ID, err)
	}
	e.rememberChain(c.Chain)
	erase := c.Delivery.At.Add(o.Grace)
	if ctx.Err() == nil {
		// Otherwise the caller has hung up, and its next request gets the certificate.
		e.orders.markAnswered(o.ID, c.Serial, erase)
	}
	e.orders.release(o.ID, erase)
	return issued, nil
}

// spent reports whether the certificate was handed over so long ago that it is not handed out again.
func (c *certEntry) spent(o *orderEntry, now time.Time) bool {
	return c.Delivery != nil && now.After(c.Delivery.At.Add(o.Grace))
}

// finish closes an order whose certificate was handed over, and erases its key.
func (e *Engine) finish(ctx context.Context, s logical.Storage, o *orderEntry, serial string) error {
	if o.State != StateIssued {
		o.note(e.now(), "issued as %s", strings.ReplaceAll(serial, "-", ":"))
	}
	o.State, o.Serial, o.Delivered = StateIssued, serial, true
	o.note(e.now(), "delivered; key erased")
	return e.closeOrder(ctx, s, o)
}
