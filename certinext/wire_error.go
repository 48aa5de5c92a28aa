// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// wireProblem is every shape in which CERTInext refuses: RFC 7807, Spring's default, RFC 6749's at
// the token endpoint, and version 1's envelope.
type wireProblem struct {
	Status           text                    `json:"status"`
	Type             text                    `json:"type"`
	Title            text                    `json:"title"`
	Detail           text                    `json:"detail"`
	Code             text                    `json:"code"`
	Message          text                    `json:"message"` // Spring
	Error            text                    `json:"error"`   // Spring, RFC 6749
	ErrorDescription text                    `json:"error_description"`
	Errors           json.RawMessage         `json:"errors"`
	Diagnostics      object[wireDiagnostics] `json:"diagnostics"`
	Meta             object[wireMeta]        `json:"meta"`
	ExistingDomainID text                    `json:"existingDomainId"`
}

type wireFieldError struct {
	Field   text `json:"field"`
	Message text `json:"message"`
}

type wireDiagnostics struct {
	Method        text `json:"method"`
	FailureClass  text `json:"failureClass"`
	OverallStatus text `json:"overallStatus"`
	NextSteps     list[object[struct {
		Key text `json:"key"`
	}]] `json:"nextSteps"`
}

func (w wireDiagnostics) diagnostics(hide mask) *Diagnostics {
	d := &Diagnostics{
		Method:       hide.text(string(w.Method), maxWords),
		FailureClass: hide.text(string(w.FailureClass), maxWords),
	}
	for _, step := range w.NextSteps {
		if key := hide.text(string(step.value.Key), maxWords); key != "" &&
			len(d.NextSteps) < maxFieldErrors {
			d.NextSteps = append(d.NextSteps, key)
		}
	}
	return d
}

const maxFieldErrors = 20

// A code is free text inside the detail: "[EMS-918] text", "EMS-917 - text", or missing (observed
// 2026).
var codePattern = regexp.MustCompile(`\b(EMS-[A-Z0-9]+(-[A-Z0-9]+)*|DOMAIN-[0-9]+)\b`)

// refusal makes an Error of an answer that is not a success.
func (c *Client) refusal(r *call, res *http.Response, hide mask) *Error {
	e := &Error{
		Operation:  r.operation,
		Status:     res.StatusCode,
		RetryAfter: parseRetryAfter(res.Header.Get("Retry-After"), c.now()),
		Acted:      r.repeat != repeatFreely,
	}
	if to := res.Header.Get("Location"); to != "" && res.StatusCode < 400 {
		e.Detail = hide.text(
			"a redirect to "+redirectHost(to)+", which is not followed; check the base URL",
			maxDetail,
		)
		return e
	}
	// A body that breaks off is read as far as it came: half a reason is better than none.
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	if isHTML(body, res.Header.Get("Content-Type")) {
		e.Detail = hide.text(htmlHint(string(body)), maxDetail)
		return e
	}
	w, err := e.explain(body, hide)
	// Version 1 refuses in its envelope, with HTTP status 200 (observed 2026): a refusal with any
	// other status is a gateway's.
	e.Own = err == nil && !r.enveloped &&
		(w.own(res.StatusCode) || (r.grants && slices.Contains(ownGrantRefusals, e.Code)))
	e.Acted = r.repeat != repeatFreely && !e.certain()
	return e
}

func redirectHost(location string) string {
	if u, err := url.Parse(location); err == nil && u.Host != "" {
		return u.Scheme + "://" + u.Host
	}
	return "another path"
}

// explain fills in CERTInext's words from the body of a refusal, and returns what it read. An error
// means that the body is not a JSON object.
func (e *Error) explain(body []byte, hide mask) (wireProblem, error) {
	var w wireProblem
	if err := unmarshalObject(body, &w); err != nil {
		e.Detail = hide.text(string(body), maxDetail)
		e.Code = codePattern.FindString(e.Detail)
		return w, err
	}
	meta := w.Meta.value
	e.Detail = hide.text(
		first(w.Detail, w.Message, w.ErrorDescription, meta.ErrorMessage, w.Title, w.Error),
		maxDetail,
	)
	if e.Code = codePattern.FindString(hide.text(w.code(), maxDetail)); e.Code == "" {
		e.Code = hide.text(first(w.Code, meta.ErrorCode, oauthError(w)), 64)
	}
	for _, f := range fieldErrors(w.Errors) {
		e.Fields = append(e.Fields, FieldError{
			Field:   hide.text(string(f.Field), maxWords),
			Message: hide.text(string(f.Message), maxWords),
		})
	}
	if w.Diagnostics.set {
		e.Diagnostics = w.Diagnostics.value.diagnostics(hide)
	}
	e.ExistingDomainID = safeID(text(hide.hide(string(w.ExistingDomainID))))
	return w, nil
}

// oauthError returns the error of RFC 6749, section 5.2, such as invalid_client. Spring uses the
// same name for the status's words, which are no code.
func oauthError(w wireProblem) text {
	if strings.ContainsAny(string(w.Error), " ") || w.Message != "" {
		return ""
	}
	return w.Error
}

// first returns the first text that is not blank.
func first(of ...text) string {
	for _, t := range of {
		if strings.TrimSpace(string(t)) != "" {
			return string(t)
		}
	}
	return ""
}

// fieldErrors reads a list of objects, or of sentences, or an object of sentences by field.
func fieldErrors(raw json.RawMessage) []wireFieldError {
	raw = bytes.TrimSpace(raw)
	var out []wireFieldError
	switch {
	case len(raw) == 0:
		return nil
	case raw[0] == '{':
		var byField map[string]text
		if json.Unmarshal(raw, &byField) == nil {
			for field, message := range byField {
				out = append(out, wireFieldError{Field: text(field), Message: message})
			}
		}
		slices.SortFunc(out, func(a, b wireFieldError) int {
			return strings.Compare(string(a.Field), string(b.Field))
		})
	default:
		var elements list[json.RawMessage]
		if json.Unmarshal(raw, &elements) != nil {
			return nil
		}
		for _, element := range elements {
			var f wireFieldError
			if json.Unmarshal(element, &f) == nil {
				out = append(out, f)
			} else if json.Unmarshal(element, &f.Message) == nil {
				out = append(out, f)
			}
		}
	}
	out = slices.DeleteFunc(out, func(f wireFieldError) bool {
		return f.Field == "" && f.Message == ""
	})
	return out[:min(len(out), maxFieldErrors)]
}
