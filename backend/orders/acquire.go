// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/ahead"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/hashicorp/go-uuid"
	"github.com/hashicorp/vault/sdk/logical"
)

// acquireOrder finds or makes the order of a request, and holds it for the request (ADR 0020).
// rekey is set when the order is for the same names but another key than the request's: its
// certificate is to be reissued for that key (ADR 0019).
func (w *caller) acquireOrder(ctx context.Context) (h *heldOrder, rekey bool, err error) {
	if err := w.journal.registry.load(ctx, w.storage); err != nil {
		return nil, false, err
	}
	if err := w.journal.registry.blocked(w.role.Name); err != nil {
		return nil, false, err
	}
	if w.plan.Request.ID != "" {
		h, err = w.acquireNamed(ctx)
		return h, false, err
	}
	for {
		if w.role.RenewAhead.IsOn() { // a successor that was made ahead waits until it is due
			if h, err = reuseOrder(ctx, w); err != nil || h != nil {
				return h, false, err
			}
		}
		if h, err = w.findSame(ctx); err != nil || h != nil {
			return h, false, err
		}
		if h, err = w.takeOver(ctx); err != nil || h != nil {
			return h, false, err
		}
		if h, err = reuseOrder(ctx, w); err != nil || h != nil {
			return h, false, err
		}
		if h, err = findMade(ctx, w); err != nil || h != nil {
			return h, false, err
		}
		if h, rekey, err = w.findRekeyable(ctx); err != nil || h != nil {
			return h, rekey, err
		}
		if err := w.rejectedBefore(ctx, w.plan.Identity); err != nil {
			return nil, false, err
		}
		id, err := purchaseID(ctx, w)
		if err != nil {
			return nil, false, err
		}
		t := tracked{id: id, role: w.role.Name, fingerprint: w.plan.Identity}
		h = w.journal.reserve(w.storage, t, w.serves())
		if h == nil {
			continue // the same request has come at the same moment, and was faster
		}
		w.bought = true
		return h, false, beginUnnamed(ctx, w, h)
	}
}

// hangUpPatience is how long a request that does not wait for its order's end waits for another
// request to release the order.
const hangUpPatience = time.Second

// serves returns which open orders the request finds again: those of the same requester's same
// request whose certificate it may get.
func (w *caller) serves() func(*tracked) bool {
	at := clockOf(w.journal.Account, false)
	return func(t *tracked) bool {
		return w.plan.Matches(t.fingerprint) && !t.named && !w.passed[t.id] &&
			(t.handed == nil || reuses(w) || w.mayReuse(&t.handed.delivery, at))
	}
}

// findSame holds the open order that the same request came to before. While the order is held, it
// waits, since the same request is one purchase (ADR 0020). It returns nil when there is none.
func (w *caller) findSame(ctx context.Context) (*heldOrder, error) {
	return w.findOpen(ctx, w.serves(), func(o *orderEntry) bool {
		return w.plan.Matches(o.Fingerprint)
	})
}

// findOpen is findSame for any order that is wanted by what the registry knows of it; stored says
// whether its entry is wanted, too.
func (w *caller) findOpen(
	ctx context.Context, wanted func(*tracked) bool, stored func(*orderEntry) bool,
) (*heldOrder, error) {
	for {
		t, h, busy := w.journal.claim(w.storage, wanted)
		if t.id == "" {
			return nil, nil
		}
		if h == nil {
			if err := w.journal.waitFor(ctx, busy, w.waitsUntil()); err != nil {
				return nil, w.stillBusy(ctx, w.role.Name, t.id)
			}
			continue
		}
		open, err := h.readHeld(ctx)
		switch {
		case err != nil:
			h.Release()
			return nil, err
		case !open:
		case stored(h.entry):
			return h, nil
		default:
			// A failed write has left the registry wrong about the order: Release corrects that.
			h.Release()
		}
	}
}

// namedOrderID returns the id of the order of a request that has a request_id. The id follows from
// the name, so there is no index that a crash could leave behind.
func namedOrderID(role, requester, name string) (string, error) {
	sum := sha256.Sum256([]byte(strings.Join([]string{role, requester, name}, "\x00")))
	return uuid.FormatUUID(sum[:16])
}

// NamedOrder returns the order, open or closed, of the requester's request whose request_id is
// name; nil when there is none.
func (journal *Journal) NamedOrder(
	ctx context.Context, s logical.Storage, role, requester, name string,
) (*Order, error) {
	id, err := namedOrderID(role, requester, name)
	if err != nil {
		return nil, err
	}
	return journal.Order(ctx, s, role, id)
}

