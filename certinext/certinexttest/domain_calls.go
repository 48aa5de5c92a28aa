// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"net/http"
	"slices"
	"strings"
)

// modeRenew asks for another challenge of a domain that is there.
const modeRenew = "renew"

// findDomain looks up the domain a call is about.
func (s domainCalls) findDomain(c *call) (*accountDomain, *problem) {
	if d := s.domainByID(c.param("id")); d != nil {
		return d, nil
	}
	return nil, notFound("Domain not found")
}

// addDomain registers a domain for an organization; a name that is there is
// 409 DOMAIN-002 with the id of the one before it. With the mode "renew" a
// domain that is there gets another challenge, which voids the one before; while
// its validation lasts that goes on to count, and meeting the challenge begins
// another. No source shows what the mode does: this is inferred from its name.
func (s domainCalls) addDomain(c *call) (reply, *problem) {
	var req wireAddDomain
	if problem := decode(c.body, &req); problem != nil {
		return reply{}, problem
	}
	name := strings.ToLower(req.DomainName)
	method := orDefault(req.DCVMethod, methodDNS)
	var l checklist
	l.notBlank("domainName", req.DomainName)
	l.notBlank("organizationId", req.OrganizationID)
	if problem := l.problem(); problem != nil {
		return reply{}, problem
	}
	org := s.organization(req.OrganizationID)
	switch {
	case org == nil:
		return reply{}, rule("EMS-1073", "Invalid Organization Number")
	case !publicName.MatchString(name) || strings.HasPrefix(name, "*."):
		return reply{}, rule("DOMAIN-001", "Invalid domain name")
	case req.Mode != "" && req.Mode != modeRenew:
		return reply{}, invalidField("mode", "must be renew")
	}
	if problem := s.v2().checkMethod(method, false); problem != nil {
		return reply{}, problem
	}
	for _, d := range s.zones {
		if d.name == name && d.organization == org && req.Mode != modeRenew {
			return reply{}, conflict("[DOMAIN-002] Domain already exists", map[string]any{
				"existingDomainId": d.id,
			})
		}
	}
	d := s.registerDomain(name, org, c.now)
	d.method, d.challenge, d.renewing = method, s.mint(c.now), d.validAt(c.now)
	body := s.wireDomainOf(d, c)
	body["domainStatus"], body["dcvMethod"], body["autoVerify"] = d.domainStatus(), method, false
	body["organizationId"] = org.Number
	body["dcv"] = s.wireDomainChallenge(d, true)
	return respond(http.StatusCreated, body)
}

func (s domainCalls) wireDomainOf(d *accountDomain, c *call) map[string]any {
	body := map[string]any{
		"domainId": d.id, "domainName": d.name, "organizationName": d.organizationName(),
		"status": d.domainStatus(), "dcvStatus": d.dcvStatus(c.now),
		"dcv": map[string]string{"method": d.method}, "createdAt": rfc3339(d.createdAt),
	}
	if !d.verifiedAt.IsZero() {
		body["verifiedAt"], body["validTill"] = rfc3339(d.verifiedAt), rfc3339(d.validTill)
	}
	return body
}

// wireDomainChallenge is the account-level challenge: method and token while
// it is open, the method alone afterwards.
func (s domainCalls) wireDomainChallenge(d *accountDomain, open bool) map[string]any {
	w := map[string]any{"method": d.method}
	if !open || d.challenge == nil {
		return w
	}
	if d.method == methodHTTP {
		w["fileName"], w["fileToken"] = d.challenge.fileName, d.challenge.token
	} else {
		w["txtToken"] = d.challenge.token
	}
	w["tokenExpiry"] = s.expiry(d.challenge)
	return w
}

func (s domainCalls) getDomain(c *call) (reply, *problem) {
	d, problem := s.findDomain(c)
	if problem != nil {
		return reply{}, problem
	}
	return respond(http.StatusOK, s.wireDomainOf(d, c))
}

// getDomainChallenge shows the challenge. An expired one reads empty until the
// method is patched, which mints another.
func (s domainCalls) getDomainChallenge(c *call) (reply, *problem) {
	d, problem := s.findDomain(c)
	if problem != nil {
		return reply{}, problem
	}
	open := d.openAt(c.now)
	switch {
	case !open:
	case d.challenge == nil:
		d.challenge = s.mint(c.now)
	case !c.now.Before(d.challenge.mintedAt.Add(s.challengeTTL())):
		d.challenge.token = ""
	}
	return respond(http.StatusOK, s.wireDomainChallenge(d, open))
}

