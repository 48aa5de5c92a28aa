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
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// ResolveOrder lets an operator settle an order of which the engine could not find out whether
// CERTInext took it, or a draft that was promoted or discarded in CERTInext's portal. With
// caOrderID, the order becomes that order of CERTInext's. Without, the operator has made sure that
// CERTInext has none, and the order is closed, or is a draft again when it was to be promoted. It
// returns the order as it is then.
func (journal *Journal) ResolveOrder(
	ctx context.Context, s logical.Storage, role, id, caOrderID string,
) (*Order, error) {
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
	// Even after a refusal: an order that CERTInext's records show can go on at once.
	h.lookAgain(journal.Now())
	if err != nil {
		return nil, err
	}
	return o.view(), nil
}

// declareAbsent closes an order that CERTInext does not have, by an operator's word. CERTInext must
// not know the number that it once gave for the order.
func (h *heldOrder) declareAbsent(ctx context.Context) error {
	o := h.entry
	if o.State != StatePending {
		if err := h.checkAbsent(ctx); err != nil {
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
		if err := h.checkUnknown(ctx); err != nil {
			return err
		}
	case o.State != StateUnresolved && o.State != StatePlacing && o.State != StateDraft:
		return nothingToResolve(o)
	}
	o.State = StateFailed
	o.note(h.journal.Now(), "declared never placed")
	return h.closeOrder(ctx)
}

// checkAbsent returns an error that says why an operator's word that CERTInext never took an order
// is not believed: CERTInext may still be working on the order, its records show it, or they cannot
// be read now (ADR 0021). A draft that the records show as a draft may be discarded by now; as an
// order, it was promoted in the portal, or here before a snapshot was restored. An order of another
// account than config's cannot be looked for, nor can one where the edition of the API has no
// records: then the operator's word counts.
func (h *heldOrder) checkAbsent(ctx context.Context) error {
	o := h.entry
	switch o.State {
	case StateUnresolved, StatePlacing, StatePending, StateDraft:
	default:
		return nil
	}
	if o.fresh {
		return nil
	}
	client, cfg, err := h.journal.Account.Client(ctx, h.storage)
	unconfigured := errors.Is(err, fault.ErrNotConfigured)
	if unconfigured {
		cfg = new(account.Config)
	} else if err != nil {
		return err
	}
	if unconfigured || !account.SameAccount(o.Account, cfg.Account()) {
		return h.checkSettled(cfg)
	}
	ctx, cancel := account.WhileAsked(ctx)
	defer cancel()
	d := &driver{
		journal: h.journal, storage: h.storage, client: client, config: cfg, order: o, held: h,
		purpose: forStatus,
	}
	found, err := d.locatePlaced(ctx)
	if o.State == StateDraft && found.orderID == "" {
		found = remoteID{}
	}
	switch {
	case hasNoRecords(err), err == nil && found == (remoteID{}),
		errors.Is(err, errReportIncomplete): // all its pages were read: the operator's word counts
		return h.checkSettled(cfg)
	case err != nil:
		return fault.BadField("never_placed", "cannot be believed unseen, "+
			"and CERTInext's records cannot be read now (%v): try again", err)
	case o.State == StateDraft:
		return fault.BadField("never_placed", "CERTInext's records show that draft %s was "+
			"promoted, as order %s: write that number as ca_order_id instead",
			sanitize.Short(o.CARequestID), sanitize.Short(found.orderID))
	}
	return fault.BadField("never_placed",
		"CERTInext's records show order %s, as %s: it goes on by itself",
		o.ID, sanitize.Short(cmp.Or(found.orderID, found.requestID)))
}

// checkSettled returns an error while CERTInext may still be working on the order. It is done with
// a draft, which it has answered with a request number.
func (h *heldOrder) checkSettled(cfg *account.Config) error {
	left := h.stillWorking(cfg.EffectiveCreateTimeout())
	if left <= 0 || h.entry.State == StateDraft {
		return nil
	}
	return fault.BadField("never_placed",
		"CERTInext may still be working on order %s: write it again after %s",
		h.id, h.journal.Now().Add(left).UTC().Format(time.RFC3339))
}

// hasNoRecords reports whether err is CERTInext's own answer that this edition of its API has no
// orders report.
func hasNoRecords(err error) bool {
	var e *certinext.Error
	return errors.As(err, &e) && e.Own && e.Status == http.StatusNotImplemented
}

// nothingToResolve is the error for an order that is not in doubt.
func nothingToResolve(o *orderEntry) error {
	return fault.BadField("id", "order %s is %s: there is nothing to resolve", o.ID, o.State.said())
}

// checkUnknown returns an error unless CERTInext says that it does not know the order's number, and
// checkAbsent has no objection.
func (h *heldOrder) checkUnknown(ctx context.Context) error {
	o := h.entry
	client, err := h.journal.clientOf(ctx, h.storage, o)
	if err != nil {
		return err
	}
	asked, cancel := account.WhileAsked(ctx)
	defer cancel()
	_, err = track(asked, client, o, o.CAOrderID)
	// The 404 of a gateway says nothing.
	if err == nil || !certinext.IsRefusal(err, http.StatusNotFound) {
		return nothingToResolve(o)
	}
	return h.checkAbsent(ctx)
}

// clientOf returns the client for config's account; it is an error when the order belongs to
// another one.
func (journal *Journal) clientOf(
	ctx context.Context, s logical.Storage, o *orderEntry,
) (*certinext.Client, error) {
	client, cfg, err := journal.Account.Client(ctx, s)
	if err != nil {
		return nil, err
	}
	if !account.SameAccount(o.Account, cfg.Account()) {
		return nil, foreignOrder(o)
	}
	return client, nil
}

// foreignOrder is the error for an order of another account than config's.
func foreignOrder(o *orderEntry) error {
	return fault.BadField("id",
		"order %s belongs to another CERTInext account than the one in config: it goes on when "+
			"config holds that account again, or an operator of Vault ends it", o.ID)
}

// adopt gives the order, by an operator's word, a number of CERTInext's. Its certificate has yet to
// prove that the number is the order's, see orderEntry.Adopted.
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
	remote, err := track(asked, client, o, caOrderID)
	if err != nil {
		return fault.Refused(err)
	}
	d := &driver{journal: h.journal, client: client, order: o, purpose: forStatus}
	if err := checkAdoptable(asked, d, remote, caOrderID); err != nil {
		return err
	}
	before := *o
	if err := h.takeNumber(ctx, caOrderID, numberByHand); err != nil {
		var taken *numberTakenError
		if errors.As(err, &taken) {
			return notAdoptable(o, caOrderID, "it was placed for another order: "+taken.holder)
		}
		return err
	}
	o.Adopted = o.Reissue == nil
	o.LastError = ""
	o.Needs = nil
	o.note(h.journal.Now(), "adopted by hand: CERTInext's order %s", sanitize.Short(caOrderID))
	o.observe(h.journal.Now(), remote)
	if err := h.journal.saveOrder(ctx, h.storage, o); err != nil {
		*o = before
		o.dirty = true // the write may have succeeded all the same
		h.journal.registry.amend(o)
		return err
	}
	return nil
}

