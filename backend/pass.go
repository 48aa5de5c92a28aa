// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/domains"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/hashicorp/vault/sdk/logical"
)

// Bounds of one background pass: work that is left over is first in the next one.
const (
	passOrders      = 200
	passRevocations = 200
	passWorkers     = 4
	passTime        = 75 * time.Second // Vault gives a pass 90 seconds

	// passPatience is for one revocation, and domainPatience for one domain, whose solver may wait for the DNS: a few that hang must not use up the
	// pass.
	passPatience   = 20 * time.Second
	domainPatience = 60 * time.Second
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
	ctx, stop := e.UntilClosed(ctx)
	defer stop()
	if ctx.Err() != nil {
		return nil
	}

	own, asking, err := e.Orders.Due(ctx, s, passOrders)
	if err != nil {
		return err
	}
	e.Account.WatchClock()
	errs := []error{e.Certificates.StoreChain(ctx, s), e.Publisher.ReconcileRecords(ctx, s, e.needsOf(s)), e.Certificates.EndOverdue(ctx, s)}
	_, failed := work(ctx, own, func() bool { return true })
	errs = append(errs, failed...)
	if e.Account.Paused() {
		return errors.Join(errs...)
	}
	errs = append(errs, e.Inventory.Resume(ctx, s))
	revocations, err := e.Certificates.Due(ctx, s, passRevocations, passPatience)
	errs, asking = append(errs, err), append(asking, revocations...)
	domains, err := e.Domains.Due(ctx, s, passOrders, domainPatience)
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
	ctx, stop := e.Detached(ctx)
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

// needsOf asks the owners of published records whether they still need them.
func (e *Engine) needsOf(s logical.Storage) validation.Needs {
	return func(ctx context.Context, kind, name string) (needed, known bool, err error) {
		switch kind {
		case orders.OwnerKind:
			role, id, _ := strings.Cut(name, "/")
			needed, err = e.Orders.KeepsRecords(ctx, s, role, id)
		case domains.OwnerKind:
			needed, err = domains.KeepsRecords(ctx, s, name)
		default:
			return false, false, nil
		}
		return needed, true, err
	}
}
