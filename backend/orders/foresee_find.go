// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/preview"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
)

// peek returns a copy of the best of the open orders that are wanted, whoever holds it, see
// [registry.best]; it reports false when there is none.
func (r *registry) peek(wanted func(*tracked) bool) (tracked, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.best(wanted)
	if t == nil {
		return tracked{}, false
	}
	return *t, true
}

// foreseeSame finds what [caller.findSame] would hold, as far as that serves the request.
func foreseeSame(ctx context.Context, w *caller) (*finding, error) {
	for {
		t, found := w.journal.registry.peek(w.serves())
		if !found {
			return nil, nil
		}
		o, err := store.Get[orderEntry](ctx, w.storage, OpenPrefix+t.role+"/"+t.id)
		switch {
		case err != nil:
			return nil, err
		case o == nil && t.busy != nil:
			return beingBegun(&t), nil
		case o != nil && w.plan.Matches(o.Fingerprint):
			if f, err := foreseeOpen(ctx, w, o); err != nil || f != nil {
				return f, err
			}
		}
		w.passed[t.id] = true
	}
}

// beingBegun is the finding of an order that another request is about to store.
func beingBegun(t *tracked) *finding {
	return &finding{
		answer: preview.Join, order: &Order{ID: t.id, Role: t.role, State: StatePlacing},
		why: "the same request is being worked on at this moment",
	}
}

// foreseeOpen says what becomes of a request that finds an open order; nil when that does not serve
// the request, which looks on. The error is what the request is answered with instead.
func foreseeOpen(ctx context.Context, w *caller, o *orderEntry) (*finding, error) {
	if o.State.Final() {
		return nil, nil
	}
	if o.waitsForApproval() && !w.role.RequireApproval && !o.Draft {
		return &finding{
			order: o.view(),
			why: "order " + o.ID + " of the same request waits for an approval, which its role " +
				"does not require any more: it is placed",
		}, nil
	}
	c, err := certificateOf(ctx, w, o)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return &finding{
			answer: preview.Join, order: o.view(),
			why: fmt.Sprintf("order %s of the same request is %s", o.ID, o.State),
		}, nil
	}
	return foreseeHandover(ctx, w, o, c)
}

// foreseeHandover is foreseeOpen for an order that has its certificate.
func foreseeHandover(
	ctx context.Context, w *caller, o *orderEntry, c *certificates.Entry,
) (*finding, error) {
	ends, err := endingOf(ctx, w.journal.Certificates, w.storage, c)
	if err != nil {
		return nil, err
	}
	verdict, why := handoverTo(c, o, w, ends, clockOf(w.journal.Account, false))
	h := &heldOrder{journal: w.journal}
	switch {
	case verdict.isOver():
		o.State, o.Delivered = endings[verdict].state, c.Delivery != nil
		if o.Delivered {
			o.State = StateIssued
		}
		return nil, nil
	case verdict == passOver:
		return nil, nil
	case verdict == keepBack:
		o.Held, o.Needs = len(c.Held) > 0, []string{why}
		return nil, w.undeliverable(o, c, why, false)
	case h.beginsLater(c):
		return nil, w.undeliverable(o, c, "it begins to be valid at "+rfc3339(c.NotBefore), false)
	}
	shown := o.view()
	shown.Serial, shown.Delivered = c.View().Serial, c.Delivery != nil
	if c.Delivery == nil {
		return &finding{
			answer: preview.Join, order: shown, serial: c.Serial,
			why: "order " + o.ID + " of the same request is issued, and nobody has fetched its " +
				"certificate",
		}, nil
	}
	return &finding{
		answer: preview.Reuse, order: shown, serial: c.Serial,
		why: "the same request was answered with certificate " + c.View().Serial + " before",
	}, nil
}

// foreseeReused finds what [reuseOrder] would hold.
func foreseeReused(ctx context.Context, w *caller) (*finding, error) {
	found, err := findReusable(ctx, w)
	if err != nil || found == nil || found.why != "" || w.passed[found.cert.OrderID] {
		return nil, err
	}
	o, err := w.journal.Order(ctx, w.storage, w.role.Name, found.cert.OrderID)
	if err != nil || o == nil {
		return nil, err
	}
	return &finding{
		answer: preview.Reuse, order: o, serial: found.cert.Serial,
		why: "the role reuses certificate " + found.cert.View().Serial + ", which the same " +
			"request has bought, until " + rfc3339(found.until),
	}, nil
}

