// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package phrase writes lists and guesses as people do, for messages. It knows English, and nothing
// of what the messages are about.
package phrase

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Or lists alternatives: "a", "a or b", "a, b or c". It is empty for none.
func Or[T any](items ...T) string { return list("or", items) }

// And lists what belongs together: "a", "a and b", "a, b and c". It is empty for none.
func And[T any](items ...T) string { return list("and", items) }

func list[T any](word string, items []T) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = fmt.Sprint(item)
	}
	if len(texts) < 2 {
		return strings.Join(texts, "")
	}
	last := len(texts) - 1
	return strings.Join(texts[:last], ", ") + " " + word + " " + texts[last]
}

// longestShown bounds a word that somebody has sent, in bytes.
const longestShown = 60

// Shown returns a word that somebody has sent for a message: printable, and cut when it is long. A
// private key that was put into the wrong place is not shown at all.
func Shown(word string) string {
	if strings.Contains(word, "PRIVATE KEY") {
		return "…"
	}
	word = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, word)
	if len(word) > longestShown {
		return strings.ToValidUTF8(word[:longestShown], "") + "…"
	}
	return word
}

// Nearest returns the one of the known words that a misspelt one most likely stands for; it is
// empty when none is near. Of several that are as near, it is the first in the alphabet.
func Nearest(misspelt string, known []string) string {
	best, distance := "", 1+min(3, len(misspelt)/3)
	for _, word := range slices.Sorted(slices.Values(known)) {
		d := edits(fold(misspelt), fold(word))
		if d < distance {
			best, distance = word, d
		}
	}
	return best
}

// fold leaves of a word what people remember of it.
func fold(word string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(word))
}

// edits returns how many letters have to be added, removed, replaced, or swapped with their
// neighbours to turn a into b (optimal string alignment).
func edits(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
