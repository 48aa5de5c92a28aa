// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package validation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/hashicorp/vault/sdk/logical"
)

// addresses returns servers as host:port, without those that are neither that nor a host.
func addresses(servers []string) []string {
	out := make([]string, 0, len(servers))
	for _, server := range servers {
		if address, err := dcv.Address(server, "53"); err == nil {
			out = append(out, address)
		}
	}
	return out
}

// A Challenger is CERTInext, asked about the domains of one order or about one domain of the
// account.
type Challenger interface {
	// Challenge returns the domain's open challenge, and may make one.
	Challenge(ctx context.Context, domain string) (*certinext.Challenge, error)
	// Verify has CERTInext look for the record now. The domain is validated when the error is nil.
	Verify(ctx context.Context, domain string) error
}

// A Run is the work of a solver on the domains of one owner. It lasts as long as its request or
// pass works on that owner. Its methods are called by one goroutine.
type Run struct {
	publisher *Publisher
	storage   logical.Storage
	owner     string
	how       issuing.DNSValidation
	ca        Challenger // nil for a check of a solver

	tasks       []*task         // in the order in which the domains came
	removing    <-chan struct{} // closed when the latest Tidy is done; nil when there was none
	unrequested []string        // domains that CERTInext asks for and the owner did not

	mu     sync.Mutex // guards the fields below, which several tasks write at once
	events []string   // since the latest TakeEvents
	lastCA error      // of the latest call without an answer from CERTInext since TakeUnanswered
}

// validations bounds how many domains of a run are worked on at once. The client's own limits
// apply, too.
const validations = 4

// NewRun returns a run in which the solver that how names validates domains of an owner (see
// [publishedEntry]). ca gives their challenges.
func (pub *Publisher) NewRun(
	s logical.Storage, owner string, how issuing.DNSValidation, ca Challenger,
) *Run {
	return &Run{publisher: pub, storage: s, owner: owner, how: how, ca: ca}
}

// Round works on the domains that CERTInext has not validated yet, as far as possible without
// waiting. It reports whether CERTInext has validated one of them. It removes no records; see
// [Run.Tidy].
func (w *Run) Round(ctx context.Context, open []string) (progress bool) {
	jobs := w.begin(open)
	solver, journal, err := w.prepare(ctx)
	if err != nil {
		for _, t := range jobs {
			t.halt(needsOperator(ctx, err), "%s", sanitize.Error(err))
		}
		return false
	}
	// The order is random: when the time never suffices for all domains, none must always come
	// last.
	w.publisher.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
	var wg sync.WaitGroup
	slots := make(chan struct{}, validations)
	for _, t := range jobs {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			w.work(ctx, t, solver, journal)
		})
	}
	wg.Wait()
	return slices.ContainsFunc(jobs, func(t *task) bool { return t.verified })
}

// begin begins a round, and returns the tasks of the domains that are open.
func (w *Run) begin(open []string) (jobs []*task) {
	for _, t := range w.tasks {
		// A domain that is not open any more was validated, even if not by this run.
		t.verified = t.verified || !slices.Contains(open, t.domain)
	}
	for _, domain := range open {
		if t := w.task(domain); !t.verified {
			t.begin()
			jobs = append(jobs, t)
		}
	}
	return jobs
}

// prepare returns the opened solver of the run, and what the journal holds of its owner.
func (w *Run) prepare(ctx context.Context) (*readySolver, []publishedEntry, error) {
	solver, err := w.publisher.readySolver(ctx, w.storage, w.how.Solver)
	if err != nil {
		return nil, nil, err
	}
	journal, err := w.publisher.publishedFor(ctx, w.storage, w.owner)
	return solver, journal, err
}

// needsOperator reports whether what failed in a round with ctx fails until an operator mends it. A
// fault of storage does not, nor does what another request was in the way of, or what the end of
// this one has cut short: the next round tries it again.
func needsOperator(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !store.IsFault(err) && !errors.Is(err, errWithdrawn)
}

// task returns the task of a domain, and adds it when there is none.
func (w *Run) task(domain string) *task {
	for _, t := range w.tasks {
		if t.domain == domain {
			return t
		}
	}
	t := &task{domain: domain}
	w.tasks = append(w.tasks, t)
	return t
}

// work makes the moves of a task until only waiting is left, or ctx ends.
func (w *Run) work(ctx context.Context, t *task, solver *readySolver, journal []publishedEntry) {
	for ctx.Err() == nil {
		m, g := t.next(w.publisher.Now(), w.how.PropagationTimeout)
		switch m {
		case moveAsk:
			w.ask(ctx, t)
		case moveLocate:
			w.locate(ctx, t, solver, journal)
		case moveLook:
			w.look(ctx, g)
		case movePublish:
			w.publish(ctx, t, g, solver)
		case moveVerify:
			w.verify(ctx, t)
		case moveRest:
			t.rest()
			return
		}
	}
}

