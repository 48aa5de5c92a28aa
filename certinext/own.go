// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Between the client and CERTInext stand gateways, filters, caches and proxies, and each of them can answer in CERTInext's
// place after CERTInext has taken the call. What they answer says nothing of what became of it. So a refusal counts as one
// only in a shape that is CERTInext's own; everything else is doubt.

// refusing holds the statuses with which CERTInext says that it looked at a call and did not carry it out. Missing on
// purpose: 408 and 409, after which an earlier or the same call may still have taken effect, and all from 500 on.
var refusing = []int{
	http.StatusBadRequest, http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden, http.StatusNotFound,
	http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusGone, http.StatusLengthRequired,
	http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
	http.StatusUnsupportedMediaType, http.StatusExpectationFailed, http.StatusMisdirectedRequest,
	http.StatusUnprocessableEntity, http.StatusPreconditionRequired, http.StatusTooManyRequests,
	http.StatusRequestHeaderFieldsTooLarge, http.StatusUnavailableForLegalReasons,
}

// certain reports whether e says that the call was certainly not carried out: CERTInext's own word, with a status that
// refuses and no code that leaves it open.
func (e *Error) certain() bool {
	return e.Own && slices.Contains(refusing, e.Status) && !leavesOpen(e.Code)
}

// leavesOpen reports whether a code stands for a failure of the server, or for a request that came before. Both versions draw
// on the same codes (documented), so what version 1's list says of one holds for version 2 as well.
func leavesOpen(code string) bool {
	status := v1Statuses[code]
	return status == http.StatusConflict || status >= http.StatusInternalServerError
}

// own reports whether a refusal of version 2 is in a shape of CERTInext's. Documented: "Every error response follows RFC
// 7807 and carries an EMS-xxxx code in detail", the 401 of a missing or invalid token included; observed 2026: the code is
// often missing, and Spring's default body comes as well. That one is believed with a code alone, since a gateway made with
// the same framework writes it too; so is any other JSON.
func (w wireProblem) own(status int) bool {
	if s := strings.TrimSpace(string(w.Status)); s != "" && s != strconv.Itoa(status) {
		return false // somebody changed the one or the other
	}
	return w.code() != "" || w.isProblem(status)
}

// isProblem reports whether w is a problem of CERTInext's. Its type is about:blank (observed 2026) or
// https://api.certinext.io/errors/<slug> (documented); content networks write problems with types of their own.
func (w wireProblem) isProblem(status int) bool {
	if strings.TrimSpace(string(w.Status)) != strconv.Itoa(status) || first(w.Title) == "" || first(w.Detail) == "" {
		return false
	}
	kind := strings.TrimSpace(string(w.Type))
	if kind == "" || kind == "about:blank" { // RFC 7807, section 4.2: the same
		return true
	}
	u, err := url.Parse(kind)
	return err == nil && (u.Hostname() == "certinext.io" || strings.HasSuffix(u.Hostname(), ".certinext.io"))
}

// code returns the code that CERTInext's words carry: "[EMS-918] text", "EMS-917 - text" (observed 2026), EMS-DOMAIN-002
// (documented), or a member of version 1's envelope, as the documented token endpoint has it.
func (w wireProblem) code() string {
	for _, t := range []text{w.Detail, w.Type, w.Title, w.Message, w.Meta.value.ErrorCode, w.Code} {
		if code := codePattern.FindString(string(t)); code != "" {
			return code
		}
	}
	return ""
}

// ownGrantRefusals are the codes of RFC 6749, section 5.2, with which the token endpoint refuses (documented).
var ownGrantRefusals = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
}

// listed reports whether a code of version 1 is one that CERTInext lists: the published ones lie between EMS-901 and
// EMS-1299, those of the token endpoint between EMS-2000 and EMS-2099. Of any other nobody knows what it leaves behind.
func listed(code string) bool {
	digits, ok := strings.CutPrefix(code, "EMS-")
	n, err := strconv.Atoi(digits)
	return ok && err == nil && (n >= 901 && n <= 1299 || n >= 2000 && n <= 2099)
}
