// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"cmp"
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
		"orders", "orders/{role}", "orders/{role}/{id}", "orders/{role}/request/{request_id}", "orders/{role}/{id}/collect", "orders/{role}/{id}/dcv",
		"orders/{role}/{id}/documents", "orders/{role}/{id}/download/{form}", "orders/{role}/{id}/reissue", "operator/orders/{role}/{id}", "operator/renewal/{role}",
		"approvals", "approvals/{role}", "approvals/{role}/{id}",
	}},
	{"What there is", []string{"inventory/certs", "inventory/certs/{role}", "inventory/orders", "inventory/orders/{role}"}},
	{"Certificates", []string{
		"certs", "cert/{serial}", "cert/{serial}/raw", "cert/{serial}/raw/pem", "cert/{serial}/download/{form}",
		"cert/ca", "cert/ca_chain", "cert/ca/raw", "cert/ca/raw/pem", "ca", "ca/pem", "ca_chain",
		"issuers", "issuer/{issuer_ref}", "issuer/{issuer_ref}/json", "issuer/{issuer_ref}/der", "issuer/{issuer_ref}/pem",
	}},
	{"Revocation", []string{"revoke", "revoke/{role}", "revoke-with-key", "certs/revoked", "certs/revocation-queue", "operator/revocations/{serial}"}},
	{"Domain validation", []string{
		"dcv/solvers", "dcv/solvers/{name}", "dcv/solvers/{name}/check", "domains", "domains/{name}", "domains/{name}/verify",
	}},
	{"What CERTInext has", []string{
		"account", "groups", "organizations", "organizations/{number}", "catalog/products", "catalog/products/{code}",
		"catalog/products/{code}/custom-fields", "reports/orders", "reports/ledger",
	}},
	{"Money", []string{"budgets", "budgets/{name}", "reports/spend"}},
	{"Trust", []string{"config/trust", "config/trust/{family}"}},
	{"Synchronization", []string{"sync", "operator/adopt/{role}", "operator/adopt/{role}/{serial}"}},
	{"Replacing many", []string{
		"replace", "replace/{campaign}", "replace/{campaign}/certs", "replace/{campaign}/pause", "replace/{campaign}/resume", "replace/{campaign}/abort",
	}},
	{"Tidying", []string{"tidy", "tidy-status", "tidy-cancel", "config/auto-tidy"}},
	{"Monitoring", []string{"status", "metrics"}},
	{"For vault pki health-check", []string{"config/acme", "config/cluster"}},
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
	path := filepath.Join("..", "docs", "api.md")
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
		if actions := actionsOf(item); len(actions) > 0 {
			r.actions[path] = append(r.actions[path], actions...)
		}
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
