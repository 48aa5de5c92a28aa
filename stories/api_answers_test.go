// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// A mask puts stand-ins in the place of what is random by nature: the same stand-in wherever the same value stood.
type mask struct {
	given  map[string]string
	counts map[string]int
}

func newMask() *mask { return &mask{given: map[string]string{}, counts: map[string]int{}} }

// disguises are what is random, and what to write instead, in the order in which they are looked for.
var disguises = []struct {
	random  *regexp.Regexp
	instead func(m *mask, value string) string
}{
	{regexp.MustCompile(`(-----BEGIN [A-Z0-9 ]+-----)[^-]+(-----END)`), func(_ *mask, v string) string {
		return pemFrame.ReplaceAllString(v, "$1\n...\n$2")
	}},
	{regexp.MustCompile(`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`), numbered("00000000-0000-4000-8000-%012d")},
	{regexp.MustCompile(`\b[0-9a-f]{2}(:[0-9a-f]{2}){7,}\b`), numbered("5b:a3:...:%02d")},
	{regexp.MustCompile(`vault-order:[a-z2-7]{20,}`), numbered("vault-order:%04d")},
	{regexp.MustCompile(`\b[1-9][0-9]{9}\b`), func(m *mask, v string) string {
		if v == certinexttest.DefaultAccountNumber || v == certinexttest.DefaultGroup {
			return v
		}
		return numbered("10000%05d")(m, v)
	}},
	{regexp.MustCompile(`^[A-Za-z0-9_-]{48}$`), numbered("domain-%04d")},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), numbered("%032d")},
	{regexp.MustCompile(`\bCA [0-9a-f]{6}\b`), numbered("CA %06d")},
	{regexp.MustCompile(`\bRoot [0-9a-f]{6}\b`), numbered("Root %06d")},
	{regexp.MustCompile(`_vault-check-[0-9a-f]{12}`), numbered("_vault-check-%012d")},
	{regexp.MustCompile(`[A-Za-z0-9+/]{60,}=*`), func(_ *mask, v string) string { return v[:4] + "..." }}, // a file in base64
}

var pemFrame = regexp.MustCompile(`(?s)(-----BEGIN [A-Z0-9 ]+-----).+(-----END)`)

// numbered counts the values that have a form.
func numbered(form string) func(m *mask, value string) string {
	return func(m *mask, value string) string {
		if _, known := m.given[value]; !known {
			m.counts[form]++
			m.given[value] = fmt.Sprintf(form, m.counts[form])
		}
		return m.given[value]
	}
}

func (m *mask) text(s string) string {
	for _, d := range disguises {
		s = d.random.ReplaceAllStringFunc(s, func(v string) string { return d.instead(m, v) })
	}
	return s
}

// value masks the texts in a value that was decoded from JSON. Lists of keys are sorted anew, since what they were sorted by is
// gone.
func (m *mask) value(v any) any {
	switch v := v.(type) {
	case string:
		return m.text(v)
	case []any:
		for i := range v {
			v[i] = m.value(v[i])
		}
		return v
	case map[string]any:
		named := make(map[string]string, len(v)) // in the order of stand-ins, that of random keys being random
		for _, k := range slices.Sorted(maps.Keys(v)) {
			named[m.text(k)] = k
		}
		out := make(map[string]any, len(v))
		for _, k := range slices.Sorted(maps.Keys(named)) {
			out[k] = m.value(v[named[k]])
		}
		if _, told := out["renew_after"]; told { // it follows from the serial number, which is random
			out["renew_after"] = json.Number("1779000000")
		}
		if _, told := out["age_seconds"]; told { // of orders of one moment, the oldest is that of the lowest id, which is random
			out["order_id"] = "00000000-0000-4000-8000-000000000000"
		}
		if _, told := out["proposal"]; told { // a hash of what is random
			out["proposal"] = "5d1f0c6b2e8a4793"
		}
		if keys, ok := out["keys"].([]any); ok {
			slices.SortFunc(keys, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		}
		return out
	}
	return v
}

// decoded is v as a reader of JSON gets it.
func decoded(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var out any
	require.NoError(t, decoder.Decode(&out))
	return out
}

// json renders v, masked.
func (m *mask) json(t *testing.T, v any) string {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(m.value(decoded(t, v))))
	return strings.TrimSpace(out.String())
}

// A sample is an exchange as HTTP has it.
type sample struct{ request, answer string }

func (m *mask) sample(t *testing.T, e exchange) sample {
	t.Helper()
	return sample{request: m.httpRequest(t, e), answer: m.httpAnswer(t, e)}
}

var methods = map[logical.Operation]string{
	logical.ReadOperation: http.MethodGet, logical.ListOperation: "LIST", logical.UpdateOperation: http.MethodPost,
	logical.PatchOperation: http.MethodPatch, logical.DeleteOperation: http.MethodDelete,
}

func (m *mask) httpRequest(t *testing.T, e exchange) string {
	t.Helper()
	line := methods[e.op] + " /v1/certinext/" + m.text(e.path)
	switch {
	case len(e.request) == 0:
		return line
	case e.op == logical.UpdateOperation || e.op == logical.PatchOperation:
		return line + "\n\n" + m.json(t, e.request)
	}
	query := url.Values{}
	for k, v := range e.request {
		query.Set(k, fmt.Sprint(v))
	}
	return line + "?" + query.Encode()
}

// httpAnswer is an answer as Vault gives it, without what Vault adds.
func (m *mask) httpAnswer(t *testing.T, e exchange) string {
	t.Helper()
	resp := e.answer
	if resp == nil {
		return status(http.StatusNoContent)
	}
	if resp.IsError() {
		return status(http.StatusBadRequest) + "\n\n" + m.json(t, map[string]any{"errors": []string{resp.Error().Error()}})
	}
	if body, raw := resp.Data[logical.HTTPRawBody].([]byte); raw {
		return status(http.StatusOK) + "\nContent-Type: " + resp.Data[logical.HTTPContentType].(string) + "\n\n" + m.file(body)
	}
	body := map[string]any{"data": resp.Data}
	if len(resp.Warnings) > 0 {
		body["warnings"] = resp.Warnings
	}
	if resp.Secret != nil {
		body["lease_duration"], body["renewable"] = int(resp.Secret.TTL.Seconds()), resp.Secret.Renewable
	}
	return status(http.StatusOK) + "\n\n" + m.json(t, body)
}

func (m *mask) file(body []byte) string {
	if bytes.HasPrefix(body, []byte("-----BEGIN ")) {
		return strings.TrimSpace(m.text(string(body)))
	}
	if bytes.HasPrefix(body, []byte("# HELP ")) { // metrics
		lines := strings.SplitAfterN(string(body), "\n", 11)
		return strings.Join(lines[:10], "") + "..."
	}
	return "(bytes)"
}

func status(code int) string { return fmt.Sprintf("%d %s", code, http.StatusText(code)) }