// ask has CERTInext say which value it wants to see, and at which names.
func (w *Run) ask(ctx context.Context, t *task) {
	t.asked++
	c, err := w.ca.Challenge(ctx, t.domain)
	switch {
	case certinext.IsDCVNotReady(err):
		t.halt(false, "CERTInext has not yet said what to publish: %s", sanitize.Error(err))
	case errors.Is(err, certinext.ErrChallengeExpired) && t.asked < maxAsked:
		// CERTInext makes a new challenge when it is asked again.
	case err != nil:
		t.halt(false, "%s", sanitize.Error(err))
		w.recordUnanswered(err)
	case c.AlreadyVerified:
		t.verified = true
		w.note("control of %s is validated already", t.domain)
	case c.DNSValue == "" || len(c.DNSValue) > dcv.MaxValue || !sanitize.Copyable(c.DNSValue):
		t.halt(true, "CERTInext asks for a TXT record whose value is not fit to be published")
	case c.DNSHost != "" && !w.how.Permits(c.DNSHost, t.domain):
		t.halt(true, "CERTInext asks for a TXT record at %s: if that is right, add it to "+
			"dcv_hosts, with {domain} in the place of the domain", sanitize.Short(c.DNSHost))
	default:
		hosts := w.how.Names(c, t.domain)
		if c.DNSValue != t.value || !slices.Equal(hosts, t.hosts) {
			t.value, t.hosts = c.DNSValue, hosts
			t.targets = nil
		}
		t.doubted = false
	}
}

// locate finds the targets of a task. Records that the journal holds as published need not be
// published again.
func (w *Run) locate(ctx context.Context, t *task, solver *readySolver, journal []publishedEntry) {
	var targets []*target
	for _, host := range t.hosts {
		g, err := w.publisher.place(ctx, &w.how, solver.zone, host, t.value)
		if err != nil {
			t.halt(needsOperator(ctx, err), "%s", sanitize.Error(err))
			return
		}
		for _, p := range journal {
			if p.Done && p.record() == g.record {
				g.presentSince = p.At
			}
		}
		targets = append(targets, g)
	}
	t.targets = targets
}

// Resolver returns what looks domains up that are validated as how says.
func Resolver(pub *Publisher, how *issuing.DNSValidation) *dcv.Resolver {
	r := &dcv.Resolver{Servers: addresses(how.Resolvers)}
	if len(r.Servers) == 0 {
		r.Servers = pub.resolvers
	}
	return r
}

// place finds the name and the zone at which a record for host has to be published, following
// CNAMEs, and the servers to ask for it. zone is the solver's; when empty, it is found by its SOA
// record.
func (pub *Publisher) place(
	ctx context.Context, how *issuing.DNSValidation, zone, host, value string,
) (*target, error) {
	r := Resolver(pub, how)
	name, zone, err := r.Locate(ctx, host, zone)
	if err != nil {
		return nil, err
	}
	g := &target{record: dcv.Record{Name: name, Zone: zone, Value: value}}
	for _, address := range addresses(how.PropagationServers) {
		g.servers = append(g.servers, dcv.Nameserver{Address: address})
	}
	if len(g.servers) == 0 {
		g.servers, g.lookup = r.Authoritative(ctx, zone)
	}
	return g, nil
}

// look asks the servers of a target for its record.
func (g *target) look(ctx context.Context) {
	g.sighting = dcv.Look(ctx, g.servers, g.record.Name, g.record.Value, 0)
}

// look asks the servers of a target for its record, and notes what the next move depends on.
func (w *Run) look(ctx context.Context, g *target) {
	g.look(ctx)
	g.looked, g.seen = true, g.sighting.Complete()
	if g.presentSince.IsZero() && g.sighting.Somewhere() {
		// This owner published it before a crash, or another publisher did. One that is not in the
		// journal is used, and never removed (ADR 0015).
		g.presentSince = w.publisher.Now()
	}
}

// publish has the solver publish the record of a target.
func (w *Run) publish(ctx context.Context, t *task, g *target, solver *readySolver) {
	g.tries++
	g.failure = ""
	err := w.publisher.publish(ctx, w.storage, solver, w.owner, t.domain, g.record)
	if err != nil {
		// The record may be there all the same: the answer was lost, or the DNS host refuses a
		// second one that is equal.
		w.look(ctx, g)
		if !g.sighting.Somewhere() {
			g.failure = fmt.Sprintf("the solver %s failed at %s", solver.name, sanitize.Error(err))
			g.stuck = needsOperator(ctx, err)
			t.halt(g.stuck, "%s", g.failure)
			return
		}
	}
	g.presentSince, g.looked = w.publisher.Now(), false
	w.note("the solver %s has published the %s", solver.name, g.record)
}

