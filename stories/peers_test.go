// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// This file holds the defects that were seen in other engines and that no other test keeps away. docs/compare/peers.md lists all of them.

var testName = regexp.MustCompile("`(Test\\w+)`")

// TestEveryDefectOfPeersHasATest holds docs/compare/peers.md to the tests that there are.
func TestEveryDefectOfPeersHasATest(t *testing.T) {
	there := map[string]bool{}
	require.NoError(t, eachGoFile(func(path string, file *ast.File) {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasSuffix(path, "_test.go") {
				there[f.Name.Name] = true
			}
		}
	}))
	rows := tables(t, filepath.Join("..", "docs", "compare", "peers.md"))
	require.GreaterOrEqual(t, len(rows), 16)
	for _, r := range rows {
		named := testName.FindAllStringSubmatch(r["kept away by"], -1)
		require.NotEmpty(t, named, "%s: nothing keeps it away", r["defect"])
		for _, n := range named {
			require.True(t, there[n[1]], "%s: there is no %s", r["defect"], n[1])
		}
	}
}

// eachGoFile parses every Go file of the module. Its paths begin at the module's root.
func eachGoFile(visit func(path string, file *ast.File)) error {
	set, module := token.NewFileSet(), os.DirFS("..")
	return fs.WalkDir(module, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "build", "tools"}, path):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		text, err := fs.ReadFile(module, path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(set, path, text, parser.SkipObjectResolution)
		if err == nil {
			visit(path, file)
		}
		return err
	})
}

// Libraries of DNS hosts read their credentials from the environment if they are not told. What one mount put there would be every mount's.
func TestNothingIsToldThroughTheEnvironment(t *testing.T) {
	looked := 0
	require.NoError(t, eachGoFile(func(path string, file *ast.File) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		looked++
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"Setenv", "Unsetenv", "Clearenv"}, s.Sel.Name) {
				t.Errorf("%s changes the environment", path)
			}
			return true
		})
	}))
	require.Greater(t, looked, 50)
}

func TestTheEndOfALeaseRevokesInWhateverFormTheAnswerWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		for _, form := range []map[string]any{
			{},
			{"format": "der"},
			{"format": "pem_bundle"},
			{"format": "pkcs7"},
			{"private_key_format": "pkcs8"},
			{"format": "der", "remove_roots_from_chain": true},
			{"format": "pkcs12_bundle"},
			{"format": "jks_bundle", "jks_password": "changeit"},
		} {
			for _, path := range []string{"issue/web", "sign/web"} {
				request := maps.Clone(form)
				request["common_name"] = "www.example.com"
				if path == "sign/web" {
					request["csr"] = csr(t, newKey(t, elliptic.P256()), "www.example.com")
				}
				m.endLease(m.write(path, request))
			}
		}
		require.Len(t, ca.Orders(), 16)
		for _, o := range ca.Orders() {
			require.Equal(t, "revoked", o.Status)
		}
	})
}

// Whoever gets an answer late, by its order or a second time needs as much of it as whoever gets it at once.
func TestALateAnswerHasEveryFieldOfAnEarlyOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		fields := func(resp *logical.Response) []string {
			for name, value := range resp.Data {
				if name != "reused" {
					require.NotEmpty(t, value, name)
				}
			}
			return slices.Sorted(maps.Keys(resp.Data))
		}
		early := fields(m.write("issue/web", map[string]any{"common_name": "early.example.com"}))
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = time.Minute })
		late := map[string]any{"common_name": "late.example.com"}
		m.refused("issue/web", late)
		time.Sleep(2 * time.Minute)
		require.Equal(t, early, fields(m.write("issue/web", late)))

		named := map[string]any{"common_name": "named.example.com", "request_id": "deploy-1"}
		m.refused("issue/web", named)
		time.Sleep(2 * time.Minute)
		require.Equal(t, early, fields(m.write("issue/web", named)))
		require.Equal(t, early, fields(m.write("issue/web", named)), "a second time")

		order := m.write("orders/web", map[string]any{"common_name": "collected.example.com"}).Data["order_id"].(string)
		time.Sleep(2 * time.Minute)
		require.Equal(t, early, fields(m.write("orders/web/"+order+"/collect", nil)))
	})
}

// A 5xx, 429 or 412 makes Vault's clients send a paid order again, and a 401 or 403 would be taken for Vault's own.
func TestNoStatusOfTheCAsIsGivenOnAsVaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{400, 401, 403, 404, 408, 409, 412, 422, 429, 500, 502, 503, 504} {
			for _, op := range []string{certinexttest.OpCreateSSL, certinexttest.OpTrack, certinexttest.OpCertificate} {
				ca := validated(certinexttest.Live)
				ca.IssueDelay = 2 * time.Second
				m := newMount(t, ca)
				ca.Inject(certinexttest.Fault{Operation: op, Kind: certinexttest.FaultServerError, Status: status})
				m.refused("issue/web", map[string]any{"common_name": "www.example.com"}) // an error answer, which Vault makes a 400
				if status >= 500 {                                                       // what the CA certainly refused may be sent again
					require.LessOrEqual(t, ca.Calls()[certinexttest.OpCreateSSL], 1, "%d at %s: the order was sent again", status, op)
				}
			}
		}
	})
}

func TestACreateThatHangsKeepsNobodyElseWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLatency, Delay: 40 * time.Second, Times: 1})
		hung := make(chan struct{})
		go func() {
			defer close(hung)
			_, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "hung.example.com"}})
		}()
		time.Sleep(time.Second)
		begun := time.Now()
		m.chainOK(m.write("issue/web", map[string]any{"common_name": "www.example.com"}))
		m.write("roles/next", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
		m.read("config")
		m.list("orders/web")
		require.Less(t, time.Since(begun), 5*time.Second, "somebody else's call was waited for")
		<-hung
	})
}

// What people write is data for CERTInext, whatever signs are in it.
func TestWhatPeopleWriteIsNoPartOfTheRequestsSyntax(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		const hostile = `","productCode":"846","x":{"y":["\u0000\\"`
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"remarks": hostile}})
		m.chainOK(m.write("issue/web", map[string]any{"common_name": "www.example.com"}))
		require.Len(t, ca.Orders(), 1)
		require.Equal(t, "842", ca.Orders()[0].ProductCode)
		require.Contains(t, ca.Orders()[0].Remarks, hostile)
	})
}

// TestGuidesAreListed keeps the list of guides complete.
func TestGuidesAreListed(t *testing.T) {
	index, err := os.ReadFile(filepath.Join("..", "docs", "guides", "README.md"))
	require.NoError(t, err)
	guides, err := filepath.Glob(filepath.Join("..", "docs", "guides", "*.md"))
	require.NoError(t, err)
	for _, path := range guides {
		if name := filepath.Base(path); name != "README.md" {
			require.Contains(t, string(index), "("+name+")")
		}
	}
}
