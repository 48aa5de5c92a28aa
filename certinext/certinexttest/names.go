// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"fmt"
	"slices"
	"strings"
)

// nameOf and byName give an enumeration its text form: names[v] is v's name.

func nameOf[T ~int](names []string, v T) ([]byte, error) {
	if int(v) < 0 || int(v) >= len(names) {
		return nil, fmt.Errorf("unknown value %d", int(v))
	}
	return []byte(names[v]), nil
}

func byName[T ~int](names []string, text []byte, v *T) error {
	i := slices.Index(names, string(text))
	if i < 0 {
		return fmt.Errorf("unknown value %q, want one of %s", text, strings.Join(names, ", "))
	}
	*v = T(i)
	return nil
}

var dialects = []string{Live: "live", Documented: "documented", V1: "v1"}

// MarshalText names the dialect.
func (d Dialect) MarshalText() ([]byte, error) { return nameOf(dialects, d) }

// UnmarshalText reads live, documented or v1.
func (d *Dialect) UnmarshalText(b []byte) error { return byName(dialects, b, d) }
