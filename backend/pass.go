// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/domains"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/hashicorp/vault/sdk/logical"
)

// Bounds of one background pass: work that is left over is first in the next one.
const (
	passOrders      = 200
	passRevocations = 200
	passWorkers     = 4
	passTime        = 75 * time.Second // Vault gives a pass 90 seconds

	// passPatience is for one order or revocation: a few that hang must not use up the pass. An order in doubt has longer,
	// since it is looked for in a report of many pages, and so has one that a solver validates.
	passPatience  = 20 * time.Second
	doubtPatience = 60 * time.Second
)

// Pass moves open orders on that nobody waits for, erases keys whose grace is over, removes DNS records that nobody needs any
// more, keeps domains validated, and drains the queue of revocations. It
// does one bounded round of work and returns; Vault calls it every minute or so. While CERTInext is away, or has had enough
// of the account, it does what needs no CERTInext.
func (e *Engine) Pass(ctx context.Context, s logical.Storage) error {
	if !e.Account.Active() {
		return nil
	}
	select {
	case e.passing <- struct{}{}:
		defer func() { <-e.passing }()
	default:
		return nil // the one before is not over
	}
	ctx, cancel := context.WithTimeoutCause(ctx, passTime, account.ErrPassOver)
	defer cancel()
	ctx, stop := e.WhileAlive(ctx)
	defer stop()
	if ctx.Err() != nil {
		return nil
	}

	if err := e.orders.load(ctx, s); err != nil {
		return err
	}
	for _, key := range e.orders.takeUnreadable() {
		e.Log.Error("the entry of an open order cannot be read and is left alone", "key", key)
	}
	e.Account.WatchClock()
	errs := []error{e.Certificates.StoreChain(ctx, s), e.Publisher.Sweep(ctx, s, e.needsOf(s)), e.Certificates.EndOverdue(ctx, s)}
	var own, asking []host.Job
	for _, t := range e.orders.due(e.Now(), math.MaxInt) {
		jobs := &asking
		if t.handed != nil {
			jobs = &own // its key is erased
		}
		if len(*jobs) < passOrders {
			*jobs = append(*jobs, func(ctx context.Context) error { return e.passOrder(ctx, s, t) })
		}
	}
	_, failed := work(ctx, own, func() bool { return true })
	errs = append(errs, failed...)
	if e.Account.Paused() {
		return errors.Join(errs...)
	}
	errs = append(errs, e.resumeSync(ctx, s))
	revocations, err := e.Certificates.Due(ctx, s, passRevocations, passPatience)
	errs, asking = append(errs, err), append(asking, revocations...)
	domains, err := e.Domains.Due(ctx, s, passOrders, doubtPatience)
	errs, asking = append(errs, err), append(asking, domains...)
	errs = append(errs, e.round(ctx, asking)...)
	if ctx.Err() != nil {
		return nil // what was cut short goes on in the next pass
	}
	return errors.Join(errs...)
}

// Tick begins a pass, and waits for a moment: one that has little to do is over by then, and its errors are Vault's to log.
//
// Vault keeps its state lock while it calls. A node that is sealed or steps down first waits for that lock, up to 90 seconds,
// and only then cancels anything or tells the plugin, so a pass that waits for CERTInext inside of the call would hold up the
// node. It runs on behind the call instead, and ends with the engine.
func (e *Engine) Tick(ctx context.Context, s logical.Storage) error {
	ctx, stop := e.Outlive(ctx)
	done := make(chan error, 1)
	e.Work.Go(func() {
		defer stop()
		done <- e.Pass(ctx, s)
	})
	timer := time.NewTimer(e.tickTime)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
	}
	e.Work.Go(func() {
		if err := <-done; err != nil && e.Alive.Err() == nil {
			e.Log.Error("the background pass met errors", "error", err)
		}
	})
	return nil
}

// round does jobs that ask CERTInext, until it wants to be left alone for longer than the pass lasts. While it is in doubt
// whether CERTInext answers, one job at a time finds out. Their order is random: the same few that CERTInext chokes on must
// not look like an outage by being next to each other.
func (e *Engine) round(ctx context.Context, jobs []host.Job) []error {
	e.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
	var errs []error
	for len(jobs) > 0 && e.waitOut(ctx) {
		now := jobs
		if e.Account.Breaker.Now().InDoubt() {
			now = jobs[:1]
		}
		rest, failed := work(ctx, now, func() bool { return !e.Account.Paused() })
		jobs = jobs[len(now)-len(rest):]
		errs = append(errs, failed...)
	}
	return errs
}

// waitOut waits for the end of a pause. It reports false when that is beyond the end of the pass.
func (e *Engine) waitOut(ctx context.Context) bool {
	pause := e.Account.Breaker.Now().Until.Sub(e.Now())
	if end, ok := ctx.Deadline(); ok && time.Until(end) < pause {
		return false
	}
	return !host.Sleep(ctx, pause)
}

