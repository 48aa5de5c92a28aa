// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package tidy

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// An Outcome is what has become of a request to tidy.
type Outcome int

// The outcomes.
const (
	Begun   Outcome = iota
	Already         // a run is under way, and goes on as it was requested
	Nothing         // the request tidies nothing
)

// Start begins to tidy in the background. The error is a [*fault.FieldError] for a request that is
// wrong, and [account.ErrHeld] while the mount is held: what is looked into after a restore is left
// as it is. A dry run erases nothing, and may begin then.
func (t *Tidier) Start(ctx context.Context, s logical.Storage, r Request) (Outcome, error) {
	if err := r.Validate(); err != nil {
		return Nothing, err
	}
	if r.wantsNothing() {
		return Nothing, nil
	}
	if err := t.account.MayChange(); err != nil && !r.DryRun {
		return Nothing, err
	}
	before, err := stored(ctx, s)
	if err != nil {
		return Nothing, err
	}
	if !before.IsOver() {
		if _, active := t.current(); !active && !r.DryRun { // it is about to be resumed
			return Already, t.resume(ctx, s, before)
		}
		return Already, nil
	}
	return t.begin(ctx, s, begun(r, false, t.Now(), before.LastAuto))
}

// begin stores that a run begins, unless it is a dry one, and begins it.
func (t *Tidier) begin(ctx context.Context, s logical.Storage, st Status) (Outcome, error) {
	r := newRun(t, s, st)
	if st.DryRun {
		r.storage = store.Reading(s)
	}
	if !t.take(ctx, r) {
		return Already, nil
	}
	if err := r.save(ctx); err != nil {
		t.ended(r)
		return Nothing, err
	}
	t.work(ctx, r)
	return Begun, nil
}

// resume goes on with a run that another process has not finished, which has died or stepped down.
func (t *Tidier) resume(ctx context.Context, s logical.Storage, st *Status) error {
	if st.State == Cancelling { // somebody has cancelled it before that
		st.State, st.FinishedAt = Cancelled, t.Now()
		return store.Put(ctx, s, statusKey, st)
	}
	if t.account.MayChange() != nil {
		return nil //nolint:nilerr // it goes on once the mount is not held any more
	}
	if r := newRun(t, s, *st); t.take(ctx, r) {
		t.work(ctx, r)
	}
	return nil
}

// work has a run do its work in the background. It ends with the engine.
func (t *Tidier) work(ctx context.Context, r *run) {
	ctx, stop := t.Detached(ctx)
	t.Work.Go(func() {
		defer stop()
		defer t.ended(r)
		r.finish(ctx, r.all(ctx))
	})
}

// Cancel has the run under way end after the entry that it is at, and reports false when there is
// none.
func (t *Tidier) Cancel(ctx context.Context, s logical.Storage) (bool, error) {
	if r, active := t.current(); active {
		r.cancel()
		return true, nil
	}
	st, err := stored(ctx, s)
	if err != nil || st.IsOver() {
		return false, err
	}
	st.State, st.FinishedAt = Cancelled, t.Now() // no process works on it
	return true, store.Put(ctx, s, statusKey, st)
}

// startupBackoff is for how long a process leaves the mount alone before the background pass begins
// to tidy it: what a start has to do comes first. Vault PKI waits for 5 to 15 minutes.
const startupBackoff = 5 * time.Minute

// Pass goes on with a run that another process has left, and begins one when the config says that
// it is time. The background pass calls it, on the active node, and not while the mount is held.
func (t *Tidier) Pass(ctx context.Context, s logical.Storage) error {
	if _, active := t.current(); active {
		return nil
	}
	st, err := stored(ctx, s)
	if err != nil {
		return err
	}
	if !st.IsOver() {
		return t.resume(ctx, s, st)
	}
	c, err := ReadConfig(ctx, s)
	if err != nil || !c.isDue(st, t.Now()) || t.Steady().Sub(t.begun) < startupBackoff {
		return err
	}
	_, err = t.begin(ctx, s, begun(c.Request, true, t.Now(), st.LastAuto))
	return err
}

// isDue reports whether the background pass begins a run: the latest one of any kind has begun an
// interval ago. One that began in the future, by a clock that was wrong then, holds up none.
func (c *Config) isDue(latest *Status, now time.Time) bool {
	return c.Enabled &&
		(latest.StartedAt.After(now) || !latest.StartedAt.Add(c.Interval).After(now))
}
