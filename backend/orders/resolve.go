// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// ResolveOrder settles by hand an order of which it could not be found out whether CERTInext took it, or a draft that was
// dealt with in CERTInext's portal. With caOrderID, it is that order of CERTInext's; without, somebody has made sure that
// CERTInext holds none, and the order is closed. The promotion of a draft that was never placed leaves the draft.
func (journal *Journal) ResolveOrder(ctx context.Context, s logical.Storage, role, id, caOrderID string) (*Order, error) {
	h, err := journal.holdOrder(ctx, s, role, id)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	o := h.entry
	if caOrderID == "" {
		err = h.declareAbsent(ctx)
	} else {
		err = h.adopt(ctx, caOrderID)
	}
	h.lookAgain(journal.Now()) // whatever was said: what CERTInext's records show goes on at once
	if err != nil {
		return nil, err
	}
	return o.view(), nil
}

// declareAbsent closes an order that CERTInext does not hold. One whose number CERTInext once gave, it must not know any more.
func (h *heldOrder) declareAbsent(ctx context.Context) error {
	o := h.entry
	if o.State != StatePending {
		if err := h.mayBeAbsent(ctx); err != nil {
			return err
		}
	}
	switch {
	case o.promoting():
		h.setDraft(true)
		o.LastError, o.Needs = "", draftNeeds(o)
		o.note(h.journal.Now(), "still a draft: its promotion was declared never placed")
		return h.journal.saveOrder(ctx, h.storage, o)
	case o.State == StatePending:
		if err := h.mustBeUnknown(ctx); err != nil {
			return err
		}
	case o.State != StateUnresolved && o.State != StatePlacing && o.State != StateDraft:
		return nothingToResolve(o)
	}
	o.State = StateFailed
	o.note(h.journal.Now(), "declared never placed")
	return h.closeOrder(ctx)
}

// mayBeAbsent says why it is not believed that CERTInext never took an order: it may still be working on it, its records show it, or nobody
// can look there now. An order of an account that config does not hold cannot be looked for, and neither can one of an edition of the API
// that has no records: then the word of whoever says it is all there is.
func (h *heldOrder) mayBeAbsent(ctx context.Context) error {
	o := h.entry
	if o.State != StateUnresolved && o.State != StatePlacing && o.State != StatePending || o.fresh {
		return nil
	}
	client, cfg, err := h.journal.Account.Client(ctx, h.storage)
	switch {
	case errors.Is(err, fault.ErrNotConfigured):
		return nil
	case err != nil:
		return err
	case !account.SameAccount(o.Account, cfg.Account()):
		return nil
	}
	asked := h.journal.registry.askedBy(o.ID, o.lastAskedAt(), h.journal.Now())
	if settled := asked.Add(cfg.EffectiveCreateTimeout()); o.State != StatePending && h.journal.Now().Before(settled) {
		return fault.BadField("never_placed", "CERTInext may still be working on order %s: say that after %s", o.ID, settled.UTC().Format(time.RFC3339))
	}
	ctx, cancel := account.WhileAsked(ctx)
	defer cancel()
	found, err := (&driver{journal: h.journal, storage: h.storage, client: client, config: cfg, order: o, held: h}).locatePlaced(ctx)
	switch {
	case hasNoRecords(err), err == nil && found == (remoteID{}):
		return nil
	case err != nil:
		return fault.BadField("never_placed", "cannot be believed unseen, and CERTInext's records cannot be read now (%v): try again", err)
	}
	return fault.BadField("never_placed", "CERTInext's records show order %s, as %s: it goes on by itself", o.ID, sanitize.Short(cmp.Or(found.orderID, found.requestID)))
}

// hasNoRecords reports whether CERTInext itself says that this edition of its API has no orders report.
func hasNoRecords(err error) bool {
	var e *certinext.Error
	return errors.As(err, &e) && e.Own && e.Status == http.StatusNotImplemented
}

func nothingToResolve(o *orderEntry) error {
	return fault.BadField("id", "order %s is %s: there is nothing to resolve", o.ID, o.State)
}

// mustBeUnknown reports an error unless CERTInext says that it does not know the order's number.
func (h *heldOrder) mustBeUnknown(ctx context.Context) error {
	o := h.entry
	client, err := h.journal.clientOf(ctx, h.storage, o)
	if err != nil {
		return err
	}
	asked, cancel := account.WhileAsked(ctx)
	defer cancel()
	if _, err := client.TrackOrder(asked, o.Placement.Family, o.CAOrderID); err == nil || !certinext.HasStatus(err, http.StatusNotFound) {
		return nothingToResolve(o)
	}
	return h.mayBeAbsent(ctx)
}

