// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/stretchr/testify/require"
)

// A row is a line of a table in a document, by the names of its columns.
type row map[string]string

// tables returns the rows of all tables of a Markdown file.
func tables(t *testing.T, path string) []row {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var rows []row
	var head []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			head = nil
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case head == nil:
			head = cells
		case strings.HasPrefix(cells[0], "---"):
		default:
			require.Len(t, cells, len(head), "%s: %s", path, line)
			r := row{}
			for i, name := range head {
				r[name] = cells[i]
			}
			rows = append(rows, r)
		}
	}
	return rows
}

// declared is what a mount knows: the fields, asked for and answered, of each of its paths, which have {} for a parameter.
type declared map[string]map[string]bool

func declaredBy(doc *framework.OASDocument) declared {
	d := declared{}
	for path, item := range doc.Paths {
		path = parameterless(path)
		if d[path] == nil {
			d[path] = map[string]bool{}
		}
		parameters := slices.Clone(item.Parameters)
		for _, op := range []*framework.OASOperation{item.Get, item.Post, item.Delete} {
			if op == nil {
				continue
			}
			parameters = append(parameters, op.Parameters...)
			for _, schema := range schemasOf(op) {
				for field := range doc.Components.Schemas[strings.TrimPrefix(schema.Ref, "#/components/schemas/")].Properties {
					d[path][field] = true
				}
			}
		}
		for _, p := range parameters {
			d[path][p.Name] = true
		}
	}
	return d
}

// schemasOf are the schemas of what an operation takes and answers.
func schemasOf(op *framework.OASOperation) []*framework.OASSchema {
	var out []*framework.OASSchema
	add := func(c framework.OASContent) {
		for _, m := range c {
			out = append(out, m.Schema)
		}
	}
	if op.RequestBody != nil {
		add(op.RequestBody.Content)
	}
	for _, r := range op.Responses {
		add(r.Content)
	}
	return out
}

var (
	pathParameter = regexp.MustCompile(`\{\w+\}|:\w+`)
	quoted        = regexp.MustCompile("`([^`]+)`( \\(planned\\))?")
)

// parameterless is a path as both OpenAPI's {name} and the documents' :name come to.
func parameterless(path string) string {
	return pathParameter.ReplaceAllString(strings.Trim(path, "/"), "{}")
}

// A mention is a path of a document's cell, or a field of such a path.
type mention struct {
	path, field string
	planned     bool
}

// mentions reads a cell such as "`a`, `b`: `field`; `c` (planned)".
func mentions(cell string) []mention {
	var out []mention
	for group := range strings.SplitSeq(cell, ";") {
		paths, fields, _ := strings.Cut(group, "`: ")
		if fields != "" {
			paths += "`"
		}
		for _, p := range quoted.FindAllStringSubmatch(paths, -1) {
			out = append(out, mention{path: p[1], planned: p[2] != ""})
			for _, f := range quoted.FindAllStringSubmatch(fields, -1) {
				name, _, _ := strings.Cut(f[1], "=")
				out = append(out, mention{path: p[1], field: name, planned: f[2] != ""})
			}
		}
	}
	return out
}

func (d declared) knows(m mention) bool {
	fields, ok := d[parameterless(m.path)]
	return ok && (m.field == "" || fields[m.field])
}

// TestTheComparisonsNameWhatThereIs holds the documents that compare this engine with others to what the mount declares.
func TestTheComparisonsNameWhatThereIs(t *testing.T) {
	mount := declaredBy(openAPI(t))
	require.True(t, mount.knows(mention{path: "orders/:role/:id/dcv", field: "method"}), "asked for")
	require.True(t, mount.knows(mention{path: "orders/:role/:id/dcv", field: "domains"}), "answered")
	require.Equal(t, []mention{{path: "a"}, {path: "a", field: "x"}, {path: "b/", planned: true}}, mentions("`a`: `x=1`; `b/` (planned)"))
	files, err := filepath.Glob(filepath.Join("..", "docs", "compare", "*.md"))
	require.NoError(t, err)
	found := 0
	for _, path := range files {
		for _, r := range tables(t, path) {
			for _, m := range mentions(r["here"]) {
				found++
				switch known := mount.knows(m); {
				case m.planned && known:
					t.Errorf("%s: %s %s is not planned any more: it is there", path, m.path, m.field)
				case !m.planned && !known:
					t.Errorf("%s: the mount has no %s %s", path, m.path, m.field)
				}
			}
		}
	}
	require.Greater(t, found, 200)
}

// TestEveryEndpointOfTheAPIIsAccountedFor compares the tables of endpoints with the simulator.
func TestEveryEndpointOfTheAPIIsAccountedFor(t *testing.T) {
	path := filepath.Join("..", "docs", "compare", "api-coverage.md")
	var listed []string
	for _, r := range tables(t, path) {
		endpoint, why := strings.Trim(r["endpoint"], "`"), r["how, or why not"]
		require.NotEmpty(t, r["here"]+why, "%s: who calls %s, or why does nobody?", path, endpoint)
		if simulates(endpoint) && !strings.Contains(why, "not simulated") {
			listed = append(listed, endpoint)
		}
	}
	slices.Sort(listed)
	require.Equal(t, certinexttest.Routes(), listed)
}

// simulates reports whether the simulator speaks the version of the API that an endpoint belongs to.
func simulates(endpoint string) bool {
	const version1 = "POST /emSignHub-API/"
	return !strings.HasPrefix(endpoint, version1) ||
		slices.ContainsFunc(certinexttest.Routes(), func(r string) bool { return strings.HasPrefix(r, version1) })
}
