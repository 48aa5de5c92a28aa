// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package openapi makes the OpenAPI document of a mount survive its way through Vault, and say what
// Vault accepts.
//
// Vault's framework writes the document. Vault asks each plugin for it, decodes it and joins it to
// its own. What is lost or wrong on the way is mended here, in the JSON form of the document. The
// package is pure, and knows nothing of CERTInext, of this engine's paths or of Vault's code.
package openapi

import (
	"encoding/json"
	"fmt"
)

// Duration is the format of a text such as 30s or 2h, or of a number of seconds.
const Duration = "vault-duration"

// Mended returns a document, which may be of any type that is written as JSON, as the map that a
// plugin hands to Vault.
//
// Every reference is said twice, as $ref and as ref: Vault decodes the documents of external
// plugins by the names of Go's struct fields (framework.NewOASDocumentFromMap), and the field for a
// reference is called Ref and has no other name there. Without ref, Vault drops the reference, and
// each body is an empty schema. A Vault that knows the name $ref takes that one and ignores ref.
//
// A duration has the format [Duration] instead of the registered duration. That one is ISO 8601, as
// in PT30S: Vault refuses such a text, and the default of a field, as in 30s, is none.
func Mended(document any) (map[string]any, error) {
	text, err := json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("encoding the OpenAPI document: %w", err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("decoding the OpenAPI document: %w", err)
	}
	mend(out)
	return out, nil
}

// mend walks whatever JSON holds. A field that is called $ref or format is an object there, and not
// a text; values that are examples of a field are left alone.
func mend(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			mend(item)
		}
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			v["ref"] = ref
		}
		if v["format"] == "duration" {
			v["format"] = Duration
		}
		for key, item := range v {
			if key != "default" && key != "example" && key != "enum" {
				mend(item)
			}
		}
	}
}
