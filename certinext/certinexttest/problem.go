// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"net/http"
	"strings"
	"time"
)

// A problem is a refusal before it has been put in words for a dialect.
// Problem documents are presentation; the server's rules deal in these.
type problem struct {
	status int
	slug   string // documented error slug; the type URL and code come from it
	ems    string // EMS code without brackets, "" for none
	detail string
	dash   bool // written "EMS-917 — text" as some live answers are
	errors []fieldError
	extra  map[string]any // further members, such as diagnostics
	header http.Header

	spring bool   // answered in the framework's own error shape
	oauth  string // answered in OAuth's shape, with this error code
	meta   bool   // answered in the documented token envelope
	reason reason // the rule, where the code does not say it
	v1     string // EMS code in version 1 where it is another, or wordsOnly
}

// A fieldError names one offending field of a request.
type fieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

func malformed(detail string) *problem {
	return &problem{status: http.StatusBadRequest, slug: "malformed-request", detail: detail}
}

func invalidFields(errs ...fieldError) *problem {
	return &problem{
		status: http.StatusBadRequest, slug: "validation-failed", detail: "Validation failed",
		errors: errs,
	}
}

func invalidField(field, message string) *problem {
	return invalidFields(fieldError{Field: field, Message: message})
}

func unauthorized() *problem {
	return &problem{
		status: http.StatusUnauthorized, slug: "unauthorized",
		detail: "Missing or invalid bearer token",
		header: http.Header{"Www-Authenticate": {"Bearer"}},
	}
}

// noSuchPath is answered by the framework itself, before any controller.
func noSuchPath() *problem {
	return &problem{
		status: http.StatusNotFound, slug: "not-found", detail: "No such resource", spring: true,
	}
}

func notFound(detail string) *problem {
	return &problem{status: http.StatusNotFound, slug: "not-found", detail: detail}
}

func methodNotAllowed(allow string) *problem {
	return &problem{
		status: http.StatusMethodNotAllowed, slug: "method-not-allowed",
		detail: "Method not supported on this resource",
		header: http.Header{"Allow": {allow}},
	}
}

func notAcceptable() *problem {
	return &problem{
		status: http.StatusNotAcceptable, slug: "not-acceptable",
		detail: "Accept header cannot be satisfied",
	}
}

func unsupportedMediaType() *problem {
	return &problem{
		status: http.StatusUnsupportedMediaType, slug: "unsupported-media-type",
		detail: "Content-Type must be application/json",
	}
}

func bodyTooLarge() *problem {
	return &problem{
		status: http.StatusRequestEntityTooLarge, slug: "body-too-large",
		detail: "Request body is too large",
	}
}

func idempotencyConflict() *problem {
	return &problem{
		status: http.StatusConflict, slug: "idempotency-conflict",
		detail: "Idempotency-Key was used before with a different body",
	}
}

func notWired(fallback string) *problem {
	return &problem{
		status: http.StatusNotImplemented, slug: "not-implemented",
		detail: "Not yet wired in v2; use v1 " + fallback,
	}
}

// slugRule is the slug of all business rules.
const slugRule = "business-rule"

// rule is a business rule that the request breaks: 422 with an EMS code, or
// without one where none was ever seen.
func rule(ems, detail string) *problem {
	return &problem{
		status: http.StatusUnprocessableEntity, slug: slugRule, ems: ems, detail: detail,
	}
}

func conflict(detail string, extra map[string]any) *problem {
	return &problem{status: http.StatusConflict, slug: "conflict", detail: detail, extra: extra}
}

// text is the human sentence with the EMS code where the service puts it.
func (p *problem) text() string {
	switch {
	case p.ems == "":
		return p.detail
	case p.dash:
		return p.ems + " — " + p.detail
	default:
		return "[" + p.ems + "] " + p.detail
	}
}

// refuse puts p into the shape that the dialect and the endpoint use.
func (s *Server) refuse(p *problem, r *http.Request) reply {
	s.noteRefusal(r, p, false)
	var rep reply
	switch {
	case p.oauth != "":
		rep = jsonReply(p.status, "application/json", map[string]string{
			"error": p.oauth, "error_description": p.detail,
		})
	case p.meta:
		rep = jsonReply(p.status, "application/json", metaError(p.ems, p.detail, s.now()))
	case p.spring && s.Dialect != Documented:
		rep = springReply(p.status, p.text(), r.URL.Path, s.now())
	default:
		rep = jsonReply(p.status, "application/problem+json", p.document(s.Dialect, r))
	}
	rep.header = p.header
	return rep
}

// refuseCall is refuse for a request whose operation is known, and with it the
// version of the API.
func (s *Server) refuseCall(p *problem, c *call) reply {
	if c.route.v1() {
		s.noteRefusal(c.r, p, true)
		return s.v1().refusal(p, c)
	}
	return s.refuse(p, c.r)
}

// document is the RFC 7807 body. Live ones carry about:blank for a type and no
// code; documented ones a slug URL and a code.
func (p *problem) document(d Dialect, r *http.Request) map[string]any {
	doc := map[string]any{
		"type":     "about:blank",
		"title":    http.StatusText(p.status),
		"status":   p.status,
		"detail":   p.text(),
		"instance": r.URL.Path,
	}
	if d == Documented {
		doc["type"] = "https://api.certinext.io/errors/" + p.slug
		doc["code"] = strings.ReplaceAll(p.slug, "-", "_")
	}
	if len(p.errors) > 0 {
		doc["errors"] = p.errors
	}
	for k, v := range p.extra {
		doc[k] = v
	}
	return doc
}

// springReply is the error body of the framework below the API, seen live when
// a request never reached a controller.
func springReply(status int, message, path string, now time.Time) reply {
	return jsonReply(status, "application/json", map[string]any{
		"timestamp": now.UTC().Format("2006-01-02T15:04:05.000+00:00"),
		"status":    status,
		"error":     http.StatusText(status),
		"message":   message,
		"path":      path,
	})
}
