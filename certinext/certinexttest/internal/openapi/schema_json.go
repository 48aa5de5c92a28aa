// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package openapi

import "encoding/json"

// MarshalJSON says of each object whether it has further members: a document that leaves it open
// hides what is misspelt.
func (s *Schema) MarshalJSON() ([]byte, error) {
	type plain Schema
	switch {
	case s.Type != "object":
		return json.Marshal((*plain)(s))
	case s.Others != nil:
		return json.Marshal(struct {
			*plain
			Others *Schema `json:"additionalProperties"`
		}{(*plain)(s), s.Others})
	default:
		return json.Marshal(struct {
			*plain
			Others bool `json:"additionalProperties"`
		}{(*plain)(s), false})
	}
}
