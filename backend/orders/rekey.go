// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// Re-keying answers a request with a CSR by reissuing an order for the same names whose CSR has
// another key (ADR 0019). A client such as cert-manager takes an order that is not finished in time
// for a failure, throws its key away, and comes back an hour later with another one. Where the role
// allows it, the order that is paid for is reissued for the new key, and no second one is bought.

// namesFingerprint identifies what an order is for, apart from its key: orders with the same one
// are one requester's for the same names. It is empty for an order that cannot be re-keyed, mostly
// since the engine has its key or its request has a name.
func (o *orderEntry) namesFingerprint() string {
	if o.PrivateKey != "" || o.CSR == "" || o.RequestID != "" || o.Draft ||
		o.Placement.Family != certinext.FamilySSL || len(o.Placement.DNSNames) == 0 {
		return ""
	}
	return issuing.NamesFingerprint(o.Role, account.CanonicalAccount(o.Account), o.Requester,
		o.Placement.ProductCode, o.Placement.Variant, o.Placement.DNSNames)
}

// mayRekey reports whether a request may be answered with a re-keyed order.
func (w *caller) mayRekey() bool {
	p, r := w.plan, w.plan.Request
	return w.role.RekeyOrders && w.purpose == forCertificate &&
		p.CSR != "" && p.Subject == nil && len(p.DNSNames) > 0 &&
		!r.Draft && r.Renews == "" && p.Config.Version() != certinext.V1
}

// rekeyableNames returns the [orderEntry.namesFingerprint] of the orders that a plan may re-key.
func rekeyableNames(p *issuing.Plan) string {
	return issuing.NamesFingerprint(p.Role.Name, p.Config.Account(), p.Request.Requester,
		p.Role.ProductCode, p.Role.Variant, p.DNSNames)
}

// findRekeyable holds an open order of the same requester for the same names whose certificate was
// not handed over; h is nil when there is none, or the role does not allow re-keying. It reports
// whether the order's key differs from the request's.
func (w *caller) findRekeyable(ctx context.Context) (h *heldOrder, rekey bool, err error) {
	if !w.mayRekey() {
		return nil, false, nil
	}
	p, names := w.plan, rekeyableNames(w.plan)
	wanted := func(t *tracked) bool {
		return t.namesFingerprint == names && t.handed == nil && !w.passed[t.id]
	}
	stored := func(o *orderEntry) bool { return o.namesFingerprint() == names }
	for {
		h, err := w.findOpen(ctx, wanted, stored)
		if err != nil || h == nil {
			return nil, false, err
		}
		if h.entry.Held {
			defer h.Release()
			return nil, false, &Error{Order: h.entry.view(), Err: errHeld}
		}
		free := h.entry.State != StateIssued
		if !free {
			now, certain := w.journal.Account.Time()
			free, err = w.undelivered(ctx, h.entry.Serial, now, certain)
		}
		if err != nil || !free {
			h.Release()
			w.passed[h.id] = true
			if err != nil {
				return nil, false, err
			}
			continue
		}
		own, err := h.entry.publicKey()
		if err != nil {
			h.Release()
			return nil, false, err
		}
		// With the same key, the order serves the request as it is.
		return h, !issuing.SamePublicKey(own, p.CSRKey), nil
	}
}

// undelivered reports whether a stored certificate was never handed over, and can be reissued: it
// was not, CERTInext has not refused to, and no reissue is under way. One that came to nothing,
// since CERTInext was out of reach or its intent could not be stored, does not count.
func (w *caller) undelivered(
	ctx context.Context, serial string, now time.Time, certain bool,
) (bool, error) {
	c, err := certificates.Read(ctx, w.storage, serial)
	if err != nil || c == nil || c.ReissueRefused || c.ReissuedAs != "" ||
		c.Delivery != nil || c.Revocation != nil || (certain && !c.NotAfter.After(now)) {
		return false, err
	}
	newer, err := w.journal.reissuingOrder(ctx, w.storage, c)
	return err == nil && newer == nil, err
}

// rekey waits until the held order is issued. Then its certificate is reissued for the request's
// key, and the new one is handed over. While the order is not issued, the error says what it waits
// for.
func (w *caller) rekey(ctx context.Context, h *heldOrder) (*Issued, error) {
	parent := h.id
	if h.entry.State == StateIssued {
		h.lookAgain(w.journal.Now().Add(host.PassDelay(0)))
		h.Release()
	} else {
		first := *w
		first.purpose = forReissue
		_, err := first.pursue(ctx, h)
		var open *Error
		if !errors.As(err, &open) || open.Err != nil || open.Order.State != StateIssued {
			return nil, err
		}
	}
	h, err := w.reissueFor(ctx, parent)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	of, serial := h.entry.Reissue.Of, h.entry.Reissue.Serial
	w.bought = true
	issued, err := w.pursue(ctx, h)
	if !fault.IsPermanent(err) {
		// It is issued, or goes on, or CERTInext was out of reach: what was paid for can be
		// re-keyed later.
		return issued, err
	}
	if err := w.keepRefusal(ctx, serial); err != nil {
		return nil, err
	}
	w.journal.Log.Warn(
		"CERTInext refuses to reissue an order for another key; a new order is placed",
		"order_id", of, "error", err)
	return nil, &placeAnewError{id: of, cause: err.Error()}
}

// keepRefusal stores that CERTInext refuses to reissue a certificate, so that no other key is tried
// with it (ADR 0019). The new order is placed only after that.
func (w *caller) keepRefusal(ctx context.Context, serial string) error {
	ctx = context.WithoutCancel(ctx)
	unlock, err := w.journal.Certificates.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := certificates.Read(ctx, w.storage, serial)
	if err != nil || c == nil {
		return err
	}
	c.ReissueRefused = true
	return w.journal.Certificates.Put(ctx, w.storage, c)
}

// reissueFor makes the order that reissues the parent's certificate for the request's key, and
// holds it. It returns a [*placeAnewError] when the certificate was handed over since.
func (w *caller) reissueFor(ctx context.Context, parentID string) (*heldOrder, error) {
	taken := &placeAnewError{id: parentID, cause: "its certificate was handed over meanwhile"}
	parent, err := w.journal.issuedParent(ctx, w.storage, w.role.Name, parentID)
	switch {
	case err != nil:
		return nil, err
	case parent == nil, parent.Requester != w.plan.Request.Requester:
		return nil, taken
	}
	now, certain := w.journal.Account.Time()
	free, err := w.undelivered(ctx, parent.Serial, now, certain)
	switch {
	case err != nil:
		return nil, err
	case !free:
		return nil, taken
	}
	r := w.plan.Request
	o, err := w.newReissue(ctx, parent, w.plan, ReissueRequest{
		Role:      w.role.Name,
		ID:        parent.ID,
		Requester: r.Requester,
		CSR:       r.CSR,
		Reason:    "another key for the same names",

		EntityID: r.EntityID, DisplayName: r.DisplayName, VaultID: r.VaultID,
	})
	if err != nil {
		return nil, err
	}
	o.Fingerprint, o.TTL = w.plan.Identity, r.TTL
	return w.beginReissue(ctx, parent, o, func(c *certificates.Entry) error {
		if c.Delivery != nil || (c.Requester != "" && c.Requester != parent.Requester) {
			return taken // while newReissue asked CERTInext
		}
		return nil
	})
}
