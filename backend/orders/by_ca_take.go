// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
)

// What CERTInext has renewed by itself becomes the certificate of an order of the request's, which
// CERTInext has issued before the mount knew of it. From then on it is an order like any other: its
// certificate is downloaded, judged, handed over and undone, and it is found again after a crash.
// Within a subscription it is a reissue of the order before (ADR 0013).

// takeByCA stores the order of what was found, and holds it. key is the private key that the mount
// has kept; empty where the requester has it. On failure the hold has ended.
func takeByCA(ctx context.Context, w *caller, h *heldOrder, b *byCA, key string) error {
	err := w.journal.Certificates.CheckKey(ctx, w.storage, b.found.leaf.PublicKey)
	if err != nil {
		h.drop()
		return err
	}
	o, err := orderByCA(w, h.id, b, key)
	if err != nil {
		h.drop()
		return err
	}
	h.entry = o
	unlock, err := claimByCA(ctx, w, h, b)
	if err != nil {
		h.drop()
		return err
	}
	defer unlock()
	if err := w.journal.saveOrder(ctx, w.storage, o); err != nil {
		// It may have been stored all the same. Nothing was bought, and whoever finds it goes on.
		h.lookAgain(w.journal.Now())
		h.Release()
		return err
	}
	w.journal.registry.amend(o)
	w.instead.byCA = fmt.Sprintf("CERTInext has renewed certificate %s by itself, for the same "+
		"key: nothing was ordered for this answer", b.cert.View().Serial)
	w.journal.Log.Info("a certificate that CERTInext has renewed by itself is taken in",
		"role", o.Role, "order_id", o.ID, "ca_order_id", o.CAOrderID,
		"renews", b.cert.View().Serial)
	return nil
}

// orderByCA returns the entry of the order, which is not stored yet.
func orderByCA(w *caller, id string, b *byCA, key string) (*orderEntry, error) {
	random, err := w.journal.NewID()
	if err != nil {
		return nil, err
	}
	p, r, role, parent := w.plan, w.plan.Request, w.role, b.parent
	now, window := w.journal.Now(), role.EffectiveReuseWindow()
	o := &orderEntry{
		Version: 1, ID: id, Role: role.Name, Account: parent.Account,
		Requester: r.Requester, RequestID: r.ID, Fingerprint: p.Identity,
		State: StatePending, Placement: parent.Placement, CSR: p.CSR, PrivateKey: key, TTL: r.TTL,
		CAOrderID: b.found.number,
		CreatedAt: now, UpdatedAt: now,
		Grace: role.DeliveryGrace, Reuse: &window,
		Pickup: role.PickupWindow, RevokeUnclaimed: role.RevokeUnclaimed,
		Renews: b.cert.Serial, Names: namesOf(p), Terms: termsFor(p),
		Asked: askedFor(w.journal, r).within(parent), ByCA: true,
	}
	o.Placement.IdempotencyKey = random
	if o.CSR == "" {
		o.CSR = parent.CSR // of the key that was kept
	}
	if o.CAOrderID == parent.CAOrderID { // within its subscription
		term := parent.subscription()
		o.Subscription = &term
		o.Reissue = &reissue{
			Of: parent.ID, Serial: b.cert.Serial, RequestID: parent.CARequestID,
			Taken: true, Reason: "auto_renew",
		}
	}
	o.note(now, "CERTInext has renewed certificate %s by itself, as %s",
		b.cert.View().Serial, withColons(b.found.serial))
	return o, nil
}

// claimByCA has the held order take the place of b's: within the subscription, the certificate
// names it, and stays locked until it is stored; otherwise the order takes its number.
func claimByCA(
	ctx context.Context, w *caller, h *heldOrder, b *byCA,
) (unlock func(), err error) {
	if h.entry.Reissue == nil {
		err := h.takeNumber(ctx, h.entry.CAOrderID, numberShown)
		var taken *numberTakenError
		if errors.As(err, &taken) {
			err = &fault.RefusedError{Err: err}
		}
		return func() {}, err
	}
	parent, err := w.journal.issuedParent(ctx, w.storage, b.parent.Role, b.parent.ID)
	if err != nil {
		return nil, err
	}
	unlock, err = w.journal.Certificates.Lock(ctx, b.cert.Serial)
	if err != nil {
		return nil, err
	}
	c, err := certificates.Read(ctx, w.storage, b.cert.Serial)
	if err == nil && (c == nil || !isOwnGood(c, w) || parent == nil || parent.Serial != c.Serial) {
		err = changedMeanwhile(b)
	}
	if err == nil {
		newer, readErr := w.journal.reissuingOrder(ctx, w.storage, c)
		if err = readErr; err == nil && newer != nil {
			err = changedMeanwhile(b)
		}
	}
	if err == nil {
		c.ReissuedBy = h.id
		err = w.journal.Certificates.Put(ctx, w.storage, c)
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// changedMeanwhile is the answer to a request whose certificate is not what it was when CERTInext
// was asked.
func changedMeanwhile(b *byCA) error {
	return &fault.RefusedError{Err: fmt.Errorf("certificate %s was changed at this moment: send "+
		"the request again", b.cert.View().Serial)}
}

// isRenewedBy reports whether a certificate is the one that the order's renews, which CERTInext has
// made for the same key.
func isRenewedBy(o *orderEntry, cert *certificates.Downloaded) bool {
	return o.Reissue != nil && o.ByCA &&
		serials.Key(cert.Leaf.SerialNumber) == o.Reissue.Serial
}
