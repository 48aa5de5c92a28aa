// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// An Error is a call that CERTInext refused, or that brought no usable answer.
type Error struct {
	// Operation is what was attempted, e.g. "placing order".
	Operation string
	// Status is the HTTP status; 0 when no answer came. Version 1 refuses with status 200 and a
	// code of its own: Status is then the one that version 2 has for the same.
	Status int
	// Code is CERTInext's own, e.g. "EMS-915" or "DOMAIN-002"; empty when the answer names none.
	// Codes mean different things in different editions of the API, so most are good for showing
	// only.
	Code string
	// Detail is CERTInext's words on one line, at most 500 characters, without control characters
	// and the secrets of the request; empty when the answer has none.
	Detail string
	// Fields are CERTInext's complaints about single fields, at most 20; empty for most failures.
	Fields []FieldError
	// Diagnostics is CERTInext's account of a failed domain validation; nil when it gave none.
	Diagnostics *Diagnostics
	// ExistingDomainID is the id of the domain that [Client.AddDomain] was to add and that is there
	// already; empty unless the 409 names it.
	ExistingDomainID string
	// RetryAfter is how long CERTInext asked to wait, at most a day; zero when it did not.
	RetryAfter time.Duration
	// Own is set when the answer is CERTInext's own word, in a shape that it documents or was
	// observed to use. It is not set for the answer of anything in between, such as a gateway's
	// page, whatever its Status says; nor when no usable answer came.
	Own bool
	// Acted is false when CERTInext certainly did not carry out the call: it never received it, or
	// refused it in a shape of its own and with a code that leaves nothing open. When true, the
	// call may have taken effect although it failed.
	Acted bool
	// SigningIn is set when the failure was in obtaining a token, and Status and Code are about the
	// credentials: the call itself was not sent then. Acted tells whether it had been before, and
	// may have taken effect.
	SigningIn bool
	// Hint says in plain words what an operator can do about it; empty for most failures.
	Hint string
	// Err is the transport's or decoder's error, or an [*InvalidRequestError] or
	// [*UnsupportedReasonError] of a call that was not sent; nil when CERTInext answered in good
	// order.
	Err error

	// lost is set when the connection failed, before the answer or within it.
	lost bool
	// enveloped is set when version 1 refused in its envelope: Status is then what version 2
	// answers to the same, and no such status was sent.
	enveloped bool
	// toAnother is set when the envelope names another transaction than this call's.
	toAnother bool
	// burst is set for version 1's limit on bursts, which burstPatience waits out.
	burst bool
}

// An InvalidRequestError is a request that cannot succeed and was therefore not sent.
type InvalidRequestError struct {
	// Field is the struct's or the parameter's name, e.g. "Requestor.Email".
	Field string
	// Problem completes the sentence that begins with the field, e.g. "must be set".
	Problem string
}

// Error names the field and its problem.
func (e *InvalidRequestError) Error() string { return e.Field + " " + e.Problem }

// An UnsupportedReasonError is a revocation reason that CERTInext cannot express. Nothing was sent;
// which other reason to give, if any, is for the caller to decide.
type UnsupportedReasonError struct {
	// Reason is the one that was asked for, and Family the order's.
	Reason Reason
	Family Family
	// Supported is what CERTInext takes for this family.
	Supported []Reason
}

// Error names the reason and those that are supported.
func (e *UnsupportedReasonError) Error() string {
	names := make([]string, len(e.Supported))
	for i, r := range e.Supported {
		names[i] = string(r)
	}
	return fmt.Sprintf("CERTInext does not take the reason %q for the family %s, only %s",
		e.Reason, e.Family, strings.Join(names, ", "))
}

// errNoCertificate is the error of a successful download without a certificate in it,
// errNoChallenge the same for a challenge.
var (
	errNoCertificate = errors.New("the answer holds no certificate")
	errNoChallenge   = errors.New("the answer holds no challenge for this domain and method")
)

// A FieldError is CERTInext's complaint about one field of the request body.
type FieldError struct {
	// Field is the wire's name; empty for a complaint that names none.
	Field string
	// Message is CERTInext's words.
	Message string
}

