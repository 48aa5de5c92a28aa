// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package exact

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// An Error is one thing that is wrong with a JSON text.
type Error struct {
	// Path is where: server.catalog[0].code, and "" for the whole.
	Path string
	// Line is the line of the member's name or of the element, from 1 on; 0 in a text of one line.
	Line int
	// Problem says what is wrong, and what is allowed.
	Problem string
}

// Error names line and path, as far as there are any.
func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d: %s", e.Line, e.told())
	}
	return e.told()
}

// told is the error without its line.
func (e *Error) told() string {
	if e.Path != "" {
		return e.Path + " " + e.Problem
	}
	return e.Problem
}

// Told are the problems of an error of [Unmarshal] in one line, without the numbers of their lines,
// which count within the text that was given.
func Told(err error) string {
	var all []string
	if joined, isJoined := err.(interface{ Unwrap() []error }); isJoined {
		for _, one := range joined.Unwrap() {
			all = append(all, Told(one))
		}
		return strings.Join(all, "; ")
	}
	var one *Error
	if errors.As(err, &one) {
		return one.told()
	}
	return err.Error()
}

// Unmarshal stores a JSON text of one value in what dst points to, or else returns an [Error] for
// each thing that is wrong with it, all of them joined; dst is then not changed.
//
// Structs are compared member by member, also in slices, maps and pointers. What a type with an
// UnmarshalJSON or UnmarshalText reads, is its own affair, and so is what a json.RawMessage or an
// any holds, apart from its being null.
func Unmarshal(text []byte, dst any) error {
	r := &reader{text: text}
	if value, ok := r.only(); ok {
		r.value(value, reflect.TypeOf(dst).Elem(), "")
	}
	if len(r.problems) > 0 {
		return errors.Join(r.problems...)
	}
	fresh := reflect.New(reflect.TypeOf(dst).Elem())
	if err := json.Unmarshal(text, fresh.Interface()); err != nil {
		return &Error{Problem: "does not fit: " + told(err)}
	}
	reflect.ValueOf(dst).Elem().Set(fresh.Elem())
	return nil
}

// A reader compares a text with a type.
type reader struct {
	text     []byte
	problems []error
}

// A part is a value in the text.
type part struct {
	raw json.RawMessage
	at  int // where it begins
}

// only is the one value of the text.
func (r *reader) only() (part, bool) {
	if !utf8.Valid(r.text) {
		r.refuse("", invalidAt(r.text), "is no UTF-8")
		return part{}, false
	}
	dec := json.NewDecoder(bytes.NewReader(r.text))
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		at := len(r.text)
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at = int(syntax.Offset)
		}
		r.refuse("", at, "is no JSON: "+told(err))
		return part{}, false
	}
	end := int(dec.InputOffset())
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		r.refuse("", end, "has something that follows the value")
		return part{}, false
	}
	return part{raw, end - len(raw)}, true
}

// refuse notes a problem at an offset.
func (r *reader) refuse(path string, at int, problem string) {
	e := &Error{Path: path, Problem: problem}
	if bytes.Contains(bytes.TrimSpace(r.text), []byte("\n")) {
		e.Line = 1 + bytes.Count(r.text[:min(at, len(r.text))], []byte("\n"))
	}
	r.problems = append(r.problems, e)
}

func invalidAt(text []byte) int {
	for i := 0; i < len(text); {
		letter, size := utf8.DecodeRune(text[i:])
		if letter == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(text)
}

// told is what encoding/json says, in words of the text and not of Go.
func told(err error) string {
	var kind *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends too early"
	case errors.As(err, &kind):
		return fmt.Sprintf("a %s is in the place of a %s", kind.Value, kind.Type.Kind())
	}
	return err.Error()
}
