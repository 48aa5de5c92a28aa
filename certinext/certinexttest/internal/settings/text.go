// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package settings

import (
	"encoding"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// text is a type that is text to others.
type text interface {
	encoding.TextMarshaler
	encoding.TextUnmarshaler
}

// parse sets the field from a command line's text, and says what is wrong with that; it is empty
// for nothing.
func (s Setting) parse(given string) (problem string) {
	var err error
	switch v := s.Field.(type) {
	case *string:
		*v = given
	case *[]string:
		*v = split(given)
	case *bool:
		*v, err = strconv.ParseBool(given)
	case *int:
		*v, err = strconv.Atoi(given)
	case *float64:
		*v, err = strconv.ParseFloat(given, 64)
	case *time.Duration:
		*v, err = time.ParseDuration(given)
	case text:
		err = v.UnmarshalText([]byte(given))
	}
	if err != nil {
		return "must be " + s.wants()
	}
	return s.meansNothing()
}

// split reads values that commas separate. One that is empty stays, to be refused; nothing at all
// is no values.
func split(given string) []string {
	values := []string{}
	if strings.TrimSpace(given) == "" {
		return values
	}
	for part := range strings.SplitSeq(given, ",") {
		values = append(values, strings.TrimSpace(part))
	}
	return values
}

// wants says what the values look like.
func (s Setting) wants() string {
	if s.Like != "" {
		return s.Like
	}
	switch s.Field.(type) {
	case *string:
		return "text"
	case *[]string:
		return "a list of texts"
	case *bool:
		return "true or false"
	case *int:
		return "a whole number"
	case *float64:
		return "a number"
	case *time.Duration:
		return "a duration, such as 1m30s"
	case text:
		return "one of " + strings.Join(s.Names, ", ")
	}
	return "as the schema says"
}

// written is the value as the command line spells it.
func (s Setting) written() string {
	switch v := s.value().(type) {
	case []string:
		return strings.Join(v, ",")
	case encoding.TextMarshaler:
		name, err := v.MarshalText()
		if err != nil {
			return err.Error()
		}
		return string(name)
	case string, bool, int, float64, time.Duration:
		return fmt.Sprint(v)
	default:
		object, err := json.Marshal(v)
		if err != nil {
			return err.Error()
		}
		return string(object)
	}
}
