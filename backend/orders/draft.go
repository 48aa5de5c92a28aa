// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A draft is an order that CERTInext keeps and does not carry out. It has a request number and no
// order number, costs nothing, and cannot be looked up through the API: only CERTInext's portal
// shows more of it. Its promotion buys, and is placed like an order.

// setDraft makes an order a draft, which nobody has promoted, or a draft an order that is not
// placed yet.
func (h *heldOrder) setDraft(draft bool) {
	o := h.entry
	if o.Draft && !draft {
		o.DraftRequestID = o.CARequestID
	}
	o.Draft = draft
	o.Fingerprint = strings.TrimPrefix(o.Fingerprint, issuing.DraftPrefix)
	if draft {
		o.State, o.Fingerprint = StateDraft, issuing.DraftPrefix+o.Fingerprint
		o.NotDraft, o.PromotionKey = false, ""
	}
	h.journal.registry.amend(o)
}

// promoting reports whether the order to be placed is the promotion of a draft, for which somebody
// has asked.
func (o *orderEntry) promoting() bool {
	return !o.Draft && o.PromotionKey != "" && o.CAOrderID == ""
}

// keepAsDraft notes that CERTInext keeps the order as a draft with a request number.
func (h *heldOrder) keepAsDraft(requestID string) {
	o := h.entry
	o.CARequestID, o.CAStatus = requestID, certinext.StatusDraft
	o.LastError, o.Needs = "", draftNeeds(o)
	h.setDraft(true)
	o.note(h.journal.Now(), "kept by CERTInext as draft %s", sanitize.Short(requestID))
}

// stillDraft makes an order a draft again after a promotion that has certainly not happened.
func (d *driver) stillDraft(ctx context.Context, cause error) outcome {
	o := d.order
	d.held.setDraft(true)
	o.LastError, o.Needs = sanitize.Short(cause.Error()), draftNeeds(o)
	o.note(d.journal.Now(), "still a draft: %s", sanitize.Short(cause.Error()))
	if err := d.save(ctx); err != nil {
		return outcome{err: err}
	}
	// Only the cause's text: its type must not make the request place a new order.
	return outcome{err: &fault.RefusedError{Err: errors.New(cause.Error())}}
}

// draftNeeds says how to promote or discard a draft.
func draftNeeds(o *orderEntry) []string {
	return []string{fmt.Sprintf("it is a draft: vault write <mount>/orders/%s/%s promote=true "+
		"places the order, and vault delete <mount>/orders/%s/%s discards the draft",
		o.Role, o.ID, o.Role, o.ID)}
}

// PromoteOrder places the order of a draft for requester, and returns it without waiting for the
// certificate.
func (journal *Journal) PromoteOrder(
	ctx context.Context, s logical.Storage, role, id, requester string,
) (*Order, error) {
	if err := journal.mayActOn(ctx, s, role, id, requester); err != nil {
		return nil, err
	}
	r, h, err := journal.holdOrderOfRole(ctx, s, role, id)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	if err := h.admits(ctx, requester); err != nil {
		return nil, err
	}
	if r.RequireApproval {
		return askPromotion(ctx, h, r, requester)
	}
	if h.entry.waitsForApproval() && h.entry.Draft {
		err = promoteWaiting(ctx, h, r, decision{what: DecisionWaived}, requester)
	} else {
		err = h.promote(ctx, r, requester)
	}
	if err != nil {
		return nil, err
	}
	w := journal.newCaller(s, r, forPlacement)
	w.bought = true
	return w.refreshOrder(ctx, h)
}

// mayPromote returns an error unless the draft can be promoted now, and the config by which.
func mayPromote(
	ctx context.Context, h *heldOrder, role *issuing.Role,
) (*account.Config, error) {
	o := h.entry
	if o.State != StateDraft {
		return nil, fault.BadField("promote", "order %s is %s, not a draft", o.ID, o.State.said())
	}
	_, cfg, err := h.journal.Account.Client(ctx, h.storage)
	if err != nil {
		return nil, err
	}
	if !account.SameAccount(o.Account, cfg.Account()) {
		return nil, foreignOrder(o)
	}
	if err := h.journal.Account.MayOrder(ctx, h.storage); err != nil {
		return nil, err
	}
	if err := stillAllowed(h.journal.Host, role, o, "promote"); err != nil {
		return nil, err
	}
	return cfg, checkOwnKey(ctx, h)
}

// promote stores that the draft is to be placed, before CERTInext hears of it (ADR 0002). by is the
// requester who promotes it.
func (h *heldOrder) promote(ctx context.Context, role *issuing.Role, by string) error {
	p, err := reservePromotion(ctx, h, role, by)
	if err != nil {
		return err
	}
	return storePromotion(ctx, h, p)
}

// A promotion is that of a draft for which a budget has room.
type promotion struct {
	key    string // random, of this purchase
	config *account.Config
}

// reservePromotion returns the promotion of a draft that may be promoted now. Nothing of the order
// has changed.
func reservePromotion(
	ctx context.Context, h *heldOrder, role *issuing.Role, by string,
) (promotion, error) {
	cfg, err := mayPromote(ctx, h, role)
	if err != nil {
		return promotion{}, err
	}
	key, err := h.journal.NewID()
	if err != nil {
		return promotion{}, err
	}
	return promotion{key: key, config: cfg}, reservePurchase(ctx, h, h.entry, key, by)
}

