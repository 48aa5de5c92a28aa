// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package fault

import (
	"regexp"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A refusal in CERTInext's words may name people, domains and contacts. The entries of orders,
// certificates and synchronizations keep those words, and policies guard them. A log goes to more
// places than an API (ADR 0046), so what is logged is what failed, with which status and code.

// withoutWords stands in a log line where CERTInext's words were.
const withoutWords = "its words are not logged"

// minWords is the length of what is looked for in a text that is not the answer's own: fewer bytes
// say nothing, and may stand anywhere.
const minWords = 4

// codeShape is that of CERTInext's codes, such as EMS-915, DOMAIN-002 and invalid_client. What else
// stands in a code's place is words.
var codeShape = regexp.MustCompile(`^(EMS-[A-Z0-9-]{1,20}|DOMAIN-[0-9]{1,9}|[a-z]+(_[a-z]+)+)$`)

// Logged returns the text of an error for a log line: without the words of CERTInext's answers, be
// they of an error that err wraps or joins. A nil error has none.
func Logged(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	for _, e := range answers(err) {
		if whole := e.Error(); strings.Contains(text, whole) {
			text = strings.ReplaceAll(text, whole, wordless(e))
			continue
		}
		for _, words := range wordsOf(e) { // who wraps it tells it otherwise
			if len(words) >= minWords {
				text = strings.ReplaceAll(text, words, withoutWords)
			}
		}
	}
	return text
}

// answers returns the failed calls to CERTInext that an error tells of, outer ones first.
func answers(err error) []*certinext.Error {
	var found []*certinext.Error
	if e, is := err.(*certinext.Error); is { //nolint:errorlint // each one of the tree is visited
		found = append(found, e)
	}
	switch wraps := err.(type) { //nolint:errorlint // likewise
	case interface{ Unwrap() error }:
		if inner := wraps.Unwrap(); inner != nil {
			found = append(found, answers(inner)...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range wraps.Unwrap() {
			found = append(found, answers(inner)...)
		}
	}
	return found
}

// wordless is the text of a failed call without CERTInext's words.
func wordless(e *certinext.Error) string {
	told := *e
	told.Fields, told.Diagnostics = nil, nil
	if len(wordsOf(e)) > 0 {
		told.Detail = withoutWords
	}
	if !codeShape.MatchString(told.Code) {
		told.Code = ""
	}
	return told.Error()
}

// wordsOf are the pieces of an answer that may be words.
func wordsOf(e *certinext.Error) (words []string) {
	all := []string{e.Detail}
	if !codeShape.MatchString(e.Code) {
		all = append(all, e.Code)
	}
	for _, f := range e.Fields {
		all = append(all, strings.TrimSpace(f.Field+" "+f.Message))
	}
	if e.Diagnostics != nil {
		all = append(all, e.Diagnostics.FailureClass)
	}
	for _, piece := range all {
		if piece != "" {
			words = append(words, piece)
		}
	}
	return words
}

// A quietError has the text of an error as it may be logged. Vault logs what a background pass
// returns.
type quietError struct{ err error }

// Error is [Logged] of the error.
func (e *quietError) Error() string { return Logged(e.err) }

// Unwrap returns the error as it was.
func (e *quietError) Unwrap() error { return e.err }

// Quiet returns an error for somebody else to log, with the text of [Logged]; nil for nil.
func Quiet(err error) error {
	if err == nil {
		return nil
	}
	return &quietError{err}
}