// acquireNamed finds or makes the order of a request that has a request_id, and holds it.
func (w *caller) acquireNamed(ctx context.Context) (*heldOrder, error) {
	r := w.plan.Request
	id, err := namedOrderID(r.Role, r.Requester, r.ID)
	if err != nil {
		return nil, err
	}
	for {
		h, busy := w.journal.acquire(w.storage, id)
		switch {
		case busy != nil:
			// After a wait that is too long, the client would take stillBusy's answer about another
			// request's order for one about its own.
			if of, open := w.journal.registry.fingerprintOf(id); open && !w.plan.MatchesNamed(of) {
				return nil, nameTaken(r.ID, id)
			}
			if err := w.journal.waitFor(ctx, busy, w.waitsUntil()); err != nil {
				return nil, w.stillBusy(ctx, r.Role, id)
			}
			continue
		case h == nil:
			if h, err := joinAhead(ctx, w); h != nil || err != nil {
				return h, err
			}
			if err := w.rejectedBefore(ctx, id); err != nil {
				return nil, err
			}
			if err := learnReplaced(ctx, w); err != nil {
				return nil, err
			}
			t := tracked{
				id: id, role: r.Role, fingerprint: w.plan.Identity, named: true,
				renews: cmp.Or(r.Renews, w.instead.replacedSerial()),
			}
			h = w.journal.reserve(w.storage, t, nil)
			if h == nil {
				continue // another request of this name was faster
			}
			w.bought = true
			return h, beginNamed(ctx, w, h)
		}
		open, err := h.readHeld(ctx)
		if err != nil {
			h.Release()
			return nil, err
		}
		if !open {
			continue
		}
		if err := h.entry.matches(w.plan); err != nil {
			h.Release()
			return nil, err
		}
		return h, nil
	}
}

// nameTaken is the answer to a request whose request_id stands for an order of another request.
func nameTaken(name, id string) error {
	return fault.BadField("request_id", "%q already names another request (order %s)", name, id)
}

// matches returns an error when an order that was found by the request's name is not the order of
// that request. A request for a draft also matches once that draft was promoted.
func (o *orderEntry) matches(p *issuing.Plan) error {
	r := p.Request
	switch {
	case !p.MatchesNamed(o.Fingerprint):
		return nameTaken(r.ID, o.ID)
	case o.Draft && !r.Draft:
		return fault.BadField("request_id", "%q names order %s, which is a draft: "+
			"vault write <mount>/orders/%s/%s promote=true places it", r.ID, o.ID, o.Role, o.ID)
	}
	return nil
}

// beginNamed is begin for a request with a request_id. The record of an earlier order of the name,
// which has come to nothing, is there until the new one is stored: a request that is refused
// changes nothing.
func beginNamed(ctx context.Context, w *caller, h *heldOrder) error {
	before, err := w.freeName(ctx, w.plan.Request, h.id)
	if err != nil {
		h.drop()
		return err
	}
	if err := w.begin(ctx, h); err != nil || before == nil {
		return err
	}
	// It is of no more use. If it stays, the new order's own record replaces it.
	err = store.Delete(context.WithoutCancel(ctx), w.storage, before.closedKey())
	if err != nil {
		w.journal.Log.Warn("the record of an order whose name is used again cannot be removed",
			"order_id", h.id, "role", h.role, "error", err)
	}
	return nil
}

// freeName makes the name of a request free for a new order, or returns an error when a closed
// order has used it up. It is free when CERTInext never took the closed order or had it as a
// draft only, whose record is returned, for the caller to delete, and when the order is a renewal
// whose certificate was never handed over, whose record is then kept under another id.
func (w *caller) freeName(
	ctx context.Context, r issuing.Request, id string,
) (useless *orderEntry, err error) {
	closed, err := store.Get[orderEntry](ctx, w.storage, closedOrderPrefix+r.Role+"/"+id)
	if err != nil || closed == nil {
		return nil, err
	}
	switch {
	case closed.Presumed:
		return nil, refile(ctx, w.journal, w.storage, closed)
	case wasNotTaken(closed):
		return closed, settleBefore(ctx, w.journal, w.storage, closed)
	case isUnfetchedRenewal(closed, r):
		return nil, refile(ctx, w.journal, w.storage, closed)
	}
	return nil, nameUsedUp(r.ID, closed)
}

// wasNotTaken reports whether CERTInext never took a closed order, or had it as a draft only.
func wasNotTaken(o *orderEntry) bool { return o.State == StateFailed || o.CAOrderID == "" }

