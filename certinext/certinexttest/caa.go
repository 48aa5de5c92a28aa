// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/caa"
)

// A CAAPolicy is how the CA minds CAA records (RFC 8659). Its zero value looks them up where
// [Server.Resolver] says at which DNS server, and nowhere else: a test that sets none asks nobody.
//
// They are looked up once control of a name is shown, and again for as long as they forbid or
// cannot be told. An order that they hold up is pending-approval, and its caaStatus is FAILED; it
// goes on when it is looked at after they have changed. What is found to allow is good for eight
// hours. No look-up runs while a request is being processed, so that a create answers as if none
// had been made yet; the call after it knows.
type CAAPolicy struct {
	// Lookups says when records are looked up.
	Lookups CAALookups
	// Issuers are the names by which records allow this CA; nil means "emsign.com", after the
	// brand of the vendor's public CA. Its practice statement has the list.
	Issuers []string
}

// CAALookups says when CAA records are looked up.
type CAALookups int

const (
	// CAAWithResolver is where [Server.Resolver] is set.
	CAAWithResolver CAALookups = iota
	// CAAAlways is at the system's DNS servers where [Server.Resolver] is not set.
	CAAAlways
	// CAANever leaves [Server.CAAForbids] to say what they are.
	CAANever
)

var caaLookups = []string{
	CAAWithResolver: "with-resolver", CAAAlways: "always", CAANever: "never",
}

// MarshalText names when.
func (l CAALookups) MarshalText() ([]byte, error) { return nameOf(caaLookups, l) }

// UnmarshalText reads with-resolver, always or never.
func (l *CAALookups) UnmarshalText(b []byte) error { return byName(caaLookups, b, l) }

// caaReuse is how long a look-up that allows is good for: "within the TTL of the CAA record, or 8
// hours, whichever is greater" (Baseline Requirements, section 4.2.2.1). The shorter is taken.
const caaReuse = 8 * time.Hour

// mostCAALookups run at once.
const mostCAALookups = 16

// A caaFinding is what the last look-up for a name of an order said.
type caaFinding struct {
	at      time.Time // zero while there was none
	since   time.Time // from when on it has allowed
	refusal error
	names   []string // that were looked up
	issuers []string // that the CA went by
}

// allows reports whether f is good at now for all the names, in the eyes of the issuers.
func (f caaFinding) allows(names, issuers []string, now time.Time) bool {
	isUnknown := func(name string) bool { return !slices.Contains(f.names, name) }
	return !f.at.IsZero() && f.refusal == nil && now.Before(f.at.Add(caaReuse)) &&
		slices.Equal(f.issuers, issuers) && !slices.ContainsFunc(names, isUnknown)
}

// allowedByCAA reports whether what is known of the records of a target will do.
func (s *Server) allowedByCAA(o *order, t *target, now time.Time) bool {
	return t.caa.allows(o.namesAt(t), s.caaIssuers(), now)
}

// looksUpCAA reports whether records are looked up at all.
func (s *Server) looksUpCAA() bool {
	return s.CAA.Lookups == CAAAlways || (s.CAA.Lookups == CAAWithResolver && s.Resolver != "")
}

// caaMet: "CAA is still checked at issuance" (documented), whatever was validated before. It binds
// public CAs only.
func (s *Server) caaMet(o *order, _, now time.Time) (latest time.Time, ok bool) {
	if o.family != FamilySSL {
		return time.Time{}, true
	}
	for _, t := range o.targets {
		switch {
		case s.forbiddenByCAA(t):
			return time.Time{}, false
		case !s.looksUpCAA():
		case !s.allowedByCAA(o, t, now):
			return time.Time{}, false
		case t.caa.since.After(latest):
			latest = t.caa.since
		}
	}
	return latest, true
}

func (s *Server) forbiddenByCAA(t *target) bool {
	return slices.ContainsFunc(s.CAAForbids, func(name string) bool {
		return isBelow(t.domain, strings.ToLower(strings.TrimSuffix(name, ".")))
	})
}

// caaStatus is what the API says of a domain whose control is shown.
func (s *Server) caaStatus(o *order, t *target) string {
	switch {
	case o.current().cert != nil:
		return "PASSED"
	case s.forbiddenByCAA(t):
		return "FAILED"
	case !s.looksUpCAA():
		return "PASSED"
	case t.caa.at.IsZero():
		return "SKIPPED"
	case t.caa.refusal != nil:
		return "FAILED"
	default:
		return "PASSED"
	}
}

