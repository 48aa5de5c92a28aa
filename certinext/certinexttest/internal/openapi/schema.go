// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package openapi

// A Schema says what a JSON value may be; an empty one takes any.
type Schema struct {
	Ref         string             `json:"$ref,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        string             `json:"type,omitempty"`
	Format      string             `json:"format,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Nullable    bool               `json:"nullable,omitempty"`
	Enum        []any              `json:"enum,omitempty"`
	MaxLength   int                `json:"maxLength,omitempty"`
	Items       *Schema            `json:"items,omitempty"`
	Properties  map[string]*Schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	// Others are the members that have no name; a nil one of an object refuses them.
	Others *Schema   `json:"-"`
	AllOf  []*Schema `json:"allOf,omitempty"`
	AnyOf  []*Schema `json:"anyOf,omitempty"`
}

// Text is a string.
func Text() *Schema { return &Schema{Type: "string"} }

// Number is an integer.
func Number() *Schema { return &Schema{Type: "integer"} }

// OneOf is a string that is one of those.
func OneOf(values ...string) *Schema {
	s := Text()
	for _, v := range values {
		s.Enum = append(s.Enum, v)
	}
	return s
}

const refPrefix = "#/components/schemas/"

// Ref refers to a schema among the components.
func Ref(name string) *Schema { return &Schema{Ref: refPrefix + name} }

// List is an array of items.
func List(items *Schema) *Schema { return &Schema{Type: "array", Items: items} }

// Either takes what one of them takes.
func Either(schemas ...*Schema) *Schema {
	if len(schemas) == 1 {
		return schemas[0]
	}
	return &Schema{AnyOf: schemas}
}

// Saying is the schema with a description, which cannot stand beside a reference.
func (s *Schema) Saying(text string) *Schema {
	if text == "" {
		return s
	}
	if s.Ref != "" {
		return &Schema{AllOf: []*Schema{s}, Description: text}
	}
	described := *s
	described.Description = text
	return &described
}
