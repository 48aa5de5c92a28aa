// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/hashicorp/vault/sdk/logical"
)

// This file holds what the requester of an order sees of the wait for its approval.

// beginApproval stores the intent of an order that is to be approved first. On failure the hold has
// ended.
func beginApproval(ctx context.Context, h *heldOrder, o *orderEntry, p *issuing.Plan) error {
	by := o.Asked.By
	if err := admitUnapproved(h.registry, p.Role, o); err != nil {
		h.drop()
		return err
	}
	o.askApproval(h.journal.Now(), p.Role.ApprovalTimeout, by)
	if err := h.storeIntent(ctx, o); err != nil {
		return err
	}
	o.fresh = false // its state says that it is unsent, and the background pass keeps it
	h.lookAgain(h.journal.Now().Add(approvalLook))
	what := []any{
		"order_id", o.ID, "role", o.Role, "requester_entity", by.EntityID,
		"expires_at", o.Approval.ExpiresAt,
	}
	if o.Placement.Subject == nil { // a person's name is none of the log's
		what = append(what, "common_name", sanitize.Short(o.Placement.names()[0]))
	}
	h.journal.Log.Info("an order waits for its approval", what...)
	return nil
}

// passApproval lets the caller pass on with its order, when that waits for an approval: at once if
// the role requires none any more and the caller's own request would place an order, else when
// somebody has approved it while the caller waits. The order is not held meanwhile, so that the
// approver can hold it. It takes over the hold and returns the one to go on with. The error says
// how the order stands otherwise.
func (w *caller) passApproval(ctx context.Context, h *heldOrder) (*heldOrder, error) {
	for h.entry.State == StateApproval {
		if err := learnApproval(ctx, w); err != nil {
			h.Release()
			return nil, err
		}
		if w.plan != nil && !w.role.RequireApproval && !h.entry.Draft && h.entry.Approval != nil {
			if err := w.waive(ctx, h); err != nil {
				h.Release()
				return nil, err
			}
			return h, nil
		}
		waiting := &Error{Order: h.entry.view()}
		id, role, decided := h.id, h.role, w.journal.registry.decision(h.id)
		h.Release()
		if !w.purpose.waits() || w.journal.waitFor(ctx, decided, w.deadline) != nil {
			return nil, waiting
		}
		next, err := w.holdDecided(ctx, role, id)
		if err != nil {
			return nil, err
		}
		h = next
	}
	return h, nil
}

// learnPatience is how old the role of a request may be when it decides on an approval.
const learnPatience = time.Second

// learnApproval looks again whether the role of a request that has waited requires approvals. A
// role that does by now counts, whatever the request was admitted by.
func learnApproval(ctx context.Context, w *caller) error {
	if w.plan == nil || w.journal.Steady().Sub(w.steady) < learnPatience {
		return nil
	}
	role, err := roles.MustRead(ctx, w.storage, w.role.Name)
	if err != nil {
		return err
	}
	now := *w.role
	now.RequireApproval, now.ApprovalTimeout = role.RequireApproval, role.ApprovalTimeout
	now.MaxUnapproved = role.MaxUnapproved
	w.role, w.plan.Role, w.steady = &now, &now, w.journal.Steady()
	return nil
}

// holdDecided holds an order on which somebody has decided. The error is how the order has ended.
func (w *caller) holdDecided(ctx context.Context, role, id string) (*heldOrder, error) {
	// While the approver's call places it, it is busy.
	h, err := holdOpen(ctx, w.journal, w.storage, id, w.deadline, func() error {
		return w.stillBusy(ctx, role, id)
	})
	if h == nil && err == nil {
		err = w.howItEnded(ctx, role, id)
	}
	return h, err
}

// howItEnded is the answer to a request whose order ended while it waited.
func (w *caller) howItEnded(ctx context.Context, role, id string) error {
	o, err := w.journal.Order(ctx, w.storage, role, id)
	switch {
	case err != nil:
		return err
	case o == nil:
		return w.journal.notOpen(ctx, w.storage, role, id)
	case !o.State.Final():
		return &Error{Order: o} // held again already
	}
	return &Error{Order: o, Over: true}
}

// waive has an order go on without an approval, since its role requires none now, as what the
// request orders today. Only a request does that, which would place an order anyway: what waits is
// never placed by itself.
func (w *caller) waive(ctx context.Context, h *heldOrder) error {
	if err := w.journal.Account.MayOrder(ctx, w.storage); err != nil {
		return err
	}
	if err := checkOwnKey(ctx, h); err != nil {
		return err
	}
	// What waits may have been asked for under settings that the role does not have any more.
	asToday := func(o *orderEntry) {
		defaults := w.role.OrderDefaults.Or(w.plan.Config.OrderDefaults)
		by := askedOf(o)
		told := w.role.Tells(by.By.called(), by.Owner)
		o.Placement = newPlacement(w.role, defaults, w.plan, told, o.Placement.IdempotencyKey)
	}
	if err := goAhead(ctx, h, decision{what: DecisionWaived}, asToday); err != nil {
		return err
	}
	w.journal.Log.Info("an order goes on without an approval: its role requires none now",
		"order_id", h.id, "role", h.role)
	return nil
}

