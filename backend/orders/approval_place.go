// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// This file holds how an order goes on that waited for its approval: what is stored before
// CERTInext hears of it, and what has to be known first.

// goAhead stores that the order is to be placed, before CERTInext hears of it (ADR 0002). renew,
// unless it is nil, sets what it asks CERTInext for.
func goAhead(ctx context.Context, h *heldOrder, d decision, renew func(*orderEntry)) error {
	o := h.entry
	client, cfg, err := h.journal.Account.Client(ctx, h.storage)
	if err != nil {
		return err
	}
	if !account.SameAccount(o.Account, cfg.Account()) {
		return foreignOrder(o)
	}
	known, err := placedBefore(ctx, h, client, cfg)
	if err != nil {
		return err
	}
	err = storeGoingOn(ctx, h, known, cfg, renew, func() {
		now := h.journal.Now()
		o.decided(now, d.what, d.by, d.remark)
		o.note(now, "%s", decisionNote(o.Approval))
	})
	if err == nil {
		o.fresh = o.State == StatePlacing
	}
	return err
}

// storeGoingOn stores that the order goes on, see [goOnAs], once decide has noted why. renew may
// change what is ordered, unless it was already. On failure the order waits as before.
func storeGoingOn(
	ctx context.Context, h *heldOrder, known remoteID, cfg *account.Config,
	renew func(*orderEntry), decide func(),
) error {
	o := h.entry
	before := *o
	if renew != nil && known.orderID == "" {
		renew(o)
	}
	err := goOnAs(ctx, h, known, cfg)
	if err == nil && known.orderID == "" {
		err = reservePurchase(ctx, h, o, o.Placement.IdempotencyKey, o.Requester)
	}
	if err != nil {
		*o = before // nothing is stored
		h.journal.registry.amend(o)
		return err
	}
	decide()
	o.LastError, o.Needs = "", nil
	h.journal.registry.amend(o)
	if err := h.journal.saveOrder(ctx, h.storage, o); err != nil {
		// It may have been stored all the same, and the next process would take it for an order
		// that was sent.
		*o = before
		h.journal.registry.amend(o)
		return errors.Join(err, h.journal.saveOrder(ctx, h.storage, o))
	}
	return nil
}

// goOnAs makes the order one that is to be placed, or the one that CERTInext's records know
// already. Nothing is stored yet.
func goOnAs(ctx context.Context, h *heldOrder, known remoteID, cfg *account.Config) error {
	o := h.entry
	if known.orderID != "" {
		o.note(h.journal.Now(), "found at CERTInext as %s: it was placed before",
			sanitize.Short(known.orderID))
		err := h.takeNumber(ctx, known.orderID, numberShown)
		var taken *numberTakenError
		if errors.As(err, &taken) {
			return fault.BadField("id", "order %s was placed before: %v", o.ID, taken)
		}
		return err
	}
	if !keepsKey(h, cfg) {
		key, err := h.journal.NewID()
		if err != nil {
			return err
		}
		was := o.marker()
		o.Placement.IdempotencyKey = key
		o.Placement.Remarks = strings.ReplaceAll(o.Placement.Remarks, was, o.marker())
	}
	o.State = StatePlacing
	o.Placement.Keyless = keyless(cfg, o.Placement.Family)
	o.NotBefore = caTime(h.journal.Host, h.journal.Account, h.journal.Steady())
	return nil
}

// isMadeHere reports whether this process has stored the held order's intent, and was never told
// that storage has changed since.
func isMadeHere(h *heldOrder) bool {
	t, _ := h.journal.registry.status(h.id)
	return t.madeHere
}

// keepsKey reports whether an order that was never sent here is sent with the random key that it
// was stored with: it is this process's own, or CERTInext would answer with the order that it has
// already. Otherwise it may have been sent before a snapshot was restored, where CERTInext's
// records do not show it yet. Sent again, it would be the same order twice; with a key of its own,
// it is what somebody has approved now.
func keepsKey(h *heldOrder, cfg *account.Config) bool {
	o := h.entry
	if isMadeHere(h) {
		return true
	}
	now, certain := h.journal.Account.Time()
	age := now.Sub(o.CreatedAt)
	return cfg.TrustIdempotencyKey && !keyless(cfg, o.Placement.Family) &&
		certain && age >= 0 && age < replayWindow
}

