// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite docs/api.md")

// chapters are the paths in the order of the reference.
var chapters = []struct {
	title string
	paths []string
}{
	{"Account", []string{"config", "config/check"}},
	{"Roles", []string{"roles", "roles/{name}"}},
	{"Issuing", []string{
		"issue/{role}", "sign/{role}", "issuer/{issuer_ref}/issue/{role}", "issuer/{issuer_ref}/sign/{role}", "renew/{role}/{serial}",
	}},
	{"Orders", []string{
		"orders/{role}", "orders/{role}/{id}", "orders/{role}/request/{request_id}", "orders/{role}/{id}/collect", "orders/{role}/{id}/dcv",
		"orders/{role}/{id}/documents", "orders/{role}/{id}/download/{form}", "orders/{role}/{id}/reissue",
	}},
	{"Certificates", []string{
		"certs", "cert/{serial}", "cert/{serial}/raw", "cert/{serial}/raw/pem", "cert/{serial}/download/{form}",
		"cert/ca", "cert/ca_chain", "cert/ca/raw", "cert/ca/raw/pem", "ca", "ca/pem", "ca_chain",
	}},
	{"Revocation", []string{"revoke", "revoke/{role}", "revoke-with-key", "certs/revoked", "certs/revocation-queue"}},
	{"Domain validation", []string{
		"dcv/solvers", "dcv/solvers/{name}", "dcv/solvers/{name}/check", "domains", "domains/{name}", "domains/{name}/verify",
	}},
	{"What CERTInext has", []string{
		"account", "groups", "organizations", "organizations/{number}", "catalog/products", "catalog/products/{code}",
		"catalog/products/{code}/custom-fields", "reports/orders", "reports/ledger",
	}},
	{"Synchronization", []string{"sync"}},
}

// An action is an operation of a path.
type action struct {
	op logical.Operation
	*framework.OASOperation
}

// A reference is what there is to tell.
type reference struct {
	t       *testing.T
	doc     *framework.OASDocument
	actions map[string][]action // of each path
	help    func(path string) string
	mask    *mask
	samples map[string]sample // of each operation
}

// TestTheReferenceOfPathsIsUpToDate holds docs/api.md to what the paths declare, and to what they answer.
func TestTheReferenceOfPathsIsUpToDate(t *testing.T) {
	exchanges, refused := story(t)
	r := newReference(t)
	r.checkAnswers(exchanges)
	r.take(exchanges)
	text := r.render(refused)
	path := filepath.Join("docs", "api.md")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	if string(written) != text {
		t.Fatalf("%s is not what the paths declare and answer: run make docs\n%s", path, firstDifference(string(written), text))
	}
}

func firstDifference(old, now string) string {
	a, b := strings.Split(old, "\n"), strings.Split(now, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("line %d is  %s\nshould be %s", i+1, a[i], b[i])
		}
	}
	return fmt.Sprintf("it has %d lines instead of %d", len(a), len(b))
}

func newReference(t *testing.T) *reference {
	t.Helper()
	r := &reference{t: t, doc: openAPI(t), actions: map[string][]action{}, help: descriptions(t), mask: newMask(), samples: map[string]sample{}}
	for path, item := range r.doc.Paths {
		path = strings.Trim(path, "/")
		r.actions[path] = append(r.actions[path], actionsOf(item)...)
	}
	for _, actions := range r.actions {
		slices.SortFunc(actions, func(a, b action) int { return cmp.Compare(rank(a.op), rank(b.op)) })
	}
	return r
}

// rank orders operations.
func rank(op logical.Operation) int {
	return slices.Index([]logical.Operation{logical.ListOperation, logical.UpdateOperation, logical.PatchOperation, logical.ReadOperation, logical.DeleteOperation}, op)
}

// actionsOf are the operations of an item. OpenAPI has no LIST: it is a GET with a parameter.
func actionsOf(item *framework.OASPathItem) []action {
	var out []action
	if item.Get != nil {
		op := logical.Operation(logical.ReadOperation)
		if slices.ContainsFunc(item.Get.Parameters, func(p framework.OASParameter) bool { return p.Name == "list" }) {
			op = logical.ListOperation
		}
		out = append(out, action{op, item.Get})
	}
	for _, a := range []action{{logical.UpdateOperation, item.Post}, {logical.PatchOperation, item.Patch}, {logical.DeleteOperation, item.Delete}} {
		if a.OASOperation != nil {
			out = append(out, a)
		}
	}
	return out
}