// foreseeAhead finds what [joinAhead] would hold.
func foreseeAhead(ctx context.Context, w *caller) (*finding, error) {
	r := w.plan.Request
	if r.Renews == "" || r.ID != renewalID+r.Renews {
		return nil, nil
	}
	id, err := aheadID(r.Role, r.Requester, r.Renews)
	if err != nil {
		return nil, err
	}
	o, err := store.Get[orderEntry](ctx, w.storage, OpenPrefix+r.Role+"/"+id)
	switch {
	case err != nil:
		return nil, err
	case o == nil:
		return nil, usedAhead(ctx, w, id)
	case !w.plan.Matches(o.Fingerprint):
		return nil, nil
	}
	return foreseeOpen(ctx, w, o)
}

// foreseeNamed finds what [caller.acquireNamed] would hold, or that the name is used up.
func foreseeNamed(ctx context.Context, w *caller) (*finding, error) {
	r := w.plan.Request
	id, err := namedOrderID(r.Role, r.Requester, r.ID)
	if err != nil {
		return nil, err
	}
	t, isOpen := w.journal.registry.status(id)
	if !isOpen {
		if f, err := foreseeAhead(ctx, w); err != nil || f != nil {
			return f, err
		}
	}
	if isOpen && !w.plan.MatchesNamed(t.fingerprint) {
		return nil, nameTaken(r.ID, id)
	}
	o, err := store.Get[orderEntry](ctx, w.storage, OpenPrefix+r.Role+"/"+id)
	switch {
	case err != nil:
		return nil, err
	case isOpen && o == nil && t.busy != nil:
		return beingBegun(&t), nil
	case o != nil:
		if err := o.matches(w.plan); err != nil {
			return nil, err
		}
		if f, err := foreseeOpen(ctx, w, o); err != nil || f != nil {
			return f, err
		}
	default:
		if o, err = store.Get[orderEntry](
			ctx, w.storage, closedOrderPrefix+r.Role+"/"+id); err != nil {
			return nil, err
		}
	}
	if err := w.rejectedBefore(ctx, id); err != nil {
		return nil, err
	}
	if o != nil && !wasNotTaken(o) && !isUnfetchedRenewal(o, r) {
		return nil, nameUsedUp(r.ID, o)
	}
	return nil, nil
}

// foreseeTakenOver finds what [caller.takeOver] would hold.
func foreseeTakenOver(ctx context.Context, w *caller) (*finding, error) {
	if w.forced() || w.plan.Request.Draft {
		return nil, nil
	}
	held, err := w.journal.Certificates.HeldBackFor(ctx, w.storage, w.plan.Identity)
	if err != nil {
		return nil, err
	}
	for _, c := range held {
		o, err := w.journal.findOrder(ctx, w.storage, c.Role, c.OrderID)
		if err != nil {
			return nil, err
		}
		if w.passed[c.OrderID] || o == nil || !servesTakeOver(w, o, c) {
			continue
		}
		return &finding{
			answer: preview.Reuse, order: o.view(), serial: c.Serial,
			why: "certificate " + c.View().Serial + " of the same request is taken over: its " +
				"last lease has ended, and revocation_delay holds its revocation back",
		}, nil
	}
	return nil, nil
}

// servesTakeOver reports whether the order of a certificate whose revocation is held back serves
// the request: it is open, or can be opened again since the requester has the key.
func servesTakeOver(w *caller, o *orderEntry, c *certificates.Entry) bool {
	if !w.plan.Matches(o.Fingerprint) || o.RequestID != "" {
		return false
	}
	if _, isOpen := w.journal.registry.status(o.ID); isOpen {
		return true
	}
	return w.plan.CSR != "" && o.State == StateIssued && o.Serial == c.Serial
}

// foreseeRekeyed finds what [caller.findRekeyable] would hold.
func foreseeRekeyed(ctx context.Context, w *caller) (*finding, error) {
	if !w.mayRekey() {
		return nil, nil
	}
	names := rekeyableNames(w.plan)
	wanted := func(t *tracked) bool {
		return t.namesFingerprint == names && t.handed == nil && !w.passed[t.id]
	}
	for {
		t, found := w.journal.registry.peek(wanted)
		if !found {
			return nil, nil
		}
		w.passed[t.id] = true // it is looked at once
		o, err := store.Get[orderEntry](ctx, w.storage, OpenPrefix+t.role+"/"+t.id)
		if err != nil {
			return nil, err
		}
		if o == nil || o.State.Final() || o.namesFingerprint() != names {
			continue
		}
		if f, err := foreseeRekey(ctx, w, o); err != nil || f != nil {
			return f, err
		}
	}
}

