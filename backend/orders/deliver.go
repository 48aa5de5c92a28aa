// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
)

// keepUndelivered stores a certificate that nobody has fetched yet.
func (h *heldOrder) keepUndelivered(ctx context.Context, cert *certificates.Downloaded) error {
	o := h.entry
	c, err := h.storeUndelivered(ctx, cert)
	if err != nil {
		return err
	}
	o.State, o.Serial, o.Needs, o.Delivered = StateIssued, c.Serial, nil, c.Delivery != nil
	o.note(h.journal.Now(), "issued as %s", c.View().Serial)
	return h.journal.saveOrder(ctx, h.storage, o)
}

// storeUndelivered stores a certificate, unless it is known. A synchronization that meets it at the same moment waits.
func (h *heldOrder) storeUndelivered(ctx context.Context, cert *certificates.Downloaded) (*certificates.Entry, error) {
	unlock, err := h.journal.Certificates.Lock(ctx, serials.Key(cert.Leaf.SerialNumber))
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, known, err := h.certOf(ctx, cert)
	if err != nil || known {
		return c, err
	}
	h.journal.Certificates.RememberChain(c.Chain)
	return c, store.Put(ctx, h.storage, c.Key(), c)
}

// certOf returns the entry of a downloaded certificate: the stored one when there is one, since it knows of deliveries and
// leases, and else a new one that is not stored yet.
func (h *heldOrder) certOf(ctx context.Context, cert *certificates.Downloaded) (c *certificates.Entry, known bool, err error) {
	o := h.entry
	c = newCertificateEntry(o, cert, h.journal.Now())
	stored, err := certificates.Read(ctx, h.storage, c.Serial)
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

// fromDownload hands over a certificate that has just been downloaded.
func (h *heldOrder) fromDownload(ctx context.Context, w *caller, cert *certificates.Downloaded) result {
	h.lookAgain(h.journal.Now())
	unlock, err := h.journal.Certificates.Lock(ctx, serials.Key(cert.Leaf.SerialNumber))
	if err != nil {
		return result{err: err}
	}
	defer unlock()
	c, _, err := h.certOf(ctx, cert)
	if err != nil {
		return result{err: err}
	}
	r := h.deliver(ctx, w, c, true)
	if r.issued == nil {
		return r
	}
	if missing := missingNames(cert, &h.entry.Placement); len(missing) > 0 {
		r.issued.Warnings = append(r.issued.Warnings, "CERTInext left out of the certificate: "+strings.Join(missing, ", "))
	}
	return r
}

// fromStore hands over the certificate that the background pass, or an earlier request, has stored; a caller that is not handed it is told
// that the order is issued.
func (h *heldOrder) fromStore(ctx context.Context, w *caller) result {
	h.lookAgain(h.journal.Now())
	r := h.fromEntry(ctx, w, false)
	if errors.Is(r.err, account.ErrClockUnknown) { // with nothing locked
		h.journal.Account.LearnClock(ctx, h.storage)
		r = h.fromEntry(ctx, w, true)
	}
	return r
}

// fromEntry is fromStore, unless time decides and CERTInext's clock was not seen yet; with blind, it is in doubt then.
func (h *heldOrder) fromEntry(ctx context.Context, w *caller, blind bool) result {
	unlock, err := h.journal.Certificates.Lock(ctx, h.entry.Serial)
	if err != nil {
		return result{err: err}
	}
	defer unlock()
	c, err := certificates.Read(ctx, h.storage, h.entry.Serial)
	if err == nil && c == nil {
		err = fmt.Errorf("order %s: its certificate %s is not stored", h.id, h.entry.Serial)
	}
	if err != nil {
		return result{err: err}
	}
	return h.deliver(ctx, w, c, blind)
}

// deliver stores that the certificate is handed over, and hands it over. Where time decides, and CERTInext's clock was not seen yet, nothing is
// done unless blind: then our clock is in doubt. The caller holds the certificate's lock.
func (h *heldOrder) deliver(ctx context.Context, w *caller, c *certificates.Entry, blind bool) result {
	o, now := h.entry, h.journal.Now()
	due, err := h.journal.Certificates.RevocationDue(ctx, h.storage, c)
	if err != nil {
		return result{err: err}
	}
	h.journal.registry.recall(h.id, c)
	_, seen := h.journal.Account.ClockSkew()
	verdict, why := handoverTo(c, o, w, due, now, h.journal.Account.ClockInDoubt() || !seen && blind)
	if !seen && !blind {
		if by, _ := handoverTo(c, o, w, due, now, true); by != verdict {
			return result{err: account.ErrClockUnknown}
		}
	}
	switch verdict {
	case isOver:
		return result{err: cmp.Or(h.finish(ctx, c, due), w.undeliverable(o, c, why, true))}
	case keepBack:
		return result{err: cmp.Or(h.holdBack(ctx, c, why), w.undeliverable(o, c, why, false))}
	case passOver:
		h.rememberDelivery(c)
		return result{err: &placeAnewError{id: o.ID, cause: why}}
	}
	if !w.purpose.isHanded() {
		h.rememberDelivery(c)
		return result{err: &Error{Order: o.view()}}
	}
	issued := &Issued{
		Certificate: c.View(), PrivateKey: o.PrivateKey, PrivateKeyType: o.Placement.KeyType, Reused: c.Delivery != nil,
	}
	c.Delivery = c.Delivery.Again(now)
	err = w.addLease(c, issued, now)
	if err == nil {
		err = store.Put(context.WithoutCancel(ctx), h.storage, c.Key(), c)
	}
	r := result{issued: issued, cert: c}
	if err != nil { // it may have been stored all the same
		h.undoDelivery(ctx, r)
		return result{err: fmt.Errorf("order %s: %w", o.ID, err)}
	}
	c.Delivery.Answered(h.journal.Now(), h.journal.answers.Add(1))
	h.journal.Certificates.RememberChain(c.Chain)
	o.dirty = o.owed // what the drive has merely noted is not worth a write of its own: the certificate's entry says all
	if ctx.Err() != nil {
		h.undoDelivery(ctx, r)
		return result{err: &Error{Order: o.view()}}
	}
	h.rememberDelivery(c)
	return r
}

// rememberDelivery has the registry know of the answers that held the certificate, and the background pass look when the key's time is over.
func (h *heldOrder) rememberDelivery(c *certificates.Entry) {
	if c.Delivery == nil {
		h.lookAgain(h.journal.Now().Add(host.PassDelay(0)))
		return
	}
	h.journal.registry.markDelivered(h.id, c.Serial, *c.Delivery)
	h.lookAgain(nextDeliveryLook(c, h.entry, h.journal.Now()))
}

// nextDeliveryLook is when the background pass has something to do for an order whose certificate was handed over: its key's time is over, or its last
// lease, which Vault may never have stored.
func nextDeliveryLook(c *certificates.Entry, o *orderEntry, now time.Time) time.Time {
	next := c.Delivery.Until(o.keyLife())
	if last := certificates.LatestLease(c.Leases); !last.IsZero() {
		if end := last.Add(certificates.LeaseMargin); end.After(now) && end.Before(next) {
			next = end
		}
	}
	return next
}

// undeliverable is the answer about a certificate that nobody gets, for good when over. A request that has bought it is told so, and so is
// one that would buy another one like it; any other request looks further.
func (w *caller) undeliverable(o *orderEntry, c *certificates.Entry, why string, over bool) error {
	if over && !w.bought {
		return &placeAnewError{id: o.ID, cause: why}
	}
	if !w.purpose.isHanded() {
		return &Error{Order: o.view(), Over: over}
	}
	return &Error{Order: o.view(), Over: over, Err: fmt.Errorf("its certificate %s is issued and is not handed over: %s", c.View().Serial, why)}
}

// holdBack stores that a certificate is there, and why nobody gets it now.
func (h *heldOrder) holdBack(ctx context.Context, c *certificates.Entry, why string) error {
	o := h.entry
	h.lookAgain(h.journal.Now().Add(host.PassDelay(1)))
	if o.State == StateIssued && o.Serial == c.Serial && len(o.Needs) == 1 && o.Needs[0] == why {
		return nil
	}
	if err := store.Put(context.WithoutCancel(ctx), h.storage, c.Key(), c); err != nil {
		return err
	}
	o.State, o.Serial, o.Needs = StateIssued, c.Serial, []string{why}
	o.note(h.journal.Now(), "issued as %s, and kept back: %s", c.View().Serial, why)
	h.journal.Log.Warn("a certificate is kept back", "order_id", o.ID, "serial", c.View().Serial, "why", why)
	return h.journal.saveOrder(ctx, h.storage, o)
}

// takeBack undoes a delivery whose caller left before it had the answer.
func (h *heldOrder) takeBack(ctx context.Context, r result) {
	ctx = context.WithoutCancel(ctx)
	unlock, err := h.journal.Certificates.Lock(ctx, r.cert.Serial)
	if err != nil {
		return
	}
	defer unlock()
	c, err := certificates.Read(ctx, h.storage, r.cert.Serial)
	if err != nil || c == nil {
		h.journal.Log.Warn("a caller hung up, and its certificate counts as handed over", "order_id", h.id, "error", err)
		return
	}
	r.cert = c
	h.undoDelivery(ctx, r)
}

// undoDelivery forgets a delivery whose caller has hung up meanwhile: its next request gets the certificate, however late. If that
// cannot be stored, the grace applies. The caller holds the certificate's lock.
func (h *heldOrder) undoDelivery(ctx context.Context, r result) {
	c := r.cert
	if r.issued.Lease != nil {
		if _, there := c.Leases[r.issued.Lease.ID]; !there {
			return // Vault has taken it back already
		}
		delete(c.Leases, r.issued.Lease.ID)
	}
	c.Delivery = c.Delivery.Less()
	err := store.Put(context.WithoutCancel(ctx), h.storage, c.Key(), c)
	if err != nil {
		h.journal.Log.Warn("a caller hung up, and its certificate counts as handed over", "order_id", c.OrderID, "error", err)
	}
	if c.Delivery == nil { // if it was stored all the same, whoever looks next finds it so
		h.journal.registry.unmarkDelivered(h.id, h.journal.Now())
		h.lookAgain(h.journal.Now().Add(host.PassDelay(0)))
		return
	}
	if err != nil {
		return
	}
	h.rememberDelivery(c)
}

// finish closes an order whose certificate is not handed out any more, and erases its key.
func (h *heldOrder) finish(ctx context.Context, c *certificates.Entry, toBeRevoked bool) error {
	o := h.entry
	if issued := "issued as " + strings.ReplaceAll(c.Serial, "-", ":"); !o.told(issued) {
		o.note(h.journal.Now(), "%s", issued)
	}
	o.State, o.Serial, o.Delivered = StateIssued, c.Serial, c.Delivery != nil
	switch {
	case o.Delivered:
		o.note(h.journal.Now(), "delivered; key erased")
		if err := h.journal.Certificates.WatchLeases(ctx, h.storage, c); err != nil {
			return err
		}
	case c.Revocation != nil:
		o.note(h.journal.Now(), "revoked before anybody fetched it; key erased")
	case toBeRevoked:
		o.note(h.journal.Now(), "to be revoked; key erased")
	case !c.NotAfter.After(h.journal.Now()):
		o.note(h.journal.Now(), "expired before anybody fetched it; key erased")
	default:
		o.note(h.journal.Now(), "nobody fetched it within %s; key erased", o.Pickup)
		if err := h.revokeUnclaimed(ctx, c); err != nil {
			return err
		}
	}
	return h.closeOrder(ctx)
}

// revokeUnclaimed queues the revocation of a certificate that nobody fetched, where the role wants that.
func (h *heldOrder) revokeUnclaimed(ctx context.Context, c *certificates.Entry) error {
	o := h.entry
	if !o.RevokeUnclaimed {
		return nil
	}
	o.note(h.journal.Now(), "to be revoked")
	return h.journal.Certificates.Enqueue(ctx, h.storage, &certificates.Queued{
		Version: 1, Serial: c.Serial, Reason: certificates.DefaultReason, Note: "nobody fetched it", QueuedAt: h.journal.Now(), Due: true, LeaseOver: true, Next: h.journal.Now(),
	})
}
