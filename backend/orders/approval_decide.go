// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Verdict is what an approver says about an order.
type Verdict struct {
	Role, ID string // of the order
	Approve  bool   // otherwise the order is rejected
	Remark   string // for the requester; needed for a rejection
	// Proposal is [Approval.Digest] as it was read; needed to approve the order of a request with
	// a request_id.
	Proposal string
	EntityID string // of the approver; empty for a token without an identity
	// DisplayName is the display name of the approver's token.
	DisplayName string
}

// maxRemark is how long a remark may be, in bytes.
const maxRemark = 500

// Decide approves or rejects an order that waits for that. An approved order is placed as it was
// stored when it was requested, whatever has become of its role's settings since, and Decide
// returns it without waiting for the certificate. Of two approvers at the same moment, the first
// one wins, and the other is told. Refusals are [*fault.FieldError] and [*Error].
func Decide(
	ctx context.Context, journal *Journal, s logical.Storage, v Verdict,
) (*Approval, error) {
	remark := sanitize.Text(v.Remark, maxRemark)
	switch {
	case len(v.Remark) > maxRemark:
		return nil, fault.BadField("remark", "has %d bytes: at most %d are kept",
			len(v.Remark), maxRemark)
	case !v.Approve && strings.TrimSpace(remark) == "":
		return nil, fault.BadField("remark", "is required with decision=reject: "+
			"the requester reads it instead of a certificate")
	}
	h, err := journal.holdOrder(ctx, s, v.Role, v.ID)
	if err != nil {
		return nil, whyNotHeld(ctx, journal, s, v, err)
	}
	defer h.Release()
	by := personOf(journal, v.EntityID, v.DisplayName)
	if err := mayDecide(h.entry, by); err != nil {
		return nil, err
	}
	if !v.Approve {
		placed, err := goOnIfPlaced(ctx, h)
		switch {
		case err != nil:
			return nil, err
		case placed:
			return nil, fault.BadField("decision", "order %s cannot be rejected any more: it was "+
				"placed before a snapshot of Vault was restored, as CERTInext's order %s. To end "+
				"it, delete it: vault delete <mount>/orders/%s/%s", h.entry.ID,
				sanitize.Short(h.entry.CAOrderID), h.role, h.entry.ID)
		}
		err = endApproval(ctx, h, StateRejected, DecisionRejected, by, remark)
		if err != nil {
			return nil, err
		}
		return approvalOf(journal, h.entry), nil
	}
	if err := isRead(h.entry, sanitize.Short(v.Proposal)); err != nil {
		return nil, err
	}
	role, err := roles.Read(ctx, s, v.Role)
	if err != nil {
		return nil, err
	}
	if err := mayBeApproved(ctx, h, role); err != nil {
		return nil, err
	}
	if err := isStillReplacing(ctx, h); err != nil {
		return nil, err
	}
	return approveHeld(ctx, h, role, by, remark)
}

// whyNotHeld says why an order cannot be decided on that could not be held, for cause. It may have
// been decided on meanwhile.
func whyNotHeld(
	ctx context.Context, journal *Journal, s logical.Storage, v Verdict, cause error,
) error {
	var field *fault.FieldError
	if !errors.As(cause, &field) || field.Field != "id" {
		return cause
	}
	o, err := journal.findOrder(ctx, s, v.Role, v.ID)
	switch {
	case err != nil || o == nil:
		return cause
	case o.waitsForApproval():
		return cause // held by another approver, who has not decided yet
	}
	return alreadyDecided(o)
}

// mayBeApproved returns an error that says why an order cannot be approved now. What it is for was
// allowed when it was requested, and has to be still.
func mayBeApproved(ctx context.Context, h *heldOrder, role *issuing.Role) error {
	o, journal := h.entry, h.journal
	if role == nil {
		return fault.BadField("role", "%s was deleted since order %s was requested: nothing can "+
			"be ordered under it. Reject the order, or write the role again", o.Role, o.ID)
	}
	if o.Approval.isOverdue(journal.Now(), journal.Account.Corrected()) {
		return fault.BadField("id", "order %s has expired: %s. The same request makes another one",
			o.ID, expiredBecause(o.Approval))
	}
	if err := journal.Account.MayOrder(ctx, h.storage); err != nil {
		return err
	}
	if err := requesterIsKnown(journal, o); err != nil {
		return err
	}
	if err := stillAllowed(journal.Host, role, o, "decision"); err != nil {
		return err
	}
	return checkOwnKey(ctx, h)
}

// checkOwnKey returns an error when the key that the held order was asked for must not be
// certified: it may have become known to others since.
func checkOwnKey(ctx context.Context, h *heldOrder) error {
	key, err := h.entry.publicKey()
	if err != nil {
		return err
	}
	return h.journal.Certificates.CheckKey(ctx, h.storage, key)
}

// requesterIsKnown returns an error when the entity that has asked for an order is no more: it was
// deleted, or merged into another one, which may be the approver's. That nobody approves what he
// has asked for himself could not be told then.
func requesterIsKnown(journal *Journal, o *orderEntry) error {
	for _, id := range []string{o.Approval.AskedBy.EntityID, entityOf(o.Requester)} {
		if id == "" {
			continue
		}
		known, err := identityOf(journal, id)
		switch {
		case err != nil:
			return &fault.RefusedError{Err: fmt.Errorf("whether the requester of order %s is "+
				"another entity cannot be looked up (%w): try again", o.ID, err)}
		case known == nil:
			return fault.BadField("decision", "order %s was requested by entity %s, which is no "+
				"more: it was deleted, or merged into another one. Reject the order, and have it "+
				"requested anew", o.ID, sanitize.Short(id))
		}
	}
	return nil
}

// approveHeld stores that the held order is approved, and places it. The order is in this state for
// CERTInext's answer at most: an approval that came to nothing is none (ADR 0037).
func approveHeld(
	ctx context.Context, h *heldOrder, role *issuing.Role, by Person, remark string,
) (*Approval, error) {
	journal, s, id := h.journal, h.storage, h.id
	var err error
	if h.entry.Draft {
		err = approvePromotion(ctx, h, role, by, remark)
	} else {
		err = goAhead(ctx, h, decision{DecisionApproved, by, remark}, nil)
	}
	if err != nil {
		return nil, err
	}
	journal.Log.Info("an order was approved",
		"order_id", id, "role", role.Name, "approver_entity", by.EntityID,
		"requester_entity", h.entry.Approval.AskedBy.EntityID)
	w := journal.newCaller(s, role, forPlacement)
	w.bought = true
	if _, err := w.refreshOrder(ctx, h); err != nil {
		return nil, err
	}
	o, err := journal.findOrder(context.WithoutCancel(ctx), s, role.Name, id)
	if err != nil || o == nil {
		return nil, err
	}
	return approvalOf(journal, o), nil
}
