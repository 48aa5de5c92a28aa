// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"errors"
	"iter"
	"strings"
	"testing"

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

func TestReadPage(t *testing.T) {
	for name, c := range map[string]struct {
		letters string
		window  Window
		want    string
		next    string
		taken   int
		err     string
	}{
		"the first page": {
			letters: "abcdef", window: Window{Limit: 2}, want: "ab", next: "b", taken: 3,
		},
		"the page after": {
			letters: "abcdef", window: Window{After: "b", Limit: 2}, want: "cd", next: "d",
			taken: 5,
		},
		"the last page": {
			letters: "abcdef", window: Window{After: "d", Limit: 2}, want: "ef", taken: 6,
		},
		"nothing after the last row": {
			letters: "abc", window: Window{After: "c", Limit: 2}, want: "", taken: 3,
		},
		"a row that is gone": {
			letters: "abc", window: Window{After: "z", Limit: 2},
			err: `after: "z" is not in the list`, taken: 3,
		},
		"a row without an id is found by place": {
			letters: "a--b", window: Window{After: "#2", Limit: 1}, want: "-", next: "#3", taken: 4,
		},
		"an error": {
			letters: "abX", window: Window{Limit: 5}, err: "away", taken: 3,
		},
		"an error behind the page": {
			letters: "abX", window: Window{Limit: 1}, want: "a", next: "a", taken: 2,
		},
		"an error before the page": {
			letters: "aX", window: Window{After: "b", Limit: 1}, err: "away", taken: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			taken := 0
			p, err := ReadPage(counted(c.letters, &taken),
				func(l string) string { return strings.Trim(l, "-") }, c.window)
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

// TestPageAllEnds: a list that repeats rows is still walked to its end.
func TestPageAllEnds(t *testing.T) {
	list, got := strings.Split("abacadae--", ""), ""
	for w := (Window{Limit: 1}); ; {
		p, err := pageAll(list, func(l string) string { return strings.Trim(l, "-") }, w)
		require.NoError(t, err)
		require.Equal(t, 7, p.Total)
		got += strings.Join(p.Rows, "")
		if w.After = p.Next; p.Next == "" {
			break
		}
		require.Less(t, len(got), 20)
	}
	require.Equal(t, "abcde--", got)
	_, err := pageAll(list, strings.ToLower, Window{Limit: MaxRows + 1})
	require.ErrorContains(t, err, "limit:")
}

func TestRowID(t *testing.T) {
	require.Equal(t, "1/2", RowID("1", "2"))
	require.Equal(t, "/2", RowID("", "2"))
	require.Empty(t, RowID("", ""))
}
