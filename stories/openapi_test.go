// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/openapi"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// documentText is the mount's OpenAPI document, as Vault asks for it, in the form in which it leaves the plugin.
func documentText(t *testing.T) []byte {
	t.Helper()
	m := bareMount(t, new(certinexttest.Server))
	m.system.PluginEnvironment = &logical.PluginEnvironment{VaultVersion: "1.21.1"}
	resp := m.must(call{op: logical.HelpOperation, path: "", data: map[string]any{"requestResponsePrefix": "certinext"}})
	text, err := json.Marshal(resp.Data["openapi"])
	require.NoError(t, err)
	return text
}

// openAPI returns the mount's OpenAPI document, read by the names that JSON has for it.
func openAPI(t *testing.T) *framework.OASDocument {
	t.Helper()
	doc := new(framework.OASDocument)
	require.NoError(t, json.Unmarshal(documentText(t), doc))
	return doc
}

// TestVaultLosesNothingOfTheDocument: what Vault makes of it, by the names of struct fields, is what it says. References are what was lost once,
// and bodies without them are empty schemas, which are valid: so they are counted as well.
func TestVaultLosesNothingOfTheDocument(t *testing.T) {
	var received map[string]any
	require.NoError(t, json.Unmarshal(documentText(t), &received))
	taken, err := framework.NewOASDocumentFromMap(received)
	require.NoError(t, err)
	want, err := json.Marshal(openAPI(t))
	require.NoError(t, err)
	got, err := json.Marshal(taken)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got))

	bodies, references := 0, 0
	for path, item := range taken.Paths {
		for _, a := range actionsOf(item) {
			contents := []framework.OASContent{}
			if a.RequestBody != nil {
				contents = append(contents, a.RequestBody.Content)
			}
			for _, r := range a.Responses {
				contents = append(contents, r.Content)
			}
			for _, content := range contents {
				for _, media := range content {
					bodies++
					name, isReference := strings.CutPrefix(media.Schema.Ref, "#/components/schemas/")
					require.True(t, isReference, "%s %s has a body without a schema", a.op, path)
					require.NotEmpty(t, taken.Components.Schemas[name].Properties, "%s of %s %s", name, a.op, path)
					references++
				}
			}
		}
	}
	require.Equal(t, bodies, references)
	require.Greater(t, references, 70)
}

// TestDurationsAreVaults: ISO 8601, which the registered format duration is, is not what Vault reads.
func TestDurationsAreVaults(t *testing.T) {
	durations := 0
	for name, schema := range openAPI(t).Components.Schemas {
		for field, s := range schema.Properties {
			require.NotEqual(t, "duration", s.Format, "%s.%s", name, field)
			if s.Format != openapi.Duration {
				continue
			}
			durations++
			if s.Default != nil {
				_, err := time.ParseDuration(s.Default.(string))
				require.NoError(t, err, "the default of %s.%s", name, field)
			}
		}
	}
	require.Greater(t, durations, 20)
}

// ambiguous are the pairs of paths of which a request may be both, by OpenAPI's rules, and no more of one than of the other. An order's id is a
// UUID, so nobody means an order that is called "request": the path of a named request takes them, and its name may be any.
var ambiguous = []string{
	"/orders/{role}/request/{request_id} /orders/{role}/{id}/collect",
	"/orders/{role}/request/{request_id} /orders/{role}/{id}/dcv",
	"/orders/{role}/request/{request_id} /orders/{role}/{id}/documents",
	"/orders/{role}/request/{request_id} /orders/{role}/{id}/reissue",
}

// isAmbiguous tells whether two paths match a common request, with as many parameters each.
func isAmbiguous(a, b string) bool {
	left, right := strings.Split(a, "/"), strings.Split(b, "/")
	if len(left) != len(right) || strings.Count(a, "{") != strings.Count(b, "{") {
		return false
	}
	for i := range left {
		if left[i] != right[i] && !strings.HasPrefix(left[i], "{") && !strings.HasPrefix(right[i], "{") {
			return false
		}
	}
	return true
}

func TestAmbiguousPathsAreKnown(t *testing.T) {
	paths := slices.Sorted(maps.Keys(openAPI(t).Paths))
	var found []string
	for i, a := range paths {
		for _, b := range paths[i+1:] {
			if isAmbiguous(a, b) {
				found = append(found, a+" "+b)
			}
		}
	}
	require.Equal(t, ambiguous, found)

	m := newMount(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	for _, name := range []string{"collect", "dcv", "documents", "reissue"} {
		placed := m.write("orders/web", map[string]any{"common_name": name + ".example.com", "request_id": name})
		require.NotEmpty(t, placed.Data["order_id"])
		require.Equal(t, placed.Data["order_id"], m.read("orders/web/request/" + name).Data["order_id"], name)
	}
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
	"get /ca":                      file,
	"get /ca/pem":                  file,
	"get /ca_chain":                file,
	"get /cert/ca/raw":             file,
	"get /cert/ca/raw/pem":         file,
	"get /cert/{serial}/raw":       file,
	"get /cert/{serial}/raw/pem":   file,
	"get /issuer/{issuer_ref}/der": file,
	"get /issuer/{issuer_ref}/pem": file,
	"get /metrics":                 file,
	"post /config":                 warnings,
	"delete /config":               warnings,
	"post /budgets/{name}":         warnings,
	"post /roles/{name}":           warnings,
	"patch /roles/{name}":          warnings,
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