// verify has CERTInext look for the records of a task.
func (w *Run) verify(ctx context.Context, t *task) {
	err := w.ca.Verify(ctx, t.domain)
	if err == nil {
		t.verified = true
		w.note("CERTInext has validated control of %s", t.domain)
		return
	}
	switch {
	case certinext.IsDCVNotReady(err):
		t.halt(false, "CERTInext is not ready to look for the record yet: %s", sanitize.Error(err))
	case certinext.IsVerifying(err):
		t.halt(false, "CERTInext has not seen the record yet: %s; %s",
			sanitize.Error(err), t.evidence())
	case certinext.HasStatus(err, http.StatusBadRequest, http.StatusNotFound, http.StatusConflict,
		http.StatusUnprocessableEntity):
		t.halt(false, "CERTInext does not accept the record: %s; %s",
			sanitize.Error(err), t.evidence())
		t.doubted = true // CERTInext may want another value by now
	default:
		t.halt(false, "%s", sanitize.Error(err))
		w.recordUnanswered(err)
	}
}

// stillNeeded returns what decides which of the owner's records stay. Those of validated domains
// go, and those whose value CERTInext has replaced. All records stay of a domain whose targets are
// not known.
func (w *Run) stillNeeded() (keep func(*publishedEntry) bool) {
	verified, targets := map[string]bool{}, map[string][]dcv.Record{}
	for _, t := range w.tasks {
		verified[t.domain] = t.verified
		for _, g := range t.targets {
			targets[t.domain] = append(targets[t.domain], g.record)
		}
	}
	return func(p *publishedEntry) bool {
		if verified[p.Domain] {
			return false
		}
		known := targets[p.Domain]
		return known == nil || slices.Contains(known, p.record())
	}
}

// tidyPatience is how long a request waits for the removal of its records, which then goes on in
// the background.
const tidyPatience = 3 * time.Second

// Tidy begins to remove the owner's records that are not needed any more or, with all, every
// record. It goes on when ctx ends, after the Tidy before. done is closed at its end.
func (w *Run) Tidy(ctx context.Context, all bool) (done <-chan struct{}) {
	var keep func(*publishedEntry) bool
	if !all {
		keep = w.stillNeeded()
	}
	ctx, stop := w.publisher.Detached(ctx)
	previous, over := w.removing, make(chan struct{})
	w.removing = over
	w.publisher.Work.Go(func() {
		defer stop()
		defer close(over)
		if previous != nil {
			<-previous
		}
		if err := w.publisher.Withdraw(ctx, w.storage, w.owner, keep); err != nil {
			w.publisher.Log.Warn(
				"a TXT record could not be removed; the background pass tries again",
				"owner", w.owner, "error", err)
		}
	})
	return over
}

// AwaitTidy waits for the end of a [Run.Tidy], three seconds at most.
func AwaitTidy(done <-chan struct{}) {
	timer := time.NewTimer(tidyPatience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// Needs says what the domains that are not validated wait for, one text for each of the first
// [MaxProofs]. stuck reports that one of them needs an operator.
func (w *Run) Needs() (needs []string, stuck bool) {
	more := 0
	for _, t := range w.tasks {
		if t.verified {
			continue
		}
		stuck = stuck || t.stuck
		if len(needs) == MaxProofs {
			more++
			continue
		}
		needs = append(needs, fmt.Sprintf("the solver %s validates control of %s: %s",
			w.how.Solver, DisplayDomain(t.domain), t.describe()))
	}
	if more > 0 {
		needs = append(needs, fmt.Sprintf("and control of %d more domains", more))
	}
	if len(w.unrequested) > 0 {
		stuck = true
		needs = append(needs, fmt.Sprintf("CERTInext asks for control of %s, which is none of "+
			"this order's names, so nothing is published for it: look at the order in "+
			"CERTInext's portal", sanitize.Short(strings.Join(w.unrequested, ", "))))
	}
	return needs, stuck
}

// note adds an event of the owner.
func (w *Run) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, fmt.Sprintf(format, args...))
}

// recordUnanswered keeps the error of a call that CERTInext did not answer, for the breaker.
func (w *Run) recordUnanswered(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastCA = err
}

// TakeUnanswered returns the error of the latest call that CERTInext did not answer, and forgets
// it. It returns nil when there was none since it was last called.
func (w *Run) TakeUnanswered() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.lastCA
	w.lastCA = nil
	return err
}

// Begun reports whether the run has worked on a domain.
func (w *Run) Begun() bool { return len(w.tasks) > 0 }

// SetUnrequested tells the run which domains CERTInext asks for although they are not the
// owner's. [Run.Needs] names them, and nothing is published for them.
func (w *Run) SetUnrequested(domains []string) { w.unrequested = domains }

// Look looks up the TXT record with the given value at a host, and returns which servers were asked
// and what they answered.
func (pub *Publisher) Look(
	ctx context.Context, how *issuing.DNSValidation, host, value string,
) string {
	g, err := pub.place(ctx, how, "", host, value)
	if err != nil {
		return sanitize.Error(err)
	}
	g.look(ctx)
	return g.found()
}

// TakeEvents returns the events since it was last called, oldest first.
func (w *Run) TakeEvents() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	events := w.events
	w.events = nil
	return events
}
