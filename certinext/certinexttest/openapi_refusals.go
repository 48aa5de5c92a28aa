// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"maps"
	"reflect"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/openapi"
)

var timeType = reflect.TypeFor[time.Time]()

// Media types beside those of a download.
const (
	typeForm    = "application/x-www-form-urlencoded"
	typeProblem = "application/problem+json"
	typeText    = "text/plain"
	typeHTML    = "text/html"
)

// refusalNames are the components for the refusals that every call of version 2 may meet, by their
// statuses.
var refusalNames = map[string]string{
	"400": "BadRequest", "401": "Unauthorized", "406": "NotAcceptable", "413": "TooLarge",
	"415": "UnsupportedMediaType", "429": "TooManyRequests", "5XX": "Unavailable",
}

// Components for what version 1 answers before a verb sees the call, by their statuses.
var v1RefusalNames = map[string]string{
	"401": "UnauthorizedV1", "406": "NotAcceptableV1", "413": "TooLargeV1",
	"415": "UnsupportedMediaTypeV1", "429": "TooManyRequestsV1", "5XX": "UnavailableV1",
}

var refusalTexts = map[string]string{
	"400": "The request is malformed, or a member or parameter of it is unknown, missing or " +
		"wrong: `errors` names each.",
	"401": "There is no bearer token, or it is unknown, has run out or was revoked.",
	"406": "The Accept header takes nothing that there is.",
	"413": "The body is too large.",
	"415": "The body is no application/json in UTF-8.",
	"429": "Too many calls (`-rate-limit`; documented, never observed).",
	"5XX": "A fault was injected: see /_sandbox/faults.",
}

// sharedRefusals are the answers that operations refer to.
func (w *describer) sharedRefusals() map[string]*openapi.Response {
	all := make(map[string]*openapi.Response)
	for status, name := range refusalNames {
		r := w.refusal(refusalTexts[status])
		w.particular(status, r)
		if status == "5XX" {
			r.Content[typeJSON] = openapi.Media{Schema: w.types.Answer(docSpringError{})}
		}
		all[name] = r
	}
	for status, name := range v1RefusalNames {
		r := &openapi.Response{
			Description: refusalTexts[status] + " No verb saw it, so it has the form of the " +
				"framework below (inferred).",
			Headers: resourceHeaders(),
			Content: map[string]openapi.Media{
				typeJSON: {Schema: w.types.Answer(docSpringError{})},
			},
		}
		w.particular(status, r)
		all[name] = r
	}
	return all
}

// particular sees to the headers that a status has or has not.
func (w *describer) particular(status string, r *openapi.Response) {
	switch status {
	case "401":
		maps.Copy(r.Headers, headers("WWW-Authenticate"))
	case "429":
		maps.Copy(r.Headers, headers("Retry-After"))
	case "5XX":
		r.Headers = nil // an HTML page is a gateway's
		r.Content[typeHTML] = openapi.Media{Schema: openapi.Text()}
	}
}

// refusal is a problem document.
func (w *describer) refusal(why string) *openapi.Response {
	return &openapi.Response{
		Description: why, Headers: resourceHeaders(),
		Content: map[string]openapi.Media{typeProblem: {Schema: w.problemSchema()}},
	}
}

func (w *describer) problemSchema() *openapi.Schema {
	if w.dialect == Documented {
		return w.types.Answer(docProblemDocumented{})
	}
	return w.types.Answer(docProblem{})
}

// documentHeaders are the components for headers, by their names.
var documentHeaders = map[string]openapi.Header{
	"X-API-Version": {
		Required: true, Schema: openapi.OneOf("2.0.0"),
		Description: "Observed on answers of version 2.",
	},
	"Cache-Control": {Required: true, Schema: openapi.Text()},
	"Deprecation": {
		Required: true, Schema: openapi.OneOf("true"),
		Description: "On answers of version 1 (documented).",
	},
	"Link": {
		Required: true, Schema: openapi.Text(),
		Description: "Version 2's successor of a verb (documented).",
	},
	"WWW-Authenticate": {Required: true, Schema: openapi.Text()},
	"Retry-After":      {Schema: openapi.Text(), Description: "Seconds, or an HTTP date."},
}

// headers refers to some of them.
func headers(names ...string) map[string]openapi.Header {
	all := make(map[string]openapi.Header)
	for _, name := range names {
		all[name] = openapi.Header{Ref: name}
	}
	return all
}

// resourceHeaders are those of version 2.
func resourceHeaders() map[string]openapi.Header {
	return headers("X-API-Version", "Cache-Control")
}

// tokenRefusals are those of the token endpoint, which are no problem documents.
func (w *describer) tokenRefusals(o *openapi.Operation) {
	o.Security = []map[string][]string{{}}
	for _, status := range []string{"413", "429", "5XX"} {
		o.Responses[status] = &openapi.Response{Ref: refusalNames[status]}
	}
	oauth := w.types.Answer(docOAuthError{})
	say := func(status, why string, schema *openapi.Schema) {
		o.Responses[status] = &openapi.Response{
			Description: why, Headers: resourceHeaders(),
			Content: map[string]openapi.Media{typeJSON: {Schema: schema}},
		}
	}
	if w.dialect == Documented {
		signed := w.types.Answer(docSignedError{})
		say("400", "EMS-2028: a member is missing or wrong, or `txn` was used before. "+
			"Credentials in the query are refused in OAuth's form.", openapi.Either(signed, oauth))
		say("401", "EMS-2006, EMS-2036, EMS-2037 or EMS-2038: account, key, signature or refresh "+
			"token are not good.", signed)
		say("403", "EMS-2022: the key is not in OAuth mode.", signed)
		say("422", "EMS-2007: the account has no active key.", signed)
		return
	}
	say("400", "The form is malformed, or its grant is unknown or spent.", oauth)
	say("401", "Client id or secret are wrong.", oauth)
	w.particular("401", o.Responses["401"])
	say("403", "The key is not in OAuth mode: always, in the dialect v1.", oauth)
}
