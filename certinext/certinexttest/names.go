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

var keyStates = []string{
	KeyActive: "active", KeyNotOAuth: "not-oauth", KeyInactive: "inactive",
}

// MarshalText names the state.
func (k KeyState) MarshalText() ([]byte, error) { return nameOf(keyStates, k) }

// UnmarshalText reads active, not-oauth or inactive.
func (k *KeyState) UnmarshalText(b []byte) error { return byName(keyStates, b, k) }

var switches = []string{ByDialect: "by-dialect", On: "on", Off: "off"}

// MarshalText names the switch.
func (s Switch) MarshalText() ([]byte, error) { return nameOf(switches, s) }

// UnmarshalText reads by-dialect, on or off.
func (s *Switch) UnmarshalText(b []byte) error { return byName(switches, b, s) }
