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
	"github.com/hashicorp/vault/sdk/logical"
)

// A result is what an order came to for its caller.
type result struct {
	issued *Issued // nil when nothing was handed over
	cert   *certificates.Entry
	err    error
}

// pursue moves a held order on for a caller, and answers with its certificate, or with an [*Error] that says how the order stands. It
// takes over the hold: when the caller leaves first, the order is let go in the background once what is under way has ended.
func (journal *Journal) pursue(ctx context.Context, s logical.Storage, w *caller, h *heldOrder) (*Issued, error) {
	h = h.transfer()
	if h.entry.State == StateIssued {
		defer h.Release()
		r := journal.fromStore(ctx, s, w, h)
		return r.issued, r.err
	}
	d, err := journal.newDriver(ctx, s, h, w.purpose, w.deadline)
	if err != nil {
		defer h.Release()
		return nil, errors.Join(err, journal.giveUpUnsent(ctx, s, h))
	}
	results, left := make(chan result), make(chan struct{})
	defer close(left)
	driveCtx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(journal.Alive, cancel)
	journal.Work.Go(func() {
		defer cancel()
		defer stop()
		defer h.Release()
		r := journal.conclude(driveCtx, s, w, h, d.run(driveCtx))
		select {
		case results <- r:
		case <-left:
			if r.issued != nil {
				journal.takeBack(driveCtx, s, h, r)
			}
		}
	})
	return journal.await(ctx, w, results, d)
}

// await waits for the result as long as the caller does.
func (journal *Journal) await(ctx context.Context, w *caller, results <-chan result, d *driver) (*Issued, error) {
	leaves := w.leaves()
	timer := time.NewTimer(min(leaves.Sub(journal.Now()), leaves.Sub(w.began))) // the latter when the clock is set back meanwhile
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
func (journal *Journal) conclude(ctx context.Context, s logical.Storage, w *caller, h *heldOrder, out outcome) result {
	if out.cert != nil && w.purpose.isHanded() && ctx.Err() == nil {
		return journal.fromDownload(ctx, s, w, h, out.cert)
	}
	journal.settle(ctx, s, h, out)
	var (
		refusal   *fault.RefusedError
		elsewhere *elsewhereError
	)
	if out.err != nil && !errors.As(out.err, &refusal) || errors.As(out.err, &elsewhere) {
		return result{err: out.err}
	}
	if out.cert != nil && h.entry.State == StateIssued && ctx.Err() == nil {
		return journal.fromStore(ctx, s, w, h) // it may have been handed over by a process that has died since
	}
	if w.purpose.isHurried() && h.entry.Solver != "" && h.entry.awaitsValidation() {
		journal.validateBehind(ctx, s, h)
	} else {
		h.lookAgain(journal.Now().Add(host.PassDelay(0)))
	}
	return result{err: &Error{Order: h.entry.view(), Err: out.err}}
}

// settle stores and logs what a drive has come to.
func (journal *Journal) settle(ctx context.Context, s logical.Storage, h *heldOrder, out outcome) {
	if out.cert != nil {
		if err := journal.keepUndelivered(context.WithoutCancel(ctx), s, h.entry, out.cert); err != nil {
			journal.Log.Error("storing a certificate failed; the background pass tries again", "order_id", h.id, "error", err)
		}
	}
	if out.err != nil {
		journal.Log.Warn("an order ended with an error", "order_id", h.id, "error", out.err)
	}
}

// giveUpUnsent closes an order that could not be driven, if CERTInext has certainly not heard of it; others go on.
func (journal *Journal) giveUpUnsent(ctx context.Context, s logical.Storage, h *heldOrder) error {
	o := h.entry
	if !o.fresh {
		return nil
	}
	h.lookAgain(journal.Now())
	if o.promoting() {
		journal.setDraft(o, true)
		o.fresh = false
		o.note(journal.Now(), "still a draft: given up before CERTInext was told")
		return journal.saveOrder(ctx, s, o)
	}
	o.State = StateFailed
	o.note(journal.Now(), "given up before CERTInext was told")
	return journal.closeOrder(ctx, s, h)
}

// validateBehind has the work of an order's solver begin behind a request that does not wait for it, unless the order had its turn a moment
// ago. A client that asks often must not keep the order from the background work.
func (journal *Journal) validateBehind(ctx context.Context, s logical.Storage, h *heldOrder) {
	t, _ := journal.registry.status(h.id)
	if t.next.After(journal.Now()) || journal.Account.Breaker.Now().InDoubt() || journal.Account.Paused() || !journal.Account.Active() || journal.Alive.Err() != nil {
		return
	}
	select {
	case journal.behind <- struct{}{}:
	default:
		return // enough goes on; the background pass comes to it
	}
	ctx, stop := journal.Outlive(ctx)
	journal.Work.Go(func() {
		defer func() { <-journal.behind }()
		defer stop()
		if journal.waitFor(ctx, t.busy, journal.Now().Add(hangUpPatience)) != nil { // for the request to let go
			return
		}
		if err := journal.passOrder(ctx, s, t); err != nil && journal.Alive.Err() == nil {
			journal.Log.Warn("a solver's work behind a request met an error; the background pass tries again", "order_id", t.id, "error", err)
		}
	})
}
