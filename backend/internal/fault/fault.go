// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package fault has the errors that the engine's rooms share. Each can be asked questions with
// errors.As, and each is answered in words: the request has to change, or CERTInext has refused it.
// Any other error is a fault of this program or of its storage.
package fault

import (
	"errors"
	"fmt"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A FieldError is a request that cannot be carried out because of one of its fields. CERTInext was not
// asked.
type FieldError struct {
	Field   string
	Problem string
}

// Error names the field and what is wrong with it.
func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// BadField returns a [*FieldError].
func BadField(field, format string, args ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// A NotFoundError is a request for something that the mount does not hold.
type NotFoundError struct {
	Kind string // role, order, certificate
	Name string
}

// Error says what was looked for.
func (e *NotFoundError) Error() string { return fmt.Sprintf("no %s %q", e.Kind, e.Name) }

// ErrNotConfigured is returned by whatever needs CERTInext before the mount knows an account.
var ErrNotConfigured = errors.New("this mount has no CERTInext account yet: write its config first")

// A RefusedError is a call that CERTInext refused, or that could not reach it.
type RefusedError struct {
	Err error
}

// Error is CERTInext's reason in its own words.
func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns the client's error.
func (e *RefusedError) Unwrap() error { return e.Err }

// Refused wraps an error of the CERTInext client as a [*RefusedError], so that it is answered in words
// and never taken for a fault of this program.
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
