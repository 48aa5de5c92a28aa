// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package settings

import (
	"reflect"
	"strings"
	"time"
)

// durationPattern is what time.ParseDuration reads, as far as a pattern can say it.
const durationPattern = `^-?([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$`

// Schema is the JSON Schema (draft 2020-12) of the object that [List.Load] reads.
func (l List) Schema() map[string]any {
	properties := make(map[string]any)
	for _, s := range l {
		properties[s.Name] = s.schema()
	}
	return map[string]any{
		"type": "object", "additionalProperties": false, "properties": properties,
	}
}

func (s Setting) schema() map[string]any {
	schema := schemaOf(reflect.TypeOf(s.Field).Elem())
	if s.Names != nil {
		schema = map[string]any{"type": "string", "enum": s.Names}
	}
	schema["description"] = s.description()
	if v := s.value(); !reflect.ValueOf(v).IsZero() && s.IsText() {
		switch v := v.(type) {
		case string, bool, int, float64:
			schema["default"] = v
		default:
			schema["default"] = s.written()
		}
	}
	return schema
}

// description is the help as a sentence, with the source.
func (s Setting) description() string {
	help := strings.ReplaceAll(s.Help, "`", "")
	if s.Source != "" {
		help += " (source: " + s.Source + ")"
	}
	return strings.ToUpper(help[:1]) + help[1:] + "."
}

// schemaOf describes a Go type as encoding/json reads it.
func schemaOf(t reflect.Type) map[string]any {
	if t == reflect.TypeFor[time.Duration]() {
		return map[string]any{"type": "string", "pattern": durationPattern}
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[text]()) {
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem())}
	case reflect.Pointer:
		return schemaOf(t.Elem())
	case reflect.Struct:
		properties := make(map[string]any)
		for field := range fieldsOf(t) {
			properties[jsonName(field)] = schemaOf(field.Type)
		}
		return map[string]any{
			"type": "object", "additionalProperties": false, "properties": properties,
		}
	default:
		return map[string]any{}
	}
}

// fieldsOf are the fields that JSON has.
func fieldsOf(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && f.Tag.Get("json") != "-" && !yield(f) {
				return
			}
		}
	}
}

func jsonName(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return name
	}
	return f.Name
}