// descriptions returns the help of a path, without synopsis and fields.
func descriptions(t *testing.T) func(path string) string {
	t.Helper()
	m := bareMount(t, new(certinexttest.Server))
	m.system.PluginEnvironment = &logical.PluginEnvironment{VaultVersion: "1.21.1"}
	return func(path string) string {
		help := m.must(call{op: logical.HelpOperation, path: concrete(path)}).Data["help"].(string)
		_, description, found := strings.Cut(help, "## DESCRIPTION")
		require.True(t, found, path)
		return strings.TrimSpace(description)
	}
}

// concrete is a path with values for its parameters.
func concrete(path string) string {
	return pathParameter.ReplaceAllStringFunc(path, func(p string) string {
		if p == "{serial}" {
			return "01-02"
		}
		return "x"
	})
}

// declaration is the path that a request is for: the one with the fewest parameters of those that it could be.
func (r *reference) declaration(path string) string {
	var found []string
	for declared := range r.actions {
		pattern := strings.ReplaceAll(pathParameter.ReplaceAllString(declared, "[^/]+"), "/", "\\/")
		if regexp.MustCompile("^" + pattern + "$").MatchString(path) {
			found = append(found, declared)
		}
	}
	require.NotEmpty(r.t, found, path)
	return slices.MinFunc(found, func(a, b string) int { return cmp.Compare(strings.Count(a, "{"), strings.Count(b, "{")) })
}

// answerName is the name of the schema of an action's answer; empty when it has none.
func (r *reference) answerName(a action) string {
	if ok := a.Responses[200]; ok != nil && ok.Content["application/json"] != nil {
		return schemaName(ok.Content)
	}
	return ""
}

func schemaName(c framework.OASContent) string {
	return strings.TrimPrefix(c["application/json"].Schema.Ref, "#/components/schemas/")
}

// answers are the declared fields of an action's answer.
func (r *reference) answers(a action) map[string]*framework.OASSchema {
	if schema := r.doc.Components.Schemas[r.answerName(a)]; schema != nil {
		return schema.Properties
	}
	return nil
}

