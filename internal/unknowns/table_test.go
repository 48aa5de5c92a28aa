// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package unknowns

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const head = "# A page\n<!-- unknowns -->\n| question | switch | answers | default | users |\n|---|---|---|---|---|\n"

func TestTable(t *testing.T) {
	rows, err := Table(head +
		"| Which? | `hosts` | `a.{domain}` (version 1: `b`), `c`, … | published | none |\n" +
		"| Who? | — | lenient: nobody | `x` | none |\n<!-- /unknowns -->\n| What? | `later` | `1` | a | b |")
	require.NoError(t, err)
	require.Equal(t, []Row{
		{Question: "Which?", Switch: "hosts", Answers: []string{"a.{domain}", "c"}},
		{Question: "Who?", Instead: "lenient: nobody"},
	}, rows)
	for _, page := range []string{
		"", head, "<!-- unknowns --><!-- /unknowns -->", head + "| Which | `hosts` | `a` | b | c |\n<!-- /unknowns -->",
		head + "| Which? | hosts | `a` | b | c |\n<!-- /unknowns -->", head + "| Which? | `hosts` | `a` | b |\n<!-- /unknowns -->",
	} {
		_, err := Table(page)
		require.Error(t, err, page)
	}
}

func TestObject(t *testing.T) {
	for kind, want := range map[string]string{
		"string": `{"x":"1"}`, "integer": `{"x":1}`, "number": `{"x":1}`, "array": `{"x":["1"]}`,
	} {
		object, err := Object("x", kind, "1")
		require.NoError(t, err)
		require.Equal(t, want, object)
	}
	_, err := Object("x", "boolean", "yes")
	require.Error(t, err, "no JSON")
}
