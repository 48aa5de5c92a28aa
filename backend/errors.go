// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"errors"
	"fmt"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A FieldError is a request that cannot be carried out because of one of its fields. CERTInext never heard of it.
type FieldError struct {
	Field   string
	Problem string
}

// Error names the field and what is wrong with it.
func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

func badField(field, format string, args ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// A NotFoundError is a request for something that the mount does not hold.
type NotFoundError struct {
	Kind string // role, order, certificate
	Name string
}

// Error says what was looked for.
func (e *NotFoundError) Error() string { return fmt.Sprintf("no %s %q", e.Kind, e.Name) }

// ErrNotConfigured is returned by everything that needs CERTInext before the mount knows an account.
var ErrNotConfigured = errors.New("this mount has no CERTInext account yet: write its config first")

// An OrderError is an order that did not yield a certificate for this request. Unless its state is final, the order
// goes on: the same request finds it again.
type OrderError struct {
	Order *Order
	// Err is why CERTInext refused the order; nil when it is merely not finished.
	Err error
	// Over is set when the order is closed, so that the same request does not find it again.
	Over bool
}

// Error names the order, its state and what is needed next.
func (e *OrderError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "order %s", e.Order.ID)
	if e.Order.CAOrderID != "" {
		fmt.Fprintf(&b, " (CERTInext order %s)", e.Order.CAOrderID)
	}
	switch {
	case e.Err != nil:
		fmt.Fprintf(&b, " failed: %v", e.Err)
	case e.Order.State.Final():
		fmt.Fprintf(&b, " is %s", e.Order.State)
		if e.Order.LastError != "" {
			fmt.Fprintf(&b, ": %s", e.Order.LastError)
		}
	default:
		fmt.Fprintf(&b, " is not finished: %s", e.Order.describe())
	}
	for _, n := range e.Order.Needs {
		b.WriteString("; ")
		b.WriteString(n)
	}
	if !e.Order.State.Final() && !e.Over {
		b.WriteString("; nothing is lost: the same request finds this order again")
	}
	return b.String()
}

// Unwrap returns CERTInext's refusal.
func (e *OrderError) Unwrap() error { return e.Err }

// A RefusedError is a call that CERTInext refused, or that could not reach it.
type RefusedError struct {
	Err error
}

// Error is CERTInext's reason in its own words.
func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns the client's error.
func (e *RefusedError) Unwrap() error { return e.Err }

// refused wraps an error that came from the CERTInext client, so that it is answered in words and never mistaken for
// a fault of this program.
func refused(err error) error {
	if err == nil {
		return nil
	}
	var e *certinext.Error
	if errors.As(err, &e) {
		return &RefusedError{Err: err}
	}
	return &RefusedError{Err: fmt.Errorf("calling CERTInext: %w", err)}
}
