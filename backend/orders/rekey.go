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
	"github.com/hashicorp/vault/sdk/logical"
)

// Re-keying is for a request with a CSR, for the names of an order whose CSR has another key. A client such as cert-manager takes an
// order that is not finished in time for a failure, throws its key away, and comes back an hour later with another one. Where the
// role allows it, the order that is paid for is reissued for the new key.
// twin names what an order is for, apart from its key: two orders of the same twin are one requester's for the same names. It is empty
// for an order that cannot be re-keyed: the engine has its key, or its request has a name.
func (o *orderEntry) namesFingerprint() string {
	if o.PrivateKey != "" || o.CSR == "" || o.RequestID != "" || o.Draft || o.Placement.Family != certinext.FamilySSL || len(o.Placement.DNSNames) == 0 {
		return ""
	}
	return issuing.NamesFingerprint(o.Role, account.CanonicalAccount(o.Account), o.Requester, o.Placement.ProductCode, o.Placement.Variant, o.Placement.DNSNames)
}

// findRekeyable holds an open order of the same requester for the same names, if its role allows that to be re-keyed, and nobody has got
// its certificate. It reports whether the order's key is another one.
func (w *caller) findRekeyable(ctx context.Context) (h *heldOrder, rekey bool, err error) {
	p := w.plan
	r, cfg := p.Request, p.Config
	if !w.role.RekeyOrders || w.purpose != forCertificate || p.CSR == "" || p.Subject != nil || len(p.DNSNames) == 0 || r.Draft || r.Renews != "" || cfg.Version() == certinext.V1 {
		return nil, false, nil
	}
	twin := issuing.NamesFingerprint(w.role.Name, cfg.Account(), r.Requester, w.role.ProductCode, w.role.Variant, p.DNSNames)
	for {
		h, err := w.findOpen(ctx, func(t *tracked) bool { return t.namesFingerprint == twin && t.handed == nil && !w.passed[t.id] }, func(o *orderEntry) bool { return o.namesFingerprint() == twin })
		if err != nil || h == nil {
			return nil, false, err
		}
		free := h.entry.State != StateIssued
		if !free {
			free, err = undelivered(ctx, w.storage, h.entry.Serial, w.journal.Now())
		}
		if err != nil || !free {
			h.Release()
			if w.passed[h.id] = true; err != nil {
				return nil, false, err
			}
			continue
		}
		own, err := h.entry.publicKey()
		if err != nil {
			h.Release()
			return nil, false, err
		}
		return h, !issuing.SamePublicKey(own, p.CSRKey), nil // with the same key, there is nothing to reissue it for
	}
}

// undelivered reports whether nobody has got a certificate, and it can be reissued.
func undelivered(ctx context.Context, s logical.Storage, serial string, now time.Time) (bool, error) {
	c, err := certificates.Read(ctx, s, serial)
	return err == nil && c != nil && c.Delivery == nil && c.Revocation == nil && c.ReissuedBy == "" && c.ReissuedAs == "" && c.NotAfter.After(now), err
}

// rekey waits for the order that is to be re-keyed. When it is issued, its certificate is reissued for the request's key, and handed over;
// until then the request is told what that order waits for.
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
	of := h.entry.Reissue.Of
	w.bought = true
	issued, err := w.pursue(ctx, h)
	var refusal *fault.RefusedError
	if errors.As(err, &refusal) {
		// CERTInext refused the reissue. beginReissue has stored ReissuedBy, so the order is passed over next time (ADR 0019).
		w.journal.Log.Warn("CERTInext does not reissue an order's certificate for another key; a new order is placed", "order_id", of, "error", err)
		return nil, &placeAnewError{id: of, cause: err.Error()}
	}
	return issued, err
}

// reissueFor makes the order of the certificate with the request's key, and holds it for the request.
func (w *caller) reissueFor(ctx context.Context, parentID string) (*heldOrder, error) {
	taken := &placeAnewError{id: parentID, cause: "its certificate was handed over meanwhile"}
	parent, err := w.journal.issuedParent(ctx, w.storage, w.role.Name, parentID)
	switch {
	case err != nil:
		return nil, err
	case parent == nil:
		return nil, taken
	}
	free, err := undelivered(ctx, w.storage, parent.Serial, w.journal.Now())
	switch {
	case err != nil:
		return nil, err
	case !free:
		return nil, taken
	}
	r := w.plan.Request
	o, err := w.newReissue(ctx, parent, w.plan, ReissueRequest{
		Role: w.role.Name, ID: parent.ID, Requester: r.Requester, CSR: r.CSR, Reason: "another key for the same names",
	})
	if err != nil {
		return nil, err
	}
	o.Fingerprint, o.TTL = w.plan.Identity, r.TTL
	return w.beginReissue(ctx, parent, o, func(c *certificates.Entry) error {
		if c.Delivery != nil {
			return taken // while CERTInext was asked
		}
		return nil
	})
}
