// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"slices"
	"strings"
)

// wireV1DCV is the body of GetDcv and VerifyDcv. Sample bodies call the block
// orderDetails, which the specification beside them does not.
type wireV1DCV struct {
	DCVDetails struct {
		RequestorEmail string `json:"requestorEmail"`
		OrderNumber    string `json:"orderNumber"`
		DomainName     string `json:"domainName"`
		DCVMethod      string `json:"dcvMethod"`
		DCVEmail       string `json:"dcvEmail"`
	} `json:"dcvDetails"`
}

// A v1Challenge is what a DCV verb of version 1 is about.
type v1Challenge struct {
	order  *order
	target *target
	method string
}

// dcv reads a DCV verb and finds its order. The lock is held.
func (s version1) dcv(c *call, req wireV1DCV) (v1Challenge, *problem) {
	d := req.DCVDetails
	if problem := checkV1Email(d.RequestorEmail); problem != nil {
		return v1Challenge{}, problem
	}
	o, problem := s.findOrder(c, d.OrderNumber)
	if problem != nil {
		return v1Challenge{}, problem
	}
	if problem := s.checkSlot(c, o); problem != nil {
		return v1Challenge{}, problem
	}
	if problem := firstUnmet(
		demand{filled(d.DomainName), "EMS-1157", "Domain name cannot be empty."},
		demand{d.DCVMethod != "", "EMS-1158", "DCV method cannot be empty."},
	); problem != nil {
		return v1Challenge{}, problem
	}
	t, problem := s.openTarget(c, o, d.DomainName)
	if problem != nil {
		return v1Challenge{}, problem
	}
	method, problem := v1Method(d.DCVMethod, o, t)
	return v1Challenge{o, t, method}, problem
}

// checkSlot: an order that has nothing to validate, or not yet, is EMS-956
// (observed), long after TrackOrder shows it, too.
func (s version1) checkSlot(c *call, o *order) *problem {
	open := o.createdAt.Add(s.DCVSlotDelay + s.DCVChallengeDelay)
	if len(o.targets) == 0 || c.now.Before(open) {
		return v1Failure("EMS-956", "Invalid Request for this API")
	}
	return nil
}

// v1Method is the method with a number of version 1. A file does not do for an
// order that secures www. of its own (documented), nor for a wildcard.
func v1Method(id string, o *order, t *target) (string, *problem) {
	i := slices.IndexFunc(v1Methods, func(m v1DCVMethod) bool { return m.id == id })
	if i < 0 {
		return "", v1Failure("EMS-1159", "Invalid DCV method.")
	}
	method := v1Methods[i].method
	if method == methodHTTP && o.www {
		return "", v1Failure(
			"EMS-1106", "You have chosen to secure both www and without www for this SSL order.",
		)
	}
	return method, checkMethod(method, o.hasWildcard(t))
}

// wireV1Challenge is the answer to GetDcv; which members it has goes by the
// method.
type wireV1Challenge struct {
	Token       string   `json:"token,omitempty"`
	FileName    string   `json:"fileName,omitempty"` // without the .txt it is published with
	FileContent string   `json:"fileContent,omitempty"`
	DCVEmails   []string `json:"dcvEmails,omitempty"`
}

// getDCV hands out what to publish for one name of an order.
func (s version1) getDCV(c *call) (reply, *problem) {
	var req wireV1DCV
	if problem := c.decodeV1(&req); problem != nil {
		return reply{}, problem
	}
	ch, problem := s.dcv(c, req)
	if problem != nil {
		return reply{}, problem
	}
	t := ch.target
	t.challenge = s.fresh(t.challenge, c.now)
	var w wireV1Challenge
	switch ch.method {
	case methodDNS:
		w.Token = t.challenge.token
	case methodHTTP:
		w.FileName, w.FileContent = strings.TrimSuffix(
			t.challenge.fileName, ".txt",
		), t.challenge.token
	default:
		w.DCVEmails = constructedEmails(t.domain)
	}
	return s.success(c, map[string]any{"dcvDetails": w})
}

// constructedEmails are the addresses that the CA/Browser Forum allows.
func constructedEmails(domain string) []string {
	var list []string
	for _, name := range []string{
		"admin", "administrator", "webmaster", "hostmaster", "postmaster",
	} {
		list = append(list, name+"@"+domain)
	}
	return list
}

// verifyDCV looks the challenge up and says nothing of what it saw: that is
// for TrackOrder. The lock is free during the look-up.
func (s version1) verifyDCV(c *call) (reply, *problem) {
	var req wireV1DCV
	if problem := c.decodeV1(&req); problem != nil {
		return reply{}, problem
	}
	ch, p, problem := s.beginVerify(c, req)
	if problem != nil {
		return reply{}, problem
	}
	failure := p.run(c.r.Context())
	s.lockFor(c)
	defer s.mu.Unlock()
	if _, problem := s.conclude(
		c, ch.order, ch.target.domain, p, failure, s.DCVResultDelay,
	); problem != nil {
		return reply{}, problem
	}
	return s.success(c, nil)
}

// beginVerify copies out all that the look-up needs. A challenge that no caller asked for cannot be
// verified.
func (s version1) beginVerify(c *call, req wireV1DCV) (v1Challenge, *probe, *problem) {
	s.lockFor(c)
	defer s.mu.Unlock()
	ch, problem := s.dcv(c, req)
	if problem != nil {
		return ch, nil, problem
	}
	email := req.DCVDetails.DCVEmail
	switch {
	case ch.target.challenge == nil:
		return ch, nil, v1Failure("EMS-956", "Invalid Request for this API")
	case ch.method == methodEmail && !filled(email):
		return ch, nil, v1Failure("EMS-1166", "DCV Email cannot be empty.")
	case ch.method == methodEmail && !slices.Contains(constructedEmails(ch.target.domain), email):
		return ch, nil, v1Failure("EMS-1167", "Invalid DCV Email.")
	}
	p := s.newProbe(ch.target.domain, ch.method, ch.target.challenge, c.now)
	if s.ChallengeHosts == nil {
		// Observed with version 1, and not the name that version 2 documents.
		p.hosts = []string{"_emsign-validation." + ch.target.domain}
	}
	return ch, p, nil
}

// checkV1Email is the requestorEmail that most verbs ask for.
func checkV1Email(email string) *problem {
	return firstUnmet(
		demand{filled(email), "EMS-924", "Requestor Email ID cannot be empty."},
		demand{mailbox(email), "EMS-925", "Invalid Requestor Email ID."},
	)
}
