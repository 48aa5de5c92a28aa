// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// counted yields letters and counts how many were taken. An X is an error.
func counted(letters string, taken *int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, l := range strings.Split(letters, "") {
			*taken++
			if l == "X" {
				yield("", errAway)
				return
			}
			if !yield(l, nil) {
				return
			}
		}
	}
}

var errAway = errors.New("away")

func TestTurn(t *testing.T) {
	for name, c := range map[string]struct {
		letters string
		window  Window
		want    string
		next    string
		taken   int
		err     string
	}{
		"the first page":                        {letters: "abcdef", window: Window{Limit: 2}, want: "ab", next: "b", taken: 3},
		"the page after":                        {letters: "abcdef", window: Window{After: "b", Limit: 2}, want: "cd", next: "d", taken: 5},
		"the last page":                         {letters: "abcdef", window: Window{After: "d", Limit: 2}, want: "ef", taken: 6},
		"nothing after the last row":            {letters: "abc", window: Window{After: "c", Limit: 2}, want: "", taken: 3},
		"a row that is gone":                    {letters: "abc", window: Window{After: "z", Limit: 2}, err: `after: "z" is not in the list`, taken: 3},
		"a row without an id is found by place": {letters: "a--b", window: Window{After: "#2", Limit: 1}, want: "-", next: "#3", taken: 4},
		"an error":                              {letters: "abX", window: Window{Limit: 5}, err: "away", taken: 3},
		"an error that nobody came to":          {letters: "abX", window: Window{Limit: 1}, want: "a", next: "a", taken: 2},
		"an error before the page":              {letters: "aX", window: Window{After: "b", Limit: 1}, err: "away", taken: 2},
	} {
		t.Run(name, func(t *testing.T) {
			taken := 0
			p, err := turn(counted(c.letters, &taken), func(l string) string { return strings.Trim(l, "-") }, c.window)
			require.Equal(t, c.taken, taken)
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, strings.Join(p.Rows, ""))
			require.NotNil(t, p.Rows)
			require.Equal(t, c.next, p.Next)
			require.Equal(t, -1, p.Total)
		})
	}
}

// TestTurnAllEnds: a list that repeats rows is still walked to its end.
func TestTurnAllEnds(t *testing.T) {
	list, got := strings.Split("abacadae--", ""), ""
	for w := (Window{Limit: 1}); ; {
		p, err := turnAll(list, func(l string) string { return strings.Trim(l, "-") }, w)
		require.NoError(t, err)
		require.Equal(t, 7, p.Total)
		got += strings.Join(p.Rows, "")
		if w.After = p.Next; p.Next == "" {
			break
		}
		require.Less(t, len(got), 20)
	}
	require.Equal(t, "abcde--", got)
	_, err := turnAll(list, strings.ToLower, Window{Limit: MaxRows + 1})
	require.ErrorContains(t, err, "limit:")
}

func TestRowID(t *testing.T) {
	require.Equal(t, "1/2", rowID("1", "2"))
	require.Equal(t, "/2", rowID("", "2"))
	require.Empty(t, rowID("", ""))
}

func TestReportedSerial(t *testing.T) {
	for text, want := range map[string]string{
		"255": "ff", "00255": "ff", "65536": "01-00-00", "0A:ff": "0a-ff", "deadbeef": "de-ad-be-ef", "": "", "-5": "", "0": "",
		"n/a": "", strings.Repeat("9", 1000): "",
	} {
		require.Equal(t, want, reportedSerial(text), text)
	}
}

func TestSnakeCase(t *testing.T) {
	for name, want := range map[string]string{
		"groupNumber": "group_number", "categoryID": "category_id", "amount": "amount", "a1B": "a1_b", "USD": "usd", "already_so": "already_so",
	} {
		require.Equal(t, want, snakeCase(name))
	}
}

// FuzzTidy: whatever CERTInext calls a movement, what is told of it is JSON of one printable line for each text, no deeper and no
// wider than the bounds.
func FuzzTidy(f *testing.F) {
	wide := `{"list":[` + strings.Repeat("1,", 200) + `1]`
	for i := range 200 {
		wide += fmt.Sprintf(`,"f%d":1`, i)
	}
	for _, s := range []string{wide + "}", `{}`, `{"aB":1,"a_b":2,"A_B":3}`, `{"x":[[[[[[1]]]]]]}`, `{"n":1e400,"s":"\u202e\u0000\ufffd","b":[true,null]}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		var row map[string]any
		if d.Decode(&row) != nil {
			return
		}
		out := tidyObject(row, 0)
		_, err := json.Marshal(out)
		require.NoError(t, err)
		requireTidy(t, out, 0)
	})
}

func requireTidy(t *testing.T, v any, depth int) {
	t.Helper()
	require.LessOrEqual(t, depth, maxDepth+1)
	switch v := v.(type) {
	case string:
		require.LessOrEqual(t, len(v), 203)
		require.False(t, strings.ContainsFunc(v, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }), "%q", v)
	case map[string]any:
		require.LessOrEqual(t, len(v), maxFields)
		for name, x := range v {
			requireTidy(t, name, depth)
			requireTidy(t, x, depth+1)
		}
	case []any:
		require.LessOrEqual(t, len(v), maxFields)
		for _, x := range v {
			requireTidy(t, x, depth+1)
		}
	}
}