// isUnfetchedRenewal reports whether a closed order renews what the request does, and its
// certificate was never handed over.
func isUnfetchedRenewal(o *orderEntry, r issuing.Request) bool {
	return !o.Delivered && r.Renews != "" && r.ID == renewalID+r.Renews
}

// nameUsedUp is the answer to a request whose request_id stands for an order that is over.
func nameUsedUp(name string, closed *orderEntry) error {
	return fault.BadField("request_id",
		"%q names order %s, which is over (%s); its key is gone: use another name",
		name, closed.ID, closed.State)
}

// refiledID returns the id under which the record of a closed order is kept when its name is used
// again, which no request can have. It follows from the order: what a crash has left in both places
// is stored in the same one again, and counts once.
func refiledID(closed *orderEntry) (string, error) {
	return namedOrderID(closed.Role, "refiled", strings.Join([]string{
		closed.ID, closed.Placement.IdempotencyKey,
		strconv.FormatInt(closed.CreatedAt.UnixNano(), 10),
	}, "/"))
}

// refile moves the record of an order whose name is used again, and which may be paid for, to
// another id.
func refile(
	ctx context.Context, journal *Journal, s logical.Storage, closed *orderEntry,
) error {
	if err := settlePurchases(ctx, journal, s); err != nil {
		return err
	}
	before := closed.closedKey()
	id, err := refiledID(closed)
	if err != nil {
		return err
	}
	closed.ID = id
	if err := store.Put(ctx, s, closed.closedKey(), closed); err != nil {
		return err
	}
	tellClosed(journal, closed)
	defer journal.Index.Doubt(strings.TrimPrefix(before, closedOrderPrefix))
	if closed.Serial != "" {
		if err := refileCertificate(ctx, journal, s, closed); err != nil {
			return err
		}
	}
	return store.Delete(ctx, s, before)
}

