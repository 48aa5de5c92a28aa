// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package host holds what all packages of one engine share: clock, log, ids, and lifetime. It knows
// nothing of orders, certificates or CERTInext.
package host

import (
	"context"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-uuid"
	"github.com/hashicorp/vault/sdk/logical"
)

// Options are what an engine takes from its environment. Every zero value is usable.
type Options struct {
	Log hclog.Logger // discards when nil
	// System answers questions about the server: who an entity is, whether this node is active.
	// When nil, templated domains match nothing and the node counts as active.
	System func() logical.SystemView
	Now    func() time.Time // time.Now when nil
	// Steady is a clock that nobody sets, for what has passed within this process: only the
	// difference of two readings counts. time.Now, with its monotonic reading, when nil.
	Steady func() time.Time
	NewID  func() (string, error) // a random UUID when nil
	// Shuffle puts the work of a background pass into random order; rand.Shuffle when nil. A
	// simulation shuffles by its seed.
	Shuffle func(n int, swap func(i, j int))
	// Hold is set when nothing may be changed outside the mount's storage.
	Hold bool
}

// A Host is the part of one mount's engine that its packages share.
type Host struct {
	Options

	// Alive is done once the engine is closed.
	Alive context.Context
	// Work counts the goroutines that outlive their requests. Engine.Close waits for them after
	// Stop.
	Work sync.WaitGroup

	stop context.CancelFunc
}

// New returns a host, with defaults filled in.
func New(o Options) *Host {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Steady == nil {
		o.Steady = time.Now
	}
	if o.NewID == nil {
		o.NewID = uuid.GenerateUUID
	}
	if o.Shuffle == nil {
		o.Shuffle = mathrand.Shuffle
	}
	h := &Host{Options: o}
	h.Alive, h.stop = context.WithCancel(context.Background())
	return h
}

// Stop cancels everything that outlives its request. It does not wait; see Work.
func (h *Host) Stop() { h.stop() }

// Detached returns a context with the values of ctx that ignores its cancellation and its deadline,
// and ends when the engine is closed.
func (h *Host) Detached(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(h.Alive, cancel)
	return ctx, func() { stop(); cancel() }
}

// UntilClosed returns a child of ctx that ends when the engine is closed, too.
func (h *Host) UntilClosed(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(h.Alive, cancel)
	if h.Alive.Err() != nil {
		cancel()
	}
	return ctx, func() { stop(); cancel() }
}

// A Job is one piece of work of the background pass: an order, a revocation or a domain. Its
// context is that of the pass.
type Job func(ctx context.Context) error

// Upcoming returns t, or the time after one [PassDelay] when t has passed.
func Upcoming(t, now time.Time) time.Time {
	if t.After(now) {
		return t
	}
	return now.Add(PassDelay(1))
}

// PassDelay is how long the background pass waits before its next attempt at an order, a revocation
// or the removal of a record, after so many attempts.
func PassDelay(attempts int) time.Duration { return Backoff(attempts, 30*time.Minute) }

// Backoff is 30 seconds, doubled with each attempt, and at most longest.
func Backoff(attempts int, longest time.Duration) time.Duration {
	return min(30*time.Second<<min(attempts, 20), longest)
}

// Sleep waits for d, or until ctx ends. It reports whether ctx has ended.
func Sleep(ctx context.Context, d time.Duration) (over bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return ctx.Err() != nil
}

// pollDelays are the pauses between two polls on behalf of a waiting request. The first ones are
// short, since CERTInext usually issues within seconds once a domain is validated.
var pollDelays = []time.Duration{
	500 * time.Millisecond, time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second,
}

// PollDelay is how long a waiting request pauses before it polls again, after so many polls.
func PollDelay(polls int) time.Duration { return pollDelays[min(polls, len(pollDelays)-1)] }

// Earlier returns the earlier one of two times.
func Earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
