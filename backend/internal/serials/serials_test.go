// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package serials

import (
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSerialsReadInEveryForm(t *testing.T) {
	for in, want := range map[string]string{
		"0A:1B:2C": "0a-1b-2c", "0a-1b-2c": "0a-1b-2c", "0a1b2c": "0a-1b-2c",
		" 0a:1b:2c ": "0a-1b-2c",
		"00:0a:1b":   "0a-1b", "": "", "xyz": "", "0a1": "", "../config": "", "00": "",
	} {
		got, err := Parse("serial", in)
		require.Equal(t, want, got, "%q", in)
		require.Equal(t, want == "", err != nil, "%q", in)
	}
	require.Equal(t, "01-00", Key(big.NewInt(256)))
}

// Whoever copies a number from CERTInext's portal is told what it is in hexadecimal.
func TestADecimalNumberIsToldFromAHexadecimalOne(t *testing.T) {
	for text, want := range map[string]string{
		"123456789012345678": "01:b6:9b:4b:a6:30:f3:4e", " 255 ": "ff", "00255": "ff",
		strings.Repeat("9", 49): strings.ReplaceAll(Key(nines(49)), "-", ":"),
		strings.Repeat("9", 50): "", "12:34": "", "12-34": "", "0a": "", "-5": "", "+5": "", "1_0": "",
		"0": "", "": "", "x": "",
	} {
		got := Mistaken(text)
		require.Equal(t, want == "", got == "", "%q: %s", text, got)
		require.True(t, strings.HasSuffix(got, want), "%q: %s", text, got)
	}
	_, err := Parse("serial", "12345678901234567") // no whole bytes
	require.ErrorContains(t, err, "this one would be 2b:dc:54:5d:6b:4b:87")
	_, err = Parse("serial", "0a1")
	require.ErrorContains(t, err, "is not a serial number")
	require.NotContains(t, err.Error(), "hexadecimal")
}

// A text of digits only may be a decimal or a hexadecimal number, and nobody says which.
func TestCandidatesAreAllThatATextMayMean(t *testing.T) {
	for text, want := range map[string][]string{
		"255": {"ff"}, "00255": {"ff"}, "65536": {"01-00-00"}, "0A:ff": {"0a-ff"},
		"deadbeef": {"de-ad-be-ef"},
		"17":       {"11", "17"}, "05": {"05"},
		"176716": {"02-b2-4c", "17-67-16"},
		"17:67":  {"17-67"},
		"":       nil, "-5": nil, "0": nil, "00": nil, "n/a": nil,
		strings.Repeat("9", 70):   {Key(nines(70))}, // of 35 bytes in hexadecimal
		strings.Repeat("9", 90):   nil,
		strings.Repeat("9", 1000): nil,
	} {
		require.Equal(t, want, Candidates(text), "%q", text)
	}
}

// nines returns the number of that many nines.
func nines(digits int) *big.Int {
	n, _ := new(big.Int).SetString(strings.Repeat("9", digits), 10)
	return n
}