// checkAnswers holds all that was answered to what is declared.
func (r *reference) checkAnswers(exchanges []exchange) {
	r.t.Helper()
	spec := specification(r.t, r.doc)
	seen := map[string]bool{}
	for _, e := range exchanges {
		if e.op == logical.RollbackOperation || e.answer == nil || e.answer.IsError() || e.answer.Data[logical.HTTPRawBody] != nil {
			continue
		}
		path := r.declaration(e.path)
		where := string(e.op) + " " + path
		i := slices.IndexFunc(r.actions[path], func(a action) bool { return a.op == e.op })
		schema := spec.Components.Schemas[r.answerName(r.actions[path][i])]
		if schema == nil {
			require.Empty(r.t, e.answer.Data, "%s declares no answer", where)
			continue
		}
		data := decoded(r.t, e.answer.Data).(map[string]any)
		for field, value := range data {
			declared := schema.Value.Properties[field]
			if declared == nil {
				r.t.Errorf("%s answers %s, which it does not declare", where, field)
			} else if value == nil && strings.Contains(declared.Value.Description, "null when") {
				delete(data, field) // Vault's declarations have no nullable, so the description says it
			}
			seen[where+": "+field] = true
		}
		if err := schema.Value.VisitJSON(data); err != nil {
			r.t.Errorf("%s answers what is not as declared: %v", where, err)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(r.actions)) {
		for _, a := range r.actions[path] {
			for _, field := range slices.Sorted(maps.Keys(r.answers(a))) {
				if where := string(a.op) + " " + path + ": " + field; !seen[where] {
					r.t.Logf("declared, and never answered here: %s", where)
				}
			}
		}
	}
}

// take keeps the first exchange of each operation as its sample.
func (r *reference) take(exchanges []exchange) {
	r.t.Helper()
	for _, e := range exchanges {
		if e.op == logical.RollbackOperation {
			continue
		}
		key := string(e.op) + " " + r.declaration(e.path)
		s := r.mask.sample(r.t, e) // of all, so that stand-ins are counted in the order of the story
		if _, taken := r.samples[key]; !taken {
			r.samples[key] = s
		}
	}
}

const preface = `# The paths of the engine

` + "`make docs`" + ` writes this file; a test compares it with the paths. Every sample is a request that was sent to the engine, and the answer that came,
with a simulated CERTInext behind it. What is random, such as keys, certificates and numbers, is replaced by stand-ins.

The samples show the mount at ` + "`certinext/`" + `. What Vault itself adds to answers (` + "`request_id`, `lease_id`" + ` and the like) is left out. A read of what is
not there is answered ` + "`404`" + `. PATCH takes ` + "`Content-Type: application/merge-patch+json`" + `. Lists of texts may be sent as one text with commas, and a duration is a
number of seconds, or a text such as ` + "`90s` or `24h`" + `; it is answered as a number of seconds.
`

// render writes the reference.
func (r *reference) render(refused refusals) string {
	var b strings.Builder
	b.WriteString(preface)
	rest := maps.Clone(r.actions)
	for _, c := range chapters {
		fmt.Fprintf(&b, "\n## %s\n", c.title)
		for _, path := range c.paths {
			require.Contains(r.t, rest, path, "a path of the reference that there is not")
			delete(rest, path)
			r.renderPath(&b, path)
		}
	}
	require.Empty(r.t, slices.Collect(maps.Keys(rest)), "paths that are in no chapter of the reference")
	r.renderErrors(&b, refused)
	return b.String()
}

func (r *reference) renderPath(b *strings.Builder, path string) {
	item := r.doc.Paths["/"+path]
	if item == nil {
		item = r.doc.Paths["/"+path+"/"]
	}
	fmt.Fprintf(b, "\n### `%s`\n\n%s\n\n%s\n\n", colons(path), prose(item.Description), prose(r.help(path)))
	b.WriteString("| method | operation | command | |\n|---|---|---|---|\n")
	for _, a := range r.actions[path] {
		fmt.Fprintf(b, "| `%s` | %s | `%s` | %s |\n", methods[a.op], name(a.op), r.command(a, path), cell(a.Summary))
	}
	if item.Unauthenticated {
		b.WriteString("\nNo token is needed.\n")
	}
	r.renderRequest(b, path)
	r.renderAnswers(b, path)
	for _, a := range r.actions[path] {
		s, ok := r.samples[string(a.op)+" "+path]
		require.True(r.t, ok, "%s of %s has no sample", a.op, path)
		renderSample(b, "Sample of "+name(a.op), s)
	}
}

func renderSample(b *strings.Builder, title string, s sample) {
	fmt.Fprintf(b, "\n%s:\n\n```\n%s\n```\n\n```\n%s\n```\n", title, s.request, s.answer)
}

// name is an operation as users call it.
func name(op logical.Operation) string {
	if op == logical.UpdateOperation {
		return "write"
	}
	return string(op)
}

// command is how the vault command calls an operation.
func (r *reference) command(a action, path string) string {
	text := "vault " + name(a.op)
	switch {
	case a.op == logical.ReadOperation && r.answers(a) == nil:
		text += " -format=raw"
	case a.op == logical.UpdateOperation && a.RequestBody == nil:
		text += " -force"
	}
	text += " certinext/" + colons(path)
	if a.RequestBody != nil {
		text += " ..."
	}
	return text
}

// An input is a field of a request.
type input struct {
	*framework.OASSchema
	where    []string
	required bool
}

// renderRequest writes the fields of a path's requests: of all its operations, since they are declared for the path.
func (r *reference) renderRequest(b *strings.Builder, path string) {
	inputs := map[string]*input{}
	add := func(name, where string, s *framework.OASSchema, required bool) {
		if inputs[name] == nil {
			inputs[name] = &input{OASSchema: s}
		}
		if in := inputs[name]; !slices.Contains(in.where, where) {
			in.where, in.required = append(in.where, where), in.required || required
		}
	}
	parameters := func(all []framework.OASParameter) {
		for _, p := range all {
			if p.Name != "list" {
				s := *p.Schema
				s.Description = p.Description
				add(p.Name, p.In, &s, p.Required)
			}
		}
	}
	for _, item := range []*framework.OASPathItem{r.doc.Paths["/"+path], r.doc.Paths["/"+path+"/"]} {
		if item != nil {
			parameters(item.Parameters)
		}
	}
	for _, a := range r.actions[path] {
		parameters(a.Parameters)
		if a.RequestBody != nil {
			body := r.doc.Components.Schemas[schemaName(a.RequestBody.Content)]
			for name, s := range body.Properties {
				add(name, "body", s, slices.Contains(body.Required, name))
			}
		}
	}
	if len(inputs) == 0 {
		return
	}
	order := map[string]int{"path": 0, "query": 1, "body": 1}
	names := slices.SortedFunc(maps.Keys(inputs), func(x, y string) int {
		return cmp.Or(cmp.Compare(order[inputs[x].where[0]], order[inputs[y].where[0]]), cmp.Compare(x, y))
	})
	b.WriteString("\n| field | in | type | default | |\n|---|---|---|---|---|\n")
	for _, n := range names {
		in := inputs[n]
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", n, strings.Join(in.where, ", "), kind(in.OASSchema), preset(in.Default), cell(in.Description)+remarks(in))
	}
}

// remarks tell what a field's description does not.
func remarks(in *input) string {
	var out string
	if in.required {
		out += " **Required.**"
	}
	if in.DisplayAttrs != nil && in.DisplayAttrs.Sensitive {
		out += " **Secret.**"
	}
	if len(in.Enum) > 0 {
		values := make([]string, len(in.Enum))
		for i, v := range in.Enum {
			values[i] = fmt.Sprintf("`%v`", v)
		}
		out += " One of " + strings.Join(values, ", ") + "."
	}
	return out
}

// renderAnswers writes the fields of answers, once where several operations have the same.
func (r *reference) renderAnswers(b *strings.Builder, path string) {
	told := map[string]bool{}
	for i, a := range r.actions[path] {
		fields := r.answers(a)
		text := table(fields)
		if len(fields) == 0 || told[text] {
			continue
		}
		told[text] = true
		of := []string{name(a.op)}
		for _, other := range r.actions[path][i+1:] {
			if table(r.answers(other)) == text {
				of = append(of, name(other.op))
			}
		}
		fmt.Fprintf(b, "\nAnswer of %s:\n\n%s", strings.Join(of, " and "), text)
	}
}

func table(fields map[string]*framework.OASSchema) string {
	var b strings.Builder
	b.WriteString("| field | type | |\n|---|---|---|\n")
	for _, n := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", n, kind(fields[n]), cell(fields[n].Description))
	}
	return b.String()
}

