// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"errors"
	"net/http"
	"strings"
)

// Codes of version 1 that are treated apart from the table.
const (
	// codeDCVNotReady is "Invalid Request for this API": observed for seconds to hours after a
	// create.
	codeDCVNotReady      = "EMS-956"
	codeAlreadyCancelled = "EMS-985"
	codeUnknownOrder     = "EMS-913"
)

var (
	errNoMeta    = errors.New("the answer does not say whether the call succeeded")
	errVerifying = errors.New("CERTInext was asked to verify the domain and has not done so yet")
)

// v1Statuses maps a code with which version 1 refuses a call to the HTTP status that version 2
// answers in the same case. Any other code is 422, a fault of the request. The meanings are those
// of the published collection of version 1, except where observed; codes from EMS-2000 on are those
// of version 2's token endpoint.
var v1Statuses = map[string]int{
	// The account and its key.
	"EMS-906": http.StatusUnauthorized, "EMS-907": http.StatusUnauthorized,
	"EMS-910":  http.StatusUnauthorized,
	"EMS-1063": http.StatusUnauthorized, "EMS-1064": http.StatusUnauthorized,
	"EMS-1065": http.StatusUnauthorized,
	"EMS-1066": http.StatusUnauthorized, "EMS-1090": http.StatusUnauthorized,
	"EMS-1155": http.StatusUnauthorized,
	"EMS-1156": http.StatusUnauthorized, "EMS-1200": http.StatusUnauthorized,
	"EMS-2006": http.StatusUnauthorized,
	"EMS-2007": http.StatusUnauthorized, "EMS-2036": http.StatusUnauthorized,
	"EMS-2037": http.StatusUnauthorized,
	"EMS-2038": http.StatusUnauthorized, "EMS-2022": http.StatusForbidden,
	// An order, request or organization that is not there, or is another account's. EMS-913 is
	// "Invalid Account Number", and was observed to answer an unknown order; see v1Status.
	codeUnknownOrder: http.StatusNotFound, "EMS-943": http.StatusNotFound,
	"EMS-1005": http.StatusNotFound,
	"EMS-1040": http.StatusNotFound, "EMS-1116": http.StatusNotFound,
	"EMS-1197": http.StatusNotFound,
	"EMS-1073": http.StatusNotFound, "EMS-1135": http.StatusNotFound,
	// "Duplicate request Txn": transaction ids are never used twice, so this very request arrived
	// before, and may have taken effect.
	"EMS-947": http.StatusConflict,
	// "Revoke request already Initiated": an earlier call is about to take effect.
	"EMS-972": http.StatusConflict,
	// "Inactive Account User": see burstText.
	"EMS-1154": http.StatusTooManyRequests,
	// The server's own failures, after which nothing is certain. EMS-939 is "something went wrong".
	"EMS-937": http.StatusInternalServerError, "EMS-939": http.StatusInternalServerError,
	"EMS-967": http.StatusInternalServerError, "EMS-968": http.StatusInternalServerError,
	"EMS-976": http.StatusInternalServerError, "EMS-990": http.StatusInternalServerError,
	"EMS-997": http.StatusInternalServerError,
}

// burstText is the answer to a burst of calls (observed 2026), and to a user who is in fact
// inactive (documented).
const burstText = "inactive account user"

// v1Texts are the refusals that were observed to come without a code, by the beginning of their
// words.
var v1Texts = map[string]int{
	burstText:              http.StatusTooManyRequests,
	"invalid key size":     http.StatusUnprocessableEntity,
	"insufficient credits": http.StatusUnprocessableEntity,
}

// v1Status returns the HTTP status that version 2 answers to the same refusal, and whether it is
// known as CERTInext's, by its code or its words. A refusal with neither a code nor known words
// counts as a failure of the server.
func v1Status(code, detail string, ofOrder bool) (status int, known bool) {
	detail = strings.ToLower(strings.TrimSpace(detail))
	for text, status := range v1Texts {
		if strings.HasPrefix(detail, text) {
			return status, true
		}
	}
	switch status := v1Statuses[code]; {
	case code == "":
		return http.StatusInternalServerError, false
	case code == codeUnknownOrder && !ofOrder:
		return http.StatusUnauthorized, true
	case status != 0:
		return status, true
	}
	return http.StatusUnprocessableEntity, listed(code)
}

// verdict reads the envelope of an answer. A failure comes with HTTP status 200 (observed); an
// answer without a verdict is neither a success nor a refusal.
func (c *Client) verdict(r *call, p *reply, hide mask) *Error {
	var w struct {
		Meta object[wireMeta] `json:"meta"`
	}
	if p.status != http.StatusOK {
		return p.unusable(r, errNoMeta) // observed 2026: every envelope comes with 200
	}
	if err := unmarshalObject(p.body, &w); err != nil {
		return p.unusable(r, err)
	}
	txn := strings.TrimSpace(string(w.Meta.value.Txn))
	r.answered = txn != "" && txn == r.txn
	switch strings.TrimSpace(string(w.Meta.value.Status)) {
	case "1":
		return nil
	case "0":
	default:
		return p.unusable(r, errNoMeta)
	}
	meta := w.Meta.value
	e := &Error{
		Operation: r.operation, enveloped: true, toAnother: txn != "" && txn != r.txn,
		Detail: hide.text(string(meta.ErrorMessage), maxDetail),
	}
	code := hide.text(string(meta.ErrorCode), maxDetail)
	if e.Code = codePattern.FindString(code); e.Code == "" {
		e.Code = cut(code, 64)
	}
	e.Status, e.Own = v1Status(e.Code, e.Detail, r.ofOrder)
	if r.repeat == repeatFreely && nothingFound(e) {
		e.Status = http.StatusNotFound // the report is empty; asking again does not change that
	}
	e.Acted = r.repeat != repeatFreely && !e.certain()
	e.burst = e.Status == http.StatusTooManyRequests
	if e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden {
		e.Hint = c.Credentials.hint(e.Status)
	}
	return e
}

// IsDCVNotReady reports whether err says that an order's validation cannot be asked for yet, for
// seconds or for hours (observed 2026). Only version 1 gives this answer. A caller asks again
// later.
func IsDCVNotReady(err error) bool { return HasCode(err, codeDCVNotReady) }

// IsVerifying reports whether err says that CERTInext has not found the proof of control yet, or is
// still to look for it. A caller verifies again after a while, or tracks the order until it is
// validated.
func IsVerifying(err error) bool {
	var e *Error
	if errors.Is(err, errVerifying) || HasCode(err, "EMS-1076") || HasCode(err, "EMS-1077") ||
		HasCode(err, "EMS-1078") {
		return true
	}
	return errors.As(err, &e) && e.Diagnostics != nil &&
		e.Diagnostics.FailureClass == "RECORD_MISSING"
}
