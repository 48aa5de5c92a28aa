// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package tidy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

const (
	// page is after how many entries how far a run has got is stored. A run that was cut short
	// looks at as many again at most.
	page = 500
	// maxFaults is after how many entries that storage does not read or erase a run ends.
	maxFaults = 10
)

// A run is one tidying of a mount.
type run struct {
	*Tidier
	storage logical.Storage
	request Request
	active  bool // under way; guarded by Tidier.mu

	mu      sync.Mutex
	status  Status
	stopped bool          // somebody has cancelled it
	ending  chan struct{} // closed with that

	faults int
	since  int // entries since the status was stored
}

// newRun returns a run that does what the status says.
func newRun(t *Tidier, s logical.Storage, st Status) *run {
	return &run{
		Tidier: t, storage: s, request: st.Request, status: st, ending: make(chan struct{}),
	}
}

// snapshot returns what is known of the run, for somebody else to keep.
func (r *run) snapshot() *Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status.clone()
}

// change changes what is known of the run.
func (r *run) change(do func(*Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do(&r.status)
}

// cancel has the run end after the entry that it is at, without a pause.
func (r *run) cancel() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stopped {
		close(r.ending)
	}
	r.stopped, r.status.State = true, Cancelling
}

// errCancelled ends a run that somebody has cancelled.
var errCancelled = errors.New("cancelled")

// mayGoOn returns why the run ends now; nil when it goes on.
func (r *run) mayGoOn(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return errCancelled
	}
	return ctx.Err()
}

// all goes through the stages that are left, and returns why it ended before the last one's end.
func (r *run) all(ctx context.Context) error {
	resumed := r.snapshot().Cursor // of the run that is gone on with
	for _, stage := range stages() {
		if !stage.wanted(&r.request) {
			continue
		}
		folders, err := stage.folders(ctx, r)
		if err != nil {
			return err
		}
		slices.Sort(folders) // not every storage lists in order
		for _, folder := range folders {
			if !isAhead(stage, folder, resumed) {
				continue
			}
			if err := r.folder(ctx, stage, folder, resumed); err != nil {
				return err
			}
		}
	}
	return nil
}

// isAhead reports whether a folder of a stage is not behind a cursor, which is the full key of the
// last entry that was looked at.
func isAhead(s stage, folder, cursor string) bool {
	for at, other := range stages() {
		if strings.HasPrefix(cursor, other.prefix) {
			return s.order > at || (s.order == at &&
				(folder > cursor || strings.HasPrefix(cursor, folder)))
		}
	}
	return true // a run begins
}

// folder looks at the entries of a folder of storage that come after the cursor.
func (r *run) folder(ctx context.Context, s stage, folder, cursor string) error {
	names, err := store.List(ctx, r.storage, folder)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		key := folder + name
		if strings.HasSuffix(name, "/") || (strings.HasPrefix(cursor, folder) && key <= cursor) {
			continue
		}
		if err := r.entry(ctx, s, key); err != nil {
			return err
		}
	}
	return r.save(ctx)
}

// entry looks at one entry, and erases it if it goes.
func (r *run) entry(ctx context.Context, s stage, key string) error {
	if err := r.mayGoOn(ctx); err != nil {
		return err
	}
	if r.since == 0 {
		if err := r.begin(ctx, s); err != nil {
			return err
		}
	}
	d := decider{request: r.request, now: r.time()}
	err := s.look(ctx, r, d, key)
	switch {
	case store.IsReadOnly(err), err != nil && ctx.Err() != nil:
		return err
	case store.IsFault(err):
		if r.faults++; r.faults >= maxFaults {
			return err
		}
		r.count(s.kind, false, ReasonFault)
		r.change(func(st *Status) { st.Error = sanitize.Short(err.Error()) })
	case err != nil: // this entry's own fault
		r.count(s.kind, false, ReasonUnreadable)
	}
	r.change(func(st *Status) { st.Cursor = key })
	if r.since++; r.since == page {
		if err := r.save(ctx); err != nil {
			return err
		}
	}
	r.pause(ctx)
	return nil
}

// pause waits before the next entry, unless the run is to end.
func (r *run) pause(ctx context.Context) {
	if r.request.Pause <= 0 {
		return
	}
	timer := time.NewTimer(r.request.Pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.ending:
	case <-ctx.Done():
	}
}

// errClock ends a run while this server's clock may not decide.
var errClock = errors.New("this server's clock could not be compared with CERTInext's, or " +
	"differs by more than an hour: nothing is erased for being old until that is settled " +
	"(vault read <mount>/config/check)")

// begin makes a page ready to be looked at.
func (r *run) begin(ctx context.Context, s stage) error {
	if err := r.account.MayAsk(r.storage); err != nil {
		return err
	}
	if !r.account.ConfirmClock(ctx, r.storage) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return errClock
	}
	if s.begin == nil || r.request.DryRun {
		return nil
	}
	return s.begin(ctx, r)
}

// time is by this server's clock or by CERTInext's, whichever is behind the other.
func (r *run) time() time.Time {
	now := r.Now()
	if skew, known := r.account.ClockSkew(); known && skew < 0 {
		return now.Add(skew)
	}
	return now
}

// count counts what became of an entry.
func (r *run) count(kind string, gone bool, why Reason) {
	r.change(func(st *Status) {
		if gone {
			st.Erased[kind]++
			return
		}
		if st.Kept[kind] == nil {
			st.Kept[kind] = make(map[Reason]int)
		}
		st.Kept[kind][why]++
	})
}

// save stores how far the run has got.
func (r *run) save(ctx context.Context) error {
	r.since = 0
	if r.request.DryRun {
		return nil
	}
	return store.Put(ctx, r.storage, statusKey, r.snapshot())
}

// finish stores how the run has ended. A run of which this node may not store that, or that ended
// with the engine, stays under way, and the next background pass goes on with it.
func (r *run) finish(ctx context.Context, err error) {
	if store.IsReadOnly(err) || (err != nil && r.Alive.Err() != nil) {
		return
	}
	r.change(func(st *Status) {
		st.FinishedAt = r.Now()
		switch {
		case errors.Is(err, errCancelled):
			st.State = Cancelled
		case err != nil:
			st.State, st.Error = Failed, sanitize.Text(err.Error(), 300)
		default:
			st.State = Finished
			st.Cursor = ""
		}
		if st.Auto && st.State == Finished {
			st.LastAuto = st.FinishedAt
		}
	})
	st := r.snapshot()
	level := r.Log.Info
	if st.State == Failed {
		level = r.Log.Warn
	}
	level("tidying has ended", "state", st.State, "dry_run", r.request.DryRun, "auto", st.Auto,
		"erased", fmt.Sprint(st.Erased), "error", st.Error)
	if err := r.save(context.WithoutCancel(ctx)); err != nil {
		r.Log.Error("how tidying has ended could not be stored", "error", err)
	}
}
