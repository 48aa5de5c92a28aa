// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package sanitize makes texts of callers and of CERTInext fit to be shown: bounded, on one line, and
// without what a terminal or a log would obey.
package sanitize

import (
	"strings"
	"unicode"
)

// maxPart bounds one thing to copy from a message. A DNS name and a string of a TXT record are no
// longer.
const maxPart = 255

// Copyable reports whether a text can stand in a message as it is: short, and on one line.
func Copyable(s string) bool {
	return len(s) <= maxPart && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// Short is [Text] of 200 bytes: a name, a status, a reason.
func Short(s string) string { return Text(s, 200) }

// Text drops control characters, and cuts a text after so many bytes.
func Text(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0xfffd {
			return -1
		}
		return r
	}, s)
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// OneLine is [Short] without the characters that turn text around or hide it, for names of fields.
func OneLine(s string) string {
	return Short(strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, s))
}

// Error is the text of an error about a validation, which says more than others.
func Error(err error) string { return Text(err.Error(), 500) }
