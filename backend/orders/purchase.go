// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// Spending says whether an order may be placed, by what was ordered before.
type Spending interface {
	// Reserve is called before the intent to place an order is stored, or to promote a draft, and
	// counts it, or refuses it. What becomes of the order is not told: [FateOf] is asked. It
	// returns what the order costs, as far as that is known, and where it was counted.
	Reserve(ctx context.Context, s logical.Storage, p Purchase) (Cost, []Counted, error)
	// CountCharged is called when CERTInext has charged for a reissue, which nobody has reserved.
	// amount is the charge, as CERTInext wrote it.
	CountCharged(
		ctx context.Context, s logical.Storage, p Purchase, at time.Time, amount string,
	) error
	// Settle is called before the record of an order that may be paid for is removed, or filed
	// under another id, so that [FateOf] does not find it under its own any more.
	Settle(ctx context.Context, s logical.Storage) error
}

// A Purchase is an order that is about to be placed.
type Purchase struct {
	OrderID string
	// Key is random, and of this purchase alone. The order of a named request has the id of an
	// earlier one that came to nothing, and a promoted draft that of the draft.
	Key         string
	Role        string
	Requester   string
	ProductCode string
	Years       int    // of the subscription
	Group       string // the billing group; empty for the account's default
}

// A Cost is what an order costs. Its fields are empty when that is not known.
type Cost struct {
	Price    string `json:"price,omitempty"` // as 25.00
	Currency string `json:"currency,omitempty"`
}

// A Counted names the count of a budget that an order was counted to. The journal only keeps it.
type Counted struct {
	Key    string    `json:"key"`
	Period string    `json:"period"`
	Begins time.Time `json:"begins"`
}

// A Charge says whether an order is paid for.
type Charge string

// What is known of a charge. CERTInext says of no order that it is paid for, so that is never known
// of one that CERTInext has taken, or may have.
const (
	ChargeNone    Charge = "no"
	ChargeUnknown Charge = "unknown"
)

// charged returns whether the order is paid for, as far as that is known.
func (o *orderEntry) charged() Charge {
	if o.costsNothing() {
		return ChargeNone
	}
	return ChargeUnknown
}

// isUnsent reports whether CERTInext has yet to hear of the order, or never will, since nobody has
// approved it.
func (o *orderEntry) isUnsent() bool { return o.State == StateApproval || o.endedUnsent() }

// costsNothing reports whether CERTInext certainly never took the order, or has it as a draft.
func (o *orderEntry) costsNothing() bool {
	isDraft := o.Draft && o.CARequestID != ""
	switch {
	case o.CAOrderID != "":
		return false
	case o.isUnsent():
		return true
	case o.Presumed:
		return false
	case o.Abandoned, o.State == StateCancelled:
		return isDraft // otherwise CERTInext may have it and has not said its number
	}
	return o.State == StateFailed || o.State == StateDraft
}

// A Fate is what has become of a purchase.
type Fate int

// The fates of a purchase.
const (
	// FateOpen is that of an order that CERTInext may have taken, or has taken and not issued.
	FateOpen Fate = iota
	// FateTaken is that of an order that CERTInext has issued, or that has ended otherwise than as
	// one that CERTInext certainly never took.
	FateTaken
	// FateFree is that of an order that CERTInext certainly never took, and that of a draft, which
	// costs nothing.
	FateFree
	// FateGone is that of an order that is not stored, and is not about to be by this process.
	FateGone
)

// reservePurchase reserves an order that is about to be stored, or to be promoted, and sets what it
// costs. It counts as one of the requester by, who may promote another one's draft.
func reservePurchase(
	ctx context.Context, h *heldOrder, o *orderEntry, key, by string,
) error {
	spending := h.journal.Spending
	if spending == nil {
		return nil
	}
	cost, counted, err := spending.Reserve(ctx, h.storage, purchaseFor(o, key, by))
	if err == nil {
		o.Cost, o.Counted = cost, counted
	}
	return err
}

// purchaseFor describes the purchase of an order, or of the promotion of a draft, by its key and by
// who buys it.
func purchaseFor(o *orderEntry, key, by string) Purchase {
	p := purchaseOf(&o.Placement, o.Role, by)
	p.OrderID, p.Key = o.ID, key
	return p
}

