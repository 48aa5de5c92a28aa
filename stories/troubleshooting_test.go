// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	inTicks   = regexp.MustCompile("`([^`]+)`")
	codeOfCA  = regexp.MustCompile(`^(EMS|DOMAIN)-\d+$`)
	fieldName = regexp.MustCompile(`^([a-z]+(?:_[a-z]+)+)(=\w+)?$`)
)

// TestTroubleshootingIsAboutThisEngine holds docs/troubleshooting.md to the messages that the engine writes, the codes that the simulated
// CA answers with, and the fields that there are.
func TestTroubleshootingIsAboutThisEngine(t *testing.T) {
	page := filepath.Join("..", "docs", "troubleshooting.md")
	var engine, simulator []string
	require.NoError(t, eachGoFile(func(path string, file *ast.File) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		texts := &engine
		if strings.HasPrefix(path, filepath.Join("certinext", "certinexttest")) {
			texts = &simulator
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					*texts = append(*texts, text)
				}
			}
			return true
		})
	}))
	messages, codes := strings.Join(engine, "\n"), strings.Join(simulator, "\n")

	told, explained := 0, 0
	for _, row := range tables(t, page) {
		for _, m := range inTicks.FindAllStringSubmatch(row["the message says"], -1) {
			require.Contains(t, messages, m[1], "no message says so")
			told++
		}
		for _, m := range inTicks.FindAllStringSubmatch(row["code"], -1) {
			require.Regexp(t, codeOfCA, m[1])
			require.Contains(t, codes, m[1], "the simulated CA never answers so")
			explained++
		}
	}
	require.Greater(t, told, 15)
	require.Greater(t, explained, 40)

	text, err := os.ReadFile(page)
	require.NoError(t, err)
	reference, err := os.ReadFile(filepath.Join("..", "docs", "api.md"))
	require.NoError(t, err)
	for _, m := range inTicks.FindAllStringSubmatch(string(text), -1) {
		if field := fieldName.FindStringSubmatch(m[1]); field != nil {
			require.Contains(t, string(reference), "| `"+field[1]+"` |", "there is no such field")
		}
	}
}
