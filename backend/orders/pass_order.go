// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/hashicorp/vault/sdk/logical"
)

// Bounds of what a background pass does for one order: a few that hang must not use up the pass. An order in doubt has longer, since it is looked
// for in a report of many pages, and so has one that a solver validates.
const (
	orderPatience = 20 * time.Second
	doubtPatience = 60 * time.Second
)

// Due lists the work on open orders whose time has come, the longest overdue first: that of asking needs CERTInext, that of own does not, and
// neither is longer than limit.
func (journal *Journal) Due(ctx context.Context, s logical.Storage, limit int) (own, asking []host.Job, err error) {
	if err := journal.registry.load(ctx, s); err != nil {
		return nil, nil, err
	}
	for _, key := range journal.registry.takeUnreadable() {
		journal.Log.Error("the entry of an open order cannot be read and is left alone", "key", key)
	}
	for _, t := range journal.registry.due(journal.Now(), math.MaxInt) {
		jobs := &asking
		if t.handed != nil {
			jobs = &own // its key is erased
		}
		if len(*jobs) < limit {
			*jobs = append(*jobs, func(ctx context.Context) error { return journal.passOrder(ctx, s, t) })
		}
	}
	return own, asking, nil
}

// passOrder moves one order on, without waiting for anything but CERTInext's answers.
func (journal *Journal) passOrder(ctx context.Context, s logical.Storage, t tracked) error {
	h, _ := journal.acquire(s, t.id)
	if h == nil {
		return nil
	}
	defer h.Release()
	h.lookAgain(journal.Now().Add(host.PassDelay(0))) // after a fault of storage
	open, err := h.readHeld(ctx)
	if err != nil || !open {
		return err
	}
	o := h.entry
	switch {
	case o.fresh:
		return h.giveUpUnsent(ctx)
	case o.State == StateIssued:
		return h.tendIssued(ctx, o.Serial)
	}
	before := o.CAStatus
	d, err := h.newDriver(ctx, forNobody, journal.Now())
	if err != nil {
		h.lookAgain(journal.Now().Add(host.PassDelay(journal.registry.attempt(o.ID, false))))
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patienceFor(o))
	defer cancel()
	out := d.run(ctx)
	h.lookAgain(journal.observeDrive(ctx, d, o.CAStatus != before))
	h.settle(ctx, out)
	var refusal *fault.RefusedError
	if errors.As(out.err, &refusal) {
		return nil // logged, and kept with the order
	}
	return out.err
}

// patienceFor is how long the pass works on an order.
func patienceFor(o *orderEntry) time.Duration {
	if o.State == StatePending && o.Solver == "" {
		return orderPatience
	}
	return doubtPatience
}

// observeDrive takes note of what a drive of the pass came to, and says when the order has its next turn. Failures that all
// orders share do not make it wait longer than the others.
func (journal *Journal) observeDrive(ctx context.Context, d *driver, changed bool) time.Time {
	now, err := journal.Now(), d.lastErr
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if ctx.Err() != nil && d.solver != nil && d.tracked {
		err = nil // the DNS was slow, which says nothing of CERTInext
	}
	if err != nil || d.remote != nil {
		if against := journal.Account.Observe(err, d.started); err != nil && !against {
			return now.Add(max(host.PassDelay(0), account.Hint(err)))
		}
	}
	return now.Add(max(host.PassDelay(journal.registry.attempt(d.order.ID, changed)), account.Hint(err)))
}

// tendIssuedOnce looks after an order whose certificate is stored under serial: when it is not handed out any more, the key
// goes; one that nobody fetched waits, and so does one that may be asked for again.
func (h *heldOrder) tendIssued(ctx context.Context, serial string) error {
	h.lookAgain(h.journal.Now().Add(host.PassDelay(1)))
	err := h.tendIssuedOnce(ctx, serial)
	if errors.Is(err, account.ErrClockUnknown) {
		h.journal.Account.LearnClock(ctx, h.storage)
		err = h.tendIssuedOnce(ctx, serial)
	}
	if errors.Is(err, account.ErrClockUnknown) {
		return nil // CERTInext has not answered; the next pass asks again
	}
	return err
}

// tendIssuedOnce is tendIssuedOnce, unless only our clock says that the order is over, and CERTInext's was not seen yet: what it erases does not come back.
func (h *heldOrder) tendIssuedOnce(ctx context.Context, serial string) error {
	unlock, err := h.journal.Certificates.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := certificates.Read(ctx, h.storage, serial)
	if err != nil {
		return err
	}
	if c == nil {
		return fmt.Errorf("order %s: its certificate %s is not stored", h.id, serial)
	}
	due, err := h.journal.Certificates.RevocationDue(ctx, h.storage, c)
	if err != nil {
		return err
	}
	h.journal.registry.recall(h.id, c)
	if verdict, _ := handoverTo(c, h.entry, nil, due, h.journal.Now(), h.journal.Account.ClockInDoubt()); verdict == isOver {
		if _, seen := h.journal.Account.ClockSkew(); !seen && !due && c.Revocation == nil {
			return account.ErrClockUnknown
		}
		return h.finish(ctx, c, due)
	}
	if c.Delivery != nil {
		h.lookAgain(host.Later(nextDeliveryLook(c, h.entry, h.journal.Now()), h.journal.Now()))
		return h.journal.Certificates.EndUnstored(ctx, h.storage, c)
	}
	return nil
}
