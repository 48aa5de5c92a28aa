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
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A draft is an order that CERTInext keeps and does not carry out. It has a request number and no order number, costs nothing,
// and cannot be looked up: nobody but the portal knows more of it. Promoting it is the order, and is placed like one.

// setDraft makes an order a draft, or a draft an order that is not placed yet.
func (h *heldOrder) setDraft(draft bool) {
	o := h.entry
	o.Draft = draft
	o.Fingerprint = strings.TrimPrefix(o.Fingerprint, issuing.DraftPrefix)
	if draft {
		o.State, o.Fingerprint = StateDraft, issuing.DraftPrefix+o.Fingerprint
	}
	h.journal.registry.amend(o)
}

// promoting reports whether the order to be placed is that of a draft.
func (o *orderEntry) promoting() bool { return !o.Draft && o.CARequestID != "" && o.CAOrderID == "" }

// keepAsDraft remembers the draft that CERTInext has made of the order.
func (h *heldOrder) keepAsDraft(requestID string) {
	o := h.entry
	o.CARequestID, o.CAStatus, o.LastError, o.Needs = requestID, certinext.StatusDraft, "", draftNeeds(o)
	h.setDraft(true)
	o.note(h.journal.Now(), "kept by CERTInext as draft %s", sanitize.Short(requestID))
}

// stillDraft takes back a promotion that has certainly not happened.
func (d *driver) stillDraft(ctx context.Context, cause error) outcome {
	o := d.order
	d.held.setDraft(true)
	o.LastError, o.Needs = sanitize.Short(cause.Error()), draftNeeds(o)
	o.note(d.journal.Now(), "still a draft: %s", sanitize.Short(cause.Error()))
	if err := d.save(ctx); err != nil {
		return outcome{err: err}
	}
	return outcome{err: &fault.RefusedError{Err: errors.New(cause.Error())}} // the same request is not one for a new order
}

func draftNeeds(o *orderEntry) []string {
	return []string{fmt.Sprintf("it is a draft: writing promote=true to orders/%s/%s places the order, deleting that path discards the draft", o.Role, o.ID)}
}

// PromoteOrder places the order of a draft, and returns it without waiting for the certificate.
func (journal *Journal) PromoteOrder(ctx context.Context, s logical.Storage, role, id string) (*Order, error) {
	r, err := roles.MustRead(ctx, s, role)
	if err != nil {
		return nil, err
	}
	h, err := journal.holdOrder(ctx, s, role, id)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	if err := h.promote(ctx, r); err != nil {
		return nil, err
	}
	w := journal.newCaller(s, r, forPlacement)
	w.bought = true
	return w.refreshOrder(ctx, h)
}

// promote stores that the draft is to be placed, before CERTInext hears of it.
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
	if err := cfg.MayOrder(); err != nil {
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
	o.State, o.PromotionKey, o.PromotedAt, o.Needs, o.LastError = StatePlacing, key, h.journal.Now(), nil, ""
	o.note(h.journal.Now(), "to be promoted")
	if err := h.journal.saveOrder(ctx, h.storage, o); err != nil {
		// It may have been stored all the same, and must not be taken for a promotion that was sent.
		*o = before
		h.setDraft(true)
		return errors.Join(err, h.journal.saveOrder(ctx, h.storage, o))
	}
	o.fresh = true
	return nil
}

// stillAllowed holds a draft against today's role: what the role has come to forbid is not bought.
func stillAllowed(on *host.Host, role *issuing.Role, o *orderEntry) error {
	if p := o.Placement; p.ProductCode != role.ProductCode || p.Variant != role.Variant {
		return fault.BadField("promote", "the draft is for product %s, and the role's is %s now", p.ProductCode, role.ProductCode)
	}
	domains := allowedDomains(on, role, strings.TrimPrefix(o.Requester, "entity:"))
	return issuing.AllowNames(role, domains, &issuing.Plan{DNSNames: o.Placement.DNSNames, IPs: o.Placement.IPs})
}

// discardDraft withdraws a draft at CERTInext.
func (h *heldOrder) discardDraft(ctx context.Context, client *certinext.Client, reason string) error {
	o := h.entry
	err := client.CancelDraft(ctx, o.CARequestID, reason)
	switch {
	case err == nil:
		return nil
	case certinext.MayHaveActed(err):
		o.Discarding = true
		o.note(h.journal.Now(), "discarding the draft was not answered: %s", sanitize.Short(err.Error()))
		return errors.Join(fault.Refused(err), h.journal.saveOrder(ctx, h.storage, o))
	case !certinext.IsRefusal(err, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity):
		return fault.Refused(err)
	}
	// It is no draft any more: discarded before, by a call whose answer was lost or in the portal, or promoted there.
	var found remoteID
	all, lookErr := h.journal.report.readAll(ctx, &driver{journal: h.journal, client: client, order: o})
	if lookErr == nil {
		found = all.idOf(o)
	}
	switch {
	case lookErr != nil:
		return fault.BadField("id", "CERTInext says that draft %s is none any more (%v), and whether it was promoted could not be looked up (%v): "+
			"write its order number as ca_order_id to orders/%s/%s, or never_placed=true if it was discarded",
			sanitize.Short(o.CARequestID), err, lookErr, o.Role, o.ID)
	case found.orderID != "":
		return fault.BadField("id", "draft %s was promoted at CERTInext, as order %s: write that as ca_order_id to orders/%s/%s",
			sanitize.Short(o.CARequestID), sanitize.Short(found.orderID), o.Role, o.ID)
	case !o.Discarding:
		return fault.BadField("id", "CERTInext would not discard draft %s (%v): if the portal shows that it is gone, write never_placed=true to orders/%s/%s, "+
			"and if it was promoted there, its order number as ca_order_id", sanitize.Short(o.CARequestID), err, o.Role, o.ID)
	}
	return nil
}
