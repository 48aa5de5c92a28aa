// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// v1Prefix is the path below which the verbs of version 1 live.
const v1Prefix = "/emSignHub-API"

// wordsOnly stands for the refusals that version 1 answers without a code.
const wordsOnly = "-"

// indianTime is the zone of a ts that names none (documented), and the one in
// which every published answer is stamped.
var indianTime = time.FixedZone("IST", (5*60+30)*60)

// v1Date is how version 1 writes dates: UTC, without a zone (documented).
const v1Date = "2006-01-02 15:04:05"

// v1Time writes t as a date of version 1, "" for the zero time.
func v1Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(v1Date)
}

// wireV1Meta is the head of every request of version 1.
type wireV1Meta struct {
	Ver           string `json:"ver"`
	TS            string `json:"ts"`
	Txn           string `json:"txn"`
	AccountNumber string `json:"accountNumber"`
	AuthKey       string `json:"authKey"`
}

// v1 reports whether rt is a verb of version 1.
func (rt *route) v1() bool { return rt.successor != "" }

// v1Failure is a refusal of version 1, which is HTTP 200 with a code of its
// own. A code that is wordsOnly stays out of the answer.
func v1Failure(code, message string) *problem {
	return &problem{status: http.StatusOK, ems: code, detail: message}
}

// inV1 gives p the code that version 1 has for it.
func (p *problem) inV1(code string) *problem {
	p.v1 = code
	return p
}

// openEnvelope takes meta out of the body, so that the verb is left with what
// is its own.
func (c *call) openEnvelope() *problem {
	// The tree is only built to refuse what encoding/json forgives.
	if _, err := parseTree(c.body); err != nil {
		return v1Failure("EMS-902", "Input JSON parsing error: "+err.Error())
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(c.body, &members); err != nil {
		return v1Failure("EMS-902", "Input JSON parsing error: "+errSyntax.Error())
	}
	meta, ok := members["meta"]
	if !ok {
		return v1Failure("EMS-901", "Invalid Request: meta is missing")
	}
	if problem := decode(meta, &c.meta); problem != nil {
		return v1Malformed("meta", problem)
	}
	delete(members, "meta")
	c.body = sure.Must(json.Marshal(members))
	return nil
}

// decodeV1 reads what the verb takes beside meta. Members that it does not
// know are refused: the service seems to ignore them, but a test double is
// there to find the misspelt ones.
func (c *call) decodeV1(dst any) *problem {
	if problem := decode(c.body, dst); problem != nil {
		return v1Malformed("", problem)
	}
	return nil
}

// v1Malformed is the refusal of a body that does not fit, with the fields that
// are at fault in the message.
func v1Malformed(prefix string, p *problem) *problem {
	what := []string{}
	for _, e := range p.errors {
		what = append(what, strings.TrimPrefix(prefix+"."+e.Field, ".")+": "+e.Message)
	}
	if len(what) == 0 {
		what = append(what, p.detail)
	}
	return v1Failure("EMS-902", "Input JSON parsing error: "+strings.Join(what, ", "))
}

// authorizeCall checks meta: its form, whether the account is this one, whether
// the signature or the bearer token is good, and whether txn is new.
func (s version1) authorizeCall(c *call) *problem {
	if problem := c.openEnvelope(); problem != nil {
		return problem
	}
	if problem := c.meta.check(c.now); problem != nil {
		return problem
	}
	if c.meta.AccountNumber != s.accountNumber() {
		return v1Failure("EMS-913", "Invalid Account Number")
	}
	if problem := s.checkKey(c); problem != nil {
		return problem
	}
	// "This should be unique for given Account" (documented), so a retry needs
	// a new one.
	if !s.tokens.spendTxn(c.meta.Txn, c.now) {
		return v1Failure("EMS-947", "Duplicate request Txn.")
	}
	return nil
}

// check looks at the form of m alone. The codes are those of the vendor's list
// for version 1.
func (m wireV1Meta) check(now time.Time) *problem {
	ts, ok := v1Timestamp(m.TS)
	return firstUnmet(
		demand{m.Ver != "", "EMS-1131", "Version cannot be empty."},
		demand{m.Ver == "1.0", "EMS-911", "Invalid Version."},
		demand{m.TS != "", "EMS-1133", "Request Ts cannot be empty."},
		demand{ok && !isStale(ts, now), "EMS-910", "Invalid Request TS."},
		demand{m.Txn != "", "EMS-908", "Transaction ID cannot be empty."},
		demand{txnShape.MatchString(m.Txn), "EMS-909", "Invalid Transaction ID."},
	)
}

// v1Timestamp reads a time in ISO 8601; one without a zone is Indian time.
func v1Timestamp(text string) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, true
	}
	t, err := time.ParseInLocation("2006-01-02T15:04:05", text, indianTime)
	return t, err == nil
}

