// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/ahead"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reuse"
	"github.com/hashicorp/vault/sdk/logical"
)

// Where the role says renew_ahead, the background pass places the order that the next request of
// the same requester for the same names comes to, before that request comes (ADR 0040). To the
// journal it is that request's order, so that the request finds it as it finds any open order of
// its own. Its id follows from the certificate that it succeeds: none has two of them, whatever a
// crash leaves behind.

// aheadID returns the id of the order that is made ahead to succeed a certificate. No request_id
// holds a zero byte, so no named order has it.
func aheadID(role, requester, serial string) (string, error) {
	return namedOrderID(role, requester, "\x00ahead\x00"+serial)
}

// wantAhead remembers, before a certificate's entry says that it is handed over, that its successor
// is to be made ahead. A crash in between leaves an entry about a certificate that was handed to
// nobody, which means nothing.
func wantAhead(ctx context.Context, w *caller, o *orderEntry, c *certificates.Entry) error {
	asked := o.Again
	if w.plan != nil {
		asked = ahead.AskedOf(w.plan)
	}
	if asked == nil || !w.role.RenewAhead.IsOn() {
		return nil
	}
	wanted := &ahead.Wanted{
		Serial: c.Serial, Role: c.Role, NotBefore: c.NotBefore, NotAfter: c.NotAfter, Asked: *asked,
	}
	start := ahead.Start(w.role, c.View().RenewAfter, wanted.Life())
	return ahead.Put(ctx, w.storage, start, wanted)
}

// renewLater has a certificate that was made ahead be renewed later by as much as it has lived for
// when it is first handed over: otherwise each of its successors were bought so much earlier. One
// that CERTInext renews by itself is asked for when it has.
func renewLater(c *certificates.Entry, o *orderEntry, now time.Time) {
	if by, ok := c.RenewedByCA(); ok && c.Delivery == nil {
		c.RenewLater = by.Later(c.Serial, c.Life())
	}
	if o.Ahead && c.Delivery == nil {
		c.RenewLater = renewal.Later(c.Life(), now.Sub(c.NotBefore)).Truncate(time.Second)
	}
}

// endReuse has a certificate answer no request any more, once the one that was made ahead to
// succeed it was handed over. Until then it is what the same request is answered with. What fails
// is told in the log: the certificate is reused until it is to be renewed at worst.
func endReuse(ctx context.Context, h *heldOrder, c *certificates.Entry) {
	o := h.entry
	if !o.Ahead || o.Renews == "" || c.Delivery == nil || c.Delivery.Answers() > 1 {
		return
	}
	if err := supersede(context.WithoutCancel(ctx), h, o.Renews); err != nil {
		h.journal.Log.Warn("a certificate may be reused although its successor was handed over",
			"serial", o.Renews, "order_id", o.ID, "error", err)
	}
}

// supersede is the part of endReuse that writes.
func supersede(ctx context.Context, h *heldOrder, serial string) error {
	unlock, err := h.journal.Certificates.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	before, err := certificates.Read(ctx, h.storage, serial)
	if err != nil || before == nil || !before.RenewedAhead {
		return err
	}
	before.RenewedAhead = false
	err = h.journal.Certificates.Put(ctx, h.storage, before)
	if err != nil || before.ReusedFor == "" {
		return err
	}
	return reuse.Erase(ctx, h.storage, before.Role, before.ReusedFor, before.Serial)
}

// judgedAt returns as of when it is decided whether a certificate is reissued: one whose successor
// is made ahead is as good as due.
func judgedAt(w *caller, c *certificates.Entry) time.Time {
	now, due := w.caNow(), renewal.After(c.View().Serial, c.Life())
	if w.instead.ahead != nil && w.instead.replaces == nil && due.After(now) {
		return due
	}
	return now
}

