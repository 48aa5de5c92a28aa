// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A source is a Go file of the module.
type source struct {
	path string // from the module's root, with slashes
	text string
	fset *token.FileSet
	file *ast.File
}

func parse(t *testing.T, path, text string) source {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	require.NoError(t, err)
	return source{path: path, text: text, fset: fset, file: file}
}

func (s source) folder() string { return path.Dir(s.path) }

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) line(n ast.Node) int { return s.fset.Position(n.Pos()).Line }

// sources are all Go files of the module, whatever they are built for. As the go command does, it
// leaves out testdata, what is hidden, and folders that are modules of their own.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	module := os.DirFS(".")
	err := fs.WalkDir(module, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case d.IsDir():
			_, err := fs.Stat(module, path.Join(name, "go.mod"))
			hidden := strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")
			if err == nil || hidden || d.Name() == "testdata" || name == "build" {
				return fs.SkipDir
			}
		case path.Ext(name) == ".go":
			text, err := fs.ReadFile(module, name)
			if err != nil {
				return err
			}
			all = append(all, parse(t, name, string(text)))
		}
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

// folders are sources by the folder that they are in.
func folders(all []source) map[string][]source {
	in := make(map[string][]source)
	for _, s := range all {
		in[s.folder()] = append(in[s.folder()], s)
	}
	return in
}

// rootFiles are the patterns of what may be in the top folder. Whatever else is written for a path
// belongs in a room.
var rootFiles = []string{
	"backend.go", "fields.go", "fields_*.go", "path_*.go",
	"response.go", "secret_certificate.go", "version.go",
}

// rootTests are the tests that may be in the top folder. Those of what paths answer are stories.
var rootTests = []string{"arch_test.go", "forward_test.go", "idioms_test.go", "layout_test.go", "messages_test.go"}

func mayBeInRoot(name string) bool {
	if strings.HasSuffix(name, "_test.go") {
		return slices.Contains(rootTests, name)
	}
	return slices.ContainsFunc(rootFiles, func(pattern string) bool {
		matched, err := path.Match(pattern, name)
		return err == nil && matched
	})
}

// TestTheRootHasPathsOnly: the top folder is the Vault API, and no place for what has no place.
func TestTheRootHasPathsOnly(t *testing.T) {
	for name, want := range map[string]bool{
		"path_issue.go":       true,
		"fields_pki.go":       true,
		"fields.go":           true,
		"layout_test.go":      true,
		"util.go":             false,
		"paths.go":            false,
		"fieldset.go":         false,
		"path_issue_test.go":  false,
		"backend_test.go":     false,
		"response_windows.go": false,
	} {
		assert.Equal(t, want, mayBeInRoot(name), name)
	}
	for _, s := range folders(sources(t))["."] {
		if !mayBeInRoot(s.path) {
			t.Errorf("%s: the top folder is the Vault API; see rootFiles", s.path)
		}
	}
}

// rooms are the folders of the engine. CONTRIBUTING.md says how to add one.
var rooms = []string{
	"acceptance", "account", "ahead", "caa", "campaigns", "certificates", "domains", "index", "internal", "inventory", "issuing", "ledger",
	"metrics", "notices", "orders", "preview", "readiness", "reconciliation", "renewal", "reuse", "roles", "spending", "standing", "subscriptions",
	"tidy", "trust", "validation",
}

// TestRooms: the engine consists of the rooms that are known, and each says what it may import.
func TestRooms(t *testing.T) {
	folder := func(name string) []string {
		entries, err := os.ReadDir(name)
		require.NoError(t, err)
		var names []string
		for _, e := range entries {
			if e.IsDir() {
				names = append(names, e.Name())
			}
		}
		return names
	}
	assert.Equal(t, rooms, folder("backend"), "see rooms")
	var packages []string
	for _, room := range rooms {
		if room != "internal" {
			packages = append(packages, "backend/"+room)
		}
	}
	for _, shared := range folder("backend/internal") {
		packages = append(packages, "backend/internal/"+shared)
	}
	known := arrows()
	for _, p := range packages {
		assert.NotEmpty(t, known[module+"/"+p], "%s: arrows do not say what it may not import", p)
	}
	in := folders(sources(t))
	for p := range known {
		name := cmp.Or(strings.TrimPrefix(strings.TrimPrefix(p, module), "/"), ".")
		assert.NotEmpty(t, in[name], "arrows have %s, which is no package", p)
	}
}

