// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

func TestQuirk14EveryShapeOfAChallenge(t *testing.T) {
	const dns, file, mail = certinext.DCVMethodDNS, certinext.DCVMethodHTTP, certinext.DCVMethodEmail
	for name, tc := range map[string]struct {
		body   string
		method certinext.DCVMethod
		want   certinext.Challenge
	}{
		"live": {
			`{"token":"v","tokenExpiryDate":"2026-05-14 13:00:00"}`, dns,
			certinext.Challenge{DNSValue: "v", ExpiresText: "2026-05-14 13:00:00", Expires: time.Date(2026, 5, 14, 13, 0, 0, 0, time.UTC)},
		},
		"live, with a date nobody understands": {
			`{"token":"v","tokenExpiryDate":"14-May-26 1 PM"}`, dns, certinext.Challenge{DNSValue: "v", ExpiresText: "14-May-26 1 PM"},
		},
		"live, for a file":      {`{"token":"v"}`, file, certinext.Challenge{HTTPContent: "v"}},
		"newer prose, for DNS":  {`{"method":"dns-txt","txtToken":"v"}`, dns, certinext.Challenge{DNSValue: "v"}},
		"newer prose, for HTTP": {`{"fileName":"f","fileToken":"v"}`, file, certinext.Challenge{HTTPPath: "/.well-known/pki-validation/f.txt", HTTPContent: "v"}},
		"quirk 16: numerals are not read": {
			`{"domainName":"host.example.com","dcvMethod":"1","fileNameContent":"v"}`, dns, certinext.Challenge{DNSValue: "v"},
		},
		"newer example, for HTTP": {
			`{"domainName":"host.example.com","dcvMethod":"1","dvFileName":"f.txt","dvFileToken":"v","fileNameContent":"w"}`, file,
			certinext.Challenge{HTTPPath: "/.well-known/pki-validation/f.txt", HTTPContent: "v"},
		},
		"a list picks the domain and the method": {
			`[{"domain":"other.example.com","token":"x"},{"domain":"host.example.com","method":"http-url","token":"y"},
			  {"domainName":"HOST.example.com.","method":"DNS-TXT","token":"v","host":"_h.host.example.com"}]`, dns,
			certinext.Challenge{DNSValue: "v", DNSHost: "_h.host.example.com"},
		},
		"a wrapped list":            {`{"challenges":[{"dnsContents":"v","dnsHost":"_h"}]}`, dns, certinext.Challenge{DNSValue: "v", DNSHost: "_h"}},
		"version 1":                 {`{"dcvDetails":{"token":"v"}}`, dns, certinext.Challenge{DNSValue: "v"}},
		"version 1, mail":           {`{"dcvDetails":{"dcvEmails":["admin@example.com"]}}`, mail, certinext.Challenge{EmailTo: []string{"admin@example.com"}}},
		"only a value":              {`{"value":"v"}`, dns, certinext.Challenge{DNSValue: "v"}},
		"the plainest name wins":    {`{"token":"b","txtToken":"v","value":"c"}`, dns, certinext.Challenge{DNSValue: "v"}},
		"a wildcard's parent":       {`{"domain":"*.host.example.com","token":"v"}`, dns, certinext.Challenge{DNSValue: "v"}},
		"a number for a token":      {`{"token":12345}`, dns, certinext.Challenge{DNSValue: "12345"}},
		"a name ending in a dot":    {`{"fileName":"f.","fileToken":"v"}`, file, certinext.Challenge{HTTPContent: "v"}},
		"a path that climbs is not": {`{"fileName":"../../x","fileToken":"v"}`, file, certinext.Challenge{HTTPContent: "v"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := newRig(always(200, tc.body))
			ch, err := c.DCVChallenge(t.Context(), "1", "host.example.com", tc.method)
			require.NoError(t, err)
			tc.want.Domain = "host.example.com"
			assert.Equal(t, tc.want, *ch)
		})
	}
	for name, body := range map[string]string{
		"quirk 40: an expired token reads empty": `{"token":"","tokenExpiryDate":""}`,
		"a verified domain names the method":     `{"method":"dns-txt"}`,
		"another domain's":                       `{"domain":"evil.example","token":"v"}`,
		"another method's":                       `{"method":"http-url","token":"v"}`,
		"an empty list":                          `[]`,
		"a list of strings":                      `["v"]`,
		"a value with a line break":              `{"token":"a\nb"}`,
		"a value beyond any record":              `{"token":"` + strings.Repeat("x", 1025) + `"}`,
		"a string":                               `"v"`,
		"empty":                                  ``,
	} {
		t.Run(name+" is an error", func(t *testing.T) {
			_, c := newRig(always(200, body))
			_, err := c.DCVChallenge(t.Context(), "1", "host.example.com", certinext.DCVMethodDNS)
			e := asErr(t, err)
			assert.False(t, e.Acted)
			assert.Equal(t, 200, e.Status)
		})
	}
}

func TestQuirk17AlreadyVerifiedIsSuccess(t *testing.T) {
	_, c := newRig(always(422, `{"detail":"[EMS-1080] Domain already verified"}`))
	ch, err := c.DCVChallenge(t.Context(), "1", "host.example.com", certinext.DCVMethodDNS)
	require.NoError(t, err)
	assert.Equal(t, certinext.Challenge{Domain: "host.example.com", AlreadyVerified: true}, *ch)
	assert.NoError(t, c.VerifyDCV(t.Context(), "1", "host.example.com", certinext.DCVMethodDNS))
}

func TestVerifyReadsTheBody(t *testing.T) {
	for body, ok := range map[string]bool{
		`{"overallStatus":"VERIFIED"}`: true, `{"overallStatus":"verified"}`: true, `{"dcvStatus":"VERIFIED"}`: true,
		`{"overallStatus":"FAILED","diagnostics":{"failureClass":"RECORD_MISSING"}}`: false,
		`{"overallStatus":"PENDING"}`: false, `{"dcvStatus":"PENDING"}`: false,
		`{"diagnostics":{"overallStatus":"FAILED"}}`: false,
	} {
		_, c := newRig(always(200, body))
		err := c.VerifyDCV(t.Context(), "1", "host.example.com", certinext.DCVMethodDNS)
		assert.Equal(t, ok, err == nil, "%s: %v", body, err)
		if err != nil {
			assert.False(t, certinext.MayHaveActed(err))
		}
	}
}

func TestVerifyIsANewAttemptEachTime(t *testing.T) {
	g, c := newRig(always(204, ``))
	for range 2 {
		require.NoError(t, c.VerifyDCV(t.Context(), "1", "*.example.com", certinext.DCVMethodDNS))
	}
	calls := g.sentCalls()
	assert.NotEqual(t, calls[0].header.Get("Idempotency-Key"), calls[1].header.Get("Idempotency-Key"))
}

func TestDCVArguments(t *testing.T) {
	g, c := newRig(always(200, `{"token":"v"}`))
	_, err := c.DCVChallenge(t.Context(), "1", "host.example.com", "2")
	requireInvalid(t, err, "method")
	_, err = c.DCVChallenge(t.Context(), "1", "host.example.com&method=email", certinext.DCVMethodDNS)
	requireInvalid(t, err, "domain")
	requireInvalid(t, c.VerifyDCV(t.Context(), "1", "", certinext.DCVMethodDNS), "domain")
	assert.Empty(t, g.sentCalls())
	_, err = c.DCVChallenge(t.Context(), "1", "*.example.com", certinext.DCVMethodDNS)
	require.NoError(t, err)
	assert.Equal(t, "domain=%2A.example.com&method=dns-txt", g.sentCalls()[0].query)
}
