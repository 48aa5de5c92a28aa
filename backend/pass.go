// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// Bounds of one background pass: work that is left over is first in the next one.
const (
	passOrders      = 200
	passRevocations = 200
	passWorkers     = 4
)

// Pass moves open orders on that nobody waits for, erases keys whose grace is over, and drains the queue of revocations. It
// does one bounded round of work and returns; Vault calls it every minute or so.
func (e *Engine) Pass(ctx context.Context, s logical.Storage) error {
	if !e.active() || !e.passMu.TryLock() {
		return nil
	}
	defer e.passMu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.alive, cancel)()

	if err := e.orders.load(ctx, s); err != nil {
		return err
	}
	for _, key := range e.orders.takeUnreadable() {
		e.log.Error("the entry of an open order cannot be read and is left alone", "key", key)
	}
	due := e.orders.due(e.now(), passOrders)
	errs := []error{e.storeChain(ctx, s)}
	errs = append(errs, each(ctx, due, func(t tracked) error { return e.passOrder(ctx, s, t) })...)
	return errors.Join(append(errs, e.passRevocations(ctx, s))...)
}

// passRevocations drains the queue of revocations. It begins behind where the last pass ended, so that many that have to
// wait never keep the others from their turn.
func (e *Engine) passRevocations(ctx context.Context, s logical.Storage) error {
	serials, err := list(ctx, s, revocationPrefix)
	if err != nil {
		return err
	}
	slices.Sort(serials)
	behind, _ := slices.BinarySearch(serials, e.cursor+"\x00")
	serials = slices.Concat(serials[behind:], serials[:behind])
	var (
		asked atomic.Int64
		errs  []error
	)
	for len(serials) > 0 && asked.Load() < passRevocations && ctx.Err() == nil {
		batch := serials[:min(passWorkers, len(serials))]
		serials = serials[len(batch):]
		errs = append(errs, each(ctx, batch, func(serial string) error {
			worked, err := e.drainQueued(ctx, s, serial)
			if worked {
				asked.Add(1)
			}
			return err
		})...)
		e.cursor = batch[len(batch)-1]
	}
	return errors.Join(errs...)
}

// active reports whether this node may work in the background.
func (e *Engine) active() bool {
	if e.system == nil {
		return true
	}
	sys := e.system()
	return !sys.ReplicationState().HasState(consts.ReplicationPerformanceStandby|consts.ReplicationDRSecondary) &&
		(sys.LocalMount() || !sys.ReplicationState().HasState(consts.ReplicationPerformanceSecondary))
}

// each runs do for every item on a few workers, until ctx ends.
func each[T any](ctx context.Context, items []T, do func(T) error) []error {
	var (
		mu   sync.Mutex
		errs []error
		wg   sync.WaitGroup
		next = make(chan T)
	)
	for range min(passWorkers, len(items)) {
		wg.Go(func() {
			for item := range next {
				if err := do(item); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, item := range items {
		select {
		case next <- item:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	wg.Wait()
	return errs
}

// passOrder moves one order on, without waiting for anything.
func (e *Engine) passOrder(ctx context.Context, s logical.Storage, t tracked) error {
	if _, ok := e.orders.acquire(t.id); !ok {
		return nil
	}
	o, err := e.reopen(ctx, s, t.role, t.id)
	if err != nil || o == nil {
		return err
	}
	switch {
	case t.answered:
		return e.passIssued(ctx, s, o, t.serial)
	case o.State == StateIssued:
		return e.passIssued(ctx, s, o, o.Serial)
	}
	before := o.CAStatus
	d, err := e.newDriver(ctx, s, o, e.now())
	if err != nil {
		e.orders.release(o.ID, e.now().Add(passDelay(e.orders.attempt(o.ID, false))))
		return err
	}
	out := d.run(ctx)
	e.settle(ctx, s, o, out)
	e.orders.release(o.ID, e.now().Add(passDelay(e.orders.attempt(o.ID, o.CAStatus != before))))
	var refusal *RefusedError
	if errors.As(out.err, &refusal) {
		return nil // logged, and kept with the order
	}
	return out.err
}

// passIssued looks after an order whose certificate is stored under serial: when it is not handed out any more, the key
// goes; one that nobody fetched waits.
func (e *Engine) passIssued(ctx context.Context, s logical.Storage, o *orderEntry, serial string) error {
	c, err := get[certEntry](ctx, s, certPrefix+serial)
	now := e.now()
	if err == nil && c != nil && c.spent(o, now) {
		err = e.finish(ctx, s, o, c)
	}
	e.orders.release(o.ID, now.Add(passDelay(1)))
	return err
}
