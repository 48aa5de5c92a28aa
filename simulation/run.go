// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"
)

// An Outcome is the result of a history.
type Outcome struct {
	Broken []Violation
	Digest string // of the trace
	Steps  int
	Calls  int
	Orders int // number of orders in CERTInext's books
}

// breaks reports whether the promise of that name was broken.
func (o Outcome) breaks(name string) bool {
	for _, v := range o.Broken {
		if v.Name == name {
			return true
		}
	}
	return false
}

// run plays a history. Its trace is written to text, and the plugin's log to log, unless they are
// nil.
func run(t *testing.T, h History, text, log io.Writer) (out Outcome) {
	t.Helper()
	t.Run("history", func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, h.Seed)
		stop := watch(h)
		defer stop()
		defer func() {
			if p := recover(); p != nil {
				if !strings.Contains(fmt.Sprint(p), "deadlock") {
					panic(p)
				}
				out.Broken = append(out.Broken,
					Violation{Name: "rest/goroutines", Text: fmt.Sprint(p)})
			}
		}()
		synctest.Test(t, func(*testing.T) { out = play(h, text, log) })
	})
	return out
}

// play plays a history under the clock of the current synctest bubble.
func play(h History, text, log io.Writer) Outcome {
	w := newWorld(h, text, log)
	for _, a := range h.Actions {
		if w.runaway() {
			break
		}
		w.note("# %s", a)
		w.do(a)
		w.proceed(a.Then)
	}
	w.calm()
	oracle{w}.judgeBooks()
	judgeSpending(w)
	judgePortal(w)
	judgeAdoptions(w)
	comeBack(w)
	oracle{w}.judgeAhead()
	strand(w)
	w.twilight()
	outliveAdopted(w)
	oracle{w}.judgeEnds()
	judgeGivenUp(w)
	endSyncing(w)
	tidyUp(w)
	w.rest()
	w.end()
	return Outcome{
		Broken: w.broken,
		Digest: w.sched.trace.digest(),
		Steps:  w.sched.steps,
		Calls:  len(w.calls),
		Orders: len(ordersOf(w)),
	}
}

// progress counts the steps of all histories, for [watch].
var progress atomic.Int64

// patience is how long, by the real clock, nothing may happen. A lock held across storage or a call
// of CERTInext stops the virtual clock for ever.
const patience = 30 * time.Second

// watch ends the program when a history hangs, and prints all stacks: a goroutine that waits for
// such a lock cannot be stopped otherwise.
func watch(h History) (stop func()) {
	done := make(chan struct{})
	go func() {
		last := progress.Load()
		for {
			select {
			case <-done:
				return
			case <-time.After(patience):
			}
			if now := progress.Load(); now != last {
				last = now
				continue
			}
			buf := make([]byte, 1<<20)
			fmt.Fprintf(os.Stderr, "HANG seed %d: a lock is held across a wait\n%s\n", h.Seed,
				buf[:runtime.Stack(buf, true)])
			os.Exit(3)
		}
	}()
	return func() { close(done) }
}