// notAdoptable returns the error that says why a number of CERTInext's cannot be the order's.
func notAdoptable(o *orderEntry, caOrderID, why string) error {
	return fault.BadField("ca_order_id", "CERTInext's order %s cannot be order %s: %s",
		sanitize.Short(caOrderID), o.ID, why)
}

// checkAdoptable returns an error that says why CERTInext's order of a number cannot be the one in
// doubt. It reveals nothing about CERTInext's order: an operator who may settle the orders of one
// role may not look into others.
func checkAdoptable(
	ctx context.Context, d *driver, remote *certinext.Order, caOrderID string,
) error {
	o := d.order
	switch {
	case o.Reissue != nil && caOrderID != o.CAOrderID:
		return notAdoptable(o, caOrderID, "it reissues order "+sanitize.Short(o.CAOrderID))
	case o.Reissue != nil && remote.RequestID != "" &&
		remote.RequestID == o.Reissue.RequestID:
		return notAdoptable(o, caOrderID, "it has the same request number as before the reissue "+
			"was asked for, so it was not reissued yet. never_placed=true settles it once that "+
			"is certain")
	case !o.mayBeCalled(remote.Domain):
		return notAdoptable(o, caOrderID, "it is not for "+o.Placement.names()[0])
	case o.Draft && remote.RequestID != "" && remote.RequestID != o.CARequestID:
		return notAdoptable(o, caOrderID,
			"it was not promoted from draft "+sanitize.Short(o.CARequestID))
	}
	if o.Reissue != nil {
		return nil // its row has the marker of the order that was reissued
	}
	row, err := d.journal.report.rowUnder(ctx, d, caOrderID)
	switch {
	case hasNoRecords(err):
		return nil // the operator's word counts
	case err != nil:
		return fault.BadField("ca_order_id",
			"CERTInext's records, which show whose order %s is, cannot be read (%v): try again",
			sanitize.Short(caOrderID), err)
	case row != nil && o.marksAnother(*row):
		return notAdoptable(o, caOrderID, "it was placed for another order")
	}
	return nil
}

// marksAnother reports whether a row of the report has another order's marker, and not this one's.
func (o *orderEntry) marksAnother(row certinext.ReportRow) bool {
	return !containsFold(row.Tags, o.marker()) && slices.ContainsFunc(row.Tags, account.IsMarker)
}
