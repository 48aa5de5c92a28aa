// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets_test

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

// hiddenEffects are the lines of if and switch statements whose initializer does something that
// their condition does not look at: it calls, sends, counts or assigns, other than to a new
// variable, and nothing that it assigns to occurs in the condition. The condition of a switch is
// its tag; of one without a tag, all its cases.
func hiddenEffects(s source) []int {
	var lines []int
	ast.Inspect(s.file, func(n ast.Node) bool {
		hidden := false
		switch n := n.(type) {
		case *ast.IfStmt:
			hidden = isHidden(n.Init, n.Cond)
		case *ast.SwitchStmt:
			condition := []ast.Expr{n.Tag}
			if n.Tag == nil {
				condition = nil
				for _, c := range n.Body.List {
					condition = append(condition, c.(*ast.CaseClause).List...)
				}
			}
			hidden = isHidden(n.Init, condition...)
		case *ast.TypeSwitchStmt:
			hidden = isHidden(n.Init, typeSwitched(n))
		}
		if hidden {
			lines = append(lines, s.line(n))
		}
		return true
	})
	return lines
}

// isHidden tells whether an initializer does something that the condition does not look at.
func isHidden(initializer ast.Stmt, condition ...ast.Expr) bool {
	var assigned []ast.Expr
	switch i := initializer.(type) {
	case nil:
		return false
	case *ast.AssignStmt:
		if i.Tok == token.DEFINE {
			return false
		}
		assigned = i.Lhs
	case *ast.IncDecStmt:
		assigned = []ast.Expr{i.X}
	}
	for _, a := range assigned {
		if slices.ContainsFunc(condition, func(c ast.Expr) bool { return mentions(c, a) }) {
			return false
		}
	}
	return true
}

// typeSwitched is the expression whose type is looked at.
func typeSwitched(s *ast.TypeSwitchStmt) ast.Expr {
	switch a := s.Assign.(type) {
	case *ast.AssignStmt:
		return a.Rhs[0]
	case *ast.ExprStmt:
		return a.X
	}
	return nil
}

// mentions tells whether one expression is a part of another, by its text.
func mentions(whole, part ast.Expr) bool {
	want, found := types.ExprString(ast.Unparen(part)), false
	ast.Inspect(whole, func(n ast.Node) bool {
		if e, ok := n.(ast.Expr); ok && types.ExprString(e) == want {
			found = true
		}
		if s, ok := n.(*ast.SelectorExpr); ok {
			found = found || mentions(s.X, part) // a field is not the variable of its name
			return false
		}
		return !found
	})
	return found
}

// TestConditionsHideNothing: whoever skims conditions sees what is done.
func TestConditionsHideNothing(t *testing.T) {
	for text, hidden := range map[string]bool{
		"if a { }":                                     false,
		"if a := f(); a { }":                           false,
		"if a, err := f(); err != nil { }":             false,
		"if err = f(); err != nil { }":                 false,
		"if x.err = f(); x.err != nil { }":             false,
		"if m[k] = f(); m[k] != nil { }":               false,
		"if (x.err) = f(); x.err.is(y) { }":            false,
		"if _, err = f(); g(err) { }":                  false,
		"if x = f(); x.ok() { }":                       false,
		"if n++; n > 3 { }":                            false,
		"if n += 2; n > 3 { }":                         false,
		"switch err = f(); err { }":                    false,
		"switch err = f(); { case a: case !is(err): }": false,
		"switch x = f(); x.(type) { }":                 false,
		"switch x = f(); y := x.(type) { case int: }":  false,

		"if x.busy = nil; y { }":                  true,
		"if x.err = f(); err != nil { }":          true,
		"if err = f(); x.err != nil { }":          true,
		"if x.busy = nil; x.ok { }":               true,
		"if m[k] = v; m[j] != nil { }":            true,
		"if _ = f(); y { }":                       true,
		"if f(); y { }":                           true,
		"if mu.Lock(); mu.held { }":               true,
		"if n++; y { }":                           true,
		"if n += 2; y { }":                        true,
		"if c <- 1; y { }":                        true,
		"if <-c; y { }":                           true,
		"if a { } else if x.busy = nil; y { }":    true,
		"f(func() { if x.busy = nil; y { } })":    true,
		"switch x = f(); y { case x: }":           true,
		"switch x = f(); { case y: f(x) }":        true,
		"switch f(); y { }":                       true,
		"switch x = f(); y.(type) { }":            true,
		"switch n++; z := y.(type) { case int: }": true,
	} {
		lines := hiddenEffects(parse(t, "snippet.go", "package p; func _() {\n"+text+"\n}"))
		if hidden {
			assert.Equal(t, []int{2}, lines, text)
		} else {
			assert.Empty(t, lines, text)
		}
	}
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		for _, line := range hiddenEffects(s) {
			t.Errorf("%s:%d: the statement before the condition is a side effect: "+
				"give it a line of its own", s.path, line)
		}
	}
}

// mixedLogic are the lines of expressions that are && and || without parentheses between them.
func mixedLogic(s source) []int {
	var lines []int
	ast.Inspect(s.file, func(n ast.Node) bool {
		or, ok := n.(*ast.BinaryExpr)
		if !ok || or.Op != token.LOR {
			return true
		}
		for _, side := range []ast.Expr{or.X, or.Y} {
			// The other way round there are parentheses, since && binds more tightly.
			if and, ok := side.(*ast.BinaryExpr); ok && and.Op == token.LAND {
				lines = append(lines, s.line(and))
			}
		}
		return true
	})
	return lines
}

