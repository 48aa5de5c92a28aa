// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package money

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAmountsAreReadAndWrittenExactly(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0.00", "0.0": "0.00", "150": "150.00", "99.90": "99.90", "0.1": "0.10", "1.005": "1.005",
		"0.0001": "0.0001", "00012.500000": "12.50", "999999999.9999": "999999999.9999",
	} {
		a, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, a.String(), text)
	}
	for _, text := range []string{
		"", ".", "1.", ".5", "-1", "+1", "1e3", "1,50", " 1", "0x10", "1.2.3", "on request", "1.00001", "1000000000",
		strings.Repeat("9", 100), "\u0661",
	} {
		_, err := Parse(text)
		require.Error(t, err, text)
		require.Less(t, len(err.Error()), 100, text)
	}
}

func TestAmountsAddUp(t *testing.T) {
	tenth := must(t, "0.10")
	var sum Amount
	for range 3 {
		sum = sum.Plus(tenth)
	}
	require.Equal(t, must(t, "0.30"), sum, "three dimes are thirty cents")
	debt := tenth.Minus(sum)
	require.Equal(t, "-0.20", debt.String())
	require.True(t, debt.IsDebt())
	require.True(t, debt.IsLess(tenth))
	require.True(t, debt.Plus(debt.Negative()).IsZero())

	text, err := json.Marshal(debt)
	require.NoError(t, err)
	var again Amount
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, debt, again)
	require.Error(t, json.Unmarshal([]byte(`"-x"`), &again))
}

func must(t testing.TB, text string) Amount {
	t.Helper()
	a, err := Parse(text)
	require.NoError(t, err)
	return a
}

// FuzzParse: what is read is what a rational number of any size says, and reads the same again.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"0.0", "99.90", "999999999.9999", "1000000000", "1e3", "-1", "0.00010", "1.", "١"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(text)
		if !ok || want.Cmp(big.NewRat(a.units, unit)) != 0 {
			t.Fatalf("%q was read as %s", text, a)
		}
		if again, err := Parse(a.String()); err != nil || again != a {
			t.Fatalf("%q was written as %s, which reads as %s: %v", text, a, again, err)
		}
	})
}