// wantCAA enters o among the orders whose records have to be looked up once the request at hand is
// done: one of its names is validated, and what is known of it is not good enough.
func (s *Server) wantCAA(o *order, now time.Time) {
	if o.family != FamilySSL || !s.looksUpCAA() {
		return
	}
	for _, t := range o.targets {
		if _, done := s.verifiedSince(o, t, now); done && !s.allowedByCAA(o, t, now) {
			if s.caaWanted == nil {
				s.caaWanted = make(map[*order]bool)
			}
			s.caaWanted[o] = true
			return
		}
	}
}

// A caaQuestion is one name of one order, with all that its look-up needs.
type caaQuestion struct {
	order   *order
	target  *target
	names   []string // as the certificate will have them: the domain, its wildcard, or both
	refusal error
}

// lookUpCAA looks up what is wanted, without the lock, lets the orders go on, and reports whether
// there was anything. A caller that hangs up does not end it: the CA wants to know.
func (s *Server) lookUpCAA(ctx context.Context) bool {
	questions, look, issuers := s.takeCAA()
	if len(questions) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
	defer cancel()
	var group sync.WaitGroup
	slots := make(chan struct{}, mostCAALookups)
	for i := range questions {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			questions[i].ask(ctx, look, issuers)
		})
	}
	group.Wait()
	s.settleCAA(questions, issuers)
	return true
}

// takeCAA empties what is wanted into questions.
func (s *Server) takeCAA() ([]caaQuestion, caa.Lookup, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.caaWanted) == 0 {
		return nil, nil, nil
	}
	now := s.now()
	var questions []caaQuestion
	for o := range s.caaWanted {
		for _, t := range o.targets {
			if _, done := s.verifiedSince(o, t, now); done && !s.allowedByCAA(o, t, now) {
				questions = append(questions, caaQuestion{
					order: o, target: t, names: o.namesAt(t),
				})
			}
		}
	}
	clear(s.caaWanted)
	return questions, s.caaLookup(), s.caaIssuers()
}

// namesAt are the names of the certificate that belong to t.
func (o *order) namesAt(t *target) []string {
	return slices.DeleteFunc(o.leafNames().DNS, func(name string) bool {
		return name != t.domain && name != "*."+t.domain
	})
}

// caaLookup asks the same DNS servers as domain control does.
func (s *Server) caaLookup() caa.Lookup {
	if s.Resolver != "" {
		return (&caa.Resolver{Servers: []string{s.Resolver}}).Lookup
	}
	system, err := caa.SystemResolver()
	if err != nil {
		return func(context.Context, string) ([]caa.Record, error) { return nil, err }
	}
	return system.Lookup
}

func (s *Server) caaIssuers() []string {
	if s.CAA.Issuers != nil {
		return slices.Clone(s.CAA.Issuers)
	}
	return []string{"emsign.com"}
}

// ask looks all names up; the first that is forbidden decides.
func (q *caaQuestion) ask(ctx context.Context, look caa.Lookup, issuers []string) {
	for _, name := range q.names {
		if q.refusal = caa.Check(ctx, look, name, issuers); q.refusal != nil {
			return
		}
	}
}

// settleCAA enters what was found.
func (s *Server) settleCAA(questions []caaQuestion, issuers []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	questions = slices.DeleteFunc(questions, func(q caaQuestion) bool {
		forgotten := s.book.requests[q.order.requestID] != q.order // by a Reset meanwhile
		return forgotten
	})
	for _, q := range questions {
		since := q.target.caa.since
		if !q.target.caa.allows(q.names, issuers, q.target.caa.at) {
			since = now
		}
		q.target.caa = caaFinding{now, since, q.refusal, q.names, issuers}
	}
	for _, q := range questions {
		s.settle(q.order, now)
		delete(s.caaWanted, q.order) // what forbids is looked up when the order is looked at
	}
}

// withCAA runs look, which looks at orders with the lock held, and once more if records had to be
// looked up in between.
func (s *Server) withCAA(look func(now time.Time)) {
	s.once.Do(s.setUp)
	locked := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		look(s.now())
	}
	locked()
	if s.lookUpCAA(context.Background()) {
		locked()
	}
}