// mark says in an order's entry that it was made before it was asked for. Its certificate is kept
// for its requester until the one that it succeeds has expired.
func (s *successor) mark(o *orderEntry, now time.Time) {
	s.markReplacing(o, now)
	if s.ahead == nil {
		return
	}
	// What it succeeds at CERTInext is another one when config has named another account meanwhile.
	o.Ahead, o.Renews = true, s.ahead.Serial
	o.Pickup = max(o.Pickup, s.ahead.NotAfter.Sub(now))
	o.note(now, "made ahead of the request for it: it succeeds certificate %s, and its "+
		"certificate is kept until %s", withColons(s.ahead.Serial), rfc3339(s.ahead.NotAfter))
}

// joinAhead holds the order that was made ahead for the certificate that the request renews; nil
// when there is none, or the request has given itself another name. When that order's certificate
// was handed over and its key is gone, the error says so: a certificate is renewed once.
func joinAhead(ctx context.Context, w *caller) (*heldOrder, error) {
	r := w.plan.Request
	if r.Renews == "" || r.ID != renewalID+r.Renews {
		return nil, nil
	}
	id, err := aheadID(r.Role, r.Requester, r.Renews)
	if err != nil {
		return nil, err
	}
	for {
		h, busy := w.journal.acquire(w.storage, id)
		switch {
		case busy != nil:
			if err := w.journal.waitFor(ctx, busy, w.waitsUntil()); err != nil {
				return nil, w.stillBusy(ctx, r.Role, id)
			}
			continue
		case h == nil:
			err := usedAhead(ctx, w, id)
			if _, isOpen := w.journal.registry.status(id); err == nil && isOpen {
				continue // it was opened again meanwhile
			}
			return nil, err
		}
		open, err := h.readHeld(ctx)
		switch {
		case err != nil:
			h.Release()
			return nil, err
		case !open:
			continue
		case w.plan.Matches(h.entry.Fingerprint):
			return h, nil
		}
		h.Release()
		return nil, nil
	}
}

// usedAhead returns an error when the certificate of an order that was made ahead was handed over,
// and is not kept any more. That counts, too, once the role renews ahead no more: who repeats a
// renewal has not asked for another certificate.
func usedAhead(ctx context.Context, w *caller, id string) error {
	if !w.role.RenewAhead.IsOn() && !w.isRenewed {
		return nil // without it, a renewal costs what it did
	}
	o, err := store.Get[orderEntry](ctx, w.storage, closedOrderPrefix+w.role.Name+"/"+id)
	if err != nil || o == nil || !o.Delivered {
		return err
	}
	r := w.plan.Request
	return fault.BadField("serial", "%s was renewed already, ahead of this request, by order %s, "+
		"whose certificate %s was handed over: renew that one, or give this renewal a request_id "+
		"of its own to buy another", withColons(r.Renews), o.ID, withColons(o.Serial))
}

// aheadWarnings tell a requester for whom nothing is made ahead.
func aheadWarnings(w *caller) []string {
	if w.plan == nil || !w.role.RenewAhead.IsOn() || w.plan.Request.EntityID != "" {
		return nil
	}
	return []string{"renew_ahead: nothing is made ahead for a token without an identity entity, " +
		"since nobody could tell whether it is still there when the certificate is to be renewed"}
}

// isUncollected reports whether an order was made ahead and nobody was handed its certificate yet.
func isUncollected(
	ctx context.Context, s logical.Storage, o *orderEntry,
) (bool, error) {
	if !o.Ahead || o.Delivered {
		return false, nil
	}
	if o.Serial == "" {
		return true, nil
	}
	c, err := certificates.Read(ctx, s, o.Serial)
	return c != nil && c.Delivery == nil, err
}

// isNewest reports whether no certificate is known that was issued later for what a certificate's
// successor would be for. Each account has a newest one of its own: where config has named another
// account meanwhile, and names the former one again, its newest may be the older one.
func isNewest(ctx context.Context, w *caller, c *certificates.Entry) (bool, error) {
	serial, err := renewal.Newest(ctx, w.storage, w.role.Name, namesOf(w.plan))
	if err != nil || serial == "" || serial == c.Serial {
		return err == nil, err
	}
	newest, err := certificates.Read(ctx, w.storage, serial)
	if err != nil || newest == nil {
		return false, err
	}
	return newest.NotBefore.Before(c.NotBefore) &&
		!account.SameAccount(newest.Account, c.Account), nil
}
