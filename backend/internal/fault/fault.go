// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package fault declares the errors that all packages of the engine share: the request has to
// change, or CERTInext has refused it. Callers find them with errors.As and answer with their text.
// Any other error is a fault of this program or of its storage.
package fault

import (
	"errors"
	"fmt"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A FieldError is a request that the engine refuses because of one field, mostly before it asks
// CERTInext.
type FieldError struct {
	Field   string // the field's name in the API
	Problem string // completes a sentence that begins with the field: "is required"
}

// Error returns the field and the problem, separated by a colon.
func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// BadField returns a [*FieldError] whose problem is formatted as by fmt.Sprintf.
func BadField(field, format string, args ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// A NotFoundError is a request for something that the mount does not hold.
type NotFoundError struct {
	Kind string // such as role, order, certificate
	Name string // as the caller gave it
	// Command shows what there is, from the mount on, such as list <mount>/roles; empty if nothing
	// does.
	Command string
	// Mistaken says what the caller may have meant, if that can be told from Name.
	Mistaken string
}

// Error names what was looked for, how to see what there is, and what the mistake may be.
func (e *NotFoundError) Error() string {
	text := fmt.Sprintf("no %s %q", e.Kind, e.Name)
	if e.Command != "" {
		text += ": vault " + e.Command + " shows what there is"
	}
	if e.Mistaken != "" {
		text += "; " + e.Mistaken
	}
	return text
}

// NoOrder is the error for an order that a role does not have.
func NoOrder(role, id string) error {
	return &NotFoundError{Kind: "order", Name: id, Command: "list <mount>/orders/" + role}
}

// NoCertificate is the error for a certificate that the mount does not have. What the caller may
// have meant by the serial number is empty if nothing is known of that.
func NoCertificate(serial, mistaken string) error {
	return &NotFoundError{
		Kind: "certificate", Name: serial, Command: "list <mount>/certs", Mistaken: mistaken,
	}
}

// ErrNotConfigured is returned by operations that need CERTInext while the mount has no config.
var ErrNotConfigured = errors.New("this mount has no CERTInext account yet: write its config " +
	"first (vault path-help <mount>/config says what belongs to it)")

// A RefusedError is a call that CERTInext refused, or that did not reach it. It is answered with
// status 400 (ADR 0006).
type RefusedError struct {
	Err error // of the CERTInext client
}

// Error is CERTInext's reason in its own words.
func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns the client's error.
func (e *RefusedError) Unwrap() error { return e.Err }

// Refused wraps an error of the CERTInext client as a [*RefusedError], so that it is not taken for
// a fault of this program. It returns nil for nil.
func Refused(err error) error {
	if err == nil {
		return nil
	}
	var e *certinext.Error
	if errors.As(err, &e) {
		return &RefusedError{Err: err}
	}
	return &RefusedError{Err: fmt.Errorf("calling CERTInext: %w", err)}
}

// IsPermanent reports whether the same call would be refused again: the client refuses it, or
// CERTInext itself answered that it will not do it. Lost answers, outages, rate limits and
// credentials that do not work are temporary, and so is any other error.
func IsPermanent(err error) bool {
	var (
		unsupported *certinext.UnsupportedReasonError
		invalid     *certinext.InvalidRequestError
		e           *certinext.Error
	)
	switch {
	case errors.As(err, &unsupported), errors.As(err, &invalid):
		return true
	case !errors.As(err, &e), e.Acted, e.SigningIn, !e.Own:
		return false
	}
	return !certinext.HasStatus(err, 0, 401, 403, 429)
}
