// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package validation

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
	"github.com/hashicorp/vault/sdk/logical"
)

// A SolverReport is the result of a check of a solver.
type SolverReport struct {
	Record  string   // the name of the test record
	Zone    string   // in which it was published
	Servers []string // that were asked for it
	// How long each step took, a millisecond at least; zero for a step that was not completed.
	Published, Seen, Removed time.Duration
	// Problems are sentences for an operator. There are none when the record was published, seen by
	// all servers, and removed.
	Problems []string
}

// Bounds of a check, whose answer has to arrive before Vault's clients give up after 60 s.
const (
	checkPatience = 30 * time.Second // for the servers to show the record
	checkCall     = 10 * time.Second // for one call to the DNS host
)

// CheckSolver publishes a test record below a zone, waits until the zone's servers show it, and
// removes it. An empty zone is the solver's. Failures of the DNS host are problems of the report,
// not errors.
func (pub *Publisher) CheckSolver(
	ctx context.Context, s logical.Storage, name, zone string, how issuing.DNSValidation,
) (*SolverReport, error) {
	v, err := pub.mustSolver(ctx, s, name)
	if err != nil {
		return nil, err
	}
	if zone == "" {
		zone = v.Zone
	}
	if !issuing.IsZone(zone) {
		return nil, fault.BadField("zone",
			"is required: a domain name, below which a test record is published for a moment")
	}
	how.Solver = name
	if how.Hosts == nil {
		how.Hosts = issuing.DefaultHosts
	}
	if err := how.Validate(); err != nil {
		return nil, err
	}
	solver, err := pub.readySolver(ctx, s, name)
	if err != nil {
		return nil, err
	}
	id, err := pub.NewID()
	if err != nil {
		return nil, err
	}
	patient := *solver.Solver
	patient.Patience = checkCall
	solver = &readySolver{Solver: &patient, name: solver.name, zone: solver.zone}
	c := &solverCheck{
		publisher: pub, storage: s, solver: solver, how: how, owner: checkOwner(id),
		report: new(SolverReport),
	}
	c.run(ctx, "_vault-check-"+strings.ReplaceAll(id, "-", "")[:12]+"."+zone, id)
	return c.report, nil
}

// A solverCheck is a check in progress.
type solverCheck struct {
	publisher *Publisher
	storage   logical.Storage
	solver    *readySolver
	how       issuing.DNSValidation
	owner     string
	report    *SolverReport
}

// run fills in the report. When it returns, the record is removed, or in the journal for the
// background pass to remove.
func (c *solverCheck) run(ctx context.Context, host, value string) {
	w := c.publisher.NewRun(c.storage, c.owner, c.how, nil)
	c.report.Record = host
	t := &task{domain: host, value: value, hosts: []string{host}}
	w.locate(ctx, t, c.solver, nil)
	if t.targets == nil {
		c.problem("%s", t.problem)
		return
	}
	g := t.targets[0]
	c.report.Record = strings.TrimSuffix(g.record.Name, ".")
	c.report.Zone = strings.TrimSuffix(g.record.Zone, ".")
	for _, server := range g.servers {
		c.report.Servers = append(c.report.Servers, server.String())
	}
	begun := c.publisher.Now()
	err := c.publisher.publish(ctx, c.storage, c.solver, c.owner, t.domain, g.record)
	if err != nil {
		c.problem("%s", sanitize.Error(err))
	} else {
		c.report.Published = c.since(begun)
		c.awaitSeen(ctx, g)
	}
	begun = c.publisher.Now()
	ctx, cancel := c.publisher.Detached(ctx)
	defer cancel()
	if err := c.publisher.Withdraw(ctx, c.storage, c.owner, nil); err != nil {
		c.problem("%s; the background pass tries again", sanitize.Error(err))
		return
	}
	c.report.Removed = c.since(begun)
}

// awaitSeen waits until all servers show the record.
func (c *solverCheck) awaitSeen(ctx context.Context, g *target) {
	begun := c.publisher.Now()
	if g.lookup != nil {
		c.problem("the servers of the zone are not known, so the record was not looked up: %s",
			sanitize.Error(g.lookup))
		return
	}
	for polls := 0; ; polls++ {
		sighting := dcv.Look(ctx, g.servers, g.record.Name, g.record.Value, 0)
		if sighting.Complete() {
			c.report.Seen = c.since(begun)
			return
		}
		delay := host.PollDelay(polls)
		if c.publisher.Now().Add(delay).After(begun.Add(checkPatience)) {
			c.problem("not all servers showed the record within %s: %s",
				phrase.Duration(checkPatience), sighting)
			return
		}
		if host.Sleep(ctx, delay) {
			c.problem("the request ended before all servers showed the record: %s", sighting)
			return
		}
	}
}

func (c *solverCheck) problem(format string, args ...any) {
	c.report.Problems = append(c.report.Problems, fmt.Sprintf(format, args...))
}

// since returns the time that a step took. It is never zero, which stands for a step that was not
// completed.
func (c *solverCheck) since(t time.Time) time.Duration {
	return max(c.publisher.Now().Sub(t), time.Millisecond)
}
