// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"strings"
	"time"
)

// A revokeReason is one spelling of a reason: its RFC 5280 code, and whether
// public SSL orders may be revoked for it.
type revokeReason struct {
	code     int
	accepted bool
}

// revokeReasons by dialect. Live: kebab case, five of nine accepted for SSL
// (observed). Documented: the camel-case list of the published text.
var revokeReasons = map[Dialect]map[string]revokeReason{
	Live: {
		"unspecified":            {0, false},
		"key-compromise":         {1, true},
		"ca-compromise":          {2, false},
		"affiliation-changed":    {3, true},
		"superseded":             {4, true},
		"cessation-of-operation": {5, true},
		"certificate-hold":       {6, false},
		"privilege-withdrawn":    {9, true},
		"aa-compromise":          {10, false},
	},
	Documented: {
		"unspecified":          {0, true},
		"keyCompromise":        {1, true},
		"caCompromise":         {2, true},
		"affiliationChanged":   {3, true},
		"superseded":           {4, true},
		"cessationOfOperation": {5, true},
		"privilegeWithdrawn":   {9, true},
	},
}

// reasons are those of the dialect, as version 2 spells them.
func (s *Server) reasons() map[string]revokeReason {
	if s.Dialect == Documented {
		return revokeReasons[Documented]
	}
	return revokeReasons[Live]
}

// revokeOrder revokes what an order issued. Revocation is by order, so all of
// its certificates go, unless NewestRevokedOnly says otherwise.
func (s version2) revokeOrder(c *call) (reply, *problem) {
	var req wireRevoke
	if problem := decode(c.body, &req); problem != nil {
		return reply{}, problem
	}
	reason, problem := s.checkRevoke(c, req)
	if problem != nil {
		return reply{}, problem
	}
	o, problem := s.revokable(c)
	if problem != nil {
		return reply{}, problem
	}
	s.revoke(o, &ending{reason: req.Reason, note: req.Note, at: c.now}, reason.code)
	return noContent()
}

// revoke ends an issued order and its certificates, as far as they are known to go with it.
func (s *Server) revoke(o *order, why *ending, reason int) {
	o.revoked = why
	s.cashier().giveBack(o, why.at)
	s.revokeCertificates(o, s.Unknowns.revokedWith(o), why.at, reason)
}

// checkRevoke: an unknown spelling is 400, a known reason that the service
// does not take is 422, and so is a semicolon in the note (all observed).
func (s version2) checkRevoke(c *call, req wireRevoke) (revokeReason, *problem) {
	if strings.TrimSpace(req.Reason) == "" {
		return revokeReason{}, invalidField("reason", mustNotBeBlank)
	}
	reason, known := s.reasons()[req.Reason]
	if s.Dialect == Documented && c.route.family != FamilySSL && req.Reason == "caCompromise" {
		known = false // absent from the lists of the other families
	}
	if !known {
		return revokeReason{}, invalidField("reason", "unknown revocation reason")
	}
	if !s.Unknowns.takes(reason, c.route.family) {
		return revokeReason{}, rule("", "Invalid Revoke Reason ID").because(refusedReason)
	}
	if s.Dialect != Documented && strings.Contains(req.Note, ";") {
		return revokeReason{}, rule("", "Invalid Revoke Remarks").because(refusedRemarks)
	}
	return reason, nil
}

// revokable finds an order with something to revoke. Live answers one and the
// same 404 for an unknown order, one not issued and one already revoked;
// documented tells them apart.
func (s version2) revokable(c *call) (*order, *problem) {
	o, problem := s.find(c)
	if problem == nil && o.certificate() != nil && o.revoked == nil {
		return o, nil
	}
	switch {
	case s.Dialect != Documented:
		return nil, notFound("Order not found or not in a revokable state")
	case problem != nil:
		return nil, problem
	case o.revoked != nil:
		return nil, rule("EMS-964", "Certificate is already revoked")
	default:
		return nil, rule("EMS-931", "Order not issued")
	}
}

func (s *Server) revokeCertificates(o *order, of []*signing, at time.Time, reason int) {
	if reason == reasonKeyCompromise {
		s.compromise(of, at)
	}
	for _, sg := range of {
		if sg.cert != nil {
			s.hierarchy(o.family).Revoke(sg.cert, at, reason)
		}
	}
}

// The rules of what a revocation says.
var (
	refusedReason  = reason{Name: "revocation-reason", Source: sourceLive}
	refusedRemarks = reason{Name: "revocation-remarks", Source: sourceLive}
)