// refileCertificate stores the new id of a refiled order in the entry of its certificate.
func refileCertificate(
	ctx context.Context, journal *Journal, s logical.Storage, o *orderEntry,
) error {
	unlock, err := journal.Certificates.Lock(ctx, o.Serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := certificates.Read(ctx, s, o.Serial)
	if err != nil || c == nil {
		return err
	}
	c.OrderID = o.ID
	return journal.Certificates.Put(ctx, s, c)
}

// waitFor waits for the hold that busy stands for to end. It returns an error when ctx ends or the
// deadline passes before that.
func (journal *Journal) waitFor(
	ctx context.Context, busy <-chan struct{}, deadline time.Time,
) error {
	timer := time.NewTimer(deadline.Sub(journal.Now()))
	defer timer.Stop()
	select {
	case <-busy:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return context.DeadlineExceeded
	}
}

// stillBusy is the answer to a request whose order was held by another request or by the background
// pass for too long. When the order cannot be read now, or is not stored yet, the client has lost
// nothing either, and is told to send its request again.
func (w *caller) stillBusy(ctx context.Context, role, id string) error {
	o, err := w.journal.Order(context.WithoutCancel(ctx), w.storage, role, id)
	if err != nil {
		w.journal.Log.Warn("could not read an order for a request that waits for it",
			"order_id", id, "error", err)
	}
	if o == nil {
		return &fault.RefusedError{Err: errors.New(
			"the same request is being worked on at this moment: send it again")}
	}
	return &Error{Order: o}
}

// begin stores what the held order is to buy: a certificate within the subscription of the one that
// it succeeds, where the role says so, or a new order; or nothing, where CERTInext has renewed the
// certificate by itself. On failure the hold has ended.
func (w *caller) begin(ctx context.Context, h *heldOrder) error {
	renewed, taken, err := beginByCA(ctx, w, h)
	switch {
	case err != nil:
		h.drop() // nothing, if the hold has ended already
		return err
	case taken:
		return nil
	}
	unlock, err := w.alone(ctx, h)
	if err != nil {
		h.drop()
		return err
	}
	defer unlock()
	within, err := w.beginWithin(ctx, h)
	switch {
	case err != nil:
		h.drop() // nothing, if the hold has ended already
		return err
	case within:
		return nil
	}
	err = learnApproval(ctx, w)
	if err == nil {
		err = findReplaced(ctx, w)
	}
	if err == nil {
		err = buysBeside(ctx, w, renewed)
	}
	if err != nil {
		h.drop()
		return err
	}
	return h.begin(ctx, w.plan, w.instead)
}

// begin stores the intent to order, before CERTInext hears of it (ADR 0002). On failure the hold
// has ended. instead is set when its certificate succeeds another one.
func (h *heldOrder) begin(ctx context.Context, p *issuing.Plan, instead successor) error {
	// The request may have waited: config counts as it is now, not as it was for the plan.
	if err := h.journal.Account.MayOrder(ctx, h.storage); err != nil {
		h.drop()
		return err
	}
	if err := h.journal.Certificates.CheckKey(ctx, h.storage, p.CSRKey); err != nil {
		h.drop()
		return err
	}
	if check := h.journal.CheckProduct; check != nil {
		if err := check(ctx, h.storage, p.Role); err != nil {
			h.drop()
			return err
		}
	}
	o, err := h.journal.newOrder(p, h.id)
	asks := p.Role.RequireApproval && !p.Request.Draft // whoever approves it reserves it
	if err == nil && !asks {
		err = reservePurchase(ctx, h, o, o.Placement.IdempotencyKey, o.Requester)
	}
	if err != nil {
		h.drop()
		return err
	}
	setReplaced(o, p, instead)
	if instead.why != "" {
		o.note(h.journal.Now(), "a new order and no reissue: %s", instead.why)
	}
	if instead.byCA != "" {
		o.note(h.journal.Now(), "%s", instead.byCA)
	}
	instead.mark(o, h.journal.Now())
	if asks {
		if err := p.Config.AllowsProduct(o.Placement.ProductCode); err != nil {
			h.drop()
			return err // nobody could approve it
		}
		return beginApproval(ctx, h, o, p)
	}
	return h.storeIntent(ctx, o)
}

// storeIntent stores an order that CERTInext has certainly not heard of. On failure the hold has
// ended.
func (h *heldOrder) storeIntent(ctx context.Context, o *orderEntry) error {
	o.fresh, o.dirty = true, true
	h.entry = o
	err := h.journal.saveOrder(ctx, h.storage, o)
	if err == nil {
		h.journal.registry.amend(o)
		return nil
	}
	// It may have been stored all the same, and the next process would take it for an order that
	// was sent.
	again := store.Delete(context.WithoutCancel(ctx), h.storage, o.openKey())
	doubt(h.journal, o.Role, o.ID)
	if again != nil {
		h.lookAgain(h.journal.Now())
		h.Release() // the registry knows that it is unsent, and the background pass removes it
		return errors.Join(err, again)
	}
	h.drop()
	return err
}

// newOrder returns the entry of an order that is not stored yet, with a key of its own unless the
// request brought a CSR.
func (journal *Journal) newOrder(p *issuing.Plan, id string) (*orderEntry, error) {
	role, cfg, r := p.Role, p.Config, p.Request
	now := journal.Now()
	key, err := journal.NewID()
	if err != nil {
		return nil, err
	}
	reuse := role.EffectiveReuseWindow()
	asked := askedFor(journal, r)
	told := role.Tells(asked.By.called(), asked.Owner)
	o := &orderEntry{
		Version: 1, ID: id, Role: role.Name, Account: cfg.Account(),
		Requester: r.Requester, RequestID: r.ID, Fingerprint: p.Identity,
		State: StatePlacing, Draft: r.Draft, Renews: r.Renews, CSR: p.CSR, TTL: r.TTL,
		CreatedAt: now, UpdatedAt: now,
		Grace: role.DeliveryGrace, Reuse: &reuse,
		Pickup: role.PickupWindow, RevokeUnclaimed: role.RevokeUnclaimed,
		Placement: newPlacement(role, role.OrderDefaults.Or(cfg.OrderDefaults), p, told, key),
		Asked:     asked,
	}
	o.Placement.Keyless = keyless(cfg, o.Placement.Family)
	o.NeedsApproval = r.Draft && role.RequireApproval
	o.Names, o.Terms, o.Again = namesOf(p), termsFor(p), ahead.AskedOf(p)
	o.NotBefore = caTime(journal.Host, journal.Account, journal.Steady())
	o.note(now, "requested")
	if p.CSR != "" {
		return o, nil
	}
	return o, journal.addKey(o, p)
}

// addKey generates the order's key and its CSR.
func (journal *Journal) addKey(o *orderEntry, p *issuing.Plan) error {
	key, err := p.Key.Generate()
	if err != nil {
		return fmt.Errorf("generating the key: %w", err)
	}
	if o.PrivateKey, err = issuing.MarshalKey(key); err != nil {
		return err
	}
	o.OwnKey = true
	o.CSR, err = issuing.NewCSR(key, p)
	return err
}
