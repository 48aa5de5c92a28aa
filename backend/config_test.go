// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsStrandedIsCountedAndNamed(t *testing.T) {
	for want, c := range map[string]struct {
		what  string
		names []string
		whole bool
	}{
		"": {"open order", nil, true},
		"more than can be looked at for open orders": {"open order", nil, false},
		"1 open order (a)":                           {"open order", []string{"a"}, true},
		"2 queued revocations (a, b)":                {"queued revocation", []string{"a", "b"}, true},
		"1 certificate with leases (a)":              {"certificate with leases", []string{"a"}, true},
		"at least 1 open order (a)":                  {"open order", []string{"a"}, false},
		"3 open orders (a, b, c)":                    {"open order", []string{"a", "b", "c"}, true},
		"4 open orders (a, b, c, ...)":               {"open order", []string{"a", "b", "c", "d"}, true},
		"at least 2 certificates with leases (a, b)": {
			"certificate with leases", []string{"a", "b"}, false,
		},
	} {
		require.Equal(t, want, someOf(c.what, c.names, c.whole))
	}
}
