// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package caa_test

import (
	"context"
	"errors"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/caa"
	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/stretchr/testify/require"
)

func issue(values ...string) (all []dcv.CAARecord) {
	for _, v := range values {
		all = append(all, dcv.CAARecord{Tag: "issue", Value: v})
	}
	return all
}

func TestWhoMayIssue(t *testing.T) {
	wild := func(v string) dcv.CAARecord { return dcv.CAARecord{Tag: "IssueWild", Value: v} }
	for name, c := range map[string]struct {
		records    []dcv.CAARecord
		isWildcard bool
		want       caa.Verdict
		reason     string
	}{
		"our CA":                 {issue("emsign.com"), false, caa.Allowed, ""},
		"our CA in capitals":     {issue(" EMSIGN.com "), false, caa.Allowed, ""},
		"our CA with parameters": {issue("emsign.com; a=b ; c=d"), false, caa.Allowed, ""},
		"our CA, and the value is not of the grammar": {
			issue("emsign.com; policy"), false, caa.Forbidden, "issue allows no CA",
		},
		"our CA among others": {issue("letsencrypt.org", "emsign.com"), false, caa.Allowed, ""},
		"others": {
			issue("letsencrypt.org", "digicert.com"), false, caa.Forbidden,
			"issue allows letsencrypt.org, digicert.com, and not emsign.com",
		},
		"nobody":           {issue(";"), false, caa.Forbidden, "issue allows no CA"},
		"a name like ours": {issue("emsign.com.example"), false, caa.Forbidden, "emsign.com.example"},
		"only how to report": {
			[]dcv.CAARecord{{Tag: "iodef", Value: "mailto:a@example.com"}}, false, caa.Allowed, "",
		},
		"a critical tag that is not known": {
			[]dcv.CAARecord{{Critical: true, Tag: "tbs", Value: "x"}},
			false, caa.Forbidden,
			"critical and not known",
		},
		"a tag that is not known": {
			[]dcv.CAARecord{{Tag: "tbs", Value: "x"}}, false, caa.Allowed, "",
		},
		"wildcards go to others": {
			append(issue("emsign.com"), wild("digicert.com")), true, caa.Forbidden,
			"issuewild allows digicert.com",
		},
		"and hosts do not": {
			append(issue("emsign.com"), wild("digicert.com")), false, caa.Allowed, "",
		},
		"wildcards go by issue": {issue("emsign.com"), true, caa.Allowed, ""},
	} {
		verdict, reason := caa.Judge(c.records, c.isWildcard)
		require.Equal(t, c.want, verdict, name)
		require.Contains(t, reason, c.reason, name)
		require.Equal(t, c.want == caa.Allowed, reason == "", name)
	}
}

func TestTheNearestNameWithRecordsDecides(t *testing.T) {
	asked := map[string]int{}
	l := caa.Looker{Look: func(_ context.Context, name string) ([]dcv.CAARecord, error) {
		asked[name]++
		switch name {
		case "example.com":
			return issue("digicert.com"), nil
		case "own.example.com":
			return issue("emsign.com"), nil
		case "broken.example.org":
			return nil, errors.New("SERVFAIL")
		}
		return nil, nil
	}}
	const others = "issue allows digicert.com, and not emsign.com"
	for name, want := range map[string]caa.Finding{
		"WWW.example.com.":     {caa.Forbidden, "example.com", others},
		"*.example.com":        {caa.Forbidden, "example.com", others},
		"own.example.com":      {caa.Allowed, "own.example.com", ""},
		"a.b.own.example.com":  {caa.Allowed, "own.example.com", ""},
		"a.broken.example.org": {caa.Unknown, "broken.example.org", "SERVFAIL"},
		"example.net":          {caa.Allowed, "", ""},
	} {
		require.Equal(t, want, l.Find(t.Context(), name), name)
	}
	for name, times := range asked {
		require.Equal(t, 1, times, name)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, caa.Unknown, l.Find(ended, "late.example.net").Verdict)
	require.NotContains(t, asked, "late.example.net")
}
