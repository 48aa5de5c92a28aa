// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package roles

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTemplatesThatNobodyHasAValueFor(t *testing.T) {
	for text, problem := range map[string]string{
		"example.com":        "",
		"{{x":                "",
		"{{nope}}":           "{{nope}}",
		"{{}}.example.com":   "{{}}",
		"{{identity.entity}": "",
		"{{identity.entity.id}}.{{nope}}.example.com":       "{{nope}}",
		"{{ identity.entity.name }}.example.com":            "",
		"{{identity.entity.metadata.team}}":                 "",
		"{{identity.entity.metadata.a.b}}":                  "",
		"{{identity.entity.metadata}}":                      "{{identity.entity.metadata}}",
		"{{identity.entity.metdata.team}}":                  "{{identity.entity.metdata.team}}",
		"{{identity.entity.groups.names}}":                  "{{identity.entity.groups.names}}",
		"{{identity.entity.aliases.a_1.name}}":              "",
		"{{identity.entity.aliases.a_1.metadata.k}}":        "",
		"{{identity.entity.aliases.a_1.custom_metadata.k}}": "",
		"{{identity.entity.aliases.a_1}}":                   "{{identity.entity.aliases.a_1}}",
		"{{identity.groups.ids.g-1.name}}":                  "",
		"{{identity.groups.names.web.id}}":                  "",
		"{{identity.groups.names.web.metadata.team}}":       "",
		"{{identity.groups.names.web}}":                     "{{identity.groups.names.web}}",
	} {
		got := templateProblem(text)
		if problem == "" {
			require.Empty(t, got, text)
			continue
		}
		require.Contains(t, got, problem+" is no identity template", text)
	}
}
