// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
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
	if err := h.promote(ctx, r); err != nil {
		return nil, err
	}
	w := journal.newCaller(s, r, forPlacement)
	w.bought = true
	return w.refreshOrder(ctx, h)
}

// promote stores that the draft is to be placed, before CERTInext hears of it (ADR 0002).
func (h *heldOrder) promote(ctx context.Context, role *issuing.Role) error {
	o := h.entry
	if o.State != StateDraft {
		return fault.BadField("promote", "order %s is %s, not a draft", o.ID, o.State)
	}
	_, cfg, err := h.journal.Account.Client(ctx, h.storage)
	if err != nil {
		return err
	}
	if !account.SameAccount(o.Account, cfg.Account()) {
		return foreignOrder(o)
	}
	if err := h.journal.Account.MayOrder(ctx, h.storage); err != nil {
		return err
	}
	if err := stillAllowed(h.journal.Host, role, o); err != nil {
		return err
	}
	key, err := h.journal.NewID()
	if err != nil {
		return err
	}
	before := *o
	h.setDraft(false)
	o.Placement.Keyless = keyless(cfg, o.Placement.Family)
	o.State = StatePlacing
	o.PromotionKey, o.PromotedAt = key, h.journal.Now()
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

// stillAllowed returns an error when today's role does not allow what the draft was made for.
func stillAllowed(on *host.Host, role *issuing.Role, o *orderEntry) error {
	if p := o.Placement; p.ProductCode != role.ProductCode || p.Variant != role.Variant {
		return fault.BadField("promote", "the draft is for product %s, and the role's is %s now",
			p.ProductCode, role.ProductCode)
	}
	domains := allowedDomains(on, role, strings.TrimPrefix(o.Requester, "entity:"))
	plan := &issuing.Plan{DNSNames: o.Placement.DNSNames, IPs: o.Placement.IPs}
	return issuing.AllowNames(role, domains, plan)
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
		return nil
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
		return fault.BadField("id", "draft %s was promoted at CERTInext, as order %s: "+
			"an operator of Vault can give the order that number",
			sanitize.Short(o.CARequestID), sanitize.Short(found.orderID))
	case !o.Discarding:
		return fault.BadField("id", "CERTInext would not discard draft %s (%v): an operator of "+
			"Vault can settle it, by whether CERTInext's portal shows it as gone or as promoted",
			sanitize.Short(o.CARequestID), err)
	}
	return nil
}
