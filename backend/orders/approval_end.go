// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/hashicorp/vault/sdk/logical"
)

// This file holds how the wait for an approval ends without one.

// approvalLook is how often the background pass looks at an order that waits for its approval.
const approvalLook = time.Hour

// tendApproval is the background pass's work on an order that waits for its approval: it ends the
// order once nobody has approved it in time. It never places one, not even when the role requires
// no approval any more: only requests buy.
func tendApproval(ctx context.Context, h *heldOrder) error {
	o, journal := h.entry, h.journal
	if o.Approval == nil {
		return fmt.Errorf("order %s waits for an approval that is not on record", o.ID)
	}
	now := journal.Now()
	look := now.Add(approvalLook)
	if o.Approval.ExpiresAt.Before(look) {
		look = host.Upcoming(o.Approval.ExpiresAt, now)
	}
	h.lookAgain(look)
	if !hasWaitedTooLong(h) && o.Approval.isOverdue(now) {
		if _, seen := journal.Account.ClockSkew(); !seen {
			journal.Account.LearnClock(ctx, h.storage)
		}
	}
	if !hasWaitedTooLong(h) {
		return nil
	}
	if placed, err := goOnIfPlaced(ctx, h); placed || err != nil {
		return err
	}
	return endApproval(ctx, h, StateExpired, DecisionExpired, Person{}, "")
}

// hasWaitedTooLong reports whether an order has certainly waited too long: by a clock that is
// right, or by what has passed in this process (ADR 0022). Its key is erased then.
func hasWaitedTooLong(h *heldOrder) bool {
	a, journal := h.entry.Approval, h.journal
	now, certain := journal.Account.Time()
	if certain && a.isOverdue(now) {
		return true
	}
	known := journal.registry.quietFor(h.id, lull{from: a.AskedAt}, journal.Steady())
	return known >= a.Timeout && a.Timeout > 0
}

// endApproval ends the wait of a held order, which is over then and whose key is erased. A draft
// whose promotion nobody has approved is a draft as before.
func endApproval(
	ctx context.Context, h *heldOrder, state State, what Decision, by Person, remark string,
) error {
	o, now := h.entry, h.journal.Now()
	o.decided(now, what, by, remark)
	because := decisionNote(o.Approval)
	o.note(now, "%s", because)
	h.journal.Log.Info("an order was not approved",
		"order_id", o.ID, "role", o.Role, "decision", string(what),
		"approver_entity", by.EntityID, "requester_entity", o.Approval.AskedBy.EntityID)
	o.LastError = sanitize.Text(because, maxRemark+200)
	if o.Draft {
		h.setDraft(true)
		o.Needs = draftNeeds(o)
		h.lookAgain(now)
		return h.journal.saveOrder(ctx, h.storage, o)
	}
	o.State = state
	o.LastError = strings.TrimPrefix(o.LastError, "rejected ") // which the state says
	if what == DecisionRejected {
		rememberRejected(h, o)
	}
	return h.closeOrder(ctx)
}

// cancelWaiting ends an order that waits for its approval, because its requester or an operator
// says so. CERTInext need not be asked, unless the order may have been placed before a snapshot of
// Vault was restored. It returns nil for any other order, and for a draft, of which only the wait
// is ended.
func cancelWaiting(
	ctx context.Context, journal *Journal, s logical.Storage, role, id, requester string,
) (*Order, error) {
	o, err := journal.findOrder(ctx, s, role, id)
	if err != nil || o == nil || !o.waitsForApproval() {
		return nil, err
	}
	h, err := holdFor(ctx, journal, s, role, id, requester)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	if !h.entry.waitsForApproval() {
		return nil, nil // it was decided on meanwhile
	}
	if placed, err := goOnIfPlaced(ctx, h); placed || err != nil {
		return nil, err // it is cancelled as any order that CERTInext has
	}
	draft := h.entry.Draft
	err = endApproval(ctx, h, StateCancelled, DecisionEnded, Person{}, "")
	if err != nil || draft {
		return nil, err
	}
	return h.entry.view(), nil
}

// isApproved reports whether the order itself, not the promotion of a draft, was approved.
func (o *orderEntry) isApproved() bool {
	return o.Approval != nil && o.Approval.Decision == DecisionApproved && !o.promoting()
}

// approvedInVain has an approved order that CERTInext certainly did not take wait for its approval
// again, and returns the outcome of its drive.
func approvedInVain(ctx context.Context, h *heldOrder, cause error) outcome {
	if err := waitAgain(ctx, h, cause); err != nil {
		return outcome{err: err}
	}
	// Only the cause's text: its type must not make the request place a new order.
	return outcome{err: &fault.RefusedError{Err: errors.New(cause.Error())}}
}

// waitAgain has an approved order wait for its approval again, since CERTInext certainly did not
// take it, for cause. It is not sent by itself: only an approver's call does that.
func waitAgain(ctx context.Context, h *heldOrder, cause error) error {
	o := h.entry
	o.fresh = false
	o.LastError = sanitize.Short(cause.Error())
	o.note(h.journal.Now(), "approved by %s, but CERTInext did not take it: %s",
		o.Approval.DecidedBy, sanitize.Short(cause.Error()))
	o.undecided()
	h.journal.registry.amend(o)
	h.journal.Log.Warn("an approved order could not be placed, and waits for its approval again",
		"order_id", o.ID, "role", o.Role, "error", cause)
	return h.journal.saveOrder(ctx, h.storage, o)
}

// askPromotion has a draft wait until another person approves that it is promoted. What buys is the
// promotion: a draft costs nothing, and is kept without an approval.
func askPromotion(
	ctx context.Context, h *heldOrder, role *issuing.Role, requester string,
) (*Order, error) {
	if h.entry.waitsForApproval() && h.entry.Draft {
		return h.entry.view(), nil
	}
	if _, err := mayPromote(ctx, h, role); err != nil {
		return nil, err
	}
	o, before := h.entry, *h.entry
	by := personOf(h.journal, entityOf(requester), "")
	if err := admitUnapproved(h.registry, role, o); err != nil {
		return nil, err
	}
	o.askApproval(h.journal.Now(), role.ApprovalTimeout, by)
	h.journal.registry.amend(o)
	if err := h.journal.saveOrder(ctx, h.storage, o); err != nil {
		*o = before
		h.journal.registry.amend(o)
		return nil, errors.Join(err, h.journal.saveOrder(ctx, h.storage, o))
	}
	h.lookAgain(h.journal.Now().Add(approvalLook))
	h.journal.Log.Info("the promotion of a draft waits for its approval",
		"order_id", o.ID, "role", o.Role, "requester_entity", by.EntityID,
		"expires_at", o.Approval.ExpiresAt)
	return o.view(), nil
}
