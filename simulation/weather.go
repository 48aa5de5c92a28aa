// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"strings"
	"time"
)

// A fault that is armed strikes the operations that begin like its place, some of them later.
type armed struct {
	Action
	skip, left int
	struck     bool
}

// arm has something go wrong with an operation to come.
func (w *world) arm(a Action) {
	w.faults = append(w.faults, &armed{Action: a, skip: a.Skip, left: max(1, a.Times)})
}

// judge says what becomes of the operation that goes on next.
func (w *world) judge(op *operation) verdict {
	switch {
	case op.proc.dead.Load():
		// What was under way when the process died may have arrived all the same. An answer can not.
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
		if f.left == 0 || f.Do != "disk" && f.Do != "wire" || (f.Do == "disk") != op.disk || !strings.HasPrefix(op.what, f.At) {
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
		w.struckAt(op) // whoever has a bound of its own may give up
		op.notTill = time.Now().Add(f.For)
		return goOn
	case "leaves":
		// Whoever it is done for is gone a moment before, and most of what is to be stored is stored all the same.
		if c := callOf(op.ctx); c != nil && c.request != nil && !c.done.Load() {
			w.leaves(c)
		}
		if op.ctx.Err() != nil {
			return w.judge(op)
		}
		return goOn
	case "crash":
		// The next thing that happens is that another process begins in its place.
		op.proc.dead.Store(true)
		return w.judge(op)
	}
	op.answer = f.Bad
	return goOn
}

// struckAt remembers that storage has failed: whatever is under way may answer a fault for it.
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

// clearUp ends everything that goes wrong.
func (w *world) clearUp() {
	w.faults = nil
	w.ca.ClearFaults()
}
