// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package host is what the rooms of one engine share: its clock, its log, its ids, and its life. It
// knows nothing of orders, certificates or CERTInext.
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

// Options are what an engine takes from outside. Every zero value is usable.
type Options struct {
	Log hclog.Logger // discards when nil
	// System answers questions about the server: who an entity is, whether this node is active. When
	// nil, templated domains match nothing and the node counts as active.
	System func() logical.SystemView
	Now    func() time.Time       // time.Now when nil
	NewID  func() (string, error) // a random UUID when nil
	// Shuffle puts the work of a background pass into an order of chance; rand.Shuffle when nil. A
	// simulation draws from its seed.
	Shuffle func(n int, swap func(i, j int))
}

// A Host is one mount's engine as all of its rooms see it.
type Host struct {
	Options

	// Alive ends with the engine; work that outlives its request runs under it.
	Alive context.Context
	// Work is what runs behind requests. Whoever stops the host waits for it.
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

// Stop ends everything that runs behind requests, and does not wait for it: see Work.
func (h *Host) Stop() { h.stop() }

// Outlive returns a context that ends with the engine, not with the request.
func (h *Host) Outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(h.Alive, cancel)
	return ctx, func() { stop(); cancel() }
}

// WhileAlive returns a context that ends with the engine, too.
func (h *Host) WhileAlive(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(h.Alive, cancel)
	if h.Alive.Err() != nil {
		cancel()
	}
	return ctx, func() { stop(); cancel() }
}

// A Job is one order or revocation that the pass looks after. The context is the pass's own.
type Job func(ctx context.Context) error

// Later is t, or a little after now when t has passed.
func Later(t, now time.Time) time.Time {
	if t.After(now) {
		return t
	}
	return now.Add(PassDelay(1))
}

// PassDelay is how long the background pass leaves an order or revocation alone after its n-th attempt.
func PassDelay(attempts int) time.Duration { return Backoff(attempts, 30*time.Minute) }

// Backoff doubles with each attempt up to longest.
func Backoff(attempts int, longest time.Duration) time.Duration {
	return min(30*time.Second<<min(attempts, 20), longest)
}

// Sleep waits for a while. It reports whether nobody waits any more.
func Sleep(ctx context.Context, d time.Duration) (over bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return ctx.Err() != nil
}

// pollDelays are the pauses between looks at what should not take long. The first ones are short, since the certificate of a validated domain
// is usually there within seconds.
var pollDelays = []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second}

// PollDelay is how long to wait before the next look at what somebody waits for, after so many looks before.
func PollDelay(polls int) time.Duration { return pollDelays[min(polls, len(pollDelays)-1)] }

// Earlier returns the earlier one of two times.
func Earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
