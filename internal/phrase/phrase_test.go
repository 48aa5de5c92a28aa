// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package phrase

import (
	"strings"
	"testing"
	"time"

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
	require.Equal(t, "…", Shown("-----BEGIN EC PRIVATE KEY-----\nMHc"))
	require.Equal(t, strings.Repeat("a", 60)+"…", Shown(strings.Repeat("a", 1000)))
}

func TestDurations(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"no time":                 0,
		"1 ms":                    time.Microsecond,
		"250 ms":                  250 * time.Millisecond,
		"1 second":                1900 * time.Millisecond,
		"30 seconds":              30 * time.Second,
		"10 minutes":              10 * time.Minute,
		"1 minute and 30 seconds": 90 * time.Second,
		"1 hour and 30 minutes":   90*time.Minute + 5*time.Second,
		"1 day":                   24*time.Hour + 3*time.Minute,
		"1 day and 2 hours":       26*time.Hour + time.Second,
		"365 days":                8760 * time.Hour,
		"minus 2 hours":           -2 * time.Hour,
	} {
		require.Equal(t, want, Duration(d))
	}
}

func TestCounts(t *testing.T) {
	require.Equal(t, "no orders", Count(0, "order"))
	require.Equal(t, "1 order", Count(1, "order"))
	require.Equal(t, "2 orders", Count(2, "order"))
}