// countCharge has budgets count a reissue that was charged. What fails is told in the log, and is
// made up for by reports/spend.
func countCharge(
	ctx context.Context, journal *Journal, s logical.Storage, o *orderEntry, amount string,
) {
	if journal.Spending == nil {
		return
	}
	err := journal.Spending.CountCharged(
		ctx, s, purchaseFor(o, o.Placement.IdempotencyKey, o.Requester), o.CreatedAt, amount)
	if err != nil {
		journal.Log.Warn("a reissue that was charged could not be counted under the budgets: "+
			"vault write <mount>/reports/spend correct=true counts it", "order_id", o.ID,
			"error", err)
	}
}

// settlePurchases settles what was reserved before the record of an order moves.
func settlePurchases(ctx context.Context, journal *Journal, s logical.Storage) error {
	if journal.Spending == nil {
		return nil
	}
	return journal.Spending.Settle(ctx, s)
}

// A Reserved is a purchase that was reserved before.
type Reserved struct {
	Role, OrderID, Key string // see [Purchase]
	// Held is set when it is asked about while another purchase of the same order is reserved. The
	// caller holds the order then, so that nobody is about to store the earlier purchase.
	Held bool
}

// FateOf returns what has become of a purchase. It reads storage only when the order is not open
// any more, or is not known to wait for CERTInext.
func FateOf(
	ctx context.Context, journal *Journal, s logical.Storage, r Reserved,
) (Fate, error) {
	role, id, key := r.Role, r.OrderID, r.Key
	if err := journal.registry.load(ctx, s); err != nil {
		return FateOpen, err
	}
	t, open := journal.registry.status(id)
	isKnown := open && t.isPurchase(key)
	switch {
	case open && t.unsaved != nil:
		return FateOpen, nil // what its next holder may be changing, and storage does not have yet
	case isKnown && (t.handed != nil || t.stored != ""):
		return FateTaken, nil
	case isKnown && t.isWaiting():
		return FateOpen, nil
	case isKnown && t.state == StateApproval && t.busy != nil && !r.Held:
		return FateOpen, nil // it may have been approved, and is about to be placed
	}
	o, err := store.Get[orderEntry](ctx, s, OpenPrefix+role+"/"+id)
	if o != nil {
		o.applyDelivery(t)
	}
	isClosed := false
	if err == nil && (o == nil || !o.isPurchase(key)) {
		isClosed = true
		o, err = store.Get[orderEntry](ctx, s, closedOrderPrefix+role+"/"+id)
	}
	switch {
	case err != nil:
		return unreadFate(err)
	case o != nil && o.isPurchase(key):
		return o.fate(key, isClosed), nil
	case open && t.busy != nil && !r.Held:
		return FateOpen, nil // it is about to be stored or promoted, or is being closed
	}
	return FateGone, nil
}

// unreadFate is the fate of an order whose entry was not read: unknown while storage fails. An
// entry that cannot be decoded counts, as what is unknown does.
func unreadFate(err error) (Fate, error) {
	if store.IsFault(err) {
		return FateOpen, err
	}
	return FateTaken, nil
}

// isPurchase reports whether the order is, as it stands, of the purchase with a key.
func (t *tracked) isPurchase(key string) bool {
	return key == t.promotion || (key == t.marker && t.promotion == "")
}

// isWaiting reports whether the order is one that CERTInext has yet to issue, or may never have
// taken, by its latest entry.
func (t *tracked) isWaiting() bool {
	return t.state == StatePlacing || t.state == StateUnresolved || t.state == StatePending
}

// isPurchase reports whether the entry is of the purchase with a key.
func (o *orderEntry) isPurchase(key string) bool {
	return key == o.Placement.IdempotencyKey || key == o.PromotionKey
}

// fate returns what has become of the order, or of the draft that it was before, by the key of the
// purchase. A key that the entry does not have is that of a promotion that has certainly not
// happened, or of another order.
func (o *orderEntry) fate(key string, isClosed bool) Fate {
	wasDraft := key == o.Placement.IdempotencyKey && !o.PromotedAt.IsZero()
	switch {
	case !o.isPurchase(key):
		return FateGone
	case wasDraft, o.costsNothing():
		return FateFree
	case isClosed, o.State == StateIssued, o.State.Final():
		return FateTaken
	}
	return FateOpen
}