// storePromotion is the part of promote that stores. On failure the order is a draft as before.
func storePromotion(ctx context.Context, h *heldOrder, p promotion) error {
	o := h.entry
	before := *o
	h.setDraft(false)
	o.Placement.Keyless = keyless(p.config, o.Placement.Family)
	o.State = StatePlacing
	o.PromotionKey, o.PromotedAt, o.KeyUsed = p.key, h.journal.Now(), false
	o.Needs, o.LastError = nil, ""
	o.note(h.journal.Now(), "to be promoted")
	if err := h.journal.saveOrder(ctx, h.storage, o); err != nil {
		// It may have been stored all the same, and the next process would take it for a promotion
		// that was sent.
		*o = before
		h.setDraft(true)
		return errors.Join(err, h.journal.saveOrder(ctx, h.storage, o))
	}
	o.fresh = true
	return nil
}

// stillAllowed returns an error when today's role does not allow what the order was made for that
// is to be placed now. That the product is another one is about field.
func stillAllowed(on *host.Host, role *issuing.Role, o *orderEntry, field string) error {
	if p := o.Placement; p.ProductCode != role.ProductCode || p.Variant != role.Variant {
		return fault.BadField(field, "the order is for product %s, and the role's is %s now",
			p.ProductCode, role.ProductCode)
	}
	entity := entityOf(o.Requester)
	if o.Placement.Subject != nil {
		return subjectStillAllowed(on, role, o, field)
	}
	plan := &issuing.Plan{DNSNames: o.Placement.DNSNames, IPs: o.Placement.IPs}
	return issuing.AllowNames(role, allowedDomains(on, role, entity), plan)
}

// subjectStillAllowed is the part of stillAllowed for a person or organization.
func subjectStillAllowed(on *host.Host, role *issuing.Role, o *orderEntry, field string) error {
	whom, err := issuing.FillSubject(role, o.Placement.Subject,
		func(template string) (string, error) {
			return fillTemplate(on, template, entityOf(o.Requester))
		})
	if err == nil && !maps.Equal(whom, o.Placement.Subject) {
		err = errors.New("the role sets further fields")
	}
	if err != nil {
		return fault.BadField(field, "order %s is for another subject than its role gives its "+
			"requester now: %v. Have it requested anew", o.ID, err)
	}
	return nil
}

// discardDraft discards a draft at CERTInext. It returns nil, too, when the draft is gone there
// after a call of ours whose answer was lost.
func (h *heldOrder) discardDraft(
	ctx context.Context, client *certinext.Client, reason string,
) error {
	o := h.entry
	err := client.CancelDraft(ctx, o.CARequestID, reason)
	switch {
	case err == nil:
		return h.confirmDiscarded(ctx, client)
	case certinext.MayHaveActed(err):
		o.Discarding = true
		o.note(h.journal.Now(), "CERTInext did not answer whether it has discarded the draft: %s",
			sanitize.Short(err.Error()))
		return errors.Join(fault.Refused(err), h.journal.saveOrder(ctx, h.storage, o))
	case !certinext.IsRefusal(err,
		http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity):
		return fault.Refused(err)
	}
	// It is no longer a draft: an earlier call whose answer was lost has discarded it, or it was
	// discarded or promoted in CERTInext's portal.
	d := &driver{journal: h.journal, client: client, order: o, purpose: forStatus}
	found, lookErr := h.journal.report.findNow(ctx, d, true)
	switch {
	case lookErr != nil:
		return fault.BadField("id", "CERTInext says that %s is no longer a draft (%v), "+
			"and whether it was promoted could not be looked up (%v): "+
			"try again, or have an operator of Vault settle it",
			sanitize.Short(o.CARequestID), err, lookErr)
	case found.orderID != "":
		return wasPromoted(o, found)
	case !o.Discarding:
		return fault.BadField("id", "CERTInext would not discard draft %s (%v): an operator of "+
			"Vault can settle it, by whether CERTInext's portal shows it as gone or as promoted",
			sanitize.Short(o.CARequestID), err)
	}
	return nil
}

// confirmDiscarded makes sure that a draft which CERTInext says it has discarded is not an order:
// it may have been promoted before a snapshot was restored, and an intermediary may have answered
// in CERTInext's place (ADR 0021). Where the edition of the API has no records, the answer counts.
func (h *heldOrder) confirmDiscarded(ctx context.Context, client *certinext.Client) error {
	o := h.entry
	d := &driver{journal: h.journal, client: client, order: o, purpose: forStatus}
	found, err := h.journal.report.findNow(ctx, d, true)
	switch {
	case hasNoRecords(err):
		return nil
	case err != nil:
		o.Discarding = true
		o.note(h.journal.Now(), "CERTInext says that it has discarded the draft")
		return errors.Join(fault.BadField("id", "CERTInext has answered that draft %s is "+
			"discarded, and its records, which show whether it was promoted before, cannot be "+
			"read (%v): try again", sanitize.Short(o.CARequestID), err),
			h.journal.saveOrder(ctx, h.storage, o))
	case found.orderID != "":
		return wasPromoted(o, found)
	}
	return nil
}

// wasPromoted is the error for a draft that CERTInext's records show as an order.
func wasPromoted(o *orderEntry, found remoteID) error {
	return fault.BadField("id", "draft %s was promoted at CERTInext, as order %s: "+
		"an operator of Vault can give the order that number",
		sanitize.Short(o.CARequestID), sanitize.Short(found.orderID))
}
