// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package sheet

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCellsAreShownAndNotRun(t *testing.T) {
	text, err := CSV([]string{"a", "b"}, [][]string{
		{"=1+1", "plain"}, {"@x", "a;b"}, {"+1", "-1"}, {"\tx", "say \"hi\", twice"}, {"", "*.x"},
	})
	require.NoError(t, err)
	require.Equal(t, "a,b\r\n'=1+1,plain\r\n'@x,\"a,b\"\r\n'+1,'-1\r\n"+
		"'\tx,\"say \"\"hi\"\", twice\"\r\n,*.x\r\n", string(text))
}