// await has t known as one that waits for its approval, or lets those pass on who wait for the
// decision. The caller holds the registry's mu.
func (t *tracked) await(waits bool) {
	t.waits = waits
	if !waits && t.decided != nil {
		close(t.decided)
		t.decided = nil
	}
}

// decision returns a channel that is closed when an order no longer waits for its approval.
func (r *registry) decision(id string) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.orders[id]
	if t == nil || !t.waits {
		closed := make(chan struct{})
		close(closed)
		return closed
	}
	if t.decided == nil {
		t.decided = make(chan struct{})
	}
	return t.decided
}

// rejectionStands is how long a rejected request is answered with its rejection. Clients repeat
// what has failed every few seconds, and each time an approver would have to reject it again.
const rejectionStands = 24 * time.Hour

// maxRejected bounds the requests whose rejection is remembered.
const maxRejected = 10_000

// rejectedOrders knows the rejected orders that still answer for their requests, by the fingerprint
// of an unnamed request and by the order's id of a named one. A restart forgets them, so that each
// of these requests may be asked of an approver once more.
type rejectedOrders struct {
	mu   sync.Mutex
	last map[string]rejectedOrder
}

type rejectedOrder struct {
	key    string    // of its record in storage
	steady time.Time // when it was rejected, by [host.Options.Steady]
	until  time.Time // by the mount's clock, for people
}

func (r *rejectedOrders) add(request string, o rejectedOrder) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last == nil || len(r.last) >= maxRejected {
		r.last = make(map[string]rejectedOrder)
	}
	r.last[request] = o
}

// get returns the rejection that answers for a request at a time of the clock that nobody sets.
func (r *rejectedOrders) get(request string, now time.Time) (rejectedOrder, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, known := r.last[request]
	if known && now.Sub(o.steady) >= rejectionStands {
		delete(r.last, request)
		return rejectedOrder{}, false
	}
	return o, known
}

func (r *rejectedOrders) remove(request string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.last, request)
}

// rejectedBefore returns an error when the same request was rejected lately, which answers for it
// for [rejectionStands] unless its record is deleted or the role requires no approval now. request
// is the fingerprint of an unnamed request, and the id of a named one's order.
func (w *caller) rejectedBefore(ctx context.Context, request string) error {
	if !w.role.RequireApproval || w.plan.Request.Draft {
		return nil
	}
	before, known := w.journal.rejected.get(request, w.journal.Steady())
	if !known {
		return nil
	}
	o, err := store.Get[orderEntry](ctx, w.storage, before.key)
	switch {
	case err != nil:
		return err
	case o == nil, o.Approval == nil, o.Approval.Decision != DecisionRejected:
		w.journal.rejected.remove(request)
		return nil
	}
	v := o.view()
	v.Needs = []string{fmt.Sprintf("an approver is asked for the same request again from %s on, "+
		"or once the record is deleted: vault delete <mount>/orders/%s/%s",
		rfc3339(before.until), o.Role, o.ID)}
	return &Error{Order: v, Over: true}
}

// rememberRejected has a rejected order answer for its request from now on.
func rememberRejected(h *heldOrder, o *orderEntry) {
	request := o.Fingerprint
	if o.RequestID != "" {
		request = o.ID
	}
	if request == "" {
		return // it was handed over: no request finds it
	}
	h.journal.rejected.add(request, rejectedOrder{
		key: o.closedKey(), steady: h.journal.Steady(),
		until: h.journal.Now().Add(rejectionStands),
	})
}

// personOf returns who has sent a request, with the entity's name if Vault tells it now.
func personOf(journal *Journal, entity, display string) Person {
	p := Person{EntityID: entity, DisplayName: sanitize.Short(display)}
	if known, err := identityOf(journal, entity); err == nil && known != nil {
		p.Name = sanitize.Short(known.Name)
	}
	return p
}

// identityOf returns what Vault knows of an identity entity; nil when there is none of that id.
func identityOf(journal *Journal, entity string) (*logical.Entity, error) {
	if entity == "" {
		return nil, nil
	}
	if journal.System == nil {
		return nil, errors.New("identities cannot be asked for")
	}
	return journal.System().EntityInfo(entity)
}
