// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package exact

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// value compares a value with the type that is to hold it.
func (r *reader) value(v part, t reflect.Type, path string) {
	if string(v.raw) == "null" {
		r.refuse(path, v.at, "must be "+wants(t)+", not null: leave it out instead")
		return
	}
	if isWhole(t) {
		r.whole(v, t, path)
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		r.value(v, t.Elem(), path)
	case reflect.Struct:
		r.members(v, path, func(m member) {
			r.field(m, t, path)
		})
	case reflect.Map:
		r.members(v, path, func(m member) {
			r.value(m.part, t.Elem(), below(path, m.name))
		})
	case reflect.Slice:
		r.elements(v, path, func(i int, element part) {
			r.value(element, t.Elem(), fmt.Sprintf("%s[%d]", path, i))
		})
	default:
		r.whole(v, t, path)
	}
}

// mostProblems are told of; a text with more of them is of another kind altogether.
const mostProblems = 20

// A member is one of an object.
type member struct {
	part
	name   string
	nameAt int
}

// members has each member of an object looked at that was not there before.
func (r *reader) members(object part, path string, look func(member)) {
	dec := json.NewDecoder(bytes.NewReader(object.raw))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		r.refuse(path, object.at, "must be an object")
		return
	}
	seen := make(map[string]bool)
	for dec.More() && len(r.problems) < mostProblems {
		var m member
		token, err := dec.Token()
		m.nameAt = object.at + int(dec.InputOffset())
		if err == nil {
			err = dec.Decode(&m.raw)
		}
		if err != nil { // cannot be: the whole is JSON
			r.refuse(path, object.at, "is no JSON: "+told(err))
			return
		}
		m.at = object.at + int(dec.InputOffset()) - len(m.raw)
		m.name = fmt.Sprint(token)
		if seen[m.name] {
			r.refuse(below(path, m.name), m.nameAt, "is there twice: leave one out")
			continue
		}
		seen[m.name] = true
		look(m)
	}
}

// elements has each element of a list looked at.
func (r *reader) elements(list part, path string, look func(int, part)) {
	dec := json.NewDecoder(bytes.NewReader(list.raw))
	if first, err := dec.Token(); err != nil || first != json.Delim('[') {
		r.refuse(path, list.at, "must be a list")
		return
	}
	for i := 0; dec.More() && len(r.problems) < mostProblems; i++ {
		var element part
		if err := dec.Decode(&element.raw); err != nil { // cannot be: the whole is JSON
			r.refuse(path, list.at, "is no JSON: "+told(err))
			return
		}
		element.at = list.at + int(dec.InputOffset()) - len(element.raw)
		look(i, element)
	}
}

// field compares a member with the field that it is for.
func (r *reader) field(m member, of reflect.Type, path string) {
	var names []string
	for f := range of.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == m.name {
			r.value(m.part, f.Type, below(path, name))
			return
		}
		names = append(names, name)
	}
	problem := "is no member: "
	if nearest := phrase.Nearest(m.name, names); nearest != "" {
		problem += "did you mean " + nearest + "?"
	} else {
		problem += "there may be " + phrase.And(names...)
	}
	r.refuse(below(path, m.name), m.nameAt, problem)
}

// whole has a value read that is not looked into.
func (r *reader) whole(v part, t reflect.Type, path string) {
	err := json.Unmarshal(v.raw, reflect.New(t).Interface())
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
	case errors.As(err, &kind):
		r.refuse(path, v.at, "must be "+wants(t))
	default:
		r.refuse(path, v.at, told(err))
	}
}

// isWhole tells whether values of a type are read as a whole: by the type itself, or by whoever
// gets them.
func isWhole(t reflect.Type) bool {
	to := reflect.PointerTo(t)
	return t.Kind() == reflect.Interface || isBytes(t) ||
		to.Implements(reflect.TypeFor[json.Unmarshaler]()) ||
		to.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// isBytes tells whether a type is a json.RawMessage, or another string of bytes.
func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

// wants says what a value of a type looks like.
func wants(t reflect.Type) string {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return "a text"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wants(t.Elem())
	case reflect.Interface:
		return "a value"
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		if isBytes(t) {
			return "a value"
		}
		return "a list"
	}
	return "an object"
}

// plainName is a name that an error can repeat as it is.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_$-]{1,60}$`)

// below is the path of a member.
func below(path, name string) string {
	if !plainName.MatchString(name) {
		name = fmt.Sprintf("%.60q", name)
	}
	return strings.TrimPrefix(path+"."+name, ".")
}
