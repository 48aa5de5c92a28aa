// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/domains"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
	"github.com/hashicorp/vault/sdk/logical"
)

// Bounds of one background pass. The next pass continues with what one leaves.
const (
	passOrders      = 200
	passRevocations = 200
	passWorkers     = 4                // for revocations, and as many for all other work
	passTime        = 75 * time.Second // Vault gives a pass 90 seconds

	// The time for one revocation, and for one domain, whose solver may wait for the DNS. Without
	// these, a few that hang would use up the pass.
	passPatience   = 20 * time.Second
	domainPatience = 60 * time.Second
)

// Pass does one bounded round of background work: it drains the queue of revocations, moves on the
// open orders that no request waits for, erases keys whose windows are over, removes DNS records
// that are not needed any more, keeps domains validated, makes the successors of certificates ahead
// (ADR 0040), and moves campaigns on (ADR 0049). Vault calls it about once a minute, by
// [Engine.Tick]. While CERTInext is unreachable, or limits the account, it does only what needs no
// CERTInext; revocations and all other work find that out each for themselves. On a node that may
// not write, and while another pass runs, it does nothing. What fails in one room stops none of the
// others; the errors are joined.
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

	began, since := e.Now(), e.Steady()
	err := e.pass(ctx, s)
	e.passes.note(began, e.Steady().Sub(since), err)
	return err
}

// pass is the work of a pass that may begin.
func (e *Engine) pass(ctx context.Context, s logical.Storage) error {
	e.Account.WatchClock()
	if held := e.Account.MayChange(); held != nil {
		return e.heldPass(ctx, s, held)
	}
	errs := []error{
		e.Certificates.EndOverdue(ctx, s),
		tendReuse(ctx, e, s),
	}
	var unsent, unseen []host.Job
	if !e.Account.Paused() || !e.Account.RevokingPaused() {
		var err error
		unsent, unseen, err = e.Certificates.Due(ctx, s, passRevocations, passPatience)
		errs = append(errs, err)
	}
	if e.Account.RevokingPaused() {
		unsent = nil
	}
	revoked := e.beginRevoking(ctx, unsent)
	errs = append(errs, e.passOthers(ctx, s, unseen)...)
	errs = append(errs, <-revoked...)
	if ctx.Err() != nil {
		errs = nil // the next pass continues what the end of this one has cut short
	}
	return errors.Join(errs...)
}

// beginRevoking starts the pass's work on revocations that CERTInext has yet to take, and returns
// where its errors come when it is over. Other work neither holds it up nor waits for it. But while
// it is in doubt whether CERTInext takes revocations, one of them finds that out before any other
// work begins: of what CERTInext grants after a rate limit, revocations have the first call.
func (e *Engine) beginRevoking(ctx context.Context, jobs []host.Job) <-chan []error {
	e.shuffle(jobs)
	var errs []error
	if guard := &e.Account.Revoking; guard.Now().InDoubt() && len(jobs) > 0 {
		rest, failed := runJobs(ctx, jobs[:1], e.mayAsk(guard))
		jobs, errs = jobs[1-len(rest):], failed
	}
	done := make(chan []error, 1)
	go func() { done <- append(errs, e.runRemote(ctx, &e.Account.Revoking, jobs)...) }()
	return done
}

// passOthers does the work of a pass but for the revocations that CERTInext has yet to take. unseen
// are jobs for those that it has taken.
func (e *Engine) passOthers(
	ctx context.Context, s logical.Storage, unseen []host.Job,
) []error {
	tendIndexes(ctx, e, s)
	local, remote, err := e.Orders.Due(ctx, s, passOrders) // remote jobs ask CERTInext
	errs := []error{
		err,
		e.Certificates.Numbers.IndexPage(ctx, s),
		e.Certificates.Chains.StoreNewest(ctx, s),
		e.Publisher.ReconcileRecords(ctx, s, e.recordNeeds(s)),
		e.Spending.Tend(ctx, s),
		e.Tidier.Pass(ctx, s),
	}
	_, failed := runJobs(ctx, local, func() bool { return true })
	errs = append(errs, failed...)
	if e.Account.Paused() {
		return errs
	}
	errs = append(errs, e.Inventory.Tend(ctx, s, false), e.Campaigns.Pass(ctx, s))
	domains, err := e.Domains.Due(ctx, s, passOrders, domainPatience)
	ahead, failedAhead := orders.AheadDue(ctx, e.Orders, s, passOrders)
	errs = append(errs, failedAhead)
	remote = slices.Concat(remote, unseen, domains, ahead)
	e.shuffle(remote)
	return append(append(errs, err), e.runRemote(ctx, &e.Account.Breaker, remote)...)
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
		return fault.Quiet(err)
	case <-timer.C:
	}
	e.Work.Go(func() {
		if err := <-done; err != nil && e.Alive.Err() == nil {
			e.Log.Error("the background pass met errors", "error", err)
		}
	})
	return nil
}

// shuffle puts jobs into random order: a few that CERTInext always fails must not look like an
// outage because they follow each other.
func (e *Engine) shuffle(jobs []host.Job) {
	e.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
}

// runRemote runs jobs that ask CERTInext and are guarded by a breaker. It waits out the pauses that
// the breaker orders, unless one lasts for longer than the pass. While the breaker doubts whether
// CERTInext answers, one job at a time finds out.
func (e *Engine) runRemote(
	ctx context.Context, guard *account.Breaker, jobs []host.Job,
) (errs []error) {
	for len(jobs) > 0 && e.waitOutPause(ctx, guard) {
		batch := jobs
		if guard.Now().InDoubt() {
			batch = jobs[:1]
		}
		rest, failed := runJobs(ctx, batch, e.mayAsk(guard))
		jobs = jobs[len(batch)-len(rest):]
		errs = append(errs, failed...)
	}
	return errs
}

// mayAsk returns what tells whether the breaker orders no pause.
func (e *Engine) mayAsk(guard *account.Breaker) func() bool {
	return func() bool { return !guard.Now().Until.After(e.Now()) }
}

// waitOutPause waits for the end of the breaker's pause. It reports false when the pass ends first,
// at once where that is certain beforehand.
func (e *Engine) waitOutPause(ctx context.Context, guard *account.Breaker) bool {
	pause := guard.Now().Until.Sub(e.Now())
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
