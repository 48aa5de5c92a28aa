// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package openapi writes OpenAPI 3.0 documents, with schemas that are made from the Go types that
// a server itself reads and writes. It is pure, and knows nothing of what it describes.
package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// A Document is a whole document. Maps are written in the order of their keys, so that the same
// document is always the same text.
type Document struct {
	OpenAPI    string          `json:"openapi"`
	Info       Info            `json:"info"`
	Servers    []Server        `json:"servers,omitempty"`
	Tags       []Tag           `json:"tags,omitempty"`
	Paths      map[string]Path `json:"paths"`
	Components Components      `json:"components"`
}

// Info says what the document is about.
type Info struct {
	Title       string `json:"title"`
	Description string `json:"description"`
	Version     string `json:"version"`
	License     struct {
		Name string `json:"name"`
		URL  string `json:"url"`
	} `json:"license"`
}

// A Server is an address at which what is described can be asked for.
type Server struct {
	URL         string `json:"url"`
	Description string `json:"description"`
}

// A Tag is a chapter of the document.
type Tag struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// A Path holds operations by their methods, in lower case.
type Path map[string]*Operation

// Components are what the document refers to.
type Components struct {
	Schemas         map[string]*Schema        `json:"schemas"`
	Responses       map[string]*Response      `json:"responses,omitempty"`
	Headers         map[string]Header         `json:"headers,omitempty"`
	SecuritySchemes map[string]SecurityScheme `json:"securitySchemes,omitempty"`
}

// A SecurityScheme is how a caller shows who it is.
type SecurityScheme struct {
	Type        string `json:"type"`
	Scheme      string `json:"scheme"`
	Description string `json:"description"`
}

// An Operation is a method of a path.
type Operation struct {
	Tags        []string             `json:"tags"`
	ID          string               `json:"operationId"`
	Summary     string               `json:"summary"`
	Description string               `json:"description,omitempty"`
	Parameters  []Parameter          `json:"parameters,omitempty"`
	RequestBody *Body                `json:"requestBody,omitempty"`
	Responses   map[string]*Response `json:"responses"`
	// Security are the alternatives, each with the names of what it takes; a caller that needs
	// nothing has one that is empty.
	Security []map[string][]string `json:"security"`
}

// A Parameter is part of the path, the query or the header of a request.
type Parameter struct {
	Name        string  `json:"name"`
	In          string  `json:"in"`
	Description string  `json:"description,omitempty"`
	Required    bool    `json:"required,omitempty"`
	Schema      *Schema `json:"schema"`
}

// A Body is that of a request.
type Body struct {
	Required bool             `json:"required,omitempty"`
	Content  map[string]Media `json:"content"`
}

// A Media is a body in one media type.
type Media struct {
	Schema *Schema `json:"schema"`
}

// A Response is an answer, or a reference to one among the components.
type Response struct {
	Ref         string            `json:"-"`
	Description string            `json:"description"`
	Headers     map[string]Header `json:"headers,omitempty"`
	Content     map[string]Media  `json:"content,omitempty"`
}

// A Header is one of an answer, or a reference to one among the components.
type Header struct {
	Ref         string  `json:"-"`
	Description string  `json:"description,omitempty"`
	Required    bool    `json:"required,omitempty"`
	Schema      *Schema `json:"schema"`
}

// MarshalJSON writes the reference alone where there is one: nothing may stand beside it.
func (r *Response) MarshalJSON() ([]byte, error) {
	type plain Response
	return referred("responses", r.Ref, (*plain)(r))
}

// MarshalJSON writes the reference alone where there is one.
func (h Header) MarshalJSON() ([]byte, error) {
	type plain Header
	return referred("headers", h.Ref, plain(h))
}

func referred(kind, name string, plain any) ([]byte, error) {
	if name != "" {
		return json.Marshal(map[string]string{"$ref": "#/components/" + kind + "/" + name})
	}
	return json.Marshal(plain)
}

// Add enters an operation. It is an error if its path has one of that method, since one of the two
// would be lost.
func (d *Document) Add(method, path string, o *Operation) error {
	if d.Paths == nil {
		d.Paths = make(map[string]Path)
	}
	if d.Paths[path] == nil {
		d.Paths[path] = make(Path)
	}
	method = strings.ToLower(method)
	if d.Paths[path][method] != nil {
		return fmt.Errorf("%s %s is described twice", method, path)
	}
	d.Paths[path][method] = o
	return nil
}

// Text is the document as JSON, to be read by people, too.
func (d *Document) Text() ([]byte, error) {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(d); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}
