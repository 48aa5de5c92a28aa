// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// emsCode is the form of the codes that are known: EMS-1162, EMS-CERT-12, DOMAIN-002.
var emsCode = regexp.MustCompile(`^[A-Z]{2,10}(-[A-Z0-9]{1,10}){1,3}$`)

// longestText bounds the words of a refusal: they stand in one member of an answer.
const longestText = 1000

func (f Fault) isRefusal() bool {
	return f.Kind == FaultRefusal || f.Kind == FaultRefusalAfter
}

// validateRefusal refuses a refusal without a reason, or with one that no answer could carry.
func (f Fault) validateRefusal() error {
	control := func(r rune) bool { return unicode.IsControl(r) || r == utf8.RuneError }
	switch {
	case f.isRefusal() && f.Code+f.Text == "":
		return fmt.Errorf("fault %q needs a code such as EMS-1162, a text, or both", f.Kind)
	case f.Code != "" && !emsCode.MatchString(f.Code):
		return fmt.Errorf("fault %q: code is none such as EMS-1162 or DOMAIN-002", f.Kind)
	case len(f.Text) > longestText || strings.ContainsFunc(f.Text, control):
		return fmt.Errorf("fault %q: text must be one line of at most %d bytes", f.Kind,
			longestText)
	}
	return nil
}

// refusalReply is the refusal as the service itself would spell it: a problem in version 2, HTTP
// 200 and an envelope in version 1, and what the token endpoint has.
func (f Fault) refusalReply(s *Server, c *call) reply {
	if c.route.v1() {
		if c.body == nil && c.readBody() == nil {
			_ = c.openEnvelope() // for the txn to answer, if there is one
		}
		return s.refuseCall(v1Failure(orDefault(f.Code, wordsOnly), f.words()).because(injected), c)
	}
	return s.refuseCall(f.problem(s.Dialect, c), c)
}

// injected is the rule of refusals that break none.
var injected = reason{Name: "fault", Source: "the administration: the fault was injected"}

func (f Fault) words() string { return orDefault(f.Text, "Request refused") }

// problem is the refusal in version 2 or at the token endpoint. The live one of the latter knows
// no EMS codes: the code stands in the description.
func (f Fault) problem(d Dialect, c *call) *problem {
	status := orDefault(f.Status, http.StatusUnprocessableEntity)
	p := &problem{
		status: status, slug: slugOf(status), ems: f.Code, detail: f.words(), reason: injected,
	}
	if status == http.StatusUnauthorized {
		p.header = http.Header{"Www-Authenticate": {"Bearer"}}
	}
	switch {
	case c.route.op != OpToken:
	case d == Documented:
		p.meta = true
	default:
		p.status = orDefault(f.Status, http.StatusBadRequest)
		p.detail, p.oauth = p.text(), oauthCode(p.status)
	}
	return p
}

// slugOf is the documented error slug of a status.
func slugOf(status int) string {
	switch {
	case status == http.StatusUnprocessableEntity:
		return "business-rule"
	case status == http.StatusBadRequest:
		return "validation-failed"
	case status >= http.StatusInternalServerError:
		return "internal-error"
	}
	return strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "-")
}

// oauthCode is the error of RFC 6749, section 5.2, that goes with a status.
func oauthCode(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "invalid_client"
	case status == http.StatusForbidden:
		return "unauthorized_client"
	case status >= http.StatusInternalServerError:
		return "server_error"
	}
	return "invalid_request"
}
