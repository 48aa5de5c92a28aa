// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// An Outcome is what came of a request to CERTInext.
type Outcome string

// The outcomes of a request.
const (
	OutcomeOK        Outcome = "ok"        // CERTInext has answered, and the answer can be used
	OutcomeRefused   Outcome = "refused"   // CERTInext has answered that it does not do it
	OutcomeLimited   Outcome = "limited"   // CERTInext limits the rate
	OutcomeFailed    Outcome = "failed"    // no answer of CERTInext's, or that of a fault
	OutcomeCancelled Outcome = "cancelled" // nobody waits for the answer any more
)

// outcomeOf says what came of a request that ended with err.
func outcomeOf(err error) Outcome {
	var e *certinext.Error
	switch {
	case err == nil:
		return OutcomeOK
	case errors.Is(err, context.Canceled):
		return OutcomeCancelled
	case !errors.As(err, &e):
		return OutcomeFailed
	case e.Status == http.StatusTooManyRequests:
		return OutcomeLimited
	case scopeOf(err) == scopeOrder, e.Status >= 400 && e.Status <= 499:
		return OutcomeRefused
	}
	return OutcomeFailed
}

// Bounds are the upper bounds, in seconds, by which the duration of requests is counted.
// CERTInext's creates were observed to take more than 100 seconds.
var Bounds = [...]float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120}

// An Operation is what this process knows of one kind of request. A request that is repeated counts
// each time.
type Operation struct {
	Name     string // as "placing order"
	Outcomes map[Outcome]int
	Took     time.Duration       // all of them together
	Within   [len(Bounds)]uint64 // how many took no longer than each bound, cumulative
	Last     time.Duration       // how long the latest took
	LastGood time.Time           // when the latest was answered with what can be used
	Failed   time.Time           // when the latest that was not
	Error    string              // of that one, fit to be shown
}

// Count returns how many requests there were.
func (o *Operation) Count() (n int) {
	for _, m := range o.Outcomes {
		n += m
	}
	return n
}

// Calls count the requests of one process. The zero value is ready for use, and its methods may be
// called concurrently.
type Calls struct {
	mu         sync.Mutex
	operations map[string]*Operation
}

// begin notes that a request is sent, and returns what notes its outcome.
func (acct *Account) begin(operation string) (end func(error)) {
	began := acct.Steady()
	return func(err error) {
		acct.Calls.note(operation, err, acct.Steady().Sub(began), acct.Now())
	}
}

// note counts a request.
func (c *Calls) note(operation string, err error, took time.Duration, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.operations == nil {
		c.operations = make(map[string]*Operation)
	}
	o := c.operations[operation]
	if o == nil {
		o = &Operation{Name: operation, Outcomes: make(map[Outcome]int)}
		c.operations[operation] = o
	}
	outcome := outcomeOf(err)
	o.Outcomes[outcome]++
	if outcome == OutcomeCancelled {
		return // how long it would have taken is not known
	}
	o.Last = took
	o.Took += took
	for i, bound := range Bounds {
		if took.Seconds() <= bound {
			o.Within[i]++
		}
	}
	if err == nil {
		o.LastGood = now
		return
	}
	o.Failed, o.Error = now, sanitize.Short(err.Error())
}

// Operations returns what is known of each kind of request, by name.
func (c *Calls) Operations() []Operation {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Operation, 0, len(c.operations))
	for _, o := range c.operations {
		copied := *o
		copied.Outcomes = maps.Clone(o.Outcomes)
		all = append(all, copied)
	}
	slices.SortFunc(all, func(a, b Operation) int { return strings.Compare(a.Name, b.Name) })
	return all
}
