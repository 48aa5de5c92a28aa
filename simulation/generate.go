// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package simulation

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// callsPerHistory is the approximate number of calls in a history.
const callsPerHistory = 40

// without selects actions that histories leave out, to see what else is broken while a known fault
// is open: the keys of openActions, or with SIM_WITHOUT=spelling,clock the actions whose text
// contains one of these words. An empty SIM_WITHOUT leaves out nothing.
var without = func() []string {
	if text, set := os.LookupEnv("SIM_WITHOUT"); set {
		return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
	}
	return slices.Sorted(maps.Keys(openActions))
}()

// A dice generates the history of a seed.
type dice struct {
	*rand.Rand
	h        History
	requests []Request
	drafts   []Request
	names    int
	lied     bool
	calls    []chance
	weather  []chance
}

// A chance is one kind of action, with its weight.
type chance struct {
	weight int
	make   func(*dice) Action
}

// generate returns the history of a seed. The seeds differ in kind: each leaves out some kinds of
// action and repeats others all the time, since a fault that needs three actions of one kind is not
// met by histories with a little of everything.
func generate(seed uint64) History {
	d := &dice{
		Rand: rand.New(rand.NewPCG(seed, 2)), //nolint:gosec // it has to be repeatable
		h:    History{Seed: seed},
	}
	d.h.Manners = d.manners()
	d.h.Manners.ReportOrder, d.h.Manners.ReportPage = reportManners(seed)
	unknownManners(seed, &d.h.Manners)
	d.h.Manners.Priced = pricedManners(seed)
	d.calls, d.weather = d.taste(callChances), d.taste(weatherChances)
	storm := pick(d, 0, 10, 25, 25, 40) // per cent of the actions
	for calls := 0; calls < callsPerHistory; {
		if d.IntN(100) < storm {
			d.add(d.draw(d.weather), false)
			continue
		}
		if d.IntN(15) == 0 {
			told := pick(d, stories...)(d)
			orderly := d.IntN(10) < 6 // its actions wait for each other, or interfere
			for _, a := range told {
				calls++
				d.add(a, orderly)
			}
			continue
		}
		calls++
		d.add(d.draw(d.calls), false)
	}
	return withUpkeep(withAhead(withTrials(d.h)))
}

// taste returns the weights of the kinds in this history.
func (d *dice) taste(all []chance) []chance {
	out := slices.Clone(all)
	for i := range out {
		out[i].weight *= pick(d, 0, 1, 1, 2, 4)
	}
	out[0].weight = max(out[0].weight, all[0].weight)
	return out
}

func (d *dice) draw(from []chance) Action {
	sum := 0
	for _, c := range from {
		sum += c.weight
	}
	n := d.IntN(sum)
	for _, c := range from {
		n -= c.weight
		if n < 0 {
			return c.make(d)
		}
	}
	panic("internal error: more than all")
}

// add appends an action, unless it is left out. In an orderly story, each action waits until
// everything before it is answered.
func (d *dice) add(a Action, orderly bool) {
	a.Then = d.then()
	if orderly {
		a.Then = 0
	}
	if !leftOut(a) {
		d.h.Actions = append(d.h.Actions, a)
	}
}

// then returns the number of steps before the next action: often 0, which waits until everything is
// answered, often just a few.
func (d *dice) then() int {
	switch n := d.IntN(10); {
	case n < 4:
		return 0
	case n < 7:
		return 1 + d.IntN(4)
	}
	return 5 + d.IntN(40)
}

func pick[T any](d *dice, from ...T) T { return from[d.IntN(len(from))] }

func (d *dice) manners() Manners {
	return Manners{
		Dialect: pick(d, certinexttest.Live, certinexttest.Live, certinexttest.Documented,
			certinexttest.V1),
		IssueDelay:  pick(d, 0, 0, 2*time.Second, 40*time.Second, 90*time.Second),
		PEMLag:      pick(d, 0, 0, 3*time.Second),
		ReportDelay: pick(d, 0, 0, 30*time.Second),
		TokenTTL:    pick(d, time.Hour, time.Hour, 2*time.Minute),
		SingleToken: d.IntN(4) == 0,
		Approval:    d.IntN(8) == 0,
	}
}