func kind(s *framework.OASSchema) string {
	switch {
	case s.Type == "array" && s.Items.Type == "object":
		return "list of objects"
	case s.Type == "array":
		return "list of texts"
	case s.Format == "duration":
		return "duration"
	case s.Type == "string":
		return "text"
	case s.Format == "kvpairs":
		return "texts by name"
	}
	return s.Type
}

// preset is a default as a cell.
func preset(v any) string {
	if v == nil {
		return ""
	}
	text, _ := json.Marshal(v)
	return "`" + strings.Trim(string(text), `"`) + "`"
}

// colons is a path as the README writes it.
func colons(path string) string {
	return regexp.MustCompile(`\{(\w+)\}`).ReplaceAllString(path, ":$1")
}

// prose keeps Markdown from reading <role> as a tag and * as emphasis. Indented lines are code, where it does not.
func prose(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, "    ") {
			lines[i] = strings.NewReplacer("<", `\<`, "*", `\*`).Replace(line)
		}
	}
	return strings.Join(lines, "\n")
}

func cell(text string) string { return strings.ReplaceAll(prose(text), "|", `\|`) }

const aboutErrors = `
## Errors

An error is ` + "`400`" + ` with a reason in words, whatever CERTInext's own status was: Vault's clients send some requests again after a ` + "`5xx`" + `, and an order must not be placed
twice. A ` + "`5xx`" + ` is a fault of the engine, of Vault, or of its storage.
`

func (r *reference) renderErrors(b *strings.Builder, refused refusals) {
	b.WriteString(aboutErrors)
	for _, e := range []struct {
		title string
		exchange
	}{
		{"An order that is not finished within the role's `issue_timeout` goes on. The error names it and says what it waits for; the same request finds it again", refused.unfinished},
		{"A field that is not known is refused, and nothing is done", refused.unknownField},
		{"So is what the role does not allow; the error begins with the field", refused.constraint},
	} {
		renderSample(b, e.title, r.mask.sample(r.t, e.exchange))
	}
}
