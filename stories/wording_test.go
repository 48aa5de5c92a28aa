// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// hear holds whatever an answer says to people to the rules of this file. Every request of every story is heard, so that a
// message which only one of them gets is held to the rules as well.
func (m *mount) hear(c call, resp *logical.Response) {
	m.t.Helper()
	for _, text := range saidTo(resp) {
		for _, problem := range m.poorlySaid(c, text, resp.IsError()) {
			m.t.Errorf("%s %s: %s\n%s", c.op, c.path, problem, text)
		}
	}
}

// saidTo are the texts of an answer that are written for people.
func saidTo(resp *logical.Response) []string {
	if resp == nil {
		return nil
	}
	if resp.IsError() {
		return []string{resp.Error().Error()}
	}
	said := slices.Clone(resp.Warnings)
	for _, field := range []string{"message", "last_error", "needs", "problems", "warnings", "why", "summary", "refusals", "price_unknown"} {
		switch v := resp.Data[field].(type) {
		case string:
			said = append(said, v)
		case []string:
			said = append(said, v...)
		}
	}
	return said
}

// leftovers are what no message may hold, and why.
var leftovers = map[string]*regexp.Regexp{
	"a format without its value":                                regexp.MustCompile(`%!|%[a-z]\b`),
	"a value as Go writes it":                                   regexp.MustCompile(`map\[|<nil>|&\{|\b0xc0|\[\]|\[\w+( \w+)+\]`),
	"a duration as Go writes it":                                regexp.MustCompile(`\b\d+h\d+m(\d+s)?\b|\b\d+m\d+s\b|\b\d+\.\d+s\b`),
	"an error in the words of Go's packages":                    regexp.MustCompile(`context (deadline exceeded|canceled)|\b(strconv|json|asn1|base64|url): |strconv\.|illegal base64`),
	"a time without its zone":                                   regexp.MustCompile(`(^|[T ])\d\d:\d\d:\d\d(\.\d+)?($|[^Z:+\d-])`),
	"a number of things that leaves the reader to choose":       regexp.MustCompile(`\w\((s|es)\)`),
	"a line break":                                              regexp.MustCompile(`[\n\r]`),
	"no words":                                                  regexp.MustCompile(`^\s*$|:\s*$|\s\s|""`),
	"a placeholder for the mount, whose path is in the request": regexp.MustCompile(`<mount>`),
	"a path without the mount":                                  regexp.MustCompile(`(?:^|[ (])(?:orders|operator|certs|certificates|roles|issue|sign|config|domains|catalog|issuers|reports|revoke|renew|dcv/solvers)/[a-z<]`),
}

// aCommand is a command in a text, up to what cannot be a part of it.
var aCommand = regexp.MustCompile(`\bvault (read|write|patch|delete|list|path-help)((?: -[a-z]+(?:=[^ ,;:)]+)?)*) ([^ ,;:)]+)((?: [a-z_0-9]+=[^ ,;:)]+)*)`)

// poorlySaid says what is wrong with a text of the answer to a call.
func (m *mount) poorlySaid(c call, text string, refusal bool) []string {
	var problems []string
	own := ownWords(c, text)
	for problem, pattern := range leftovers {
		if found := pattern.FindString(own); found != "" {
			problems = append(problems, fmt.Sprintf("%s: %q", problem, found))
		}
	}
	for _, command := range aCommand.FindAllStringSubmatch(text, -1) {
		if problem := m.cannotBePasted(command[3], strings.Fields(command[4])); problem != "" {
			problems = append(problems, command[0]+": "+problem)
		}
	}
	if refusal && len(text) > 2000 {
		problems = append(problems, fmt.Sprintf("nobody reads %d characters", len(text)))
	}
	return problems
}

// othersWords is what somebody else has said: it is between quotes, or follows CERTInext's status or code.
var othersWords = regexp.MustCompile(`"(?:[^"\\]|\\.)+"|(?:answered|refused|says) .*`)

// ownWords are those of a text that are the engine's own.
func ownWords(c call, text string) string {
	text = othersWords.ReplaceAllString(text, "…")
	if role, isText := c.data["allowed_domains"].(string); isText {
		text = strings.ReplaceAll(text, role, "…")
	}
	return text
}

// placeholders are what a command leaves to its reader.
var placeholders = regexp.MustCompile(`<[a-z-]+>`)

// cannotBePasted says why a command for a path, with fields, would not be understood.
func (m *mount) cannotBePasted(path string, fields []string) string {
	path, below := strings.CutPrefix(path, "certinext/")
	if !below {
		return "the path is not below the mount's"
	}
	if path == "" {
		return ""
	}
	path = placeholders.ReplaceAllString(path, "x")
	help, err := m.manual.HandleRequest(m.t.Context(), &logical.Request{
		Operation: logical.HelpOperation, Path: path, Storage: m.storage, MountPoint: "certinext/",
	})
	if err != nil || help == nil {
		help, err = m.manual.HandleRequest(m.t.Context(), &logical.Request{
			Operation: logical.HelpOperation, Path: path + "/", Storage: m.storage, MountPoint: "certinext/",
		})
	}
	if err != nil || help == nil {
		return "there is no such path"
	}
	known := fmt.Sprint(help.Data["help"])
	for _, field := range fields {
		name, _, _ := strings.Cut(field, "=")
		if !strings.Contains(known, "\n    "+name+" (") {
			return "the path has no field " + name
		}
	}
	return ""
}

// TestPoorTextsAreHeard holds the rules themselves to what they are for.
func TestPoorTextsAreHeard(t *testing.T) {
	m := bareMount(t, validated(0))
	for text, want := range map[string]string{
		"key_bits: 5 is not one of [2048 3072 4096]": "a value as Go writes it",
		"tags: map[a:b]":                                                    "a value as Go writes it",
		"ttl: must be at most 8760h0m0s":                                    "a duration as Go writes it",
		"listing products: context deadline exceeded":                       "an error in the words",
		"it begins at 2026-01-01T00:00:00":                                  "a time without its zone",
		"1 order(s) are open":                                               "leaves the reader to choose",
		"field: ":                                                           "no words",
		"read it at orders/web/1":                                           "a path without the mount",
		"vault read orders/web/1 shows it":                                  "not below the mount's",
		"vault read certinext/order/web/1 shows it":                         "there is no such path",
		"vault write certinext/orders/web/1 promoted=true places it":        "has no field promoted",
		"vault tune -max-lease-ttl=10h <mount>/":                            "a placeholder for the mount",
		"certinext: " + strings.Repeat("a", 2000):                           "nobody reads",
		"vault write certinext/orders/<role>/<id> promote=true places it":   "",
		"vault read certinext/orders/web/1 shows it; vault list certinext/": "",
		"it begins at 2026-01-01T00:00:00Z, in 10 minutes":                  "",
		`CERTInext answered 422: map[a:b] "x"`:                              "",
	} {
		problems := strings.Join(m.poorlySaid(call{}, text, true), "\n")
		if want == "" {
			require.Empty(t, problems, text)
		} else {
			require.Contains(t, problems, want, text)
		}
	}
}
