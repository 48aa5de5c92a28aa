// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// openAPI returns the mount's OpenAPI document, as Vault asks for it.
func openAPI(t *testing.T) *framework.OASDocument {
	t.Helper()
	m := bareMount(t, new(certinexttest.Server))
	m.system.PluginEnvironment = &logical.PluginEnvironment{VaultVersion: "1.21.1"}
	resp := m.must(call{op: logical.HelpOperation, path: "", data: map[string]any{"requestResponsePrefix": "certinext"}})
	text, err := json.Marshal(resp.Data["openapi"])
	require.NoError(t, err)
	doc := new(framework.OASDocument)
	require.NoError(t, json.Unmarshal(text, doc))
	return doc
}

// specification is the document as a reader of OpenAPI sees it.
func specification(t *testing.T, doc any) *openapi3.T {
	t.Helper()
	text, err := json.Marshal(doc)
	require.NoError(t, err)
	spec, err := openapi3.NewLoader().LoadFromData(text)
	require.NoError(t, err)
	return spec
}

// TestTheDocumentIsValid asks somebody else than its writer. Path parameters that are not declared, operation ids of two operations, and
// defaults of another type than their fields are among what is looked for.
func TestTheDocumentIsValid(t *testing.T) {
	require.NoError(t, specification(t, openAPI(t)).Validate(t.Context()))
}

// schemaless are the operations with answers that Vault's framework cannot declare a schema for.
var schemaless = map[string]string{
	"get /ca":                    file,
	"get /ca/pem":                file,
	"get /ca_chain":              file,
	"get /cert/ca/raw":           file,
	"get /cert/ca/raw/pem":       file,
	"get /cert/{serial}/raw":     file,
	"get /cert/{serial}/raw/pem": file,
	"post /config":               warnings,
	"delete /config":             warnings,
	"post /roles/{name}":         warnings,
	"patch /roles/{name}":        warnings,
}

const (
	file     = "the answer is a file: a media type is declared together with an example only, which is a JSON object"
	warnings = "the answer holds nothing but warnings, which are beside the data"
)

// TestEveryPathIsDocumented: operation ids, tags, summaries, responses, help and field descriptions.
func TestEveryPathIsDocumented(t *testing.T) {
	doc := openAPI(t)
	require.Greater(t, len(doc.Paths), 20)
	ids := map[string]string{}
	for path, item := range doc.Paths {
		require.NotEmpty(t, item.Description, path)
		for verb, op := range map[string]*framework.OASOperation{"get": item.Get, "post": item.Post, "patch": item.Patch, "delete": item.Delete} {
			if op == nil {
				continue
			}
			where := verb + " " + path
			require.NotEmpty(t, op.Summary, where)
			require.Equal(t, []string{"secrets"}, op.Tags, where)
			require.True(t, strings.HasPrefix(op.OperationID, "certinext-"), "%s has the operation id %q", where, op.OperationID)
			require.Empty(t, ids[op.OperationID], "%s has the operation id %s of another", where, op.OperationID)
			ids[op.OperationID] = where
			for _, p := range op.Parameters {
				require.NotEmpty(t, p.Description, "%s of %s", p.Name, where)
			}
			requireAnswers(t, where, op)
		}
		for _, p := range item.Parameters {
			require.NotEmpty(t, p.Description, "%s of %s", p.Name, path)
		}
	}
	for name, schema := range doc.Components.Schemas {
		for field, s := range schema.Properties {
			require.NotEmpty(t, s.Description, "%s.%s", name, field)
			require.NotEmpty(t, s.Type, "%s.%s", name, field)
		}
	}
}

// requireAnswers wants an operation to say what it answers: fields with 200, nothing with 204.
func requireAnswers(t *testing.T, where string, op *framework.OASOperation) {
	t.Helper()
	require.NotEmpty(t, op.Responses, where)
	for code, r := range op.Responses {
		require.Contains(t, []int{http.StatusOK, http.StatusNoContent}, code, where)
		require.NotEmpty(t, r.Description, where)
		hasSchema := len(r.Content) > 0
		switch {
		case code == http.StatusNoContent:
			require.False(t, hasSchema, where)
		case schemaless[where] == "":
			require.True(t, hasSchema, "%s answers 200 with nothing that is declared", where)
		default:
			require.False(t, hasSchema, "%s has a schema after all", where)
		}
	}
}

// TestHelpCoversEveryPath: vault path-help has a synopsis and a description for all of them.
func TestHelpCoversEveryPath(t *testing.T) {
	m := bareMount(t, new(certinexttest.Server))
	m.system.PluginEnvironment = &logical.PluginEnvironment{VaultVersion: "1.21.1"}
	placeholder := regexp.MustCompile(`\{(\w+)\}`)
	for path := range openAPI(t).Paths {
		concrete := placeholder.ReplaceAllStringFunc(strings.TrimPrefix(path, "/"), func(p string) string {
			if p == "{serial}" {
				return "01-02"
			}
			return "x"
		})
		help, _ := m.must(call{op: logical.HelpOperation, path: concrete}).Data["help"].(string)
		require.NotContains(t, help, "<no ", path)
		require.NotEmpty(t, help, path)
	}
}
