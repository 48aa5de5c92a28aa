// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// leastStatus is the lowest HTTP status that f can answer with. A host in
// between may well call its own page a success.
func (f Fault) leastStatus() int {
	if f.isMiddleman() {
		return http.StatusOK
	}
	return http.StatusBadRequest
}

func (f Fault) isMiddleman() bool {
	return f.Kind == FaultMiddleman || f.Kind == FaultMiddlemanAfter
}

// validateLie refuses what a kind would leave out of its answer: a test that
// injects it would prove nothing.
func (f Fault) validateLie() error {
	bodyless := f.Status == http.StatusNoContent || f.Status == http.StatusResetContent ||
		f.Status == http.StatusNotModified
	switch {
	case f.Body != "" && bodyless:
		return fmt.Errorf("fault %q: an answer with status %d has no body", f.Kind, f.Status)
	case strings.ContainsFunc(f.ContentType, func(r rune) bool { return r < ' ' || r > '~' }):
		return fmt.Errorf("fault %q: the content type cannot stand in a header", f.Kind)
	}
	return nil
}

// middleman is the answer of a host in between, without anything that is CERTInext's own.
func (f Fault) middleman() reply {
	return reply{
		status: orDefault(f.Status, http.StatusForbidden), contentType: f.ContentType,
		body: []byte(f.Body), foreign: true,
	}
}

// lie makes an answer about an order claim another status, or another order, and reports whether it
// then says anything else than before. Answers without a JSON object, and refusals, are left as
// they are.
func (f Fault) lie(c *call, rep reply) (told reply, lied bool) {
	var members map[string]json.RawMessage
	if rep.status < 200 || rep.status > 299 || json.Unmarshal(rep.body, &members) != nil {
		return rep, false
	}
	truth := sure.Must(json.Marshal(members))
	if c.route.v1() {
		f.lieV1(members)
	} else {
		f.lieV2(members)
	}
	claimed := sure.Must(json.Marshal(members))
	if bytes.Equal(truth, claimed) {
		return rep, false
	}
	told = rep
	told.body = claimed
	return told, true
}

// tellLie has a fault lie in an answer. A wrong status that is the right one has not struck.
func (s *Server) tellLie(a *activeFault, c *call, rep reply) reply {
	told, lied := a.lie(c, rep)
	if !lied && a.Kind == FaultWrongStatus {
		s.mu.Lock()
		defer s.mu.Unlock()
		a.left++
		kind := string(a.Kind)
		s.journal.note(c.r, func(noted *Request) {
			if i := slices.Index(noted.Faults, kind); i >= 0 {
				noted.Faults = slices.Delete(slices.Clone(noted.Faults), i, i+1)
			}
		})
	}
	return told
}

func (f Fault) lieV2(members map[string]json.RawMessage) {
	if status := f.claimed(); status != "" {
		members["status"] = quoted(status)
	}
	switch {
	case f.Kind == FaultOtherOrder && members["orderId"] != nil:
		members["orderId"] = quoted(otherThan(unquoted(members["orderId"])))
	case f.Kind == FaultWrongStatus && !f.Named:
		delete(members, "orderId")
	}
}

// claimed is the status that f claims, "" for the truth.
func (f Fault) claimed() string {
	if f.Kind == FaultWrongStatus {
		return orDefault(f.OrderStatus, statusExpired)
	}
	return f.OrderStatus
}

// v1Claims are the ids that version 1 has for a status. An order with any other
// has been placed, and no more is known of it.
var v1Claims = map[string]struct{ order, certificate v1ID }{
	statusExpired:   {v1Fulfilled, v1Expired},
	statusRevoked:   {v1Fulfilled, v1Revoked},
	statusIssued:    {v1Fulfilled, v1Generated},
	statusCancelled: {v1Cancelled, v1CertCancelled},
	statusRejected:  {v1Rejected, v1CertRejected},
}

// lieV1 works on the envelope. What an answer of version 1 is about is told by
// its transaction id: TrackOrder's names no order (documented).
func (f Fault) lieV1(members map[string]json.RawMessage) {
	if status := f.claimed(); status != "" {
		ids := v1Claims[status]
		within(members, "orderDetails", func(order map[string]json.RawMessage) {
			order["orderStatusId"], order["orderStatus"] = quoted(ids.order.id), quoted(
				ids.order.name,
			)
			order["certificateStatusId"], order["certificateStatus"] = quoted(
				ids.certificate.id,
			), quoted(ids.certificate.name)
		})
	}
	within(members, "meta", func(meta map[string]json.RawMessage) {
		switch {
		case f.Kind == FaultOtherOrder:
			meta["txn"] = quoted(otherThan(unquoted(meta["txn"])))
		case !f.Named:
			delete(meta, "txn")
		}
	})
	within(members, "orderDetails", func(order map[string]json.RawMessage) {
		if f.Kind == FaultOtherOrder && order["orderNumber"] != nil {
			order["orderNumber"] = quoted(otherThan(unquoted(order["orderNumber"])))
		}
	})
}

// within changes a member that is an object.
func within(
	members map[string]json.RawMessage, name string, change func(map[string]json.RawMessage),
) {
	var inner map[string]json.RawMessage
	if json.Unmarshal(members[name], &inner) != nil || inner == nil {
		return
	}
	change(inner)
	members[name] = sure.Must(json.Marshal(inner))
}

func quoted(s string) json.RawMessage { return sure.Must(json.Marshal(s)) }

func unquoted(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s) // anything else is as good as nothing
	return s
}

// otherThan returns an id of the same form that is not id.
func otherThan(id string) string {
	b := []byte(orDefault(id, "1000000001"))
	last := len(b) - 1
	if b[last] == '7' {
		b[last] = '8'
	} else {
		b[last] = '7'
	}
	return string(slices.Clip(b))
}
