// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
)

// A trial is what happens to a mount once in a while: its account changes, its storage goes back to
// a snapshot, its clock is two months off. Half of the histories have one or two.
type trial struct {
	name   string
	weight int
	make   func(*dice) []Action
}

// trials are all kinds. Each is in the file of the promises that it tries.
var trials = slices.Concat(strangerTrials, syncTrials, clockTrials, accountTrials,
	rollbackTrials, neighbourTrials, approvalTrials)

// withTrials returns a history with the trials of its seed. They have a random source of their own:
// what else happens in a history does not depend on which trials there are.
func withTrials(h History) History { return withKinds(h, trials, 4, 100, 0, 0, 1, 1, 2) }

// withKinds returns a history with as many of some kinds of trials as one of counts says. source is
// what they draw from, and the first names of their requests follow names, so that they are not
// those of the history.
func withKinds(h History, among []trial, source uint64, names int, counts ...int) History {
	d := &dice{
		Rand: rand.New(rand.NewPCG(h.Seed, source)), //nolint:gosec // it has to be repeatable
		h:    h, names: names,
	}
	h.Actions = slices.Clone(h.Actions)
	count := pick(d, counts...)
	if word := os.Getenv("SIM_TRIAL"); word != "" {
		count = max(count, 1)
		among = slices.DeleteFunc(slices.Clone(among),
			func(t trial) bool { return !strings.Contains(t.name, word) })
	}
	if len(among) == 0 {
		count = 0
	}
	for range count {
		t := d.trial(among)
		at := d.IntN(len(h.Actions) + 1)
		d.requests = requestsOf(h.Actions[:at])
		orderly := d.IntN(10) < 5
		for _, a := range t.make(d) {
			a.Then = d.then()
			if orderly {
				a.Then = 0
			}
			if !leftOut(a) {
				h.Actions = slices.Insert(h.Actions, at, a)
				at++
			}
			at = min(at+pick(d, 0, 0, 0, 1, 2), len(h.Actions))
		}
	}
	return h
}

// trial draws a kind of trial.
func (d *dice) trial(among []trial) trial {
	sum := 0
	for _, t := range among {
		sum += t.weight
	}
	n := d.IntN(sum)
	for _, t := range among {
		n -= t.weight
		if n < 0 {
			return t
		}
	}
	panic("internal error: more than all")
}

// requestsOf returns the requests that the actions make.
func requestsOf(actions []Action) []Request {
	var out []Request
	for _, a := range actions {
		switch a.Do {
		case "issue", "async", "order", "draft":
			if !slices.Contains(out, a.Request) {
				out = append(out, a.Request)
			}
		}
	}
	return out
}

// leftOut reports whether histories leave an action out, see [without].
func leftOut(a Action) bool {
	return slices.ContainsFunc(without,
		func(words string) bool { return strings.Contains(a.String(), words) })
}

// another returns a request of another requester for the same name.
func (d *dice) another(r Request) Request {
	r.Who = pick(d, otherThan(r.Who)...)
	d.requests = append(d.requests, r)
	return r
}

// named returns a request with a request_id of its own.
func (d *dice) named(r Request) Request {
	r.ID = fmt.Sprintf("trial-%d", d.names)
	d.requests[len(d.requests)-1] = r
	return r
}
