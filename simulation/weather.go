// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// An armed fault strikes operations that begin with Action.At, after skipping some of them.
type armed struct {
	Action
	skip, left int
	struck     bool
}

// arm arms a fault for future operations.
func (w *world) arm(a Action) {
	w.faults = append(w.faults, &armed{Action: a, skip: a.Skip, left: max(1, a.Times)})
}

// judge returns the verdict on the operation that continues next.
func (w *world) judge(op *operation) verdict {
	switch {
	case op.proc.dead.Load():
		// A request in progress when its process died may still arrive. An answer cannot.
		if w.sched.rng.IntN(2) == 0 && !strings.HasPrefix(op.what, "< ") {
			return goneAfter
		}
		return gone
	case op.ctx.Err() != nil:
		if w.sched.rng.IntN(2) == 0 {
			return leftAfter
		}
		return left
	case op.judged:
		return goOn
	}
	for _, f := range w.faults {
		there := (f.Do == "disk" && op.disk) || (f.Do == "wire" && !op.disk)
		if f.left == 0 || !there || !strings.HasPrefix(op.what, f.At) {
			continue
		}
		if f.skip > 0 {
			f.skip--
			continue
		}
		f.left--
		f.struck = true
		return w.strike(op, f)
	}
	return goOn
}

func (w *world) strike(op *operation, f *armed) verdict {
	op.judged = true
	switch f.Bad {
	case "before":
		w.struckAt(op)
		return failBefore
	case "after":
		w.struckAt(op)
		return failAfter
	case "slow":
		w.struckAt(op) // a call with a timeout may give up
		op.notTill = time.Now().Add(f.For)
		return goOn
	case "leaves":
		// The caller hangs up a moment before the operation, most of whose effects are stored
		// nevertheless.
		if c := callOf(op.ctx); c != nil && c.request != nil && !c.done.Load() {
			w.leaves(c)
		}
		if op.ctx.Err() != nil {
			return w.judge(op)
		}
		return goOn
	case "crash":
		// The process is dead from here on; a new one starts in its place.
		op.proc.dead.Store(true)
		return w.judge(op)
	}
	op.answer = f.Bad
	return goOn
}

// struckAt records that storage has failed: the calls in progress may be answered with a fault.
func (w *world) struckAt(op *operation) {
	if !op.disk {
		return
	}
	w.lastStruck = time.Now()
	for _, c := range w.calls {
		if !c.done.Load() {
			c.excused = true
		}
	}
}

// clearUp ends all faults.
func (w *world) clearUp() {
	w.faults = nil
	w.ca.ClearFaults()
	w.ca.Configure(func(s *certinexttest.Server) { s.Misissue = certinexttest.MisissueNone })
}
