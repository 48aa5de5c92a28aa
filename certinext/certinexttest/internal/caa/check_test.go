// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package caa

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func issue(values ...string) (records []Record) {
	for _, v := range values {
		records = append(records, Record{Tag: "issue", Value: v})
	}
	return records
}

func wild(value string) Record { return Record{Tag: "issuewild", Value: value} }

func TestCheck(t *testing.T) {
	const host, wildcard = "a.www.example.com", "*.www.example.com"
	cases := map[string]struct {
		zone   map[string][]Record
		name   string
		reason string // "" where the CA may issue
	}{
		"no records at all":                         {nil, host, ""},
		"the name's own":                            {map[string][]Record{host: issue("ca.test")}, host, ""},
		"another CA's":                              {map[string][]Record{host: issue("other.test")}, host, "issue names none of ca.test"},
		"one of several":                            {map[string][]Record{host: issue("other.test", "ca.test")}, host, ""},
		"those of the parent":                       {map[string][]Record{"example.com": issue("other.test")}, host, "issue names none of"},
		"those of the top-level domain":             {map[string][]Record{"com": issue("other.test")}, host, "issue names none of"},
		"the nearest decide, if they allow":         {map[string][]Record{"www.example.com": issue("ca.test"), "example.com": issue(";")}, host, ""},
		"the nearest decide, if they forbid":        {map[string][]Record{"www.example.com": issue(";"), "example.com": issue("ca.test")}, host, "issue names none of"},
		"a sibling's do not count":                  {map[string][]Record{"b.www.example.com": issue(";")}, host, ""},
		"nobody may":                                {map[string][]Record{host: issue(";")}, host, "issue names none of"},
		"nobody may, in blanks":                     {map[string][]Record{host: issue("  ")}, host, "issue names none of"},
		"a name in capitals":                        {map[string][]Record{host: issue("CA.Test")}, host, ""},
		"a tag in capitals":                         {map[string][]Record{host: {{Tag: "ISSUE", Value: "other.test"}}}, host, "issue names none of"},
		"a name below the CA's":                     {map[string][]Record{host: issue("x.ca.test")}, host, "issue names none of"},
		"parameters":                                {map[string][]Record{host: issue(" ca.test ; account=230123; policy = ev ")}, host, ""},
		"a parameter without a value":               {map[string][]Record{host: issue("ca.test; account=")}, host, ""},
		"a parameter that is none":                  {map[string][]Record{host: issue("ca.test; account")}, host, "issue names none of"},
		"a value that is no domain name":            {map[string][]Record{host: issue("%%%%%")}, host, "issue names none of"},
		"a URL":                                     {map[string][]Record{host: issue("https://ca.test")}, host, "issue names none of"},
		"a comma for a semicolon":                   {map[string][]Record{host: issue("ca.test, account=1")}, host, "issue names none of"},
		"iodef alone restricts nobody":              {map[string][]Record{host: {{Tag: "iodef", Value: "mailto:a@example.com"}}}, host, ""},
		"but it ends the climb":                     {map[string][]Record{host: {{Tag: "iodef", Value: "x"}}, "example.com": issue(";")}, host, ""},
		"issuewild counts for no host":              {map[string][]Record{host: {wild(";")}}, host, ""},
		"nor does it allow one":                     {map[string][]Record{host: append(issue(";"), wild("ca.test"))}, host, "issue names none of"},
		"a wildcard goes by issuewild":              {map[string][]Record{"www.example.com": append(issue("ca.test"), wild(";"))}, wildcard, "issuewild names none of"},
		"which may allow what issue does not":       {map[string][]Record{"www.example.com": append(issue(";"), wild("ca.test"))}, wildcard, ""},
		"a wildcard without it goes by issue":       {map[string][]Record{"www.example.com": issue("other.test")}, wildcard, "issue names none of"},
		"a wildcard is looked up at its base":       {map[string][]Record{"*.www.example.com": issue(";")}, wildcard, ""},
		"an unknown tag is passed over":             {map[string][]Record{host: append(issue("ca.test"), Record{Tag: "tbs", Value: "x"})}, host, ""},
		"unless it is critical":                     {map[string][]Record{host: append(issue("ca.test"), Record{Critical: true, Tag: "tbs", Value: "x"})}, host, `the tag "tbs" is critical and not known`},
		"critical in itself is no harm":             {map[string][]Record{host: {{Critical: true, Tag: "Issue", Value: "ca.test"}}}, host, ""},
		"a critical tag far above counts no less":   {map[string][]Record{"com": {{Critical: true, Tag: "tbs", Value: "x"}}}, host, "is critical and not known"},
		"mail certificates are a CA's other affair": {map[string][]Record{host: {{Tag: "issuemail", Value: ";"}}}, host, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			look := func(_ context.Context, at string) ([]Record, error) { return c.zone[at], nil }
			err := Check(t.Context(), look, c.name, []string{"ca.test"})
			if c.reason == "" {
				require.NoError(t, err)
				return
			}
			var refusal *Refusal
			require.ErrorAs(t, err, &refusal)
			require.Contains(t, refusal.Reason, c.reason)
			require.False(t, refusal.Unknown)
			require.Equal(t, c.name, refusal.Name)
			require.Contains(t, c.zone, refusal.At)
		})
	}
}

// What cannot be told counts as forbidden, wherever on the way up.
func TestCheckAsksEachNameOnTheWayUp(t *testing.T) {
	down := errors.New("down")
	for _, at := range []string{"www.example.com", "example.com", "com"} {
		var asked []string
		look := func(_ context.Context, name string) ([]Record, error) {
			asked = append(asked, name)
			if name == at {
				return nil, down
			}
			return nil, nil
		}
		var refusal *Refusal
		require.ErrorAs(t, Check(t.Context(), look, "WWW.example.com.", []string{"ca.test"}), &refusal)
		assert.Equal(t, Refusal{Name: "WWW.example.com.", At: at, Reason: "down", Unknown: true}, *refusal)
		assert.Equal(t, at, asked[len(asked)-1], "nothing is asked after that")
		assert.Equal(t, "www.example.com", asked[0])
	}
}

// FuzzIssuer: a value names a CA only where it says so to the letter.
func FuzzIssuer(f *testing.F) {
	for _, seed := range []string{"ca.test", " ca.test ; a=b", ";", "ca.test;;", "ca-.test", "ca..test", "ca.test; a=b;"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		name := issuerOf(value)
		if name != "" && (!issuerName.MatchString(name) || issuerOf(name) != name) {
			t.Fatalf("%q names %q", value, name)
		}
	})
}
