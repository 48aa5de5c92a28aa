// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv

import (
	"testing"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// A resolver may answer anything.
func TestCAARecordsAreTakenFromTheAnswerForTheNameAlone(t *testing.T) {
	for name, c := range map[string]struct {
		answer  []string
		records int
		at      string
	}{
		"its own":             {[]string{`a.test. CAA 0 issue "x"`}, 1, "a.test."},
		"another name's":      {[]string{`b.test. CAA 0 issue "x"`}, 0, "a.test."},
		"behind an alias":     {[]string{"A.test. CNAME b.test.", `B.test. CAA 0 issue "x"`}, 1, "b.test."},
		"an alias alone":      {[]string{"a.test. CNAME b.test."}, 0, "b.test."},
		"an alias of itself":  {[]string{"a.test. CNAME a.test."}, 0, ""},
		"a circle":            {[]string{"a.test. CNAME b.test.", "b.test. CNAME a.test."}, 0, ""},
		"a circle beside it":  {[]string{`a.test. CAA 0 issue "x"`, "a.test. CNAME a.test."}, 1, "a.test."},
		"a longer circle":     {[]string{"a.test. CNAME b.test.", "b.test. CNAME c.test.", "c.test. CNAME b.test."}, 0, ""},
		"nothing":             {nil, 0, "a.test."},
		"of another question": {[]string{`a.test. TXT "x"`}, 0, "a.test."},
	} {
		m := new(dns.Msg)
		for _, text := range c.answer {
			rr, err := dns.NewRR(text)
			require.NoError(t, err, name)
			m.Answer = append(m.Answer, rr)
		}
		records, at := caaIn(m, "a.test.")
		require.Len(t, records, c.records, name)
		require.Equal(t, c.at, at, name)
	}
}
