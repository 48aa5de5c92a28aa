// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"net/http"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/money"
)

// wrongState is the refusal of a step that the order's state does not allow.
func wrongState(detail string) *problem { return rule("EMS-984", detail) }

// submitCSR attaches a CSR. Observed: accepted at any time before issuance,
// while DCV is still open too. Published: only once the order is pending-csr.
func (s version2) submitCSR(c *call) (reply, *problem) {
	var req wireSubmitCSR
	if problem := decode(c.body, &req); problem != nil {
		return reply{}, problem
	}
	o, problem := s.find(c)
	if problem != nil {
		return reply{}, problem
	}
	if o.family == FamilySignature && !req.Attested && s.Dialect != Documented {
		return reply{}, s.unattested()
	}
	if strings.TrimSpace(req.CSR) == "" {
		return reply{}, invalidField("csr", mustNotBeBlank)
	}
	if s.Dialect == Documented && o.current().csr == nil && s.status(o, c.now) != statusPendingCSR {
		return reply{}, s.csrNotWanted()
	}
	if problem := s.attachCSR(c, o, req.CSR); problem != nil {
		return reply{}, problem
	}
	return noContent()
}

func (s *Server) csrNotWanted() *problem {
	return s.csrRefusal("EMS-984", "EMS-1165", "Order does not accept a CSR in its present state")
}

// attachCSR gives an open order or draft that has no CSR yet its CSR.
func (s *Server) attachCSR(c *call, o *order, text string) *problem {
	st := s.status(o, c.now)
	switch {
	case o.current().csr != nil:
		return s.csrRefusal("EMS-984", "EMS-1068", "CSR was already submitted")
	case st != statusDraft && !strings.HasPrefix(st, "pending-"):
		return s.csrNotWanted()
	}
	csr, problem := s.checkCSR(text, o, c.now)
	if problem != nil {
		return problem
	}
	if problem := s.checkNewKey(c, csr, o.requestID); problem != nil {
		return problem
	}
	o.current().csr = csr
	s.book.noteKey(o, csr)
	s.settle(o, c.now)
	return nil
}

// acceptAgreement signs the subscriber agreement of an order that waits for
// nothing else.
func (s version2) acceptAgreement(c *call) (reply, *problem) {
	var req wireAcceptAgreement
	if problem := decode(c.body, &req); problem != nil {
		return reply{}, problem
	}
	o, problem := s.find(c)
	if problem != nil {
		return reply{}, problem
	}
	var l checklist
	if req.Agreement == nil {
		l.add("agreementDetails", mustNotBeBlank)
	}
	l.agreement(req.Agreement)
	if problem := l.problem(); problem != nil {
		return reply{}, problem
	}
	if s.status(o, c.now) != statusPendingAgreement {
		return reply{}, wrongState("Order is not awaiting an agreement")
	}
	if !req.Agreement.Accepted {
		return reply{}, rule("EMS-920", "Agreement not accepted")
	}
	o.sign(req.Agreement, c.now)
	s.settle(o, c.now)
	return noContent()
}

// cancelOrder withdraws an order that is not yet issued.
func (s version2) cancelOrder(c *call) (reply, *problem) {
	reason, problem := decodeReason(c)
	if problem != nil {
		return reply{}, problem
	}
	o, problem := s.find(c)
	if problem != nil {
		return reply{}, problem
	}
	if !s.cancellable(o, c.now) {
		return reply{}, rule(
			"EMS-930", "Order is not in a cancellable state, use revoke once it is issued",
		)
	}
	o.cancelled = &ending{reason: reason, at: c.now}
	s.cashier().giveBack(o, c.now)
	return noContent()
}

// cancellable reports whether o has no certificate and was not withdrawn yet. One that has waited
// until its subscription was over still can be, for its money (inferred).
func (s *Server) cancellable(o *order, now time.Time) bool {
	st := s.status(o, now)
	return (strings.HasPrefix(st, "pending-") || st == statusExpired) && o.certificate() == nil
}

// decodeReason reads the body {"reason": "..."} in which the reason is
// mandatory, where there is a body.
func decodeReason(c *call) (string, *problem) {
	if c.withoutBody() {
		return "", nil
	}
	var req wireReason
	if problem := decode(c.body, &req); problem != nil {
		return "", problem
	}
	if strings.TrimSpace(req.Reason) == "" {
		return "", invalidField("reason", mustNotBeBlank)
	}
	return req.Reason, nil
}

// cancelDraft withdraws a draft. The request id of a placed order is known
// here, but no longer a draft.
func (s version2) cancelDraft(c *call) (reply, *problem) {
	reason, problem := decodeReason(c)
	if problem != nil {
		return reply{}, problem
	}
	o := s.book.requests[c.param("id")]
	switch {
	case o == nil || o.family != c.route.family:
		return reply{}, notFound("Request not found")
	case !o.isOpenDraft():
		return reply{}, rule("EMS-930", "Request is not an open draft")
	}
	o.cancelled = &ending{reason: reason, at: c.now}
	return noContent()
}

