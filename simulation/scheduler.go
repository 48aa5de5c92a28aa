// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing/synctest"
	"time"
)

// A verdict is what happens to a parked operation.
type verdict int

const (
	goOn       verdict = iota
	failBefore         // it fails without effect
	failAfter          // it fails after its effect
	gone               // its process died before it took effect
	goneAfter          // its process died after it took effect
	left               // its caller hung up before it took effect
	leftAfter          // its caller hung up, and it takes effect nevertheless
)

var verdicts = []string{
	"ok", "fails", "fails after its effect", "process died",
	"process died after its effect", "caller left", "caller left after its effect",
}

func (v verdict) String() string { return verdicts[v] }

// An operation is one call of storage or of CERTInext.
type operation struct {
	ctx   context.Context
	actor string   // the call or pass that it belongs to
	what  string   // e.g. "put order/open/web/…" or "> create-ssl"
	proc  *process // the process that makes it
	disk  bool     // storage, not CERTInext

	number  int       // in the order of arrival
	notTill time.Time // a slow operation does not continue before this time
	judged  bool      // a fault has struck it
	answer  string    // the middleman that answers in CERTInext's place
	free    chan verdict
}

// A scheduler lets one operation at a time continue.
type scheduler struct {
	mu     sync.Mutex
	parked []*operation
	count  int
	wake   chan struct{} // has an element when something has happened

	seed  uint64
	rng   *rand.Rand
	trace *trace
	steps int
	// judge returns the verdict on an operation that was picked. It may also postpone the
	// operation.
	judge func(*operation) verdict
	// orderly lets operations continue in the order of their arrival, for histories that need no
	// chance.
	orderly bool
}

func newScheduler(seed uint64, tr *trace) *scheduler {
	return &scheduler{
		seed:  seed,
		wake:  make(chan struct{}, 1),
		rng:   rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // it has to be repeatable
		trace: tr,
	}
}

// park blocks the caller until the scheduler lets it continue.
func (s *scheduler) park(op *operation) verdict {
	op.free = make(chan verdict, 1)
	s.mu.Lock()
	s.count++
	op.number = s.count
	s.parked = append(s.parked, op)
	s.mu.Unlock()
	stop := context.AfterFunc(op.ctx, s.stir)
	defer stop()
	s.stir()
	return <-op.free
}

// stir wakes the scheduler while it lets time pass.
func (s *scheduler) stir() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// ready returns the operations that may continue now, in an order that does not depend on which
// goroutine ran first.
func (s *scheduler) ready() []*operation {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var out []*operation
	for _, op := range s.parked {
		if !op.notTill.After(now) || op.ctx.Err() != nil || op.proc.dead.Load() {
			out = append(out, op)
		}
	}
	slices.SortStableFunc(out, func(a, b *operation) int {
		if s.orderly {
			return cmp.Compare(a.number, b.number)
		}
		return cmp.Or(cmp.Compare(a.actor, b.actor), cmp.Compare(a.what, b.what),
			cmp.Compare(a.number, b.number))
	})
	return out
}

// tick is the duration of a step. Timers that end at the same instant wake their goroutines in an
// order that no seed decides, and timers set at the same instant often end at the same instant.
const tick = time.Nanosecond

// step lets one operation continue, or lets at most patience pass when there is none.
func (s *scheduler) step(patience time.Duration) {
	progress.Add(1)
	time.Sleep(tick)
	synctest.Wait()
	ready := s.ready()
	if len(ready) == 0 {
		s.rest(patience)
		return
	}
	op := ready[0]
	if !s.orderly {
		op = ready[s.rng.IntN(len(ready))]
	}
	s.release(op)
}

// release lets an operation continue, unless its verdict postpones it.
func (s *scheduler) release(op *operation) {
	s.steps++
	v := s.judge(op)
	if v == goOn && op.notTill.After(time.Now()) {
		s.trace.line("%s %s is slow", op.actor, op.what)
		return
	}
	s.remove(op)
	if v == goOn {
		s.trace.line("%s %s", op.actor, op.what)
	} else {
		s.trace.line("%s %s: %s", op.actor, op.what, v)
	}
	op.free <- v
}

func (s *scheduler) remove(op *operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parked = slices.DeleteFunc(s.parked, func(o *operation) bool { return o == op })
}

// rest lets time pass until something happens, but at most patience. It reports whether something
// happened.
func (s *scheduler) rest(patience time.Duration) bool {
	s.mu.Lock()
	for _, op := range s.parked {
		patience = min(patience, max(0, time.Until(op.notTill)))
	}
	waiting := len(s.parked) > 0
	s.mu.Unlock()
	select {
	case <-s.wake:
		return true // it happened before everything stopped, so the caller has to look again first
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.wake:
		return true
	case <-timer.C:
		return waiting
	}
}
