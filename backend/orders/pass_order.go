// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/hashicorp/vault/sdk/logical"
)

// How long a background pass works on one order: a few calls that hang must not use up the pass.
const (
	// orderPatience applies to an order that only needs a few calls.
	orderPatience = 20 * time.Second
	// doubtPatience applies to an order in doubt, which is looked for in a report of many pages,
	// and to one whose domains a solver validates.
	doubtPatience = 60 * time.Second
)

// Due lists the background pass's work on open orders that are due, the longest overdue first: the
// jobs of asking call CERTInext, those of own do not. Each list has at most limit jobs. Besides an
// error, it lists the orders that could be read.
func (journal *Journal) Due(
	ctx context.Context, s logical.Storage, limit int,
) (own, asking []host.Job, err error) {
	journal.report.forgetOld(journal.Steady())
	err = journal.registry.load(ctx, s)
	untold, again := journal.registry.rereadUnreadable(ctx, s)
	for _, key := range untold {
		journal.Log.Error("the entry of an open order cannot be read and is left alone", "key", key)
	}
	jobs := func(ids []string) (out []host.Job) {
		for _, id := range ids {
			out = append(out, func(ctx context.Context) error {
				return journal.passOrder(ctx, s, id)
			})
		}
		return out
	}
	handed, others := journal.registry.due(journal.Now(), limit)
	// All that is left of what was handed over is to erase its key.
	return jobs(handed), jobs(others), errors.Join(err, again)
}

// passOrder takes an order as far as possible for the background pass, which waits for CERTInext's
// answers, and not for its status to change. It does nothing while others hold the order.
func (journal *Journal) passOrder(ctx context.Context, s logical.Storage, id string) error {
	h, _ := journal.acquire(s, id)
	if h == nil {
		return nil
	}
	defer h.Release()
	h.lookAgain(journal.Now().Add(host.PassDelay(0))) // if storage fails
	open, err := h.readHeld(ctx)
	if err != nil || !open {
		return err
	}
	o := h.entry
	switch {
	case o.fresh:
		return h.giveUpUnsent(ctx)
	case o.State == StateApproval:
		return tendApproval(ctx, h)
	case o.State == StateIssued:
		return h.tendIssued(ctx, o.Serial)
	}
	needs, err := h.strandedNeeds(ctx)
	switch {
	case err != nil:
		return err
	case needs != nil:
		return h.tendStranded(ctx, needs)
	}
	before := o.CAStatus
	d, err := h.newDriver(ctx, forNobody, journal.Now())
	if err != nil {
		attempts := journal.registry.attempt(o.ID, false)
		h.lookAgain(journal.Now().Add(host.PassDelay(attempts)))
		if errors.Is(err, account.ErrHeld) {
			return nil // it goes on when the mount is released
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patienceFor(o))
	defer cancel()
	out := d.run(ctx)
	h.lookAgain(journal.observeDrive(ctx, d, o.CAStatus != before))
	h.storeOutcome(ctx, out)
	var refusal *fault.RefusedError
	if errors.As(out.err, &refusal) {
		return nil // logged, and kept with the order
	}
	return out.err
}

// patienceFor returns how long the pass works on an order.
func patienceFor(o *orderEntry) time.Duration {
	if o.State == StatePending && o.Solver == "" {
		return orderPatience
	}
	return doubtPatience
}

// observeDrive records how a drive of the pass went, and returns when the order is due again. A
// failure that is not the order's own, such as an outage of CERTInext, does not lengthen the
// order's delay.
func (journal *Journal) observeDrive(ctx context.Context, d *driver, changed bool) time.Time {
	now, err := journal.Now(), d.lastErr
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if ctx.Err() != nil && d.solver != nil && d.tracked {
		err = nil // the solver was slow, which says nothing about CERTInext
	}
	if err != nil || d.remote != nil {
		if ofOrder := journal.Account.Observe(err, d.started); err != nil && !ofOrder {
			return now.Add(max(host.PassDelay(0), account.Hint(err)))
		}
	}
	delay := host.PassDelay(journal.registry.attempt(d.order.ID, changed))
	return now.Add(max(delay, account.Hint(err)))
}

// tendIssued takes care of an order whose certificate is stored under serial: it erases the key
// once the certificate is not handed over any more. A certificate that was not collected yet, or
// that may be asked for again, keeps its key.
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

// tendIssuedOnce does the work of tendIssued. It returns [account.ErrClockUnknown] when the order
// is over by the mount's clock alone, and CERTInext's was not seen yet: an erased key does not come
// back (ADR 0022). Without CERTInext, it goes by how long this process has known of no answer.
func (h *heldOrder) tendIssuedOnce(ctx context.Context, serial string) error {
	stranded, err := h.isStranded(ctx)
	if err != nil {
		return err
	}
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
	ends, err := endingOf(ctx, h.journal.Certificates, h.storage, c)
	if err != nil {
		return err
	}
	h.journal.registry.recall(h.id, c)
	if stranded && c.Revocation == nil && ends != endDue {
		if over, how := h.strandedEnd(c); over {
			return h.finish(ctx, c, how)
		}
	}
	_, seen := h.journal.Account.ClockSkew()
	at := clockOf(h.journal.Account, false)
	if verdict, _ := handoverTo(c, h.entry, nil, ends, at); verdict.isOver() {
		if !seen && ends != endDue && c.Revocation == nil {
			return account.ErrClockUnknown
		}
		return h.finish(ctx, c, verdict)
	}
	if c.Delivery != nil {
		h.lookAgain(host.Upcoming(nextDeliveryLook(c, h.entry, h.journal.Now()), h.journal.Now()))
		return h.journal.Certificates.EndUnstored(ctx, h.storage, c)
	}
	return nil
}
