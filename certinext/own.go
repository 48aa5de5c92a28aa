// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Between the client and CERTInext stand gateways, filters, caches and proxies, and each of them
// can answer in CERTInext's place after CERTInext has carried the call out (ADR 0010). So a refusal
// counts as one only in a shape that is CERTInext's own; after any other answer, the call may have
// acted.

// refusing holds the statuses that mean that CERTInext did not carry out the call. 408, 409 and all
// from 500 on are left out on purpose: after them, this call or an earlier one may still have taken
// effect.
var refusing = []int{
	http.StatusBadRequest, http.StatusUnauthorized, http.StatusPaymentRequired,
	http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
	http.StatusNotAcceptable, http.StatusGone, http.StatusLengthRequired,
	http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
	http.StatusUnsupportedMediaType, http.StatusExpectationFailed, http.StatusMisdirectedRequest,
	http.StatusUnprocessableEntity, http.StatusPreconditionRequired, http.StatusTooManyRequests,
	http.StatusRequestHeaderFieldsTooLarge, http.StatusUnavailableForLegalReasons,
}

// certain reports whether the call was certainly not carried out: the answer is CERTInext's own,
// its status is one of refusing, and its code does not leave it open.
func (e *Error) certain() bool {
	return e.Own && slices.Contains(refusing, e.Status) && !leavesOpen(e.Code)
}

// leavesOpen reports whether a code means that the server failed, or that the same request came
// before: in both cases the call may have taken effect. Both versions use the same codes
// (documented), so version 1's list serves for version 2 as well.
func leavesOpen(code string) bool {
	status := v1Statuses[code]
	return status == http.StatusConflict || status >= http.StatusInternalServerError
}

// own reports whether a refusal of version 2 is in a shape of CERTInext's. Documented: "Every error
// response follows RFC 7807 and carries an EMS-xxxx code in detail", the 401 of a missing or
// invalid token included; observed 2026: the code is often missing, and Spring's default body comes
// as well. Spring's body, which a gateway made with the same framework writes too, is taken for
// CERTInext's only when it has a code; so is any other JSON.
func (w wireProblem) own(status int) bool {
	if s := strings.TrimSpace(string(w.Status)); s != "" && s != strconv.Itoa(status) {
		return false // a gateway changed one of the two
	}
	return w.code() != "" || w.isProblem(status)
}

// isProblem reports whether w is a problem of CERTInext's. Its type is about:blank (observed 2026)
// or https://api.certinext.io/errors/<slug> (documented); content networks write problems with
// types of their own.
func (w wireProblem) isProblem(status int) bool {
	if strings.TrimSpace(string(w.Status)) != strconv.Itoa(status) || first(w.Title) == "" ||
		first(w.Detail) == "" {
		return false
	}
	kind := strings.TrimSpace(string(w.Type))
	if kind == "" || kind == "about:blank" { // RFC 7807, section 4.2: the same
		return true
	}
	u, err := url.Parse(kind)
	return err == nil &&
		(u.Hostname() == "certinext.io" || strings.HasSuffix(u.Hostname(), ".certinext.io"))
}

// code returns the code that CERTInext's words carry: "[EMS-918] text", "EMS-917 - text" (observed
// 2026), EMS-DOMAIN-002 (documented), or a member of version 1's envelope, as the documented token
// endpoint has it.
func (w wireProblem) code() string {
	for _, t := range []text{w.Detail, w.Type, w.Title, w.Message, w.Meta.value.ErrorCode, w.Code} {
		if code := codePattern.FindString(string(t)); code != "" {
			return code
		}
	}
	return ""
}

// ownGrantRefusals are the codes of RFC 6749, section 5.2, with which the token endpoint refuses
// (documented).
var ownGrantRefusals = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
	"unsupported_grant_type",
}

// listed reports whether a code of version 1 is one that CERTInext lists: the published ones lie
// between EMS-901 and EMS-1299, those of the token endpoint between EMS-2000 and EMS-2099. It is
// not known whether a call that is refused with any other code has taken effect.
func listed(code string) bool {
	digits, ok := strings.CutPrefix(code, "EMS-")
	n, err := strconv.Atoi(digits)
	return ok && err == nil && ((n >= 901 && n <= 1299) || (n >= 2000 && n <= 2099))
}

// The successes of a change in version 2. Documented: 204 without a body, for a CSR, an agreement,
// a cancellation and a revocation; observed 2026: bodies vary, and 200 with JSON is among them. Any
// other answer with a successful status, such as a filter's sentence, an empty 202 or another
// service's JSON, does not show that CERTInext carried out the call.

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

// wireDone is the answer to a change where it is not empty. No source shows one. It counts as a
// success when it names the order, draft or domain of the call and reports no failure.
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

// doneWith returns a check that accepts a 204, or JSON whose member that pick chooses is id. A
// status in the answer has to satisfy fits.
func doneWith(id string, pick func(wireDone) text, fits func(Status) bool) func(*reply) error {
	return func(p *reply) error {
		if withoutContent(p) == nil {
			return nil
		}
		var w wireDone
		if !usualSuccess(p.status) || unmarshalObject(p.body, &w) != nil || w.Meta.set ||
			first(w.Error, w.ErrorCode) != "" {
			return errNoSuccess
		}
		named, status := first(pick(w)), parseStatus(words(w.Status))
		if named == "" || (status != "" && !fits(status)) {
			return errNoSuccess
		}
		return namesOrder(text(named), id)
	}
}

func usualSuccess(status int) bool {
	return status == http.StatusOK || status == http.StatusCreated || status == http.StatusAccepted
}

// changedOrder accepts a success of a change of the order id, which has one of the statuses ends
// then, if any are given.
func changedOrder(id string, ends ...Status) func(*reply) error {
	pick := func(w wireDone) text { return text(first(w.OrderID, w.OrderNumber)) }
	return doneWith(id, pick, func(s Status) bool {
		return s.Known() && (len(ends) == 0 || slices.Contains(ends, s))
	})
}

// cancelledDraft accepts a success of the cancellation of a draft.
func cancelledDraft(id string) func(*reply) error {
	return doneWith(id, func(w wireDone) text { return w.RequestID }, func(s Status) bool {
		return s == StatusCancelled
	})
}

// renewedDomain accepts a success of a change of a domain's method that holds no challenge: 204, or
// JSON that names the domain or the method. What the answer holds is not documented.
func renewedDomain(id string, m DCVMethod) func(*reply) error {
	fits := func(s Status) bool {
		return slices.Contains([]Status{"active", "inactive", "expired", "pending", "verified"}, s)
	}
	named := doneWith(id, func(w wireDone) text { return w.DomainID }, fits)
	method := doneWith(
		string(m), func(w wireDone) text { return text(first(w.DCVMethod, w.Method)) }, fits,
	)
	return func(p *reply) error {
		if err := named(p); err == nil || errors.Is(err, errOtherOrder) {
			return err
		}
		return method(p)
	}
}

// lookedUp accepts an answer to a verification: 204, or 200 with CERTInext's verdict (documented,
// and observed 2026), which may be that control is not proven.
func lookedUp(p *reply) error {
	if withoutContent(p) == nil {
		return nil
	}
	var w wireVerified
	if !usualSuccess(p.status) || unmarshalObject(p.body, &w) != nil || w.Meta.set ||
		w.verdict() == "" {
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
