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
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/hashicorp/vault/sdk/logical"
)

func addresses(servers []string) []string {
	out := make([]string, 0, len(servers))
	for _, server := range servers {
		if address, err := dcv.Address(server, "53"); err == nil {
			out = append(out, address)
		}
	}
	return out
}

// A Challenger is what asks for proof of control: CERTInext, for an order or for the account.
type Challenger interface {
	Challenge(ctx context.Context, domain string) (*certinext.Challenge, error)
	Verify(ctx context.Context, domain string) error
}

// A Run is the work of a solver on the domains of one owner.
type Run struct {
	publisher *Publisher
	storage   logical.Storage
	owner     string
	how       issuing.DNSValidation
	ca        Challenger

	tasks   []*task         // in the order in which the domains came
	tidying <-chan struct{} // closed when the last removal is over; nil when there was none
	strange []string        // domains that CERTInext asks for, and that are none of the owner's

	mu     sync.Mutex
	events []string // what has happened since it was last asked
	lastCA error    // of CERTInext's last call that failed to be answered
}

// validations works on so many domains at a time. CERTInext's own limits hold besides.
const validations = 4

// NewRun has the solver of how validate the domains of an owner, which ca asks for.
func (pub *Publisher) NewRun(s logical.Storage, owner string, how issuing.DNSValidation, ca Challenger) *Run {
	return &Run{publisher: pub, storage: s, owner: owner, how: how, ca: ca}
}

// Round works on the domains that are open, as far as that needs no waiting, and takes away the records of those that are validated. It
// reports whether any has been validated.
func (w *Run) Round(ctx context.Context, open []string) (progress bool) {
	solver, err := w.publisher.readySolver(ctx, w.storage, w.how.Solver)
	for _, t := range w.tasks {
		t.verified = t.verified || !slices.Contains(open, t.domain) // without our doing
	}
	var jobs []*task
	for _, domain := range open {
		t := w.task(domain)
		if t.verified {
			continue
		}
		if t.begin(); err != nil {
			t.halt(true, "%v", err)
			continue
		}
		jobs = append(jobs, t)
	}
	journal, err := w.publisher.publishedFor(ctx, w.storage, w.owner)
	if err != nil {
		for _, t := range jobs {
			t.halt(true, "%v", err)
		}
		return false
	}
	// In no order, so that those at the end have their turn, too, when the time is never enough for all.
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

// task returns the task of a domain.
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

// work does what can be done for a task in one round.
func (w *Run) work(ctx context.Context, t *task, solver *readySolver, journal []PublishedEntry) {
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
			w.put(ctx, t, g, solver)
		case moveVerify:
			w.haveLook(ctx, t)
		case moveRest:
			t.rest()
			return
		}
	}
}

func (w *Run) ask(ctx context.Context, t *task) {
	t.asked++
	c, err := w.ca.Challenge(ctx, t.domain)
	switch {
	case certinext.IsDCVNotReady(err):
		t.halt(false, "CERTInext does not say yet what to publish: %s", sanitize.Error(err))
	case errors.Is(err, certinext.ErrChallengeExpired) && t.asked < maxAsked:
		// The next question makes a new one.
	case err != nil:
		t.halt(false, "%s", sanitize.Error(err))
		w.unanswered(err)
	case c.AlreadyVerified:
		t.verified = true
		w.note("control of %s is validated already", t.domain)
	case c.DNSValue == "" || len(c.DNSValue) > dcv.MaxValue || !sanitize.Copyable(c.DNSValue):
		t.halt(true, "CERTInext wants a TXT record whose value cannot be published as it is")
	case c.DNSHost != "" && !w.how.Permits(c.DNSHost, t.domain):
		t.halt(true, "CERTInext asks for a TXT record at %s: if that is right, add it to dcv_hosts, with {domain} in the place of the domain", sanitize.Short(c.DNSHost))
	default:
		if hosts := w.how.Names(c, t.domain); c.DNSValue != t.value || !slices.Equal(hosts, t.hosts) {
			t.value, t.hosts, t.targets = c.DNSValue, hosts, nil
		}
		t.doubted = false
	}
}

func (w *Run) locate(ctx context.Context, t *task, solver *readySolver, journal []PublishedEntry) {
	var targets []*target
	for _, host := range t.hosts {
		g, err := w.publisher.place(ctx, &w.how, solver.zone, host, t.value)
		if err != nil {
			t.halt(true, "%s", sanitize.Error(err))
			return
		}
		for _, p := range journal {
			if p.Done && p.record() == g.record {
				g.there = p.At
			}
		}
		targets = append(targets, g)
	}
	t.targets = targets
}