// clientOf is the client of the account that an order belongs to.
func (journal *Journal) clientOf(ctx context.Context, s logical.Storage, o *orderEntry) (*certinext.Client, error) {
	client, cfg, err := journal.Account.Client(ctx, s)
	if err != nil {
		return nil, err
	}
	if !account.SameAccount(o.Account, cfg.Account()) {
		return nil, foreignOrder(o)
	}
	return client, nil
}

func foreignOrder(o *orderEntry) error {
	return fault.BadField("id", "order %s belongs to another CERTInext account than the one in config", o.ID)
}

// adopt makes CERTInext's order of that number the one that the order has become.
func (h *heldOrder) adopt(ctx context.Context, caOrderID string) error {
	o := h.entry
	if o.State != StateUnresolved && o.State != StatePlacing && o.State != StateDraft {
		return nothingToResolve(o)
	}
	client, err := h.journal.clientOf(ctx, h.storage, o)
	if err != nil {
		return err
	}
	asked, cancel := account.WhileAsked(ctx)
	defer cancel()
	remote, err := client.TrackOrder(asked, o.Placement.Family, caOrderID)
	if err != nil {
		return fault.Refused(err)
	}
	from, _ := h.journal.reportDays(o)
	if err := o.mayBecome(asked, client, remote, caOrderID, from); err != nil {
		return err
	}
	if another, err := h.journal.isAnothers(ctx, h.storage, o, caOrderID); err != nil || another {
		return cmp.Or(err, fault.BadField("ca_order_id", "CERTInext's order %s cannot be order %s: it was placed for another order", sanitize.Short(caOrderID), o.ID))
	}
	before := *o
	h.setDraft(false)
	o.State, o.CAOrderID, o.Adopted, o.LastError, o.Needs = StatePending, caOrderID, o.Reissue == nil, "", nil
	o.note(h.journal.Now(), "adopted by hand: CERTInext's order %s", sanitize.Short(caOrderID))
	o.observe(h.journal.Now(), remote)
	if err := h.journal.saveOrder(ctx, h.storage, o); err != nil {
		*o = before
		o.dirty = true // it may have been stored all the same
		h.journal.registry.amend(o)
		return err
	}
	return nil
}

// isAnothers reports whether the mount itself knows that CERTInext's order of a number is another one than o. It reads the certificates one after the
// other, for what hardly ever happens.
func (journal *Journal) isAnothers(ctx context.Context, s logical.Storage, o *orderEntry, caOrderID string) (bool, error) {
	if o.Reissue != nil {
		return false, nil // it shares its number with the order that it reissues
	}
	if journal.registry.hasNumber(o.ID, caOrderID) {
		return true, nil
	}
	serials, err := store.List(ctx, s, certificates.Prefix)
	if err != nil {
		return false, err
	}
	for _, serial := range serials {
		c, err := certificates.Read(ctx, s, serial)
		if err != nil {
			return false, err
		}
		if c != nil && c.CAOrderID == caOrderID && c.OrderID != o.ID && c.OrderID != "" && account.SameAccount(c.Account, o.Account) {
			return true, nil
		}
	}
	return false, nil
}

// mayBecome says why an order of CERTInext's cannot be the one that is in doubt. It tells nothing of an order that is somebody
// else's: whoever may settle the orders of one role may not look into others. The order's day is no earlier than from.
func (o *orderEntry) mayBecome(ctx context.Context, client *certinext.Client, remote *certinext.Order, caOrderID string, from time.Time) error {
	no := func(why string) error {
		return fault.BadField("ca_order_id", "CERTInext's order %s cannot be order %s: %s", sanitize.Short(caOrderID), o.ID, why)
	}
	switch {
	case o.Reissue != nil && caOrderID != o.CAOrderID:
		return no("it reissues order " + sanitize.Short(o.CAOrderID))
	case !o.mayBeCalled(remote.Domain):
		return no("it is not for " + o.Placement.names()[0])
	case o.Draft && remote.RequestID != "" && remote.RequestID != o.CARequestID:
		return no("it was not promoted from draft " + sanitize.Short(o.CARequestID))
	}
	if o.Reissue != nil {
		return nil // the order's row has the marker of whom it was placed for
	}
	filter := certinext.ReportFilter{From: from}
	for row, err := range client.OrdersReport(ctx, filter) {
		if err != nil {
			return nil // there are no records, or they are away: the operator's word counts
		}
		if row.OrderID == caOrderID && o.marksAnother(row) {
			return no("it was placed for another order")
		}
	}
	return nil
}

// marksAnother reports whether a row of the report carries the marker of another order.
func (o *orderEntry) marksAnother(row certinext.ReportRow) bool {
	return !containsFold(row.Tags, o.marker()) && slices.ContainsFunc(row.Tags, account.IsMarker)
}