// checkKey takes a signature, or an empty authKey with a bearer token, which
// is how one client was seen to use an OAuth key with version 1.
func (s version1) checkKey(c *call) *problem {
	switch {
	case c.meta.AuthKey == "" && c.r.Header.Get("Authorization") != "":
		return s.checkBearer(c)
	case c.meta.AuthKey == "":
		return v1Failure("EMS-1066", "Auth Key cannot be empty.")
	case s.KeyState == KeyInactive ||
		!equal(c.meta.AuthKey, authKey(s.accessKey(), c.meta.TS, c.meta.Txn)):
		return v1Failure("EMS-1065", "Invalid Auth Key.")
	}
	return nil
}

// A demand is something a request must meet, with the refusal of one that does
// not.
type demand struct {
	met           bool
	code, message string
}

// firstUnmet is the refusal of the first demand that is not met.
func firstUnmet(demands ...demand) *problem {
	for _, d := range demands {
		if !d.met {
			return v1Failure(d.code, d.message)
		}
	}
	return nil
}

// success answers a call of version 1 with members beside meta.
func (s version1) success(c *call, members map[string]any) (reply, *problem) {
	return s.envelope(c, "1", "", "", members), nil
}

// envelope is an answer of version 1: HTTP 200, all scalars of meta strings.
// The two headers are documented.
func (s version1) envelope(c *call, status, code, message string, members map[string]any) reply {
	meta := map[string]string{
		"ver": "1.0", "ts": s.now().In(indianTime).Format(tsLayout), "txn": "", "status": status,
		"errorCode": code, "errorMessage": message,
	}
	if txnShape.MatchString(c.meta.Txn) {
		meta["txn"] = c.meta.Txn
	}
	body := map[string]any{"meta": meta}
	maps.Copy(body, members)
	rep := jsonReply(http.StatusOK, "application/json;charset=UTF-8", body)
	rep.header = http.Header{
		"Deprecation": {"true"},
		"Link": {
			"<" + c.baseURL() + apiPrefix + c.route.successor + `>; rel="successor-version"`,
		},
	}
	return rep
}

// refusal puts p into the envelope, or into the framework's error shape where
// the call never reached the verb: then the HTTP status is an error (inferred,
// no such answer was ever captured).
func (s version1) refusal(p *problem, c *call) reply {
	switch p.status {
	case http.StatusOK, http.StatusBadRequest, http.StatusNotFound, http.StatusConflict,
		http.StatusUnprocessableEntity:
	default:
		rep := springReply(p.status, p.detail, c.r.URL.Path, s.now())
		rep.header = p.header
		return rep
	}
	code, words := orDefault(p.v1, p.ems), p.detail
	if len(p.errors) > 0 {
		malformed := v1Malformed("", p)
		code, words = orDefault(code, malformed.ems), malformed.detail
	}
	if code == wordsOnly {
		code = ""
	}
	return s.envelope(c, "0", code, words, p.extra)
}

// orZero returns what p points to, or its type's zero value.
func orZero[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
