// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/exact"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// Load sets what a JSON object names, all of it or nothing. It returns an [Error] for each member
// that there is not, is there twice, or has a value that the setting does not take, all of them
// joined, and another error for what is no JSON object.
func (l List) Load(object []byte) error {
	members, err := membersOf(object)
	if err != nil {
		return err
	}
	before := l.Saved()
	var problems []error
	seen := make(map[string]bool)
	for _, m := range members {
		switch {
		case seen[m.name]:
			problems = append(problems, &Error{m.name, short(m.value), "is there twice"})
		default:
			problems = append(problems, l.loadMember(m))
		}
		seen[m.name] = true
	}
	if err := errors.Join(append(problems, l.Check())...); err != nil {
		l.Restore(before)
		return err
	}
	return nil
}

// A member is a name and a value of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// membersOf takes an object apart, keeping what is there twice.
func membersOf(object []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(object))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return nil, fmt.Errorf("settings are not a JSON object: %w", orSyntax(err))
	}
	var members []member
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("settings are not JSON: %w", err)
		}
		m := member{name: fmt.Sprint(name)}
		if err := dec.Decode(&m.value); err != nil {
			return nil, fmt.Errorf("settings are not JSON at %q: %w", m.name, err)
		}
		members = append(members, m)
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("settings are not JSON: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("settings are not JSON: something follows the object")
	}
	return members, nil
}

// orSyntax names what the decoder has not found fault with: a value that is no object.
func orSyntax(err error) error {
	if err == nil {
		return errors.New("it begins otherwise than with {")
	}
	return err
}

func (l List) loadMember(m member) error {
	for _, s := range l {
		if s.Name == m.name {
			return s.load(m.value)
		}
	}
	names := make([]string, len(l))
	for i, s := range l {
		names[i] = s.Name
	}
	problem := "is no setting"
	if nearest := phrase.Nearest(m.name, names); nearest != "" {
		problem += "; did you mean " + nearest + "?"
	}
	return &Error{m.name, short(m.value), problem}
}

// load sets the field from JSON. null sets nothing, and is refused.
func (s Setting) load(value json.RawMessage) error {
	refused := func(problem string) error { return &Error{s.Name, short(value), problem} }
	if string(value) == "null" {
		return refused("must be " + s.wants())
	}
	switch s.Field.(type) {
	case *time.Duration, text:
		var given string
		if json.Unmarshal(value, &given) != nil {
			return refused("must be " + s.wants())
		}
		if problem := s.parse(given); problem != "" {
			return refused(problem)
		}
		return nil
	default:
		fresh := reflect.New(reflect.TypeOf(s.Field).Elem())
		if err := exact.Unmarshal(value, fresh.Interface()); err != nil {
			return refused("must be " + s.wants() + detail(err))
		}
		reflect.ValueOf(s.Field).Elem().Set(fresh.Elem())
	}
	if problem := s.meansNothing(); problem != "" {
		return refused(problem)
	}
	return nil
}

// detail is where in a value of several parts something is wrong, and what. Of a value of one part
// there is no more to say than what is wanted.
func detail(err error) string {
	var first *exact.Error
	if errors.As(err, &first) && first.Path == "" {
		return ""
	}
	return " (" + exact.Told(err) + ")"
}

// short is the beginning of a value, as an error repeats it.
func short(value json.RawMessage) string {
	const most = 60
	if len(value) > most {
		return string(value[:most]) + "..."
	}
	return string(value)
}

// MarshalJSON writes the values as an object that [List.Load] reads. A structure that is not set is
// left out.
func (l List) MarshalJSON() ([]byte, error) {
	members := make([][]byte, 0, len(l))
	for _, s := range l {
		value := s.value()
		if !s.IsText() && reflect.ValueOf(value).IsZero() {
			continue
		}
		if d, isDuration := value.(time.Duration); isDuration {
			value = d.String()
		}
		if list, isList := value.([]string); isList && list == nil {
			value = []string{}
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		members = append(members, fmt.Appendf(nil, "%q:%s", s.Name, text))
	}
	return fmt.Appendf(nil, "{%s}", bytes.Join(members, []byte(","))), nil
}
