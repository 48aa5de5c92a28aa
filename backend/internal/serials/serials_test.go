// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package serials

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSerialsReadInEveryForm(t *testing.T) {
	for in, want := range map[string]string{
		"0A:1B:2C": "0a-1b-2c", "0a-1b-2c": "0a-1b-2c", "0a1b2c": "0a-1b-2c",
		" 0a:1b:2c ": "0a-1b-2c",
		"00:0a:1b":   "0a-1b", "": "", "xyz": "", "0a1": "", "../config": "",
	} {
		got, err := Parse("serial", in)
		require.Equal(t, want, got, "%q", in)
		require.Equal(t, want == "", err != nil, "%q", in)
	}
	require.Equal(t, "01-00", Key(big.NewInt(256)))
}
