// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// document is Vault's OpenAPI document without the other engines' paths and schemas: they answer for theirs.
func (v *server) document() *openapi3.T {
	v.t.Helper()
	resp, err := v.api.Logical().ReadRawWithContext(v.t.Context(), "sys/internal/specs/openapi")
	require.NoError(v.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(v.t, err)
	doc, err := openapi3.NewLoader().LoadFromData(text)
	require.NoError(v.t, err)
	for path := range doc.Paths.Map() {
		if !strings.HasPrefix(path, "/certinext/") {
			doc.Paths.Delete(path)
		}
	}
	for name := range doc.Components.Schemas {
		if !strings.HasPrefix(name, "Certinext") {
			delete(doc.Components.Schemas, name)
		}
	}
	return doc
}

// bodies are the JSON bodies of an operation and of its answers.
func bodies(o *openapi3.Operation) []*openapi3.SchemaRef {
	contents := []openapi3.Content{}
	if o.RequestBody != nil {
		contents = append(contents, o.RequestBody.Value.Content)
	}
	for _, r := range o.Responses.Map() {
		contents = append(contents, r.Value.Content)
	}
	var out []*openapi3.SchemaRef
	for _, c := range contents {
		if media := c.Get("application/json"); media != nil {
			out = append(out, media.Schema)
		}
	}
	return out
}

// TestVaultsDocumentOfTheMountIsValid takes the document from Vault, which has put the mount's into its own. An empty schema is valid, too: so
// whether the bodies have fields is looked at.
func TestVaultsDocumentOfTheMountIsValid(t *testing.T) {
	t.Parallel()
	doc := startVault(t).document()
	require.NoError(t, doc.Validate(t.Context()))
	require.Greater(t, doc.Paths.Len(), 50)
	references, ids, used := 0, map[string]string{}, map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			where := method + " " + path
			require.True(t, strings.HasPrefix(o.OperationID, "certinext-"), where)
			require.Empty(t, ids[o.OperationID], "%s has the operation id %s of another", where, o.OperationID)
			ids[o.OperationID] = where
			for _, body := range bodies(o) {
				require.True(t, strings.HasPrefix(body.Ref, "#/components/schemas/Certinext"), "%s has a body without a schema", where)
				require.NotEmpty(t, body.Value.Properties, "%s: %s", where, body.Ref)
				references++
				used[strings.TrimPrefix(body.Ref, "#/components/schemas/")] = true
			}
		}
	}
	require.Greater(t, references, 70)
	for name := range doc.Components.Schemas {
		if programs.openBao && strings.HasPrefix(name, "CertinextPatch") {
			continue // its document has the bodies of patches, and no patches
		}
		require.True(t, used[name], "%s is nobody's body", name)
	}
}

// TestAGeneratedClientWorks: a public generator makes a client of what Vault says, and a program that knows nothing else gets a certificate.
func TestAGeneratedClientWorks(t *testing.T) {
	t.Parallel()
	generator, err := output("../scripts/oapi-codegen-binary.sh")
	if err != nil {
		t.Skipf("no oapi-codegen: it is not named by OAPI_CODEGEN_BIN, and could not be built: %v", err)
	}
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	text, err := v.document().MarshalJSON()
	require.NoError(t, err)
	var indented bytes.Buffer
	require.NoError(t, json.Indent(&indented, text, "", "  "))

	module := t.TempDir()
	require.NoError(t, os.CopyFS(module, os.DirFS("testdata/openapi-client")))
	for _, name := range []string{"go.mod", "go.sum"} {
		pinned, err := os.ReadFile(filepath.Join("../tools/openapi", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(module, name), pinned, 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(module, "vault.json"), indented.Bytes(), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(module, "client"), 0o700))
	in := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Dir, cmd.Env = module, append(os.Environ(), "GOFLAGS=-mod=readonly", "VAULT_ADDR="+v.address, "VAULT_TOKEN="+v.api.Token())
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		require.NoError(t, cmd.Run(), "%s: %s", name, stderr.String())
		return strings.TrimSpace(stdout.String())
	}
	in(generator, "-config", "oapi-codegen.yaml", "-o", "client/client.go", "vault.json")
	in("go", "vet", "./...")
	serial := in("go", "run", ".")
	require.Equal(t, []string{serial}, v.list("certinext/certs/revoked"))
	require.Equal(t, "revoked", ca.onlyOrder(t).Status)
}