// TestLogicHasParentheses: nobody has to know which of && and || binds more tightly.
func TestLogicHasParentheses(t *testing.T) {
	for text, mixed := range map[string]int{
		"a && b && c":                          0,
		"a || b || c":                          0,
		"(a && b) || c":                        0,
		"a && (b || c)":                        0,
		"a || !(b && c)":                       0,
		"a || f(b && c)":                       0,
		"a == b || c":                          0,
		"a && b == (c || d)":                   0,
		"a && b || c":                          1,
		"a || b && c":                          1,
		"a && b || c && d":                     2,
		"a || b || c && d":                     1,
		"a && (b || c && d)":                   1,
		"f(a && b || c)":                       1,
		"!(a && b || c)":                       1,
		"func() bool { return a && b || c }()": 1,
	} {
		got := mixedLogic(parse(t, "snippet.go", "package p; var _ = "+text))
		assert.Len(t, got, mixed, text)
	}
	for _, s := range sources(t) {
		for _, line := range mixedLogic(s) {
			t.Errorf("%s:%d: && and || want parentheses between them", s.path, line)
		}
	}
}

const (
	widest = 100 // columns of a line
	tab    = 4   // columns of a tab
)

// narrow are the folders whose code keeps to that width. The list only grows: whoever has broken
// the last wide line of a folder adds it here, and no folder is taken out for a line that is too
// wide. The test names those that may be added.
var narrow = []string{
	".",
	"backend",
	"backend/acceptance",
	"backend/caa",
	"backend/preview",
	"backend/ahead",
	"backend/renewal",
	"backend/reuse",
	"backend/subscriptions",
	"backend/trust",
	"backend/account",
	"backend/certificates",
	"backend/domains",
	"backend/index",
	"backend/internal/fault",
	"backend/internal/host",
	"backend/internal/keyed",
	"backend/internal/money",
	"backend/internal/sanitize",
	"backend/internal/serials",
	"backend/internal/sheet",
	"backend/internal/store",
	"backend/internal/store/storetest",
	"backend/campaigns",
	"backend/inventory",
	"backend/issuing",
	"backend/ledger",
	"backend/metrics",
	"backend/notices",
	"backend/orders",
	"backend/readiness",
	"backend/reconciliation",
	"backend/roles",
	"backend/spending",
	"backend/tidy",
	"backend/standing",
	"backend/validation",
	"certinext",
	"certinext/certinexttest",
	"certinext/certinexttest/internal/authority",
	"certinext/certinexttest/internal/caa",
	"certinext/certinexttest/internal/exact",
	"certinext/certinexttest/internal/graph",
	"certinext/certinexttest/internal/hostnames",
	"certinext/certinexttest/internal/keys",
	"certinext/certinexttest/internal/money",
	"certinext/certinexttest/internal/nonce",
	"certinext/certinexttest/internal/openapi",
	"certinext/certinexttest/internal/rules",
	"certinext/certinexttest/internal/settings",
	"certinext/certinexttest/internal/spelling",
	"certinext/certinexttest/internal/sure",
	"certinext/certinexttest/internal/terms",
	"certinext/certinexttest/internal/ctlog",
	"cmd/certinext-sandbox",
	"cmd/vault-plugin-secrets-certinext",
	"dcv",
	"dcv/dcvtest",
	"e2e",
	"internal/bundle",
	"internal/openapi",
	"internal/phrase",
	"internal/unknowns",
	"simulation",
	"stories",
}

// wideLines are the lines that are wider than they may be.
func wideLines(s source) []int {
	var wide []int
	number := 0
	for line := range strings.Lines(s.text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		if utf8.RuneCountInString(line)+(tab-1)*strings.Count(line, "\t") > widest {
			wide = append(wide, number)
		}
	}
	return wide
}

// TestLinesAreNarrow: code is read side by side with what it is compared with.
func TestLinesAreNarrow(t *testing.T) {
	full := "// " + strings.Repeat("ä", widest-3)
	tabbed := "\t// " + strings.Repeat("x", widest-tab-3)
	for text, want := range map[string][]int{
		full:                                nil,
		tabbed:                              nil,
		full + "\n" + full + "\n":           nil,
		full + "x":                          {2},
		tabbed + "x":                        {2},
		full + "x\n" + full + "\n":          {2},
		"\n\t" + full + "\n" + full + "x\n": {3, 4},
	} {
		got := wideLines(parse(t, "snippet.go", "package p\n"+text))
		assert.Equal(t, want, got, text)
	}
	code := folders(slices.DeleteFunc(sources(t), source.isTest))
	for folder, files := range code {
		wide := 0
		for _, s := range files {
			for _, line := range wideLines(s) {
				wide++
				if slices.Contains(narrow, folder) {
					t.Errorf("%s:%d: a line has more than %d columns", s.path, line, widest)
				}
			}
		}
		if wide == 0 && !slices.Contains(narrow, folder) {
			t.Logf("%s has no wide line: add it to narrow", folder)
		}
	}
	for _, folder := range narrow {
		assert.NotEmpty(t, code[folder], "narrow has %s, which is no package", folder)
	}
}
