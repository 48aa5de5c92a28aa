// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

const sandboxPage = "../../docs/sandbox.md"

// TestThePageOfTheSimulatorIsUpToDate: the tables of settings and of administration paths are those
// of the program. make docs writes them.
func TestThePageOfTheSimulatorIsUpToDate(t *testing.T) {
	page, err := os.ReadFile(sandboxPage)
	require.NoError(t, err)
	want := between(t, string(page), "settings", settingsTable(t))
	want = between(t, want, "administration", "```text\n"+certinexttest.AdminHelp+"```\n")
	if *update {
		require.NoError(t, os.WriteFile(sandboxPage, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(page), "make docs writes it")
}

// TestTheExampleOfThePageIsCompiled: it is the body of an example of this package.
func TestTheExampleOfThePageIsCompiled(t *testing.T) {
	page, err := os.ReadFile(sandboxPage)
	require.NoError(t, err)
	_, block, _ := strings.Cut(string(page), "```go\n")
	block, _, found := strings.Cut(block, "```")
	require.True(t, found, "no example")
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	indented := regexp.MustCompile(`(?m)^(.)`).ReplaceAllString(block, "\t$1")
	require.Contains(t, string(source), indented)
}

// between puts text between two markers of a page.
func between(t *testing.T, page, marker, text string) string {
	t.Helper()
	opening, closing := "<!-- "+marker+" -->\n", "<!-- /"+marker+" -->\n"
	before, rest, opened := strings.Cut(page, opening)
	_, after, closed := strings.Cut(rest, closing)
	require.True(t, opened && closed, "no markers %s", marker)
	return before + opening + text + closing + after
}

// described is what a schema says of a setting, taken apart.
var described = regexp.MustCompile(`^(.*?)(?: \(source: (.*)\))?\.$`)

// settingsTable is a row for each setting, by name.
func settingsTable(t *testing.T) string {
	t.Helper()
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	new(certinexttest.Server).DefineFlags(flags)
	named := flagsByLetters(flags)
	running := newRig(t, new(certinexttest.Server))
	var table strings.Builder
	table.WriteString("| setting | flag | values | what it does | source |\n|---|---|---|---|---|\n")
	properties := certinexttest.SettingsSchema()["properties"].(m)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		property := properties[name].(m)
		text := described.FindStringSubmatch(property["description"].(string))
		require.NotNil(t, text, property["description"])
		flagCell := "file only"
		if named[strings.ToLower(name)] != "" {
			flagCell = "`-" + named[strings.ToLower(name)] + "`"
		}
		setting := "`" + name + "`"
		// null is a value of no setting: what can be changed says so, what cannot is not there.
		if !strings.Contains(string(running.post("/_sandbox/knobs", m{name: nil}).body), "is no setting") {
			setting += " *running*"
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |\n", setting, flagCell, valuesOf(property), text[1], text[2])
	}
	return table.String()
}

// flagsByLetters are the names of flags by the letters alone, as the names in JSON have them.
func flagsByLetters(flags *flag.FlagSet) map[string]string {
	named := make(map[string]string)
	flags.VisitAll(func(f *flag.Flag) { named[strings.ReplaceAll(f.Name, "-", "")] = f.Name })
	return named
}

// valuesOf are the values that a schema lists, or their kind, with the default if there is one.
func valuesOf(property m) string {
	values := fmt.Sprint(property["type"])
	switch {
	case property["enum"] != nil:
		values = "`" + strings.Join(property["enum"].([]string), "`, `") + "`"
	case property["pattern"] != nil:
		values = "duration"
	}
	if def := property["default"]; def != nil {
		values += fmt.Sprintf("; default `%v`", def)
	}
	return values
}