// rejectOrder is in the service's OpenAPI document; no source shows a call.
func (s version2) rejectOrder(c *call) (reply, *problem) {
	var req wireReject
	if !c.withoutBody() {
		if problem := decode(c.body, &req); problem != nil {
			return reply{}, problem
		}
	}
	o, problem := s.find(c)
	if problem != nil {
		return reply{}, problem
	}
	if !s.cancellable(o, c.now) {
		return reply{}, rule("EMS-930", "Order cannot be rejected in its present state")
	}
	o.rejected = &ending{reason: orDefault(req.Remarks, req.Reason), at: c.now}
	s.cashier().giveBack(o, c.now)
	return noContent()
}

// reissueOrder starts a new certificate within an issued order. No client has run it against the
// service; the shape is the published one.
func (s version2) reissueOrder(c *call) (reply, *problem) {
	var req wireReissue
	if problem := decode(c.body, &req); problem != nil {
		return reply{}, problem
	}
	o, problem := s.find(c)
	if problem != nil {
		return reply{}, problem
	}
	if problem := s.checkReissue(o, req, c); problem != nil {
		return reply{}, problem
	}
	price := s.cashier().extra(o)
	if problem := s.cashier().affords(c, o, price); problem != nil {
		return reply{}, problem
	}
	next, changed := &signing{requestedAt: c.now}, *o
	if req.Mode == "update-sans" {
		changed.replaceNames(req.AdditionalDomains)
	}
	if req.CSR != "" {
		if next.csr, problem = s.checkCSR(req.CSR, &changed, c.now); problem != nil {
			return reply{}, problem
		}
		if problem = s.checkReissueKey(c, o, req, next.csr); problem != nil {
			return reply{}, problem
		}
		s.book.noteKey(o, next.csr)
	}
	o.additional, o.targets = changed.additional, changed.targets
	switch {
	case c.faults.has(FaultReissueRevokes):
		s.revokeCertificates(o, o.signings, c.now, reasonKeyCompromise)
	case s.Unknowns.ReissueRevokes.revokes(req):
		reason := revokeReasons[Live][orDefault(req.RevokeReason, "superseded")]
		s.revokeCertificates(o, o.signings, c.now, reason.code)
	}
	o.signings = append(o.signings, next)
	o.requestID = s.newRequestID()
	s.book.file(o)
	_ = s.cashier().take(o, money.Reissue, price, c.now) // affordable, see above
	s.settle(o, c.now)
	return respond(http.StatusCreated, map[string]any{
		"orderId": o.id, "requestId": o.requestID, "status": s.shownStatus(o, c.now),
		"mode": req.Mode, "requestedAt": rfc3339(c.now),
	})
}

func (s version2) checkReissue(o *order, req wireReissue, c *call) *problem {
	var l checklist
	if req.Mode != "rekey" && req.Mode != "update-sans" {
		l.add("mode", "must be rekey or update-sans")
	}
	l.notBlank("reason", req.Reason)
	revokes := req.RevokePrevious || req.RevokeAllPriorReissues
	if revokes && !revokeReasons[Live][req.RevokeReason].accepted {
		l.add("revokeReason", "unknown revocation reason")
	}
	if problem := l.problem(); problem != nil {
		return problem
	}
	switch st := s.status(o, c.now); {
	case o.certificate() != nil && s.isOver(o, c.now):
		// The newer collection has this code for an order's state, and 940 and 941 for the body.
		return rule("EMS-1165", "Order not in a state that supports this operation: "+
			"its subscription has ended")
	case o.certificate() == nil || st == statusRevoked || st == statusExpired:
		return rule("EMS-940", "Order cannot be reissued in its present state")
	case st != statusIssued:
		return rule("EMS-941", "A reissue is already in progress")
	case req.Mode == "update-sans" && !productTypes[o.product.Type].ucc:
		return rule("EMS-1063", "Product does not take additional domains")
	case req.Mode == "update-sans":
		return s.checkOtherNames(o, distinct(o.domain, req.AdditionalDomains))
	}
	return nil
}

// checkOtherNames are those that a reissue puts in the place of an order's additional ones. Which
// code the service has for none is not known.
func (s version2) checkOtherNames(o *order, names []string) *problem {
	if len(names) == 0 && !s.Demands.LoneUCC {
		return rule("EMS-1063", "Product takes no single name")
	}
	if problem := s.checkPublicNames(o.domain, names); problem != nil {
		return problem
	}
	if !shapeOf(o.domain, names).fits(productTypes[o.product.Type], s.Demands.LoneUCC) {
		return rule("EMS-915", "Product Code does not match the names of the order")
	}
	return nil
}

// replaceNames gives the order other additional domains; new ones must be
// validated.
func (o *order) replaceNames(additional []string) {
	known := o.targets
	o.additional = distinct(o.domain, additional)
	o.targets = newTargets(o.leafNames())
	for i, t := range o.targets {
		for _, k := range known {
			if k.domain == t.domain {
				o.targets[i] = k
			}
		}
	}
}
