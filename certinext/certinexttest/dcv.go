// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"net/http"
	"time"
)

// verifiedSince reports whether control of t is shown and since when: by a
// check made for this order, by a parent name of the same order, or by a
// domain of the account.
func (s *Server) verifiedSince(o *order, t *target, now time.Time) (time.Time, bool) {
	if reached(t.verifiedAt, now) {
		return t.verifiedAt, true
	}
	if !s.NoInheritance {
		for _, p := range o.targets {
			if reached(p.verifiedAt, now) && isBelow(t.domain, p.domain) {
				return p.verifiedAt, true
			}
		}
	}
	if o.ownValidation {
		return time.Time{}, false
	}
	return s.coveredByAccount(t.domain, o.organization, now)
}

// getChallenge hands out what to publish for one name of an order.
func (s version2) getChallenge(c *call) (reply, *problem) {
	o, problem := s.find(c)
	if problem != nil {
		return reply{}, problem
	}
	if c.arg("domain") == "" && !c.live() {
		return reply{}, rule("EMS-1157", "Domain name cannot be empty")
	}
	domain := c.arg("domain")
	if s.Unknowns.FirstChallengeOnly {
		domain = ""
	}
	t, problem := s.openTarget(c, o, domain)
	if problem != nil {
		return reply{}, problem
	}
	method := orDefault(c.arg("method"), methodDNS)
	if problem := s.checkMethod(method, o.hasWildcard(t)); problem != nil {
		return reply{}, problem
	}
	t.challenge = s.fresh(t.challenge, c.now)
	return respond(http.StatusOK, s.wireChallenge(o, t, method))
}

// openTarget finds the name a DCV call is about; "" is the first that is still
// open. Observed: a name already verified is 422 EMS-1080, on either call. The
// published text does not know that code, and answers such a name again.
func (s *Server) openTarget(c *call, o *order, domain string) (*target, *problem) {
	if o.draft || o.cancelled != nil || o.rejected != nil || o.revoked != nil {
		return nil, wrongState("Order is not awaiting domain validation").inV1("EMS-956")
	}
	t := o.target(domain)
	if domain == "" {
		t = s.firstOpen(o, c.now)
	}
	if t == nil {
		return nil, rule("EMS-1157", "Domain name is not part of the order").inV1("EMS-1164")
	}
	if _, done := s.verifiedSince(o, t, c.now); done && (s.Dialect != Documented || c.route.v1()) {
		return nil, rule("EMS-1080", "Domain is already verified")
	}
	return t, nil
}

func (s *Server) firstOpen(o *order, now time.Time) *target {
	for _, t := range o.targets {
		if _, done := s.verifiedSince(o, t, now); !done {
			return t
		}
	}
	if len(o.targets) > 0 {
		return o.targets[0]
	}
	return nil
}

// verifyChallenge looks the challenge up where it was to be published. The
// lock is free during the look-up, so the order is looked at twice.
func (s version2) verifyChallenge(c *call) (reply, *problem) {
	var req wireVerifyDCV
	if problem := decode(c.body, &req); problem != nil {
		return reply{}, problem
	}
	probe, problem := s.beginVerify(c, req)
	if problem != nil {
		return reply{}, problem
	}
	if probe == nil {
		return noContent() // verified before, and the dialect does not mind
	}
	failure := probe.run(c.r.Context())
	s.lockFor(c)
	defer s.mu.Unlock()
	return s.endVerify(c, req, probe, failure)
}

// beginVerify checks the request and copies out all that the look-up needs.
func (s version2) beginVerify(c *call, req wireVerifyDCV) (*probe, *problem) {
	s.lockFor(c)
	defer s.mu.Unlock()
	o, problem := s.find(c)
	if problem != nil {
		return nil, problem
	}
	if req.Domain == "" {
		return nil, rule("EMS-1157", "Domain name cannot be empty")
	}
	t, problem := s.openTarget(c, o, req.Domain)
	if problem != nil {
		return nil, problem
	}
	if _, done := s.verifiedSince(o, t, c.now); done {
		return nil, nil
	}
	if problem := s.checkMethod(req.Method, o.hasWildcard(t)); problem != nil {
		return nil, problem
	}
	return s.newProbe(t.domain, req.Method, t.challenge, c.now), nil
}

// endVerify records the outcome, if the order still wants it.
func (s version2) endVerify(
	c *call, req wireVerifyDCV, p *probe, failure *lookupFailure,
) (reply, *problem) {
	o, problem := s.find(c)
	if problem != nil {
		return reply{}, problem
	}
	if failure, problem = s.conclude(c, o, req.Domain, p, failure, 0); problem != nil {
		return reply{}, problem
	}
	if failure != nil {
		return reply{}, s.verifyFailed(req.Method, failure)
	}
	if c.live() {
		return respond(http.StatusOK, verifiedBody(req.Method, s.now()))
	}
	return noContent()
}

// conclude enters what the look-up p saw, to be known after a delay, and
// returns why it does not count if it does not.
func (s *Server) conclude(
	c *call, o *order, domain string, p *probe, failure *lookupFailure, delay time.Duration,
) (*lookupFailure, *problem) {
	c.now = s.now() // the look-up took its time
	t, problem := s.openTarget(c, o, domain)
	if problem != nil {
		return nil, problem
	}
	if failure == nil && (t.challenge == nil || t.challenge.token != p.token) {
		failure = &lookupFailure{class: classTokenExpired, ems: "EMS-1161"}
	}
	if failure != nil {
		return failure, nil
	}
	at := c.now.Add(delay)
	t.verifiedAt, t.method = at, p.method
	if !s.NoReuse {
		s.renewDomain(s.registerDomain(t.domain, s.ownerOf(o), c.now), c.now, at, p.method)
	}
	s.settle(o, c.now)
	return nil, nil
}

// reached reports whether at was set and is not still to come.
func reached(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }

// ownerOf is the organization that a validation made for o belongs to.
func (s *Server) ownerOf(o *order) *organization {
	if o.organization != nil {
		return o.organization
	}
	return s.firstOrganization()
}
