// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package graph

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"unicode/utf8"
)

// Write writes what root, a pointer, points to. Nobody may change it meanwhile.
func Write(root any, codecs ...Codec) ([]byte, error) {
	w := &writer{codecs: byType(codecs), numbers: make(map[pointed]int)}
	v := reflect.ValueOf(root).Elem()
	text, err := w.value(v.Type().String(), v)
	if err != nil {
		return nil, err
	}
	return json.Marshal(document{Objects: w.objects, Root: text})
}

type document struct {
	Objects []json.RawMessage `json:"objects"`
	Root    json.RawMessage   `json:"root"`
}

// pointed tells what a pointer points to: a structure and its first field have one address.
type pointed struct {
	address uintptr
	of      reflect.Type
}

type writer struct {
	codecs  map[reflect.Type]Codec
	numbers map[pointed]int // of objects that are written or under way
	objects []json.RawMessage
}

// value writes one value, which is addressable.
func (w *writer) value(path string, v reflect.Value) (json.RawMessage, error) {
	if codec, found := w.codecs[v.Type()]; found {
		if v.Kind() == reflect.Interface && v.IsNil() {
			return json.RawMessage("null"), nil
		}
		text, err := codec.write(v)
		if err != nil {
			return nil, wrong(path, "%v", err)
		}
		return json.Marshal(text)
	}
	switch v.Kind() {
	case reflect.Pointer:
		return w.pointer(path, v)
	case reflect.Struct:
		return w.structure(path, v)
	case reflect.Map:
		return w.pairs(path, v)
	case reflect.Slice, reflect.Array:
		return w.list(path, v)
	}
	return w.basic(path, v)
}

func (w *writer) basic(path string, v reflect.Value) (json.RawMessage, error) {
	switch {
	case v.Kind() == reflect.String && !utf8.ValidString(v.String()):
		return json.Marshal(map[string][]byte{"bytes": []byte(v.String())})
	case v.Kind() == reflect.String:
		return json.Marshal(v.String())
	case v.Kind() == reflect.Bool:
		return json.Marshal(v.Bool())
	case v.CanInt():
		return json.Marshal(v.Int())
	case v.CanUint():
		return json.Marshal(v.Uint())
	case v.CanFloat():
		return json.Marshal(v.Float())
	}
	return nil, wrong(path, "%s cannot be written", v.Type())
}

func (w *writer) pointer(path string, v reflect.Value) (json.RawMessage, error) {
	if v.IsNil() {
		return json.RawMessage("null"), nil
	}
	at := pointed{v.Pointer(), v.Type()}
	number, known := w.numbers[at]
	if !known {
		number = len(w.objects)
		w.numbers[at] = number
		w.objects = append(w.objects, nil)
		text, err := w.value(path, v.Elem())
		if err != nil {
			return nil, err
		}
		w.objects[number] = text
	}
	return json.Marshal(number)
}

func (w *writer) structure(path string, v reflect.Value) (json.RawMessage, error) {
	fields := make(map[string]json.RawMessage)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if isSkipped(f) {
			continue
		}
		text, err := w.value(path+"."+f.Name, fieldOf(v, i))
		if err != nil {
			return nil, err
		}
		fields[f.Name] = text
	}
	return json.Marshal(fields)
}

// pairs writes a map in the order of its keys as they are written.
func (w *writer) pairs(path string, v reflect.Value) (json.RawMessage, error) {
	if v.IsNil() {
		return json.RawMessage("null"), nil
	}
	type entry struct {
		key   json.RawMessage
		value reflect.Value
	}
	var entries []entry
	for key, value := range v.Seq2() {
		text, err := w.value(path+"[key]", addressable(key))
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry{text, value})
	}
	slices.SortFunc(entries, func(a, b entry) int { return bytes.Compare(a.key, b.key) })
	pairs := make([][2]json.RawMessage, 0, len(entries))
	for _, e := range entries {
		text, err := w.value(fmt.Sprintf("%s[%s]", path, e.key), addressable(e.value))
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, [2]json.RawMessage{e.key, text})
	}
	return json.Marshal(pairs)
}

func (w *writer) list(path string, v reflect.Value) (json.RawMessage, error) {
	switch {
	case v.Kind() == reflect.Slice && v.IsNil():
		return json.RawMessage("null"), nil
	case v.Type().Elem().Kind() == reflect.Uint8:
		return json.Marshal(base64.StdEncoding.EncodeToString(v.Bytes()))
	}
	elements := make([]json.RawMessage, v.Len())
	for i := range v.Len() {
		text, err := w.value(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		if err != nil {
			return nil, err
		}
		elements[i] = text
	}
	return json.Marshal(elements)
}
