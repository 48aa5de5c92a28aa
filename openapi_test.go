// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
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

// TestEveryPathIsDocumented: operation ids, summaries, responses, help and field descriptions.
func TestEveryPathIsDocumented(t *testing.T) {
	doc := openAPI(t)
	require.Greater(t, len(doc.Paths), 20)
	ids := map[string]string{}
	for path, item := range doc.Paths {
		require.NotEmpty(t, item.Description, path)
		for verb, op := range map[string]*framework.OASOperation{"get": item.Get, "post": item.Post, "delete": item.Delete} {
			if op == nil {
				continue
			}
			where := verb + " " + path
			require.NotEmpty(t, op.Summary, where)
			require.NotEmpty(t, op.Responses, where)
			require.True(t, strings.HasPrefix(op.OperationID, "certinext-"), "%s has the operation id %q", where, op.OperationID)
			require.Empty(t, ids[op.OperationID], "%s has the operation id %s of another", where, op.OperationID)
			ids[op.OperationID] = where
		}
		for _, p := range item.Parameters {
			require.NotEmpty(t, p.Description, "%s of %s", p.Name, path)
		}
	}
	for name, schema := range doc.Components.Schemas {
		for field, s := range schema.Properties {
			require.NotEmpty(t, s.Description, "%s.%s", name, field)
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
