// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"fmt"
	"strings"
)

// An Error is an order that did not yield a certificate for this request. Unless Over is set or the
// order's state is final, the order goes on, and the same request finds it again.
type Error struct {
	Order *Order
	// Err is why the order failed, or why its certificate is not handed over; nil when the order
	// is merely not finished.
	Err error
	// Over is set when the order is closed, so that the same request does not find it again.
	Over bool
}

// Error names the order, its state and what has to happen next.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "order %s", e.Order.ID)
	if e.Order.CAOrderID != "" {
		fmt.Fprintf(&b, " (CERTInext order %s)", e.Order.CAOrderID)
	}
	switch {
	case e.Err != nil && e.Order.State == StateHeld:
		fmt.Fprintf(&b, " is held: %v", e.Err)
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
	said := b.String()
	for _, n := range e.Order.Needs {
		if strings.Contains(said, n) {
			continue // Err is about what is needed
		}
		b.WriteString("; ")
		b.WriteString(n)
	}
	if !e.Order.State.Final() && !e.Over {
		b.WriteString("; nothing is lost: the same request finds this order again")
	}
	return b.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }
