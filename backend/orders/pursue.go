// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
)

// A result is what a caller is answered about its order.
type result struct {
	issued *Issued // nil when nothing was handed over
	cert   *certificates.Entry
	err    error
	// unleased is whether another answer held the certificate without a lease.
	unleased bool
	// tookOver is whether the answer ended the delay of the certificate's revocation (ADR 0028).
	tookOver bool
	// delay and fingerprint are those of the certificate's entry before the answer.
	delay       time.Duration
	fingerprint string
}

// pursue drives a held order for the caller. It returns the order's certificate, or an [*Error]
// that says how the order stands. It takes over the hold: when the caller leaves first, the order
// is released in the background, once the call that is under way has ended.
func (w *caller) pursue(ctx context.Context, h *heldOrder) (*Issued, error) {
	h = h.transfer()
	h, err := w.passApproval(ctx, h)
	if err != nil {
		return nil, err
	}
	if h.entry.State == StateIssued {
		defer h.Release()
		r := h.fromStore(ctx, w)
		return r.issued, r.err
	}
	d, err := h.newDriver(ctx, w.purpose, w.deadline)
	if err != nil {
		defer h.Release()
		return nil, errors.Join(err, h.giveUpUnsent(ctx))
	}
	results, left := make(chan result), make(chan struct{})
	defer close(left)
	driveCtx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(w.journal.Alive, cancel)
	w.journal.Work.Go(func() {
		defer cancel()
		defer stop()
		defer h.Release()
		r := w.conclude(driveCtx, h, d.run(driveCtx))
		select {
		case results <- r:
		case <-left:
			if r.issued != nil {
				h.undoAnswer(driveCtx, r)
			}
		}
	})
	return w.await(ctx, results, d)
}

// await returns the drive's result, or how the order stands when the caller leaves before there is
// one.
func (w *caller) await(ctx context.Context, results <-chan result, d *driver) (*Issued, error) {
	leaves := w.detachesAt()
	// When the clock was set back since the caller began, the second duration is the shorter one.
	timer := time.NewTimer(min(leaves.Sub(w.journal.Now()), leaves.Sub(w.began)))
	defer timer.Stop()
	select {
	case r := <-results:
		return r.issued, r.err
	case <-ctx.Done():
	case <-timer.C:
		select { // a result that came at the same moment is not thrown away
		case r := <-results:
			return r.issued, r.err
		default:
		}
	}
	return nil, &Error{Order: d.latest.Load()}
}

// conclude makes the caller's answer of how a drive ended. It hands over the certificate, or stores
// it for a later request.
func (w *caller) conclude(ctx context.Context, h *heldOrder, out outcome) result {
	if out.cert != nil && w.purpose.isHanded() && ctx.Err() == nil {
		return h.fromDownload(ctx, w, out.cert)
	}
	h.storeOutcome(ctx, out)
	var (
		refusal *fault.RefusedError
		anew    *placeAnewError
	)
	if (out.err != nil && !errors.As(out.err, &refusal)) || errors.As(out.err, &anew) {
		return result{err: out.err}
	}
	if out.cert != nil && h.entry.State == StateIssued && ctx.Err() == nil {
		return h.fromStore(ctx, w) // a process that has died since may have handed it over
	}
	if w.purpose.isHurried() && h.entry.Solver != "" && h.entry.awaitsValidation() {
		h.validateBehind(ctx)
	} else {
		h.lookAgain(w.journal.Now().Add(host.PassDelay(0)))
	}
	return result{err: &Error{Order: h.entry.view(), Err: out.err}}
}

// storeOutcome stores the certificate that a drive has downloaded, and logs its error.
func (h *heldOrder) storeOutcome(ctx context.Context, out outcome) {
	if out.cert != nil {
		if err := h.keepUndelivered(context.WithoutCancel(ctx), out.cert); err != nil {
			h.journal.Log.Error("storing a certificate failed; the background pass tries again",
				"order_id", h.id, "error", err)
		}
	}
	if o := h.entry; out.err != nil && (o == nil || !o.State.Final()) { // else tellNews has told
		h.journal.Log.Warn("an order ended with an error", "order_id", h.id, "error", out.err)
	}
}

// giveUpUnsent ends an order that could not be driven, if CERTInext has certainly not heard of it:
// it is closed, or is a draft again when it was to be promoted. Other orders stay open.
func (h *heldOrder) giveUpUnsent(ctx context.Context) error {
	o := h.entry
	if !o.fresh {
		return nil
	}
	h.lookAgain(h.journal.Now())
	if o.isApproved() {
		return waitAgain(ctx, h, errors.New("given up before CERTInext was told"))
	}
	if o.promoting() {
		h.setDraft(true)
		o.fresh = false
		o.note(h.journal.Now(), "still a draft: given up before CERTInext was told")
		return h.journal.saveOrder(ctx, h.storage, o)
	}
	o.State = StateFailed
	o.note(h.journal.Now(), "given up before CERTInext was told")
	return h.closeOrder(ctx)
}

// validateBehind has the order's solver begin its work in the background, for a request that does
// not wait for it. It does nothing when the order is not due yet: a client that asks often must not
// keep the background work from the order.
func (h *heldOrder) validateBehind(ctx context.Context) {
	acct := h.journal.Account
	t, _ := h.journal.registry.status(h.id)
	if t.next.After(h.journal.Now()) || acct.Breaker.Now().InDoubt() || acct.Paused() ||
		!acct.Active() || h.journal.Alive.Err() != nil {
		return
	}
	select {
	case h.journal.behind <- struct{}{}:
	default:
		return // enough orders are worked on behind requests; the background pass takes this one
	}
	ctx, stop := h.journal.Detached(ctx)
	h.journal.Work.Go(func() {
		defer func() { <-h.journal.behind }()
		defer stop()
		// The request still holds the order.
		deadline := h.journal.Now().Add(hangUpPatience)
		if h.journal.waitFor(ctx, t.busy, deadline) != nil {
			return
		}
		err := h.journal.passOrder(ctx, h.storage, t.id)
		if err != nil && h.journal.Alive.Err() == nil {
			h.journal.Log.Warn(
				"a solver's work behind a request failed; the background pass tries again",
				"order_id", t.id, "error", err)
		}
	})
}
