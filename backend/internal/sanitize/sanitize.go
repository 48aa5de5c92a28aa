// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package sanitize prepares texts of callers and of CERTInext for messages and logs: bounded, and
// without control characters, which a terminal or a log would interpret.
package sanitize

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
)

// maxPart bounds a value that a reader copies out of a message. DNS names and strings of TXT
// records are no longer.
const maxPart = 255

// Copyable reports whether a message can quote s unchanged: at most 255 bytes of printable ASCII.
func Copyable(s string) bool {
	special := func(r rune) bool { return r < ' ' || r > '~' }
	return len(s) <= maxPart && !strings.ContainsFunc(s, special)
}

// Short is [Text] with at most 200 bytes, for names, statuses and reasons.
func Short(s string) string { return Text(s, 200) }

// Text drops from s what a terminal would act upon, or would show otherwise than it is, and cuts it
// after limit bytes, marked by an ellipsis. A private key that somebody has put into the wrong
// field is not shown at all.
func Text(s string, limit int) string {
	if strings.Contains(s, "PRIVATE KEY") {
		return "…"
	}
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || isUnseen(r) {
			return -1
		}
		return r
	}, s)
	if len(s) > limit {
		return strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}

// OneLine is [Short] with a space for every character that hides text, reverses it or breaks the
// line. Values of unknown shape, such as those of the account's ledger, are shown through it.
func OneLine(s string) string {
	return Short(strings.Map(func(r rune) rune {
		if isUnseen(r) {
			return ' '
		}
		return r
	}, s))
}

// isUnseen reports whether a character hides text, reverses it, breaks the line or controls the
// terminal.
func isUnseen(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp)
}

// Error is the text of an error of a DNS host or of CERTInext, with at most 500 bytes.
func Error(err error) string { return Text(err.Error(), 500) }

// Subject returns the requester of an order as people read it: entity:<id>, or a hash for a token
// without an entity. By its accessor, a token can be revoked, so that is not shown.
func Subject(requester string) string {
	kind, name, named := strings.Cut(requester, ":")
	if !named || kind == "entity" {
		return requester
	}
	sum := sha256.Sum256([]byte(name))
	return "token-" + hex.EncodeToString(sum[:6])
}

// maxEnumerated is the largest number of elements that [Enumerate] names.
const maxEnumerated = 20

// Enumerate joins a list for a message, and only counts the elements beyond [maxEnumerated].
func Enumerate(list []string) string {
	if len(list) <= maxEnumerated {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:maxEnumerated], ", "),
		len(list)-maxEnumerated)
}
