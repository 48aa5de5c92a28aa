// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package phrase

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLists(t *testing.T) {
	require.Empty(t, Or[int]())
	require.Equal(t, "256", Or(256))
	require.Equal(t, "256 or 384", Or(256, 384))
	require.Equal(t, "2048, 3072 or 4096", Or(2048, 3072, 4096))
	require.Equal(t, "a, b and c", And("a", "b", "c"))
}

func TestNearest(t *testing.T) {
	fields := []string{"common_name", "alt_names", "ip_sans", "ttl", "csr", "force_new", "format"}
	for misspelt, want := range map[string]string{
		"comon_name":  "common_name",
		"commonName":  "common_name",
		"common-name": "common_name",
		"cmomon_name": "common_name",
		"altnames":    "alt_names",
		"alt_name":    "alt_names",
		"tll":         "ttl",
		"crs":         "csr",
		"force":       "",
		"api_key":     "",
		"x":           "",
		"":            "",
	} {
		require.Equal(t, want, Nearest(misspelt, fields), misspelt)
	}
	require.Empty(t, Nearest("ttl", nil))
}

func TestShown(t *testing.T) {
	require.Equal(t, "comon_name", Shown("comon_name"))
	require.Equal(t, "ab", Shown("a\x1b\n\u202eb"))
	require.Equal(t, strings.Repeat("a", 60)+"…", Shown(strings.Repeat("a", 1000)))
}
