// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A written is a path that takes a body, with what its fields are.
type written struct {
	path   string // with values for its parameters
	fields map[string]*framework.OASSchema
}

// writes are the paths of the mount that take a body.
func writes(t *testing.T) []written {
	t.Helper()
	doc := openAPI(t)
	var all []written
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		post := doc.Paths[path].Post
		if post == nil || post.RequestBody == nil {
			continue
		}
		body := doc.Components.Schemas[schemaName(post.RequestBody.Content)]
		all = append(all, written{concrete(strings.Trim(path, "/")), body.Properties})
	}
	require.Greater(t, len(all), 20)
	return all
}

// Every field of every path says what it takes when it is sent what it cannot be.
func TestEveryFieldSaysWhatItTakes(t *testing.T) {
	m := newMount(t, validated(0))
	fields := 0
	for _, w := range writes(t) {
		for _, name := range slices.Sorted(maps.Keys(w.fields)) {
			if w.fields[name].Type == "object" || (w.fields[name].Type == "array" && w.fields[name].Items.Type == "object") {
				continue // an object is what it takes
			}
			fields++
			refusal := m.refused(w.path, map[string]any{name: map[string]any{"a": "b"}})
			require.True(t, strings.HasPrefix(refusal, name+": must be "), "%s %s: %s", w.path, name, refusal)
		}
	}
	require.Greater(t, fields, 200)
}

// Whoever leaves a letter out of a field's name is told the name; whoever writes what is like none is told where the names are.
func TestEveryMisspeltFieldIsGuessed(t *testing.T) {
	m := newMount(t, validated(0))
	for _, w := range writes(t) {
		for _, name := range slices.Sorted(maps.Keys(w.fields)) {
			misspelt := name[:1] + name[2:]
			if len(name) < 5 || w.fields[misspelt] != nil {
				continue
			}
			refusal := m.refused(w.path, map[string]any{misspelt: "x"})
			require.Contains(t, refusal, misspelt+" (did you mean ", w.path)
			guess := strings.TrimSuffix(refusal[strings.LastIndex(refusal, "mean ")+len("mean "):], "?)")
			require.Contains(t, w.fields, guess, "%s: %s", w.path, refusal)
		}
		unlike := m.refused(w.path, map[string]any{"quantum": "x"})
		require.Contains(t, unlike, "vault path-help certinext/"+w.path+" shows the fields")
	}
}

// Whoever writes what a field's list does not have is told the list.
func TestEveryClosedListIsTold(t *testing.T) {
	m := newMount(t, validated(0))
	lists := 0
	for _, w := range writes(t) {
		for _, name := range slices.Sorted(maps.Keys(w.fields)) {
			allowed := w.fields[name].Enum
			if len(allowed) == 0 {
				continue
			}
			request := map[string]any{
				"common_name": "www.example.com", "product_code": "842", "allowed_domains": "example.com", name: "nonsense",
			}
			for sent := range request {
				if w.fields[sent] == nil {
					delete(request, sent)
				}
			}
			resp, err := m.send(call{op: logical.UpdateOperation, path: strings.Replace(w.path, "/x", "/web", 1), data: request})
			require.NoError(t, err)
			require.True(t, resp.IsError(), "%s takes %s=nonsense", w.path, name)
			refusal := resp.Error().Error()
			if !strings.HasPrefix(refusal, name+": ") || strings.Contains(refusal, ": is for ") {
				t.Logf("%s: something else is wrong first: %s", w.path, refusal)
				continue
			}
			lists++
			for _, value := range allowed {
				require.Contains(t, refusal, value, "%s %s", w.path, name)
			}
		}
	}
	require.Greater(t, lists, 5)
}

// A private key that is put into the wrong field is in no answer and in no log.
func TestAKeyInTheWrongFieldIsNotRepeated(t *testing.T) {
	m := newMount(t, validated(0))
	key := m.write("issue/web", map[string]any{"common_name": "www.example.com"}).Data["private_key"].(string)
	secret := strings.Split(key, "\n")[1][:24]
	for _, w := range writes(t) {
		for _, name := range slices.Sorted(maps.Keys(w.fields)) {
			request := map[string]any{
				"common_name": "www.example.com", "product_code": "842", "allowed_domains": "example.com", "serial_number": "01:02", name: key,
			}
			for sent := range request {
				if w.fields[sent] == nil {
					delete(request, sent)
				}
			}
			resp, err := m.send(call{op: logical.UpdateOperation, path: strings.Replace(w.path, "/x", "/web", 1), data: request})
			require.NotContains(t, fmt.Sprint(err), secret, "%s %s", w.path, name)
			if resp.IsError() {
				require.NotContains(t, resp.Error().Error(), secret[:8], "%s %s", w.path, name)
			}
		}
	}
	require.NotContains(t, m.log.String(), secret)
}
