// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package openapi

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// A Note says of a member what its Go type does not.
type Note struct {
	// About describes it, with its source.
	About string
	// Enum are the values that a string may have.
	Enum []string
	// Required is set for a member of a request that cannot be left out. Of an answer, the type
	// says so.
	Required bool
	// Schema takes the place of the one that the type has.
	Schema *Schema
}

// Notes are those of the members of a type, by their names in JSON; one of an object without a
// type of its own is called by its path, as in "orderDetails.orderNumber".
type Notes map[string]Note

// Types makes schemas of Go types, as encoding/json reads and writes them. A type that has a name
// becomes a component. Make one with [NewTypes].
type Types struct {
	// Components are the schemas so far, by their names.
	Components map[string]*Schema

	notes   map[reflect.Type]Notes
	given   map[reflect.Type]*Schema
	name    func(goName string) string
	spoken  map[string]reflect.Type // which type a component is of
	applied map[reflect.Type]map[string]bool
}

// NewTypes makes a Types that knows notes on members, and the schemas of the types that have JSON
// forms of their own. A component is called by what name makes of its type's name.
func NewTypes(
	notes map[reflect.Type]Notes, given map[reflect.Type]*Schema, name func(string) string,
) *Types {
	return &Types{
		Components: make(map[string]*Schema), notes: notes, given: given, name: name,
		spoken: make(map[string]reflect.Type), applied: make(map[reflect.Type]map[string]bool),
	}
}

// A direction is that of a message. In a request every member may be absent that no note requires;
// in an answer every member is there that has no omitempty.
type direction int

const (
	request direction = iota
	answer
)

// Request is the schema of a value that is read into v's type.
func (t *Types) Request(v any) *Schema { return t.of(reflect.TypeOf(v), request, place{}) }

// Answer is the schema of a value that is written from v's type.
func (t *Types) Answer(v any) *Schema { return t.of(reflect.TypeOf(v), answer, place{}) }

// RequestObject is Request for a struct, without a component of its own, to be added to.
func (t *Types) RequestObject(v any) *Schema {
	typ := reflect.TypeOf(v)
	return t.object(typ, request, place{owner: typ})
}

// Name makes a component of a schema, and returns a reference to it.
func (t *Types) Name(name string, s *Schema) *Schema {
	t.Components[name] = s
	return Ref(name)
}

// A place is where a member without a named type is: in whose notes, and below which path.
type place struct {
	owner reflect.Type
	path  string
}

func (t *Types) of(typ reflect.Type, d direction, at place) *Schema {
	if s := t.given[typ]; s != nil {
		return s
	}
	switch typ.Kind() {
	case reflect.Pointer:
		return t.of(typ.Elem(), d, at)
	case reflect.Interface:
		return &Schema{}
	case reflect.String:
		return Text()
	case reflect.Bool:
		return &Schema{Type: "boolean"}
	case reflect.Int, reflect.Int64:
		return Number()
	case reflect.Float64:
		return &Schema{Type: "number"}
	case reflect.Slice:
		return List(t.of(typ.Elem(), d, at))
	case reflect.Map:
		return &Schema{Type: "object", Others: t.of(typ.Elem(), d, at)}
	case reflect.Struct:
		if typ.Name() == "" {
			return t.object(typ, d, at)
		}
		return t.component(typ, d)
	default:
		panic(fmt.Sprintf("openapi: no schema for %s", typ))
	}
}

// component is a reference to the schema of a named type. One that is read has another name than
// one that is written, since they differ in what may be left out.
func (t *Types) component(typ reflect.Type, d direction) *Schema {
	name := t.name(typ.Name())
	if d == request {
		name += "Input"
	}
	if other, taken := t.spoken[name]; taken && other != typ {
		panic(fmt.Sprintf("openapi: %s and %s would both be %s", other, typ, name))
	}
	if t.Components[name] == nil {
		t.spoken[name] = typ
		t.Components[name] = &Schema{} // a type may hold itself
		*t.Components[name] = *t.object(typ, d, place{owner: typ})
	}
	return Ref(name)
}

func (t *Types) object(typ reflect.Type, d direction, at place) *Schema {
	s := &Schema{Type: "object", Properties: make(map[string]*Schema)}
	for _, field := range reflect.VisibleFields(typ) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous || name == "" || name == "-" {
			continue
		}
		optional := strings.Contains(options, "omit")
		here := at
		if n := len(field.Index); n > 1 {
			here = place{owner: typ.FieldByIndex(field.Index[:n-1]).Type}
		}
		note := t.note(here, name)
		s.Properties[name] = t.member(field.Type, d, below(here, name), note, optional)
		if note.Required || (d == answer && !optional) {
			s.Required = append(s.Required, name)
		}
	}
	slices.Sort(s.Required)
	return s
}

// member is the schema of a field. A pointer, a map or a list that is written whatever it holds
// may be null; of lists that is left to notes, since few of them are.
func (t *Types) member(
	typ reflect.Type, d direction, at place, note Note, optional bool,
) *Schema {
	s := note.Schema
	if s == nil {
		s = t.of(typ, d, at)
	}
	if note.Enum != nil {
		s = s.among(note.Enum)
	}
	nullable := typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Map
	if nullable && d == answer && !optional {
		s = t.orNull(s)
	}
	return s.Saying(note.About)
}

// orNull is the schema of a value that may also be null. That has to be said beside the type, so
// that of a component it is said there.
func (t *Types) orNull(s *Schema) *Schema {
	if name, isRef := strings.CutPrefix(s.Ref, refPrefix); isRef {
		t.Components[name].Nullable = true
		return s
	}
	nullable := *s
	nullable.Nullable = true
	return &nullable
}

// among restricts a string, or the strings of a list.
func (s *Schema) among(values []string) *Schema {
	if s.Type == "array" {
		return List(s.Items.among(values))
	}
	return OneOf(values...)
}

func below(at place, name string) place {
	return place{owner: at.owner, path: at.path + name + "."}
}

func (t *Types) note(at place, name string) Note {
	note, ok := t.notes[at.owner][at.path+name]
	if ok {
		if t.applied[at.owner] == nil {
			t.applied[at.owner] = make(map[string]bool)
		}
		t.applied[at.owner][at.path+name] = true
	}
	return note
}

// Unused are the notes on members that were not met, as "Type.member": they are misspelt, or of
// what is no longer there.
func (t *Types) Unused() []string {
	var unused []string
	for typ, notes := range t.notes {
		for name := range notes {
			if !t.applied[typ][name] {
				unused = append(unused, typ.Name()+"."+name)
			}
		}
	}
	slices.Sort(unused)
	return unused
}
