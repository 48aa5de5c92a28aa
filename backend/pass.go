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

// Bounds of one background pass. The next pass continues with what one leaves.
const (
	passOrders      = 200
	passRevocations = 200
	passWorkers     = 4
	passTime        = 75 * time.Second // Vault gives a pass 90 seconds

	// The time for one revocation, and for one domain, whose solver may wait for the DNS. Without
	// these, a few that hang would use up the pass.
	passPatience   = 20 * time.Second
	domainPatience = 60 * time.Second
)

// Pass does one bounded round of background work: it moves on the open orders that no request waits
// for, erases keys whose windows are over, removes DNS records that are not needed any more, keeps
// domains validated, and drains the queue of revocations. Vault calls it about once a minute, by
// [Engine.Tick]. While CERTInext is unreachable, or limits the account, it does only what needs no
// CERTInext. On a node that may not write, and while another pass runs, it does nothing. What fails
// in one room stops none of the others; the errors are joined.
func (e *Engine) Pass(ctx context.Context, s logical.Storage) error {
	if err := e.Account.MayWrite(ctx, s); err != nil {
		if IsReadOnly(err) {
			return nil
		}
		return err
	}
	select {
	case e.passing <- struct{}{}:
		defer func() { <-e.passing }()
	default:
		return nil // the previous pass still runs
	}
	ctx, cancel := context.WithTimeoutCause(ctx, passTime, account.ErrPassOver)
	defer cancel()
	ctx, stop := e.UntilClosed(ctx)
	defer stop()
	if ctx.Err() != nil {
		return nil
	}

	e.Account.WatchClock()
	if held := e.Account.MayChange(); held != nil {
		return e.heldPass(ctx, s, held)
	}
	local, remote, err := e.Orders.Due(ctx, s, passOrders) // remote jobs ask CERTInext
	errs := []error{
		err,
		e.Certificates.Numbers.IndexPage(ctx, s),
		e.Certificates.Chains.StoreNewest(ctx, s),
		e.Publisher.ReconcileRecords(ctx, s, e.recordNeeds(s)),
		e.Certificates.EndOverdue(ctx, s),
	}
	_, failed := runJobs(ctx, local, func() bool { return true })
	errs = append(errs, failed...)
	if e.Account.Paused() {
		return errors.Join(errs...)
	}
	errs = append(errs, e.Inventory.Resume(ctx, s))
	revocations, err := e.Certificates.Due(ctx, s, passRevocations, passPatience)
	errs, remote = append(errs, err), append(remote, revocations...)
	domains, err := e.Domains.Due(ctx, s, passOrders, domainPatience)
	errs, remote = append(errs, err), append(remote, domains...)
	errs = append(errs, e.runRemote(ctx, remote)...)
	if ctx.Err() != nil {
		return nil // the next pass continues what the end of this one has cut short
	}
	return errors.Join(errs...)
}

// Tick starts a pass and waits for it, for TickTime at most. The errors of a pass that is over by
// then are returned for Vault to log; those of a longer one go to the engine's log.
//
// Vault holds its state lock during the call. A node that is sealed or steps down waits for that
// lock, for up to 90 seconds, before it cancels anything or tells the plugin. A pass that waited
// for CERTInext inside the call would hold up the node. So it runs on after the call, until the
// engine is closed.
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

// runRemote runs jobs that ask CERTInext, and waits out the pauses that the breaker orders, unless
// one lasts for longer than the pass. While the breaker doubts whether CERTInext answers, one job
// at a time finds out. The order is random: a few jobs that CERTInext always fails must not look
// like an outage because they follow each other.
func (e *Engine) runRemote(ctx context.Context, jobs []host.Job) []error {
	e.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
	var errs []error
	for len(jobs) > 0 && e.waitOutPause(ctx) {
		batch := jobs
		if e.Account.Breaker.Now().InDoubt() {
			batch = jobs[:1]
		}
		rest, failed := runJobs(ctx, batch, func() bool { return !e.Account.Paused() })
		jobs = jobs[len(batch)-len(rest):]
		errs = append(errs, failed...)
	}
	return errs
}

// waitOutPause waits for the end of the breaker's pause. It reports false when the pass ends first,
// at once where that is certain beforehand.
func (e *Engine) waitOutPause(ctx context.Context) bool {
	pause := e.Account.Breaker.Now().Until.Sub(e.Now())
	if end, ok := ctx.Deadline(); ok && time.Until(end) < pause {
		return false
	}
	return !host.Sleep(ctx, pause)
}

// runJobs runs jobs on passWorkers workers, until ctx ends or more reports false. It returns the
// jobs that were not begun, and the errors of the others.
func runJobs(
	ctx context.Context, jobs []host.Job, more func() bool,
) (rest []host.Job, errs []error) {
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

// recordNeeds returns what asks the owner of published TXT records, an order or a registered
// domain, whether it still needs them.
func (e *Engine) recordNeeds(s logical.Storage) validation.Needs {
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
