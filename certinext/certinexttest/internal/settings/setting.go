// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package settings

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

// A Setting is a field with a name.
type Setting struct {
	// Name is its name in JSON, such as issueDelay. As a flag it is -issue-delay.
	Name string
	// Help says in a phrase what it is. A word in backquotes names the value, as in package flag.
	Help string
	// Source is where it is known from that the service behaves like this or differently; "" for
	// what is no behaviour of the service.
	Source string
	// Field points to the value: a string, bool, int, float64, time.Duration, []string, a type with
	// MarshalText and UnmarshalText, or anything that JSON can hold.
	Field any
	// Zero is what the field's zero value stands for, nil if for itself. A zero that stands for
	// something else cannot be set by name.
	Zero any
	// Fixed is set for what is read once, at the start.
	Fixed bool
	// Names are the values of a type that is text to others, where these are a closed list.
	Names []string
	// Like says what a value looks like, where neither the type nor Names say it.
	Like string
	// Wrong, if set, says what is wrong with the value, "" for nothing. Without it numbers and
	// durations must not be negative.
	Wrong func() string
}

// An Error is a value that a setting does not take.
type Error struct {
	// Name is the setting's name in JSON, Value the value as it was given or is.
	Name, Value string
	// Problem says what is wrong with it and what is allowed.
	Problem string
}

// Error names the setting.
func (e *Error) Error() string { return fmt.Sprintf("%s %s: %s", e.Name, e.Value, e.Problem) }

// Flag is the name in the style of a command line: issue-delay for issueDelay, pem-lag for pemLag,
// token-ttl for tokenTTL.
func (s Setting) Flag() string { return kebab(s.Name) }

// Flag is the name of the setting as a flag.
func (e *Error) Flag() string { return kebab(e.Name) }

func kebab(name string) string {
	var out strings.Builder
	letters := []rune(name)
	for i, r := range letters {
		begins := unicode.IsUpper(r) && i > 0 && (!unicode.IsUpper(letters[i-1]) ||
			(i+1 < len(letters) && unicode.IsLower(letters[i+1])))
		if begins {
			out.WriteByte('-')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

// IsText tells whether the value can be written as one text, as a flag needs it.
func (s Setting) IsText() bool {
	switch s.Field.(type) {
	case *string, *bool, *int, *float64, *time.Duration, *[]string, text:
		return true
	}
	return false
}

// value is what the field stands for.
func (s Setting) value() any {
	v := reflect.ValueOf(s.Field).Elem()
	if s.Zero != nil && v.IsZero() {
		return s.Zero
	}
	return v.Interface()
}

// problem says what is wrong with the value that the field has; it is empty for nothing.
func (s Setting) problem() string {
	if list, isList := s.Field.(*[]string); isList && slices.Contains(*list, "") {
		return "must have no empty element: leave it out"
	}
	if s.Names != nil && s.isUnnamed() {
		return "must be " + s.wants()
	}
	if s.Wrong != nil {
		return s.Wrong()
	}
	below := false
	switch v := s.Field.(type) {
	case *int:
		below = *v < 0
	case *float64:
		below = !(*v >= 0) // so is what is no number
	case *time.Duration:
		below = *v < 0
	}
	if below {
		return "must not be negative"
	}
	return ""
}

// isUnnamed tells that the value is none of those that have a name, as a Go program can set it.
func (s Setting) isUnnamed() bool {
	v, isText := s.value().(encoding.TextMarshaler)
	if !isText {
		return false
	}
	name, err := v.MarshalText()
	return err != nil || !slices.Contains(s.Names, string(name))
}

// meansNothing says that a value which was set by name is the zero that stands for another.
func (s Setting) meansNothing() string {
	switch {
	case s.Zero == nil || !reflect.ValueOf(s.Field).Elem().IsZero():
		return ""
	case reflect.TypeOf(s.Zero).Kind() == reflect.String:
		return "must not be empty"
	default:
		return "must be more than 0"
	}
}