// isPackageComment tells whether a file says what its package is for, in the form that go doc
// expects. A command is called by its folder.
func isPackageComment(s source) bool {
	if s.file.Doc == nil {
		return false
	}
	begins := "Package " + s.file.Name.Name + " "
	if s.file.Name.Name == "main" {
		begins = "Command " + path.Base(s.folder()) + " "
	}
	return strings.HasPrefix(s.file.Doc.Text(), begins)
}

// TestEveryPackageSaysWhatItIsFor: in one file, be it a room, a command or a folder of tests.
func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for text, want := range map[string]bool{
		"// Package room is one.\npackage room":      true,
		"// Command room runs.\npackage main":        true,
		"package room":                               false,
		"// Package room is one.\n\npackage room":    false,
		"// Package hall is another.\npackage room":  false,
		"// This is a room.\npackage room":           false,
		"// Package main runs.\npackage main":        false,
		"//go:build linux\n\npackage room":           false,
		"// Copyright\n\n// Package room\npackage x": false,
	} {
		assert.Equal(t, want, isPackageComment(parse(t, "backend/room/room.go", text)), text)
	}
	for folder, files := range folders(sources(t)) {
		var commented []string
		for _, s := range files {
			if isPackageComment(s) {
				commented = append(commented, s.path)
			}
		}
		assert.Len(t, commented, 1, "%s: a package has one package comment", folder)
	}
}

// mostMethods is how many methods a type may have. One with more is several.
const mostMethods = 60

// largeTypes may have more methods than that, and why.
var largeTypes = map[string]string{
	"certinext.Client":               "a method for each operation of CERTInext's API",
	"certinext/certinexttest.Server": "a handler for each operation, and what a test may do to a CA",
	"secretsBackend":                 "a handler for each operation of each path",
}

// methods counts those that are declared in the files, by folder and type; in the top folder, by
// type. Methods of embedded types are not counted.
func methods(files []source) map[string]int {
	count := make(map[string]int)
	for _, s := range files {
		name := func(typ string) string { return strings.TrimPrefix(s.folder()+"."+typ, "..") }
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch d := n.(type) {
			case *ast.FuncDecl:
				if d.Recv != nil {
					count[name(receiver(d.Recv.List[0].Type))]++
				}
			case *ast.TypeSpec:
				if i, ok := d.Type.(*ast.InterfaceType); ok {
					for _, m := range i.Methods.List {
						count[name(d.Name.Name)] += len(m.Names)
					}
				}
			}
			return true
		})
	}
	return count
}

// receiver is the name of a method's type, without its pointer and type parameters.
func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.ParenExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return fmt.Sprintf("%T", e)
}

// TestNoTypeDoesEverything: a type with very many methods is a package in disguise.
func TestNoTypeDoesEverything(t *testing.T) {
	assert.Equal(t, map[string]int{"a.T": 3, "a.G": 2, "a.I": 3, "b.T": 1, "T": 1}, methods([]source{
		parse(t, "a/one.go", "package a; type T int; func (T) A() {}; func (t *T) B() {}; func f() {}"),
		parse(t, "a/two.go", "package a; func (t T) C() {}; type I interface { A(); B(); C(); error }"),
		parse(t, "a/three.go", "package a; func (G[K]) A() {}; func (g *G[_]) B() {}"),
		parse(t, "b/one.go", "package b; type T struct { a.T }; func (T) A() {}"),
		parse(t, "one.go", "package c; func (*T) A() {}"),
	}))
	count := methods(slices.DeleteFunc(sources(t), source.isTest))
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if count[name] > mostMethods && largeTypes[name] == "" {
			t.Errorf("%s has %d methods, and may have %d", name, count[name], mostMethods)
		}
	}
	for name := range largeTypes {
		assert.Greater(t, count[name], mostMethods, "%s is no longer large: see largeTypes", name)
	}
}
