// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// maxDepth bounds how deep a request body may nest.
const maxDepth = 16

// errSyntax stands for a body that is not one JSON object.
var errSyntax = errors.New("request body is not a single JSON object")

// decode reads body into dst, a pointer to a struct. It refuses what
// encoding/json forgives: members of another name or case, members given
// twice, and anything after the object.
func decode(body []byte, dst any) *problem {
	tree, err := parseTree(body)
	if err != nil {
		return malformed(err.Error())
	}
	object, ok := tree.(map[string]any)
	if !ok {
		return malformed(errSyntax.Error())
	}
	var errs []fieldError
	checkObject(object, reflect.TypeOf(dst).Elem(), "", &errs)
	if len(errs) > 0 {
		slices.SortFunc(errs, func(a, b fieldError) int {
			return strings.Compare(a.Field, b.Field)
		})
		return invalidFields(errs...)
	}
	if err := json.Unmarshal(body, dst); err != nil {
		return malformed("request body does not fit the operation")
	}
	return nil
}

// parseTree reads exactly one JSON value, numbers as json.Number.
func parseTree(body []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	tree, err := parseValue(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errSyntax
	}
	return tree, nil
}

func parseValue(dec *json.Decoder, depth int) (any, error) {
	token, err := dec.Token()
	if err != nil || depth > maxDepth {
		return nil, errSyntax
	}
	switch token {
	case json.Delim('{'):
		return parseObject(dec, depth)
	case json.Delim('['):
		return parseArray(dec, depth)
	default:
		return token, nil
	}
}

func parseObject(dec *json.Decoder, depth int) (any, error) {
	object := make(map[string]any)
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, errSyntax
		}
		name, ok := key.(string)
		if !ok {
			return nil, errSyntax
		}
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("member %q is given twice", name)
		}
		if object[name], err = parseValue(dec, depth+1); err != nil {
			return nil, err
		}
	}
	return object, closing(dec)
}

func parseArray(dec *json.Decoder, depth int) (any, error) {
	list := []any{}
	for dec.More() {
		v, err := parseValue(dec, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, closing(dec)
}

// closing takes the bracket that ends an object or array.
func closing(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return errSyntax
	}
	return nil
}

// checkObject compares a JSON object with the struct that is to hold it.
func checkObject(object map[string]any, t reflect.Type, path string, errs *[]fieldError) {
	known := make(map[string]reflect.Type, t.NumField())
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		known[name] = field.Type
	}
	for name, value := range object {
		at := strings.TrimPrefix(path+"."+name, ".")
		if ft, ok := known[name]; ok {
			checkValue(value, ft, at, errs)
		} else {
			*errs = append(*errs, fieldError{at, "unknown field"})
		}
	}
}

// checkValue compares one JSON value with the Go type for it; null passes for
// absent everywhere.
func checkValue(value any, t reflect.Type, path string, errs *[]fieldError) {
	if value == nil {
		return
	}
	if t == reflect.TypeFor[stringOrList]() {
		checkStringOrList(value, path, errs)
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		checkValue(value, t.Elem(), path, errs)
	case reflect.Struct:
		object, ok := value.(map[string]any)
		if !ok {
			wrongType(path, "an object", errs)
			return
		}
		checkObject(object, t, path, errs)
	case reflect.Slice:
		list, ok := value.([]any)
		if !ok {
			wrongType(path, "an array", errs)
			return
		}
		for i, v := range list {
			checkElement(v, t.Elem(), fmt.Sprintf("%s[%d]", path, i), errs)
		}
	default:
		checkScalar(value, t.Kind(), path, errs)
	}
}

// checkElement is checkValue for a member of an array, where null is no value.
func checkElement(value any, t reflect.Type, path string, errs *[]fieldError) {
	if value == nil {
		wrongType(path, "not null", errs)
		return
	}
	checkValue(value, t, path, errs)
}

func checkScalar(value any, kind reflect.Kind, path string, errs *[]fieldError) {
	switch kind {
	case reflect.String:
		if _, ok := value.(string); !ok {
			wrongType(path, "a string", errs)
		}
	case reflect.Bool:
		if _, ok := value.(bool); !ok {
			wrongType(path, "true or false", errs)
		}
	case reflect.Int:
		n, ok := value.(json.Number)
		if _, err := n.Int64(); !ok || err != nil {
			wrongType(path, "an integer", errs)
		}
	default:
		panic("certinexttest: internal error: request field of kind " + kind.String())
	}
}

func wrongType(path, want string, errs *[]fieldError) {
	*errs = append(*errs, fieldError{path, "must be " + want})
}

// stringOrList is a member that clients send as one string or as several.
type stringOrList []string

// UnmarshalJSON accepts both spellings.
func (s *stringOrList) UnmarshalJSON(b []byte) error {
	var one string
	if err := json.Unmarshal(b, &one); err == nil {
		*s = stringOrList{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(s))
}

func checkStringOrList(value any, path string, errs *[]fieldError) {
	list, ok := value.([]any)
	if !ok {
		list = []any{value}
	}
	for _, v := range list {
		if _, ok := v.(string); !ok {
			wrongType(path, "a string or an array of strings", errs)
			return
		}
	}
}
