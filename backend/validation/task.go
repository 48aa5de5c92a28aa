// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package validation

import (
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
)

// A task is the validation of one domain by a solver. It is worked on in rounds, each of which goes
// as far as it can without waiting.
type task struct {
	domain  string
	value   string    // of the TXT record that CERTInext wants to see; empty until it was asked
	hosts   []string  // the names at which it wants to see the value
	targets []*target // where the records are published; nil until they were located

	doubted  bool   // CERTInext may want to see another value by now
	asked    int    // how often CERTInext was asked for the value in this round
	verified bool   // CERTInext has validated the domain
	halted   bool   // the round is over for the task
	problem  string // what holds it up; empty when only time has to pass
	stuck    bool   // the problem needs an operator
}

// A target is one record of a task, and what is known of it.
type target struct {
	record  dcv.Record
	servers []dcv.Nameserver // to be asked whether the record can be seen
	lookup  error            // why the servers are not known

	presentSince time.Time    // when the record was published or first seen; zero before
	tries        int          // attempts of this run to publish it
	failure      string       // of the latest attempt; empty when it succeeded
	stuck        bool         // the failure needs an operator
	looked       bool         // the servers were asked in this round
	seen         bool         // all of them showed the record in this round
	sighting     dcv.Sighting // their latest answers
}

// A move is the next step of a task.
type move int

const (
	moveAsk     move = iota // ask CERTInext for the value
	moveLocate              // find the zone and its servers
	moveLook                // ask the servers of a target
	movePublish             // publish the record of a target
	moveVerify              // have CERTInext look
	moveRest                // wait for the next round
)

const (
	maxAsked = 2 // per round: an expired value reads back empty once, then there is a new one
	maxTries = 3 // per run, of publishing one record
)

// next decides on the next move of the task, and of which target. patience is
// dcv_propagation_timeout: once a record has existed for that long, CERTInext is asked to look even
// if some servers do not show it, since CERTInext looks from elsewhere, and decides (ADR 0017).
func (t *task) next(now time.Time, patience time.Duration) (move, *target) {
	switch {
	case t.verified, t.halted:
		return moveRest, nil
	case (t.value == "" || t.doubted) && t.asked < maxAsked:
		return moveAsk, nil
	case t.value == "" || t.doubted:
		return moveRest, nil
	case t.targets == nil:
		return moveLocate, nil
	}
	rest := false
	for _, g := range t.targets {
		switch m := g.next(now, patience); m {
		case moveLook, movePublish:
			return m, g
		case moveRest:
			rest = true
		}
	}
	if rest {
		return moveRest, nil
	}
	return moveVerify, nil
}

// next decides on the next move of one target. moveVerify means that nothing is left to do for it.
func (g *target) next(now time.Time, patience time.Duration) move {
	timedOut := !g.presentSince.IsZero() && !now.Before(g.presentSince.Add(patience))
	switch {
	case !g.looked:
		return moveLook
	case g.seen:
		return moveVerify
	case g.presentSince.IsZero() && g.tries < maxTries:
		return movePublish
	case timedOut && g.tries == 0 && g.sighting.Gone():
		return movePublish // an earlier run has published the record, and it was removed since
	case timedOut:
		return moveVerify
	}
	return moveRest
}

// begin prepares a task for the next round.
func (t *task) begin() {
	t.halted, t.stuck = false, false
	t.asked, t.problem = 0, ""
	for _, g := range t.targets {
		g.looked, g.seen = false, false
	}
}

// halt ends the round for a task with a problem. stuck says that the problem needs an operator.
func (t *task) halt(stuck bool, format string, args ...any) {
	t.problem = fmt.Sprintf(format, args...)
	t.stuck, t.halted = stuck, true
}

// rest ends a round in which only waiting is left. A record that could not be published remains a
// problem after its last try.
func (t *task) rest() {
	for _, g := range t.targets {
		if t.problem == "" && g.failure != "" && g.presentSince.IsZero() {
			t.halt(g.stuck, "%s", g.failure)
		}
	}
}

// describe says what a task waits for that is not verified.
func (t *task) describe() string {
	switch {
	case t.problem != "":
		return t.problem
	case t.targets == nil:
		return "CERTInext has not said yet what to publish"
	}
	var waiting []string
	for _, g := range t.targets {
		if !g.seen {
			waiting = append(waiting, g.found())
		}
	}
	if len(waiting) == 0 {
		return "the record can be seen, and CERTInext is about to look"
	}
	return "the record cannot be seen everywhere yet: " + strings.Join(waiting, "; ")
}

// evidence says what the zone's servers show, to help a reader find out why CERTInext did not see a
// record.
func (t *task) evidence() string {
	found := make([]string, len(t.targets))
	for i, g := range t.targets {
		found[i] = g.found()
	}
	return strings.Join(found, "; ")
}

// found says which record was looked up, at which servers, and what they answered.
func (g *target) found() string {
	if g.lookup != nil {
		return fmt.Sprintf("the servers of the zone are not known, so the %s was not looked up: %v",
			g.record, g.lookup)
	}
	return g.sighting.String()
}
