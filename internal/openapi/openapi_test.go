// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package openapi_test

import (
	"encoding/json"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/openapi"
	"github.com/stretchr/testify/require"
)

func TestMended(t *testing.T) {
	for name, c := range map[string]struct{ given, want string }{
		"nothing": {`{}`, `{}`},
		"a reference": {
			`{"schema":{"$ref":"#/components/schemas/A"}}`,
			`{"schema":{"$ref":"#/components/schemas/A","ref":"#/components/schemas/A"}}`,
		},
		"a reference in a list": {`{"oneOf":[{"$ref":"#/a"}]}`, `{"oneOf":[{"$ref":"#/a","ref":"#/a"}]}`},
		"a duration": {
			`{"type":"string","format":"duration","default":"30s"}`,
			`{"type":"string","format":"vault-duration","default":"30s"}`,
		},
		"another format": {`{"type":"integer","format":"int64"}`, `{"type":"integer","format":"int64"}`},
		"fields of those names": {
			`{"properties":{"format":{"type":"string"},"$ref":{"type":"string"}}}`,
			`{"properties":{"format":{"type":"string"},"$ref":{"type":"string"}}}`,
		},
		"values that look so": {
			`{"default":{"format":"duration"},"example":{"$ref":"x"},"enum":[{"format":"duration"}]}`,
			`{"default":{"format":"duration"},"example":{"$ref":"x"},"enum":[{"format":"duration"}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			mended, err := openapi.Mended(json.RawMessage(c.given))
			require.NoError(t, err)
			text, err := json.Marshal(mended)
			require.NoError(t, err)
			require.JSONEq(t, c.want, string(text))
		})
	}
}

func TestWhatIsNoDocumentIsRefused(t *testing.T) {
	for _, v := range []any{make(chan int), []string{"a list"}, "a text"} {
		_, err := openapi.Mended(v)
		require.Error(t, err)
	}
}