// foreseeRekey says what becomes of a request that finds an open order for the same names; nil when
// its certificate was handed over.
func foreseeRekey(ctx context.Context, w *caller, o *orderEntry) (*finding, error) {
	if o.Held {
		return nil, &Error{Order: o.view(), Err: errHeld}
	}
	if o.State == StateIssued {
		now, certain := w.journal.Account.Time()
		free, err := w.undelivered(ctx, o.Serial, now, certain)
		if err != nil || !free {
			return nil, err
		}
	}
	own, err := o.publicKey()
	if err != nil {
		return nil, err
	}
	if issuing.SamePublicKey(own, w.plan.CSRKey) {
		return foreseeOpen(ctx, w, o)
	}
	return &finding{
		answer: preview.Reissue, order: o.view(), serial: o.Serial,
		why: "order " + o.ID + " is for the same names and another key, and nobody was handed " +
			"its certificate: it is reissued for this key (rekey_orders)",
	}, nil
}

// foreseeWithin finds what [caller.beginWithin] would reissue, by what the mount knows of it. For a
// request that buys although its role reissues, the finding says why.
func foreseeWithin(ctx context.Context, w *caller) (*finding, error) {
	if !renewsWithin(w.plan) {
		return nil, nil
	}
	if id := w.journal.registry.pendingFor(namesOf(w.plan), nil); id != "" {
		return afterPending(ctx, w, id)
	}
	parent, c, pending, err := predecessorOf(ctx, w)
	switch {
	case err != nil:
		return nil, err
	case pending != nil:
		return afterPending(ctx, w, pending.ID)
	case c == nil:
		return nil, nil
	case parent == nil:
		return bought(c, "this mount has no record of its order"), nil
	}
	_, why, err := whyNotByRecords(ctx, w, parent, c)
	if err == nil && why == "" {
		life := renewal.Life{NotBefore: c.NotBefore, NotAfter: c.NotAfter}
		why = renewal.Why(life, parent.subscription(), w.caNow())
	}
	switch {
	case err != nil:
		return nil, err
	case why != "":
		return bought(c, why), nil
	}
	return &finding{
		answer: preview.Reissue, order: parent.view(), serial: c.Serial,
		why: "certificate " + c.View().Serial + " is succeeded within the subscription of order " +
			parent.ID + " (renewal=reissue), which CERTInext is asked about then",
	}, nil
}

// bought is the finding for a new order that succeeds a certificate although its role reissues.
func bought(c *certificates.Entry, why string) *finding {
	s := successor{of: c.Serial, why: why}
	return &finding{serial: c.Serial, why: strings.Join(s.warnings(), "")}
}

// afterPending is the finding of a request that waits for an order of the same requester for the
// same names, whose certificate is then reissued for the request.
func afterPending(ctx context.Context, w *caller, id string) (*finding, error) {
	o, err := w.journal.Order(ctx, w.storage, w.role.Name, id)
	if err != nil {
		return nil, err
	}
	if o == nil {
		o = &Order{ID: id, Role: w.role.Name, State: StatePlacing}
	}
	return &finding{
		answer: preview.Reissue, order: o,
		why: "order " + id + " of the same requester is for the same names: once it has its " +
			"certificate, that is succeeded within its subscription (renewal=reissue)",
	}, nil
}

// predecessorOf is [caller.predecessor] without waiting and storing: pending is the reissue that
// would be waited for. With a certificate, and neither parent nor pending, the mount has no record
// of the certificate's order.
func predecessorOf(
	ctx context.Context, w *caller,
) (parent *orderEntry, c *certificates.Entry, pending *orderEntry, err error) {
	r := w.plan.Request
	serial, isNamed := r.Renews, r.Renews != ""
	if !isNamed {
		serial, err = renewal.Newest(ctx, w.storage, w.role.Name, namesOf(w.plan))
	}
	for err == nil && serial != "" {
		if c, err = certificates.Read(ctx, w.storage, serial); err != nil || c == nil ||
			c.Role != w.role.Name || (!isNamed && c.Requester != r.Requester) {
			return nil, nil, nil, err
		}
		newer, err := w.journal.reissuingOrder(ctx, w.storage, c)
		switch {
		case err != nil:
			return nil, nil, nil, err
		case newer == nil:
			parent, err = w.journal.findOrder(ctx, w.storage, c.Role, c.OrderID)
			if err == nil && parent != nil {
				_, err = certificateOf(ctx, w, parent)
			}
			return parent, c, nil, err
		case newer.Serial == "":
			return nil, c, newer, nil
		}
		serial = newer.Serial
	}
	return nil, nil, nil, err
}
