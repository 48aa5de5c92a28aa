// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"net/http"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/money"
)

// place enters a checked order. A csr given with it is checked like one that
// comes later. A requestID names the draft that the order promotes.
// The order returned is the draft then.
func (s *Server) place(c *call, o *order, csr, requestID string) (*order, *problem) {
	o.years = orDefault(o.product.Term, o.years)
	draft, problem := s.draftFor(o, requestID)
	if problem != nil {
		return nil, problem
	}
	first := &signing{requestedAt: c.now}
	if csr == "" && draft != nil && draft.current().csr != nil {
		csr = draft.current().csr.text // what the draft was given is the order's
	}
	if csr != "" {
		if first.csr, problem = s.checkCSR(csr, o, c.now); problem != nil {
			return nil, problem
		}
		if problem = s.checkNewKey(c, first.csr, requestID); problem != nil {
			return nil, problem
		}
	}
	if problem = s.cashier().check(c, o); problem != nil {
		return nil, problem
	}
	o.signings = []*signing{first}
	o.baseURL = c.baseURL()
	if !c.route.v1() {
		o.idempotencyKey = c.r.Header.Get("Idempotency-Key")
	}
	o.creates = 1
	if draft != nil {
		s.promoteDraft(draft, o)
		o = draft
	} else {
		o.requestID = s.newRequestID()
		if !o.draft {
			o.id = s.newOrderID()
		}
		s.book.sequence = append(s.book.sequence, o)
	}
	s.book.file(o)
	s.book.newest = o
	if first.csr != nil {
		s.book.noteKey(o, first.csr)
	}
	if !o.draft {
		_ = s.cashier().sell(o, money.Order, c.now) // checked above
	}
	s.settle(o, c.now)
	return o, nil
}

// draftFor finds the open draft that requestID names, if it names one.
func (s *Server) draftFor(o *order, requestID string) (*order, *problem) {
	if requestID == "" {
		return nil, nil
	}
	draft := s.book.requests[requestID]
	if draft == nil || !draft.isOpenDraft() || draft.family != o.family {
		return nil, invalidField("requestId", "is not an open draft")
	}
	return draft, nil
}

// promoteDraft turns draft into what o says, keeping its request id.
func (s *Server) promoteDraft(draft, o *order) {
	requestID, creates := draft.requestID, draft.creates
	*draft = *o
	draft.requestID, draft.creates = requestID, creates+1
	if !draft.draft {
		draft.id = s.newOrderID()
	}
}

// createPrivatePKI places an order with the customer's own CA.
func (s version2) createPrivatePKI(c *call) (reply, *problem) {
	var req wireCreatePrivatePKI
	if problem := decode(c.body, &req); problem != nil {
		return reply{}, problem
	}
	o, problem := s.newPrivateOrder(c, req)
	if problem != nil {
		return reply{}, problem
	}
	if o, problem = s.place(c, o, req.CSR, ""); problem != nil {
		return reply{}, problem
	}
	return respond(http.StatusCreated, s.wireCreatedPrivatePKI(o, c.now))
}

// documentsNotWired: v2 has a path for documents and nothing behind it.
func (s version2) documentsNotWired(*call) (reply, *problem) {
	return reply{}, notWired("POST /emSignHub-API/SubmitDocument")
}
