// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package validation

import (
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
)

// A task is the validation of one domain by a solver. It is worked on in rounds, each of which goes as far as it can without
// waiting.
type task struct {
	domain  string
	value   string    // what CERTInext wants to see; empty until it was asked
	hosts   []string  // the names at which it wants to see it
	targets []*target // where that is written; nil until it is known

	doubted  bool   // CERTInext may want to see another value by now
	asked    int    // how often CERTInext was asked for the value, in this round
	verified bool   // control of the domain is proved
	halted   bool   // the round is over for the task
	problem  string // what holds it up; empty when only time has to pass
	stuck    bool   // the problem is somebody's to mend
}

// A target is one place at which a value has to be seen.
type target struct {
	record  dcv.Record
	servers []dcv.Nameserver
	lookup  error // why the servers are not known

	there    time.Time // since when the record is there, as far as is known; zero when it is not
	tries    int       // of publishing it
	failure  string    // why the last one did not work; empty when it did
	looked   bool      // in this round
	seen     bool      // by all servers, in this round
	sighting dcv.Sighting
}

// A move is the next thing to do for a task.
type move int

const (
	moveAsk     move = iota // CERTInext, for the value
	moveLocate              // where it has to be written
	moveLook                // whether it can be seen
	movePublish             // where it cannot
	moveVerify              // have CERTInext look
	moveRest                // until the next round
)

const (
	maxAsked = 2 // an expired value reads back empty once, then there is a new one
	maxTries = 3 // of publishing a record in one drive
)

// next decides what to do for the task, and for which target. patience is how long a record may take to be seen by all servers before
// CERTInext is asked all the same: it looks from elsewhere, and is who decides.
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

// next decides for one target. moveVerify means that nothing is left to do for it.
func (g *target) next(now time.Time, patience time.Duration) move {
	ripe := !g.there.IsZero() && !now.Before(g.there.Add(patience))
	switch {
	case !g.looked:
		return moveLook
	case g.seen:
		return moveVerify
	case g.there.IsZero() && g.tries < maxTries:
		return movePublish
	case ripe && g.tries == 0 && g.sighting.Gone():
		return movePublish // an earlier drive has published it, and somebody has taken it away
	case ripe:
		return moveVerify
	}
	return moveRest
}

// begin makes a task ready for another round.
func (t *task) begin() {
	t.halted, t.stuck, t.asked, t.problem = false, false, 0, ""
	for _, g := range t.targets {
		g.looked, g.seen = false, false
	}
}

// halt ends the round for a task. stuck says that somebody has to mend the problem.
func (t *task) halt(stuck bool, format string, args ...any) {
	t.problem, t.stuck, t.halted = fmt.Sprintf(format, args...), stuck, true
}

// rest ends a round in which no more can be done. What could not be published stays a problem, though it is not tried again at once.
func (t *task) rest() {
	for _, g := range t.targets {
		if t.problem == "" && g.failure != "" && g.there.IsZero() {
			t.halt(true, "%s", g.failure)
		}
	}
}

// describe says what a task that is not verified waits for.
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

// evidence is what the zone's servers show, for whoever wonders why CERTInext did not see a record.
func (t *task) evidence() string {
	found := make([]string, len(t.targets))
	for i, g := range t.targets {
		found[i] = g.found()
	}
	return strings.Join(found, "; ")
}

// found says which record was looked for, where, and what was found.
func (g *target) found() string {
	if g.lookup != nil {
		return fmt.Sprintf("the servers of the zone are not known, so the %s was not looked for: %v", g.record, g.lookup)
	}
	return g.sighting.String()
}