// changeDomainMethod sets the method and mints a new challenge, which voids
// the one before it.
func (s domainCalls) changeDomainMethod(c *call) (reply, *problem) {
	var req wireDomainMethod
	if problem := decode(c.body, &req); problem != nil {
		return reply{}, problem
	}
	d, problem := s.findDomain(c)
	if problem != nil {
		return reply{}, problem
	}
	if problem := s.v2().checkMethod(req.DCVMethod, false); problem != nil {
		return reply{}, problem
	}
	if !d.openAt(c.now) {
		return reply{}, rule("EMS-1080", "Domain is already verified")
	}
	d.method, d.challenge = req.DCVMethod, s.mint(c.now)
	return respond(http.StatusOK, s.wireDomainChallenge(d, true))
}

// verifyDomainChallenge validates a domain for the account, before any order. A
// challenge that was voided during the look-up proves nothing.
func (s domainCalls) verifyDomainChallenge(c *call) (reply, *problem) {
	if problem := decode(c.body, &wireNothing{}); problem != nil {
		return reply{}, problem
	}
	p, problem := s.beginDomainVerify(c)
	if problem != nil {
		return reply{}, problem
	}
	failure := p.run(c.r.Context())
	s.lockFor(c)
	defer s.mu.Unlock()
	d, problem := s.findDomain(c)
	if problem != nil {
		return reply{}, problem
	}
	now := s.now()
	if failure == nil && (d.challenge == nil || d.challenge.token != p.token) {
		failure = &lookupFailure{class: classTokenExpired, ems: "EMS-1161"}
	}
	d.attempts = append(d.attempts, attempt{
		id: randomToken()[:16], at: now, method: p.method, failure: failure,
	})
	if failure != nil {
		return reply{}, s.verifyFailed(p.method, failure)
	}
	s.validateDomain(d, now, p.method)
	return respond(http.StatusOK, verifiedBody(p.method, now))
}

func (s domainCalls) beginDomainVerify(c *call) (*probe, *problem) {
	s.lockFor(c)
	defer s.mu.Unlock()
	d, problem := s.findDomain(c)
	if problem != nil {
		return nil, problem
	}
	if !d.openAt(c.now) {
		return nil, rule("EMS-1080", "Domain is already verified")
	}
	return s.newProbe(d.name, d.method, d.challenge, c.now), nil
}

func (a attempt) wire() map[string]any {
	w := map[string]any{
		"attemptId": a.id, "attemptedAt": rfc3339(a.at), "method": a.method,
		"overallStatus": "VERIFIED",
	}
	if a.failure != nil {
		w["overallStatus"], w["failureClass"] = "FAILED", a.failure.class
	}
	return w
}

func (s domainCalls) listDomainAttempts(c *call) (reply, *problem) {
	d, problem := s.findDomain(c)
	if problem != nil {
		return reply{}, problem
	}
	list := []any{}
	for _, a := range slices.Backward(d.attempts) {
		list = append(list, a.wire())
	}
	return respond(http.StatusOK, wirePage{
		list, 0, max(20, len(list)), len(list), pageCount(len(list), max(20, len(list))),
	})
}

// getDomainAttempt answers one attempt by id, or the latest by "last".
func (s domainCalls) getDomainAttempt(c *call) (reply, *problem) {
	d, problem := s.findDomain(c)
	if problem != nil {
		return reply{}, problem
	}
	for i, a := range slices.Backward(d.attempts) {
		switch {
		case c.param("attempt") == "last" && i == len(d.attempts)-1:
			status := "VERIFIED"
			if a.failure != nil {
				status = "FAILED"
			}
			return respond(http.StatusOK, map[string]any{
				"domainId": d.id, "method": a.method, "status": status,
				"diagnostics": diagnostics(a.method, status, a.failure),
			})
		case c.param("attempt") == a.id:
			return respond(http.StatusOK, a.wire())
		}
	}
	return reply{}, notFound("Attempt not found")
}

func (s domainCalls) deactivateDomain(c *call) (reply, *problem) {
	if problem := decode(c.body, &wireNothing{}); problem != nil {
		return reply{}, problem
	}
	d, problem := s.findDomain(c)
	if problem != nil {
		return reply{}, problem
	}
	d.inactive = true
	return noContent()
}
