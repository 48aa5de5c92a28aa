// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package graph

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// Read sets what root, a pointer, points to. After an error it is half set, and of no use. What a
// pointer in it already points to is set in its place, so that functions there stay.
func Read(text []byte, root any, codecs ...Codec) error {
	v := reflect.ValueOf(root).Elem()
	r := &reader{codecs: byType(codecs), made: make(map[int]reflect.Value)}
	var doc document
	if err := strict(v.Type().String(), text, &doc); err != nil {
		return err
	}
	r.objects = doc.Objects
	return r.value(v.Type().String(), doc.Root, v)
}

type reader struct {
	codecs  map[reflect.Type]Codec
	objects []json.RawMessage
	made    map[int]reflect.Value // pointers to objects that are read or under way
}

// strict reads one JSON value without members that dst has not.
func strict(path string, text []byte, dst any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(dst); err != nil {
		return wrong(path, "%v", err)
	}
	if dec.More() {
		return wrong(path, "something follows the value")
	}
	return nil
}

func isNull(text []byte) bool { return string(bytes.TrimSpace(text)) == "null" }

// value sets into, which is addressable.
func (r *reader) value(path string, text json.RawMessage, into reflect.Value) error {
	if codec, found := r.codecs[into.Type()]; found {
		if into.Kind() == reflect.Interface && isNull(text) {
			into.SetZero()
			return nil
		}
		var content []byte
		if err := strict(path, text, &content); err != nil {
			return err
		}
		if err := codec.read(content, into); err != nil {
			return wrong(path, "%v", err)
		}
		return nil
	}
	kind := into.Kind()
	nullable := kind == reflect.Pointer || kind == reflect.Map || kind == reflect.Slice
	if isNull(text) || len(text) == 0 {
		if !nullable {
			return wrong(path, "there is no value")
		}
		into.SetZero()
		return nil
	}
	switch kind {
	case reflect.Pointer:
		return r.pointer(path, text, into)
	case reflect.Struct:
		return r.structure(path, text, into)
	case reflect.Map:
		return r.pairs(path, text, into)
	case reflect.Slice, reflect.Array:
		return r.list(path, text, into)
	}
	return r.basic(path, text, into)
}

func (r *reader) basic(path string, text json.RawMessage, into reflect.Value) error {
	base := baseOf(into)
	if base == nil {
		return wrong(path, "%s cannot be read", into.Type())
	}
	if into.Kind() == reflect.String && text[0] == '{' {
		var raw struct {
			Bytes []byte `json:"bytes"`
		}
		err := strict(path, text, &raw)
		into.SetString(string(raw.Bytes))
		return err
	}
	held := reflect.New(base)
	if err := strict(path, text, held.Interface()); err != nil {
		return err
	}
	into.Set(held.Elem().Convert(into.Type()))
	return nil
}

// baseOf is the type behind a named one, which may read JSON in its own way.
func baseOf(v reflect.Value) reflect.Type {
	for _, base := range []any{
		"", false, int(0), int8(0), int16(0), int32(0), int64(0), uint(0), uint8(0), uint16(0),
		uint32(0), uint64(0), float32(0), float64(0),
	} {
		if t := reflect.TypeOf(base); t.Kind() == v.Kind() {
			return t
		}
	}
	return nil
}

func (r *reader) pointer(path string, text json.RawMessage, into reflect.Value) error {
	var number int
	if err := strict(path, text, &number); err != nil {
		return err
	}
	if number < 0 || number >= len(r.objects) {
		return wrong(path, "there is no object %d", number)
	}
	if made, known := r.made[number]; known {
		if made.Type() != into.Type() {
			return wrong(path, "object %d is a %s, not a %s", number, made.Type(), into.Type())
		}
		into.Set(made)
		return nil
	}
	if into.IsNil() {
		into.Set(reflect.New(into.Type().Elem()))
	}
	r.made[number] = addressable(into)
	return r.value(path, r.objects[number], into.Elem())
}

func (r *reader) structure(path string, text json.RawMessage, into reflect.Value) error {
	var fields map[string]json.RawMessage
	if err := strict(path, text, &fields); err != nil {
		return err
	}
	for i := range into.NumField() {
		f := into.Type().Field(i)
		if isSkipped(f) {
			continue
		}
		field, found := fields[f.Name]
		if !found {
			return wrong(path+"."+f.Name, "is missing: it was written by another version")
		}
		if err := r.value(path+"."+f.Name, field, fieldOf(into, i)); err != nil {
			return err
		}
		delete(fields, f.Name)
	}
	for name := range fields {
		return wrong(path+"."+name, "is not known: it was written by another version")
	}
	return nil
}

func (r *reader) pairs(path string, text json.RawMessage, into reflect.Value) error {
	var pairs [][2]json.RawMessage
	if err := strict(path, text, &pairs); err != nil {
		return err
	}
	into.Set(reflect.MakeMap(into.Type()))
	for _, pair := range pairs {
		key := reflect.New(into.Type().Key()).Elem()
		value := reflect.New(into.Type().Elem()).Elem()
		if err := r.value(path+"[key]", pair[0], key); err != nil {
			return err
		}
		if into.MapIndex(key).IsValid() {
			return wrong(path, "%s is there twice", pair[0])
		}
		if err := r.value(fmt.Sprintf("%s[%s]", path, pair[0]), pair[1], value); err != nil {
			return err
		}
		into.SetMapIndex(key, value)
	}
	return nil
}

func (r *reader) list(path string, text json.RawMessage, into reflect.Value) error {
	if into.Type().Elem().Kind() == reflect.Uint8 {
		return bytesInto(path, text, into)
	}
	var elements []json.RawMessage
	if err := strict(path, text, &elements); err != nil {
		return err
	}
	if into.Kind() == reflect.Array && into.Len() != len(elements) {
		return wrong(path, "has %d elements, and not %d", len(elements), into.Len())
	}
	if into.Kind() == reflect.Slice {
		into.Set(reflect.MakeSlice(into.Type(), len(elements), len(elements)))
	}
	for i, element := range elements {
		if err := r.value(fmt.Sprintf("%s[%d]", path, i), element, into.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func bytesInto(path string, text json.RawMessage, into reflect.Value) error {
	var content []byte
	if err := strict(path, text, &content); err != nil {
		return err
	}
	if into.Kind() == reflect.Array {
		if into.Len() != len(content) {
			return wrong(path, "has %d bytes, and not %d", len(content), into.Len())
		}
		reflect.Copy(into, reflect.ValueOf(content))
		return nil
	}
	into.SetBytes(content)
	return nil
}
