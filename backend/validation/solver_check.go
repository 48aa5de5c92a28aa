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
	"github.com/hashicorp/vault/sdk/logical"
)

// A SolverReport is what a check of a solver has come to.
type SolverReport struct {
	Record  string // the name of the test record
	Zone    string
	Servers []string // that were asked for it
	// How long each step took; zero where it was not reached.
	Published, Seen, Removed time.Duration
	Problems                 []string // what is wrong, in plain words; none when the record was published, seen by all servers, and removed
}

// Bounds of a check, whose answer is to arrive before Vault's clients give up after 60s: how long it waits for its record, and for the DNS
// host to publish it.
const (
	checkPatience = 30 * time.Second
	checkCall     = 10 * time.Second
)

// CheckSolver publishes a test record in a zone, waits until the zone's servers show it, and removes it.
func (pub *Publisher) CheckSolver(ctx context.Context, s logical.Storage, name, zone string, how issuing.DNSValidation) (*SolverReport, error) {
	v, err := pub.MustSolver(ctx, s, name)
	if err != nil {
		return nil, err
	}
	if zone == "" {
		zone = v.Zone
	}
	if !issuing.IsZone(zone) {
		return nil, fault.BadField("zone", "is required: a domain name, below which a test record is published for a moment")
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
	c := &solverCheck{publisher: pub, storage: s, solver: solver, how: how, owner: checkOwner(id), report: new(SolverReport)}
	c.run(ctx, "_vault-check-"+strings.ReplaceAll(id, "-", "")[:12]+"."+zone, id)
	return c.report, nil
}

// A solverCheck is a check that runs.
type solverCheck struct {
	publisher *Publisher
	storage   logical.Storage
	solver    *readySolver
	how       issuing.DNSValidation
	owner     string
	report    *SolverReport
}

// run is over with the record removed, or in the journal.
func (c *solverCheck) run(ctx context.Context, host, value string) {
	w := c.publisher.NewRun(c.storage, c.owner, c.how, nil)
	c.report.Record = host
	t := &task{domain: host, value: value, hosts: []string{host}}
	if w.locate(ctx, t, c.solver, nil); t.targets == nil {
		c.problem("%s", t.problem)
		return
	}
	g := t.targets[0]
	c.report.Record, c.report.Zone = strings.TrimSuffix(g.record.Name, "."), strings.TrimSuffix(g.record.Zone, ".")
	for _, server := range g.servers {
		c.report.Servers = append(c.report.Servers, server.String())
	}
	begun := c.publisher.Now()
	if err := c.publisher.publish(ctx, c.storage, c.solver, c.owner, t.domain, g.record); err != nil {
		c.problem("%s", sanitize.Error(err))
	} else {
		c.report.Published = c.since(begun)
		c.see(ctx, g)
	}
	begun = c.publisher.Now()
	ctx, cancel := c.publisher.Detached(ctx)
	defer cancel()
	if err := c.publisher.Withdraw(ctx, c.storage, c.owner, nil); err != nil {
		c.problem("%s; it is tried again in the background", sanitize.Error(err))
		return
	}
	c.report.Removed = c.since(begun)
}

// see waits until all servers show the record.
func (c *solverCheck) see(ctx context.Context, g *target) {
	begun := c.publisher.Now()
	if g.lookup != nil {
		c.problem("the servers of the zone are not known, so it is not known whether the record can be seen: %s", sanitize.Error(g.lookup))
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
			c.problem("the record was not seen by all servers within %s: %s", checkPatience, sighting)
			return
		}
		if host.Sleep(ctx, delay) {
			c.problem("the request has ended before all servers showed the record: %s", sighting)
			return
		}
	}
}

func (c *solverCheck) problem(format string, args ...any) {
	c.report.Problems = append(c.report.Problems, fmt.Sprintf(format, args...))
}

// since is at least a millisecond, so that a step that was reached can be told from one that was not.
func (c *solverCheck) since(t time.Time) time.Duration {
	return max(c.publisher.Now().Sub(t), time.Millisecond)
}
