// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package money

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAmountsAreReadAndWrittenExactly(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0.00", "0.0": "0.00", "25": "25.00", "25.5": "25.50", "25.05": "25.05",
		"0.1": "0.10", "0.0001": "0.0001", "19.999": "19.999", "1.10000000": "1.10",
		"1000000000000": "1000000000000.00", "007": "7.00",
	} {
		a, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, a.String(), text)
		again, err := Parse(a.String())
		require.NoError(t, err)
		require.Equal(t, a, again)
	}
}

func TestWhatIsNoAmountIsRefused(t *testing.T) {
	for _, text := range []string{
		"", ".", ".5", "5.", "-1", "+1", "1e3", "1,000", "25,00", " 1", "1 ", "$1", "1 USD", "NaN",
		"Inf", "0x10", "1.00001", "1000000000000.01", "99999999999999999999999", "1.2.3", "１",
	} {
		_, err := Parse(text)
		require.ErrorIs(t, err, ErrNoAmount, "%q", text)
	}
}

func TestSumsDoNotOverflow(t *testing.T) {
	a := Most - 1
	require.Equal(t, Most, a.Plus(2))
	require.Equal(t, Most, a.Plus(a))
	require.Equal(t, Most, a.Times(3))
	require.Equal(t, Amount(0), Amount(1).Minus(2))
	require.Equal(t, Amount(0), a.Times(0))
	ten, err := Parse("0.10")
	require.NoError(t, err)
	require.Equal(t, "0.30", ten.Plus(ten).Plus(ten).String(), "no binary fractions")
	require.Equal(t, "75.00", Amount(25*perUnit).Times(3).String())
}

func TestPartsOfAmounts(t *testing.T) {
	for _, c := range []struct {
		amount string
		n, of  int
		want   string
	}{
		{"25.00", 1095, 400, "68.44"},
		{"100.00", 1, 3, "33.33"},
		{"200.00", 1, 3, "66.67"},
		{"0.0049", 1, 1, "0.00"},
		{"0.005", 1, 1, "0.01"},
		{"0", 5, 2, "0.00"},
		{"999999999999", 1095, 94, Most.String()},
	} {
		a, err := Parse(c.amount)
		require.NoError(t, err)
		require.Equal(t, c.want, a.Part(c.n, c.of).String(), "%s × %d/%d", c.amount, c.n, c.of)
	}
}

func TestAmountsAreStoredAsText(t *testing.T) {
	entry := struct {
		A Amount `json:"a"`
	}{Amount(25 * perUnit)}
	raw, err := json.Marshal(entry)
	require.NoError(t, err)
	require.JSONEq(t, `{"a":"25.00"}`, string(raw))
	entry.A = 0
	require.NoError(t, json.Unmarshal(raw, &entry))
	require.Equal(t, "25.00", entry.A.String())
	require.Error(t, json.Unmarshal([]byte(`{"a":"-1"}`), &entry))
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"0", "25.00", "0.0001", "1e3", "-1", "９.9"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if err != nil {
			return
		}
		require.GreaterOrEqual(t, int64(a), int64(0))
		again, err := Parse(a.String())
		require.NoError(t, err)
		require.Equal(t, a, again)
	})
}
