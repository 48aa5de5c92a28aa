// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// What a success of a change is in version 2. Documented: 204 without a body, for a CSR, an agreement, a cancellation and a
// revocation; observed 2026: bodies vary, and 200 with JSON is among them. Anything else with a successful status, such as a filter's
// sentence, an empty 202 or another service's JSON, says nothing of what CERTInext did.

var (
	errNoSuccess  = errors.New("the answer is not one that CERTInext gives to this call")
	errOtherOrder = errors.New("the answer is about another order")
)

// withoutContent accepts a 204 and nothing else.
func withoutContent(p *reply) error {
	if p.status != http.StatusNoContent {
		return errNoSuccess
	}
	return nil
}

// wireDone is the answer to a change where it is not empty. No source shows one: it is believed when it names what the call was
// about, and tells of no failure.
type wireDone struct {
	OrderID     text             `json:"orderId"`
	OrderNumber text             `json:"orderNumber"`
	RequestID   text             `json:"requestId"`
	DomainID    text             `json:"domainId"`
	DCVMethod   text             `json:"dcvMethod"`
	Method      text             `json:"method"`
	Status      text             `json:"status"`
	Error       text             `json:"error"`
	ErrorCode   text             `json:"errorCode"`
	Meta        object[wireMeta] `json:"meta"` // documented: version 2 answers "not wrapped"
}

// doneWith accepts a success of a change of what the answer names as id in the member that pick chooses. A status in the answer
// has to fit.
func doneWith(id string, pick func(wireDone) text, fits func(Status) bool) func(*reply) error {
	return func(p *reply) error {
		if withoutContent(p) == nil {
			return nil
		}
		var w wireDone
		if !usualSuccess(p.status) || unmarshalObject(p.body, &w) != nil || w.Meta.set || first(w.Error, w.ErrorCode) != "" {
			return errNoSuccess
		}
		named, status := first(pick(w)), parseStatus(words(w.Status))
		if named == "" || status != "" && !fits(status) {
			return errNoSuccess
		}
		return namesOrder(text(named), id)
	}
}

func usualSuccess(status int) bool {
	return status == http.StatusOK || status == http.StatusCreated || status == http.StatusAccepted
}

// changedOrder accepts a success of a change of an order, after which it has one of the statuses, if any are named.
func changedOrder(id string, ends ...Status) func(*reply) error {
	pick := func(w wireDone) text { return text(first(w.OrderID, w.OrderNumber)) }
	return doneWith(id, pick, func(s Status) bool { return s.Known() && (len(ends) == 0 || slices.Contains(ends, s)) })
}

// cancelledDraft accepts a success of the cancellation of a draft.
func cancelledDraft(id string) func(*reply) error {
	return doneWith(id, func(w wireDone) text { return w.RequestID }, func(s Status) bool { return s == StatusCancelled })
}

// renewedDomain accepts a success of a change of a domain's method that holds no challenge: 204, or JSON that names the domain
// or the method. What the answer holds is not documented.
func renewedDomain(id string, m DCVMethod) func(*reply) error {
	fits := func(s Status) bool {
		return slices.Contains([]Status{"active", "inactive", "expired", "pending", "verified"}, s)
	}
	named := doneWith(id, func(w wireDone) text { return w.DomainID }, fits)
	method := doneWith(string(m), func(w wireDone) text { return text(first(w.DCVMethod, w.Method)) }, fits)
	return func(p *reply) error {
		if err := named(p); err == nil || errors.Is(err, errOtherOrder) {
			return err
		}
		return method(p)
	}
}

// lookedUp accepts an answer to a verification: 204, or 200 with CERTInext's verdict (documented, and observed 2026), which
// may be that control is not proven.
func lookedUp(p *reply) error {
	if withoutContent(p) == nil {
		return nil
	}
	var w wireVerified
	if !usualSuccess(p.status) || unmarshalObject(p.body, &w) != nil || w.Meta.set || w.verdict() == "" {
		return errNoSuccess
	}
	return nil
}

// namesOrder refuses an answer that names another order than id. One that names none is taken.
func namesOrder(named text, id string) error {
	if s := strings.TrimSpace(string(named)); s != "" && s != id {
		return errOtherOrder
	}
	return nil
}
