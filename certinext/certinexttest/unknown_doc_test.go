// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/unknowns"
)

// TestUnknownsAreInTheDocs holds the table of docs/sandbox.md against the settings.
func TestUnknownsAreInTheDocs(t *testing.T) {
	doc, err := os.ReadFile("../../docs/sandbox.md")
	require.NoError(t, err)
	rows, err := unknowns.Table(string(doc))
	require.NoError(t, err)
	properties := certinexttest.SettingsSchema()["properties"].(m)
	listed := make(map[string]bool)
	for _, row := range rows {
		name := row.Switch
		if name == "" {
			require.Regexp(t, "^lenient: ", row.Instead, row.Question)
			continue
		}
		require.Contains(t, properties, name)
		require.False(t, listed[name], "%s is listed twice", name)
		listed[name] = true
		property := properties[name].(m)
		if names, closed := property["enum"].([]string); closed {
			require.Equal(t, names, row.Answers, "%s: its values", name)
		}
		if property["type"] == "boolean" {
			require.Equal(t, []string{"false", "true"}, row.Answers, "%s: its values", name)
		}
		require.GreaterOrEqual(t, len(row.Answers), 2, "%s: two answers to play", name)
		for _, answer := range row.Answers {
			object, err := unknowns.Object(name, property["type"], answer)
			require.NoError(t, err)
			require.NoError(t, new(certinexttest.Server).LoadSettings([]byte(object)))
		}
	}
	for name, property := range properties {
		if strings.Contains(property.(m)["description"].(string), "not known of the service") {
			require.True(t, listed[name], "%s is not in the table", name)
		}
	}
}
