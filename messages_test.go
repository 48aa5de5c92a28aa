// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// compiled returns the imports of the module's packages as the compiler has left them in its cache.
func compiled(t *testing.T, fset *token.FileSet) types.Importer {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-json=ImportPath,Export", "./...")
	out, err := list.Output()
	require.NoError(t, err)
	exports := map[string]string{}
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p struct{ ImportPath, Export string }
		require.NoError(t, d.Decode(&p))
		exports[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("the compiler has left nothing of %s", path)
		}
		return os.Open(exports[path])
	})
}

// A wording is a call that writes a text by a format, as fmt.Errorf does.
type wording struct {
	where  string
	format string
	values []types.Type // in the order of the verbs
}

// wordings are the calls of a package that write texts. A function writes one when its last two
// parameters are a format and whatever it has room for.
func wordings(fset *token.FileSet, files []*ast.File, info *types.Info) []wording {
	var all []wording
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, isCall := n.(*ast.CallExpr)
			if !isCall || call.Ellipsis.IsValid() {
				return true
			}
			callee, isFunction := info.TypeOf(call.Fun).(*types.Signature)
			if !isFunction || !callee.Variadic() || callee.Params().Len() < 2 {
				return true
			}
			at := callee.Params().Len() - 2
			if callee.Params().At(at).Name() != "format" || len(call.Args) <= at {
				return true
			}
			format := info.Types[call.Args[at]].Value
			if format == nil || format.Kind() != constant.String {
				return true
			}
			w := wording{
				where: fset.Position(call.Pos()).String(), format: constant.StringVal(format),
			}
			for _, value := range call.Args[at+1:] {
				w.values = append(w.values, info.TypeOf(value))
			}
			all = append(all, w)
			return true
		})
	}
	return all
}

// verbs are the places of a format that a value fills.
var verbs = regexp.MustCompile(`%[-+# 0]*[0-9]*(?:\.[0-9]+)?([a-zA-Z%])`)

// unreadable says what of a wording only a programmer of Go would read; it is empty for none.
func (w wording) unreadable() string {
	next := 0
	for _, verb := range verbs.FindAllStringSubmatch(w.format, -1) {
		if verb[1] == "%" {
			continue
		}
		if next == len(w.values) {
			return "" // go vet tells
		}
		value := w.values[next]
		next++
		if strings.Contains("vsq", verb[1]) {
			if problem := unreadableValue(value); problem != "" {
				return verb[0] + " is " + problem
			}
		}
	}
	return ""
}

// unreadableValue says what Go's own form of a value is like where people cannot be expected to
// read it.
func unreadableValue(value types.Type) string {
	switch types.TypeString(value, nil) {
	case "time.Duration":
		return "a duration such as 8760h0m0s: see phrase.Duration"
	case "time.Time":
		return "a time as Go writes it: format it, with its zone"
	}
	if hasText(value) {
		return ""
	}
	switch of := value.Underlying().(type) {
	case *types.Slice:
		if basic, isBasic := of.Elem().Underlying().(*types.Basic); isBasic && basic.Kind() == types.Byte {
			return ""
		}
		return "a list such as [a b]: see phrase.And and phrase.Or"
	case *types.Array, *types.Map, *types.Struct, *types.Pointer, *types.Chan, *types.Signature:
		return "a value of Go's, such as map[a:b]"
	}
	return ""
}

// hasText tells whether a value has a text of its own.
func hasText(value types.Type) bool {
	for _, method := range []string{"Error", "String"} {
		if m, _, _ := types.LookupFieldOrMethod(value, true, nil, method); m != nil {
			return true
		}
	}
	return false
}

// poor are words that a text is better without, by what they match.
var poor = map[string]*regexp.Regexp{
	"name the count's own word, as phrase.Count does": regexp.MustCompile(`\(s\)|\(es\)`),
	"say what it has to be":                           regexp.MustCompile(`(?i)\b(?:is|are) (?:invalid|illegal|bad|wrong|malformed)$`),
}

// TestTextsAreWrittenForPeople: whoever reads a message, a warning or the log need not know Go.
func TestTextsAreWrittenForPeople(t *testing.T) {
	fset := token.NewFileSet()
	imports := compiled(t, fset)
	folders := map[string][]*ast.File{}
	for _, s := range sources(t) {
		folder := s.folder()
		if s.isTest() || strings.HasSuffix(folder, "test") || strings.HasPrefix(folder, "simulation") ||
			strings.HasPrefix(folder, "e2e") || strings.HasPrefix(folder, "cmd") {
			continue
		}
		file, err := parser.ParseFile(fset, s.path, s.text, parser.SkipObjectResolution)
		require.NoError(t, err)
		folders[folder] = append(folders[folder], file)
	}
	seen := 0
	for folder, files := range folders {
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
		config := types.Config{Importer: imports, FakeImportC: true}
		_, err := config.Check(path.Join(module, folder), fset, files, info)
		require.NoError(t, err)
		for _, w := range wordings(fset, files, info) {
			seen++
			assert.Empty(t, w.unreadable(), "%s: %q", w.where, w.format)
			for remedy, pattern := range poor {
				assert.NotRegexp(t, pattern, w.format, "%s: %s", w.where, remedy)
			}
		}
	}
	require.Greater(t, seen, 500)
}