// place finds where a record has to be written, and who can be asked for it. An empty zone is found.
func (pub *Publisher) place(ctx context.Context, how *issuing.DNSValidation, zone, host, value string) (*target, error) {
	r := &dcv.Resolver{Servers: addresses(how.Resolvers)}
	if len(r.Servers) == 0 {
		r.Servers = pub.resolvers
	}
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

func (w *Run) look(ctx context.Context, g *target) {
	g.look(ctx)
	g.looked, g.seen = true, g.sighting.Complete()
	if g.there.IsZero() && g.sighting.Somewhere() {
		g.there = w.publisher.Now() // from before a crash, or somebody else's, which is none of ours to take away
	}
}

func (w *Run) put(ctx context.Context, t *task, g *target, solver *readySolver) {
	g.tries++
	g.failure = ""
	err := w.publisher.publish(ctx, w.storage, solver, w.owner, t.domain, g.record)
	if err != nil {
		// It may be there all the same: the answer was lost, or the DNS host says that it has it already.
		if w.look(ctx, g); !g.sighting.Somewhere() {
			g.failure = fmt.Sprintf("the solver %s failed at %s", solver.name, sanitize.Error(err))
			t.halt(true, "%s", g.failure)
			return
		}
	}
	g.there, g.looked = w.publisher.Now(), false
	w.note("the solver %s has published the %s", solver.name, g.record)
}

func (w *Run) haveLook(ctx context.Context, t *task) {
	err := w.ca.Verify(ctx, t.domain)
	if err == nil {
		t.verified = true
		w.note("CERTInext has validated control of %s", t.domain)
		return
	}
	switch {
	case certinext.IsDCVNotReady(err):
		t.halt(false, "CERTInext cannot be asked to look yet: %s", sanitize.Error(err))
	case certinext.IsVerifying(err):
		t.halt(false, "CERTInext has not seen the record yet: %s; %s", sanitize.Error(err), t.evidence())
	case certinext.HasStatus(err, http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity):
		t.halt(false, "CERTInext does not accept the record: %s; %s", sanitize.Error(err), t.evidence())
		t.doubted = true // it may want another value by now
	default:
		t.halt(false, "%s", sanitize.Error(err))
		w.unanswered(err)
	}
}

// settled returns what the journal holds that is not needed any more: of the domains that are validated, and values that were replaced;
// or, with all, everything. Of a domain that nothing is known of yet, everything is needed.
func (w *Run) settled(all bool) (keep func(*PublishedEntry) bool) {
	if all {
		return nil
	}
	verified, targets := map[string]bool{}, map[string][]dcv.Record{}
	for _, t := range w.tasks {
		verified[t.domain] = t.verified
		for _, g := range t.targets {
			targets[t.domain] = append(targets[t.domain], g.record)
		}
	}
	return func(p *PublishedEntry) bool {
		return !verified[p.Domain] && (targets[p.Domain] == nil || slices.Contains(targets[p.Domain], p.record()))
	}
}

// tidyPatience is how long an answer waits for records to be removed. It goes on behind the answer.
const tidyPatience = 3 * time.Second

// Tidy begins to remove what is not needed any more. The channel is closed when that is done.
func (w *Run) Tidy(ctx context.Context, all bool) (done <-chan struct{}) {
	keep, over := w.settled(all), make(chan struct{})
	ctx, stop := w.publisher.Detached(ctx)
	before := w.tidying
	w.tidying = over
	w.publisher.Work.Go(func() {
		defer stop()
		defer close(over)
		if before != nil {
			<-before
		}
		if err := w.publisher.Withdraw(ctx, w.storage, w.owner, keep); err != nil {
			w.publisher.Log.Warn("a TXT record could not be removed; the background pass tries again", "owner", w.owner, "error", err)
		}
	})
	return over
}

// AwaitTidy waits until something is removed, but for a moment only.
func AwaitTidy(done <-chan struct{}) {
	timer := time.NewTimer(tidyPatience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
}

// Needs says what the domains wait for that are not validated, of the first few, and whether somebody has to mend it.
func (w *Run) Needs() (needs []string, stuck bool) {
	more := 0
	for _, t := range w.tasks {
		if t.verified {
			continue
		}
		if stuck = stuck || t.stuck; len(needs) == MaxProofs {
			more++
			continue
		}
		needs = append(needs, fmt.Sprintf("the solver %s validates control of %s: %s", w.how.Solver, DisplayDomain(t.domain), t.describe()))
	}
	if more > 0 {
		needs = append(needs, fmt.Sprintf("and control of %d more domains", more))
	}
	if len(w.strange) > 0 {
		needs, stuck = append(needs, fmt.Sprintf("CERTInext asks for control of %s, which is none of this order's names, so nothing is published for it: look into its portal",
			sanitize.Short(strings.Join(w.strange, ", ")))), true
	}
	return needs, stuck
}

func (w *Run) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, fmt.Sprintf(format, args...))
}

// unanswered remembers a call that CERTInext did not answer, for who decides whether it is away.
func (w *Run) unanswered(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastCA = err
}

// TakeUnanswered returns the last call that CERTInext has not answered since it was asked before; nil when there was none.
func (w *Run) TakeUnanswered() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.lastCA
	w.lastCA = nil
	return err
}

// Begun reports whether the run has worked on anything.
func (w *Run) Begun() bool { return len(w.tasks) > 0 }

// SetUnrequested tells the run which domains CERTInext asks for that are none of the owner's: nothing is published for them.
func (w *Run) SetUnrequested(domains []string) { w.strange = domains }

// Look looks for the TXT record at a host, and says what was found.
func (pub *Publisher) Look(ctx context.Context, how *issuing.DNSValidation, host, value string) string {
	g, err := pub.place(ctx, how, "", host, value)
	if err != nil {
		return sanitize.Error(err)
	}
	g.look(ctx)
	return g.found()
}

// TakeEvents returns what has happened since the last call.
func (w *Run) TakeEvents() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	events := w.events
	w.events = nil
	return events
}