// Diagnostics says why a domain validation failed.
type Diagnostics struct {
	// Method is the method in the spelling of this answer, e.g. DNS_TXT (documented).
	Method string
	// FailureClass is e.g. RECORD_MISSING, which means that the record is not visible yet; empty
	// for a success.
	FailureClass string
	// NextSteps are CERTInext's keys for what may help, at most 20. No source lists them.
	NextSteps []string
}

// A RateError is the error of a call that was not sent: its turn by [Client.Limiter] comes after
// its context ends.
type RateError struct {
	PerSecond float64 // calls that the limiter lets through
}

func (e *RateError) Error() string {
	return fmt.Sprintf("requests_per_second (%v) leaves no room for this call in time",
		e.PerSecond)
}

// Error says what was attempted and, in CERTInext's words, why it failed.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Operation)
	b.WriteString(": ")
	b.WriteString(e.reason())
	for _, f := range e.Fields {
		fmt.Fprintf(&b, "; %s", strings.TrimSpace(f.Field+" "+f.Message))
	}
	if e.Diagnostics != nil && e.Diagnostics.FailureClass != "" {
		fmt.Fprintf(&b, " (%s)", e.Diagnostics.FailureClass)
	}
	if e.Hint != "" {
		fmt.Fprintf(&b, " (%s)", e.Hint)
	}
	if e.Err != nil && !e.statusless() {
		fmt.Fprintf(&b, " (%v)", e.Err)
	}
	return b.String()
}

// reason is CERTInext's, or the transport's or decoder's.
func (e *Error) reason() string {
	answered := fmt.Sprintf("CERTInext answered %d", e.Status)
	switch {
	case e.enveloped && e.Status >= 500:
		answered = "CERTInext failed"
	case e.enveloped:
		answered = "CERTInext refused"
	}
	if e.Code != "" && !strings.Contains(e.Detail, e.Code) {
		answered += " " + e.Code
	}
	switch {
	case e.Detail != "":
		return answered + ": " + e.Detail
	case e.Err != nil && e.statusless():
		return e.Err.Error()
	}
	return answered + " and gave no reason"
}

// statusless reports whether no HTTP status says that the call failed.
func (e *Error) statusless() bool {
	return e.Status == 0 || (e.Status >= 200 && e.Status <= 299) || e.enveloped
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// SafeToRepeat reports whether the call can be sent again without acting twice.
func (e *Error) SafeToRepeat() bool { return !e.Acted }

// MayHaveActed reports whether the call that failed with err may have taken effect at CERTInext. It
// is true for errors of any other type, and for nil, since a call that succeeded did take effect.
func MayHaveActed(err error) bool {
	if err == nil {
		return true
	}
	var e *Error
	return !errors.As(err, &e) || e.Acted
}

// IsRefusal reports whether CERTInext itself refused the call, in a shape of its own; with
// statuses, only if with one of them. A 404 for which it is false comes from a gateway, and does
// not mean that CERTInext does not know the order. A failure to sign in is no refusal of the call.
// Whether a refused call may have taken effect nevertheless, [MayHaveActed] reports.
func IsRefusal(err error, statuses ...int) bool {
	var e *Error
	if !errors.As(err, &e) || !e.Own || e.SigningIn || e.Status < 400 || e.Status > 499 {
		return false
	}
	return len(statuses) == 0 || slices.Contains(statuses, e.Status)
}

// HasCode reports whether err is an answer with this code.
func HasCode(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// HasStatus reports whether err is an answer with one of these HTTP statuses, from CERTInext or
// from a gateway; [IsRefusal] tells the two apart. 0 stands for no answer. Of a failure to sign in,
// a 4xx counts only if it is 401, 403 or 429: a 404 or 422 of the token endpoint says nothing about
// the order that the call was for.
func HasStatus(err error, statuses ...int) bool {
	var e *Error
	if !errors.As(err, &e) || !slices.Contains(statuses, e.Status) {
		return false
	}
	if !e.SigningIn || e.Status < 400 || e.Status > 499 {
		return true
	}
	return e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden ||
		e.Status == http.StatusTooManyRequests
}

// IsNotReady reports whether err says that a certificate cannot be downloaded yet: 404, 409 and 422
// were all seen or documented for it, as was an answer without a certificate. An order that
// CERTInext does not know and a revoked one answer alike, so this is worth waiting for only while
// tracking says issued or pending.
func IsNotReady(err error) bool {
	return HasStatus(
		err, http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity,
	) ||
		errors.Is(err, errNoCertificate)
}