// placedBefore looks for an order in CERTInext's records that was never placed here: a snapshot may
// have been restored from before its approval. This process's own orders cannot be there.
func placedBefore(
	ctx context.Context, h *heldOrder, client *certinext.Client, cfg *account.Config,
) (remoteID, error) {
	if isMadeHere(h) {
		return remoteID{}, nil
	}
	asked, cancel := account.WhileAsked(ctx)
	defer cancel()
	d := &driver{
		journal: h.journal, storage: h.storage, client: client, config: cfg, order: h.entry,
		held: h, purpose: forStatus,
	}
	found, err := h.journal.report.findNow(asked, d, false)
	switch {
	case err == nil:
		return found, nil
	case hasNoRecords(err), errors.Is(err, errReportIncomplete): // all its pages were read
		return remoteID{}, nil
	}
	return remoteID{}, &fault.RefusedError{Err: fmt.Errorf("CERTInext's records, which show "+
		"whether order %s was placed before a snapshot of Vault was restored, cannot be read "+
		"(%w): try again", h.id, err)}
}

// goOnIfPlaced has an order that waits for its approval go on as what CERTInext's records show of
// it, if they do: it was approved and placed before a snapshot of Vault was restored. An order of
// another account than config's cannot be looked for. Records may lag, so that what they do not
// show may have been placed all the same: the error says when that is certain.
func goOnIfPlaced(ctx context.Context, h *heldOrder) (placed bool, err error) {
	o := h.entry
	if isMadeHere(h) || o.Draft {
		return false, nil
	}
	client, cfg, err := h.journal.Account.Client(ctx, h.storage)
	if errors.Is(err, fault.ErrNotConfigured) {
		return false, nil
	}
	if err != nil || !account.SameAccount(o.Account, cfg.Account()) {
		return false, err
	}
	known, err := placedBefore(ctx, h, client, cfg)
	if err != nil {
		return false, err
	}
	if known.orderID == "" {
		return false, mayShowYet(h.journal, cfg, o)
	}
	err = storeGoingOn(ctx, h, known, cfg, nil, func() {
		o.decided(h.journal.Now(), DecisionApproved, Person{},
			"before a snapshot of Vault was restored")
	})
	return err == nil, err
}

// mayShowYet returns an error as long as CERTInext's records may lag behind an order that was
// placed before this process began, and before its approval was due. Ending it in the books alone
// could lose what is paid for.
func mayShowYet(journal *Journal, cfg *account.Config, o *orderEntry) error {
	lag := cfg.EffectiveAbsentAfter()
	left := lag - journal.Steady().Sub(journal.begun)
	if now, certain := journal.Account.Time(); certain {
		left = min(left, o.Approval.ExpiresAt.Add(lag).Sub(now))
	}
	if left <= 0 {
		return nil
	}
	return &fault.RefusedError{Err: fmt.Errorf("order %s is from before this process began: a "+
		"snapshot of Vault may have been restored since it was approved and placed, and "+
		"CERTInext's records may not show it yet (absent_after). Try again in %s", o.ID,
		phrase.Duration(left.Round(time.Second)+time.Second))}
}

// A decision is what was decided on an order's wait, by whom and why.
type decision struct {
	what   Decision
	by     Person
	remark string
}

// approvePromotion stores that a draft is to be promoted, which somebody has approved. It counts as
// a purchase of whoever has asked for it.
func approvePromotion(
	ctx context.Context, h *heldOrder, role *issuing.Role, by Person, remark string,
) error {
	requester := h.entry.Requester
	if asked := h.entry.Approval.AskedBy.EntityID; asked != "" {
		requester = entityPrefix + asked
	}
	return promoteWaiting(ctx, h, role, decision{DecisionApproved, by, remark}, requester)
}

// promoteWaiting stores that a draft is to be promoted that waits for the approval of that. On
// failure it waits as before.
func promoteWaiting(
	ctx context.Context, h *heldOrder, role *issuing.Role, d decision, requester string,
) error {
	o := h.entry
	before := *o
	o.State = StateDraft
	p, err := reservePromotion(ctx, h, role, requester)
	if err != nil {
		*o = before // nothing is stored
		return err
	}
	o.decided(h.journal.Now(), d.what, d.by, d.remark)
	o.note(h.journal.Now(), "%s", decisionNote(o.Approval))
	if err := storePromotion(ctx, h, p); err != nil {
		*o = before
		h.journal.registry.amend(o)
		return errors.Join(err, h.journal.saveOrder(ctx, h.storage, o))
	}
	return nil
}

// decisionNote is the line in the order's history about a decision.
func decisionNote(a *approval) string {
	switch a.Decision {
	case DecisionWaived:
		return "goes on without an approval, since the role requires none now"
	case DecisionApproved:
		if a.Remark != "" {
			return fmt.Sprintf("approved by %s: %s", a.DecidedBy, a.Remark)
		}
		return "approved by " + a.DecidedBy.String()
	case DecisionRejected:
		return rejectedBecause(a.DecidedBy, a.Remark)
	case DecisionExpired:
		return expiredBecause(a)
	}
	return "cancelled on request before anybody has approved it"
}
