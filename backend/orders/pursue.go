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

// A result is what an order came to for its caller.
type result struct {
	issued *Issued // nil when nothing was handed over
	cert   *certificates.Entry
	err    error
}

// pursue moves a held order on for a caller, and answers with its certificate, or with an [*Error] that says how the order stands. It
// takes over the hold: when the caller leaves first, the order is let go in the background once what is under way has ended.
func (w *caller) pursue(ctx context.Context, h *heldOrder) (*Issued, error) {
	h = h.transfer()
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
				h.takeBack(driveCtx, r)
			}
		}
	})
	return w.await(ctx, results, d)
}

// await waits for the result as long as the caller does.
func (w *caller) await(ctx context.Context, results <-chan result, d *driver) (*Issued, error) {
	leaves := w.detachesAt()
	timer := time.NewTimer(min(leaves.Sub(w.journal.Now()), leaves.Sub(w.began))) // the latter when the clock is set back meanwhile
	defer timer.Stop()
	select {
	case r := <-results:
		return r.issued, r.err
	case <-ctx.Done():
	case <-timer.C:
		select { // a result that has come at the same moment is not thrown away
		case r := <-results:
			return r.issued, r.err
		default:
		}
	}
	return nil, &Error{Order: d.latest.Load()}
}

// conclude ends a drive: its certificate is handed over, or stored for who comes next, and the caller's answer is made.
func (w *caller) conclude(ctx context.Context, h *heldOrder, out outcome) result {
	if out.cert != nil && w.purpose.isHanded() && ctx.Err() == nil {
		return h.fromDownload(ctx, w, out.cert)
	}
	h.settle(ctx, out)
	var (
		refusal   *fault.RefusedError
		elsewhere *placeAnewError
	)
	if out.err != nil && !errors.As(out.err, &refusal) || errors.As(out.err, &elsewhere) {
		return result{err: out.err}
	}
	if out.cert != nil && h.entry.State == StateIssued && ctx.Err() == nil {
		return h.fromStore(ctx, w) // it may have been handed over by a process that has died since
	}
	if w.purpose.isHurried() && h.entry.Solver != "" && h.entry.awaitsValidation() {
		h.validateBehind(ctx)
	} else {
		h.lookAgain(w.journal.Now().Add(host.PassDelay(0)))
	}
	return result{err: &Error{Order: h.entry.view(), Err: out.err}}
}

// settle stores and logs what a drive has come to.
func (h *heldOrder) settle(ctx context.Context, out outcome) {
	if out.cert != nil {
		if err := h.keepUndelivered(context.WithoutCancel(ctx), out.cert); err != nil {
			h.journal.Log.Error("storing a certificate failed; the background pass tries again", "order_id", h.id, "error", err)
		}
	}
	if out.err != nil {
		h.journal.Log.Warn("an order ended with an error", "order_id", h.id, "error", out.err)
	}
}

// giveUpUnsent closes an order that could not be driven, if CERTInext has certainly not heard of it; others go on.
func (h *heldOrder) giveUpUnsent(ctx context.Context) error {
	o := h.entry
	if !o.fresh {
		return nil
	}
	h.lookAgain(h.journal.Now())
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

// validateBehind has the work of an order's solver begin behind a request that does not wait for it, unless the order had its turn a moment
// ago. A client that asks often must not keep the order from the background work.
func (h *heldOrder) validateBehind(ctx context.Context) {
	t, _ := h.journal.registry.status(h.id)
	if t.next.After(h.journal.Now()) || h.journal.Account.Breaker.Now().InDoubt() || h.journal.Account.Paused() || !h.journal.Account.Active() || h.journal.Alive.Err() != nil {
		return
	}
	select {
	case h.journal.behind <- struct{}{}:
	default:
		return // enough goes on; the background pass comes to it
	}
	ctx, stop := h.journal.Outlive(ctx)
	h.journal.Work.Go(func() {
		defer func() { <-h.journal.behind }()
		defer stop()
		if h.journal.waitFor(ctx, t.busy, h.journal.Now().Add(hangUpPatience)) != nil { // for the request to let go
			return
		}
		if err := h.journal.passOrder(ctx, h.storage, t); err != nil && h.journal.Alive.Err() == nil {
			h.journal.Log.Warn("a solver's work behind a request met an error; the background pass tries again", "order_id", t.id, "error", err)
		}
	})
}