// reportManners returns the order of the rows of the report, and the size of its pages. They are
// drawn apart, so that the histories of earlier seeds stay what they were.
func reportManners(seed uint64) (certinexttest.ReportOrder, int) {
	d := &dice{Rand: rand.New(rand.NewPCG(seed, 3))} //nolint:gosec // it has to be repeatable
	order := pick(d, certinexttest.ReportNewestFirst, certinexttest.ReportOldestFirst)
	return order, pick(d, 0, 0, 1, 2, 7)
}

// unknownManners decides what nobody knows, in half of the histories: most often one thing,
// sometimes several. They are drawn apart, too.
func unknownManners(seed uint64, m *Manners) {
	d := &dice{Rand: rand.New(rand.NewPCG(seed, 5))} //nolint:gosec // it has to be repeatable
	if d.IntN(2) == 0 {
		return
	}
	for range pick(d, 1, 1, 2, 4) {
		switch d.IntN(8) {
		case 0:
			m.NumericIDs = true
		case 1:
			m.Capitals = true
		case 2:
			m.Timestamps = pick(d, certinexttest.TimestampsRFC3339,
				certinexttest.TimestampsWithoutZone)
		case 3:
			m.ReportDays = pick(d, certinexttest.DaysToExclusive, certinexttest.DaysIndian,
				certinexttest.DaysIgnored)
		case 4:
			m.Idempotency = pick(d, certinexttest.On, certinexttest.Off)
		case 5:
			m.NewKeysOnly = true
		case 6:
			m.EarlyIssued = true
		case 7:
			m.OrderSuffix = "R007"
		}
	}
}

// request returns a new request or, more often, an earlier one.
func (d *dice) request() Request {
	if len(d.requests) > 0 && d.IntN(10) < 6 {
		return d.requests[d.IntN(len(d.requests))]
	}
	d.names++
	r := Request{
		Who: pick(d, "ann", "ann", "bob", "tok", "bat"),
		Role: pick(d, "web", "web", "web", "bare", "bare", "hasty", "hand", "inside", "rekey",
			"once", "late", "lasting", "lasting", "shared", "shared", "tight"),
		Name: fmt.Sprintf("n%d", d.names),
	}
	if d.IntN(5) == 0 {
		r.Name = pick(d, "shared", "common")
	}
	if d.IntN(4) == 0 {
		r.ID = pick(d, fmt.Sprintf("deploy-%d", d.names), fmt.Sprintf("deploy-%d", d.names),
			"deploy")
	}
	if d.IntN(4) == 0 {
		r.Key = d.names
	}
	if !slices.Contains(d.requests, r) {
		d.requests = append(d.requests, r)
	}
	return r
}

// known returns an earlier request.
func (d *dice) known() Request {
	if len(d.requests) == 0 {
		return d.request()
	}
	return d.requests[d.IntN(len(d.requests))]
}

// reissuable returns a request for a certificate that can be reissued.
func (d *dice) reissuable() Request {
	for _, r := range d.requests {
		if r.Role == "rekey" || r.Role == "lasting" {
			return r
		}
	}
	return d.known()
}

// draft returns a request whose order is to be saved as a draft.
func (d *dice) draft() Request {
	d.names++
	r := Request{
		Who: pick(d, "ann", "bob"), Role: pick(d, "web", "bare"),
		Name: fmt.Sprintf("n%d", d.names), ID: fmt.Sprintf("draft-%d", d.names),
	}
	d.requests, d.drafts = append(d.requests, r), append(d.drafts, r)
	return r
}

// impatient lets some callers hang up, and some answers get lost.
func (d *dice) impatient(a Action) Action {
	switch n := d.IntN(20); {
	case n < 3:
		a.Hang = 1 + d.IntN(30)
	case n == 3:
		a.Loss = pick(d, "unheard", "unstored", "unleasable")
	}
	return a
}
