// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/openapi"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

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
	case a.op == logical.ReadOperation && (r.answers(a) == nil || strings.HasSuffix(path, "/download/{form}")):
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
	case s.Format == openapi.Duration:
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
