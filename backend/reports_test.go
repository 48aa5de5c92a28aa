// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

func TestSnakeCase(t *testing.T) {
	for name, want := range map[string]string{
		"groupNumber": "group_number", "categoryID": "category_id", "amount": "amount",
		"a1B": "a1_b", "USD": "usd", "already_so": "already_so",
	} {
		require.Equal(t, want, snakeCase(name))
	}
}

// FuzzSanitizeObject checks that the ledger shows JSON whatever CERTInext returns: each text is one
// printable line, and depth and width are bounded.
func FuzzSanitizeObject(f *testing.F) {
	wide := `{"list":[` + strings.Repeat("1,", 200) + `1]`
	for i := range 200 {
		wide += fmt.Sprintf(`,"f%d":1`, i)
	}
	for _, s := range []string{
		wide + "}", `{}`, `{"aB":1,"a_b":2,"A_B":3}`, `{"x":[[[[[[1]]]]]]}`,
		`{"n":1e400,"s":"\u202e\u0000\ufffd","b":[true,null]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var row map[string]any
		if d.Decode(&row) != nil {
			return
		}
		out := sanitizeObject(row, 0)
		_, err := json.Marshal(out)
		require.NoError(t, err)
		requireSane(t, out, 0)
	})
}

func requireSane(t *testing.T, v any, depth int) {
	t.Helper()
	require.LessOrEqual(t, depth, maxDepth+1)
	switch v := v.(type) {
	case string:
		require.LessOrEqual(t, len(v), 203)
		unprintable := func(r rune) bool {
			return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
		}
		require.False(t, strings.ContainsFunc(v, unprintable), "%q", v)
	case map[string]any:
		require.LessOrEqual(t, len(v), maxFields)
		for name, x := range v {
			requireSane(t, name, depth)
			requireSane(t, x, depth+1)
		}
	case []any:
		require.LessOrEqual(t, len(v), maxFields)
		for _, x := range v {
			requireSane(t, x, depth+1)
		}
	}
}
