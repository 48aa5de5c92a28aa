// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"io"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
)

// TestVaultsDocumentOfTheMountIsValid takes the document from Vault, which has put the mount's into its own.
func TestVaultsDocumentOfTheMountIsValid(t *testing.T) {
	v := startVault(t)
	resp, err := v.api.Logical().ReadRawWithContext(t.Context(), "sys/internal/specs/openapi")
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	doc, err := openapi3.NewLoader().LoadFromData(text)
	require.NoError(t, err)
	for path := range doc.Paths.Map() {
		if !strings.HasPrefix(path, "/certinext/") {
			doc.Paths.Delete(path) // other engines answer for theirs
		}
	}
	for name := range doc.Components.Schemas {
		if !strings.HasPrefix(name, "Certinext") {
			delete(doc.Components.Schemas, name)
		}
	}
	require.Greater(t, doc.Paths.Len(), 40)
	require.NoError(t, doc.Validate(t.Context()))
}