// work does jobs on a few workers, until ctx ends or there is to be no more. It returns those that were not begun.
func work(ctx context.Context, jobs []host.Job, more func() bool) (rest []host.Job, errs []error) {
	var (
		mu sync.Mutex
		wg sync.WaitGroup
	)
	rest = jobs
	take := func() host.Job {
		mu.Lock()
		defer mu.Unlock()
		if len(rest) == 0 || ctx.Err() != nil || !more() {
			return nil
		}
		next := rest[0]
		rest = rest[1:]
		return next
	}
	for range min(passWorkers, len(jobs)) {
		wg.Go(func() {
			for do := take(); do != nil; do = take() {
				if err := do(ctx); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return rest, errs
}

// passOrder moves one order on, without waiting for anything but CERTInext's answers.
func (e *Engine) passOrder(ctx context.Context, s logical.Storage, t tracked) error {
	h, _ := e.orders.acquire(t.id)
	if h == nil {
		return nil
	}
	defer h.Release()
	h.lookAgain(e.Now().Add(host.PassDelay(0))) // after a fault of storage
	open, err := e.readHeld(ctx, s, h)
	if err != nil || !open {
		return err
	}
	o := h.entry
	switch {
	case o.fresh:
		return e.giveUpUnsent(ctx, s, h)
	case o.State == StateIssued:
		return e.passIssued(ctx, s, h, o.Serial)
	}
	before := o.CAStatus
	d, err := e.newDriver(ctx, s, h, forNobody, e.Now())
	if err != nil {
		h.lookAgain(e.Now().Add(host.PassDelay(e.orders.attempt(o.ID, false))))
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patienceFor(o))
	defer cancel()
	out := d.run(ctx)
	h.lookAgain(e.nextLook(ctx, d, o.CAStatus != before))
	e.settle(ctx, s, h, out)
	var refusal *fault.RefusedError
	if errors.As(out.err, &refusal) {
		return nil // logged, and kept with the order
	}
	return out.err
}

func patienceFor(o *orderEntry) time.Duration {
	if o.State == StatePending && o.Solver == "" {
		return passPatience
	}
	return doubtPatience
}

// nextLook takes note of what a drive of the pass came to, and says when the order has its next turn. Failures that all
// orders share do not make it wait longer than the others.
func (e *Engine) nextLook(ctx context.Context, d *driver, changed bool) time.Time {
	now, err := e.Now(), d.lastErr
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if ctx.Err() != nil && d.tried.solver != nil && d.told {
		err = nil // the DNS was slow, which says nothing of CERTInext
	}
	if err != nil || d.remote != nil {
		if against := e.Account.Observe(err, d.started); err != nil && !against {
			return now.Add(max(host.PassDelay(0), account.Hint(err)))
		}
	}
	return now.Add(max(host.PassDelay(e.orders.attempt(d.order.ID, changed)), account.Hint(err)))
}

// passIssued looks after an order whose certificate is stored under serial: when it is not handed out any more, the key
// goes; one that nobody fetched waits, and so does one that may be asked for again.
func (e *Engine) passIssued(ctx context.Context, s logical.Storage, h *heldOrder, serial string) error {
	h.lookAgain(e.Now().Add(host.PassDelay(1)))
	err := e.tendIssued(ctx, s, h, serial)
	if errors.Is(err, account.ErrClockUnknown) {
		e.Account.LearnClock(ctx, s)
		err = e.tendIssued(ctx, s, h, serial)
	}
	if errors.Is(err, account.ErrClockUnknown) {
		return nil // CERTInext has not answered; the next pass asks again
	}
	return err
}

// tendIssued is passIssued, unless only our clock says that the order is over, and CERTInext's was not seen yet: what it erases does not come back.
func (e *Engine) tendIssued(ctx context.Context, s logical.Storage, h *heldOrder, serial string) error {
	unlock, err := e.Certificates.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := certificates.Read(ctx, s, serial)
	if err != nil {
		return err
	}
	if c == nil {
		return fmt.Errorf("order %s: its certificate %s is not stored", h.id, serial)
	}
	due, err := e.Certificates.RevocationDue(ctx, s, serial)
	if err != nil {
		return err
	}
	e.orders.recall(h.id, c)
	if verdict, _ := handoverTo(c, h.entry, nil, due, e.Now(), e.Account.ClockInDoubt()); verdict == isOver {
		if _, seen := e.Account.ClockSkew(); !seen && !due && c.Revocation == nil {
			return account.ErrClockUnknown
		}
		return e.finish(ctx, s, h, c, due)
	}
	if c.Delivery != nil {
		h.lookAgain(host.Later(nextLookAt(c, h.entry, e.Now()), e.Now()))
		return e.Certificates.EndUnstored(ctx, s, c)
	}
	return nil
}

// needsOf asks the owners of published records whether they still need them.
func (e *Engine) needsOf(s logical.Storage) validation.Needs {
	return func(ctx context.Context, kind, name string) (needed, known bool, err error) {
		switch kind {
		case orderKind:
			role, id, _ := strings.Cut(name, "/")
			needed, err = e.keepsRecords(ctx, s, role, id)
		case domains.OwnerKind:
			needed, err = domains.KeepsRecords(ctx, s, name)
		default:
			return false, false, nil
		}
		return needed, true, err
	}
}
