// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestBaseURL(t *testing.T) {
	for base, want := range map[string]string{
		"https://us-api.certinext.io":                "https://us-api.certinext.io/api/certinext/v2/auth/me",
		" https://us-api.certinext.io/ ":             "https://us-api.certinext.io/api/certinext/v2/auth/me",
		"https://us-api.certinext.io/emSignHub-API/": "https://us-api.certinext.io/api/certinext/v2/auth/me",
		"https://us-api.certinext.io/emsignhub-api":  "https://us-api.certinext.io/api/certinext/v2/auth/me",
		"https://gateway.example/pki/certinext/":     "https://gateway.example/pki/certinext/api/certinext/v2/auth/me",
		"https://certinext.example:8443":             "https://certinext.example:8443/api/certinext/v2/auth/me",
		"http://localhost:8080":                      "http://localhost:8080/api/certinext/v2/auth/me",
		"http://127.0.0.1:8080":                      "http://127.0.0.1:8080/api/certinext/v2/auth/me",
		"http://[::1]:8080":                          "http://[::1]:8080/api/certinext/v2/auth/me",
		"":                                           "",
		"us-api.certinext.io":                        "",
		"https://":                                   "",
		"http://us-api.certinext.io":                 "",
		"http://127.0.0.1.example.com":               "",
		"ftp://us-api.certinext.io":                  "",
		"https://admin:hunter2@us-api.certinext.io":  "",
		"https://us-api.certinext.io?x=1":            "",
		"https://us-api.certinext.io#x":              "",
		"https://us-api.certinext.io:port:hunter2/":  "",
		"mailto:ops@example.com":                     "",
	} {
		t.Run(base, func(t *testing.T) {
			var got string
			g, c := newRig(always(200, meBody))
			c.BaseURL = base
			c.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				got = r.URL.String()
				return g.RoundTrip(r)
			})}
			_, err := c.Me(t.Context())
			if want == "" {
				requireInvalid(t, err, "BaseURL")
				assert.NotContains(t, err.Error(), "hunter2")
				assert.Empty(t, got)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}
}

func TestDefaultHTTPClient(t *testing.T) {
	srv, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "certinext-go", r.UserAgent())
		_, _ = w.Write([]byte(meBody))
	})
	c = &certinext.Client{BaseURL: srv.URL, Credentials: c.Credentials}
	a, err := c.Me(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "1234567890", a.Number)
}

func TestUserAgent(t *testing.T) {
	g, c := newRig(always(200, meBody))
	c.UserAgent = "vault-plugin\r\nX-Evil: 1"
	_, err := c.Me(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "vault-plugin X-Evil: 1", g.sentCalls()[0].header.Get("User-Agent"))
}

// TestIDsStayInTheirSegment feeds ids that would change a path's meaning to every call that puts
// one there.
func TestIDsStayInTheirSegment(t *testing.T) {
	long := make([]byte, 65)
	for i := range long {
		long[i] = '1'
	}
	ctx := t.Context()
	ssl := certinext.FamilySSL
	for _, id := range []string{"", ".", "..", "a/b", "a\\b", "a?b", "a#b", "a%2fb", "a b", "a\nb", "ä", "a;b", string(long)} {
		g, c := newRig(always(200, createdBody))
		for name, call := range map[string]func() error{
			"track":     func() error { _, err := c.TrackOrder(ctx, ssl, id); return err },
			"dcv":       func() error { _, err := c.DCVChallenge(ctx, id, "example.com", certinext.DCVMethodDNS); return err },
			"verify":    func() error { return c.VerifyDCV(ctx, id, "example.com", certinext.DCVMethodDNS) },
			"csr":       func() error { return c.SubmitCSR(ctx, ssl, id, "csr", false) },
			"agreement": func() error { return c.AcceptAgreement(ctx, ssl, id, certinext.Agreement{Accepted: true}) },
			"download":  func() error { _, err := c.Certificate(ctx, ssl, id); return err },
			"PEM":       func() error { _, err := c.CertificatePEM(ctx, ssl, id); return err },
			"cancel":    func() error { return c.CancelOrder(ctx, ssl, id, "") },
			"draft":     func() error { return c.CancelDraft(ctx, id, "") },
			"revoke": func() error {
				_, err := c.RevokeOrder(ctx, ssl, id, certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
				return err
			},
			"organization":  func() error { _, err := c.Organization(ctx, id); return err },
			"custom fields": func() error { _, err := c.CustomFields(ctx, id); return err },
			"domain":        func() error { _, err := c.Domain(ctx, id); return err },
			"domain's challenge": func() error {
				_, err := c.DomainChallenge(ctx, id, "example.com", certinext.DCVMethodDNS)
				return err
			},
			"renewal": func() error {
				_, err := c.RenewDomainChallenge(ctx, id, "example.com", certinext.DCVMethodDNS)
				return err
			},
			"domain's verification": func() error { return c.VerifyDomain(ctx, id) },
			"domain's diagnosis":    func() error { _, err := c.DomainDiagnosis(ctx, id); return err },
		} {
			err := call()
			var invalid *certinext.InvalidRequestError
			assert.ErrorAs(t, err, &invalid, "%s %q", name, id)
			assert.False(t, certinext.MayHaveActed(err))
		}
		assert.Empty(t, g.sentCalls())
	}
	for _, id := range []string{"1000000001", "1234567890R007", "ord_abc123", "a-b.c~d:e+f=g@h"} {
		g, c := newRig(always(200, `{"orderId":"`+id+`","status":"issued"}`))
		o, err := c.TrackOrder(ctx, ssl, id)
		require.NoError(t, err)
		assert.Equal(t, id, o.ID)
		assert.Equal(t, "/api/certinext/v2/ssl-certificates/"+id, g.sentCalls()[0].path)
	}
	_, c := newRig(always(200, createdBody))
	_, err := c.TrackOrder(ctx, "code-signing", "1")
	requireInvalid(t, err, "Family")
}

// The private client speaks TLS 1.2 or later, whoever asks for less.
func TestOldTLSIsRefused(t *testing.T) {
	for version, refused := range map[uint16]bool{tls.VersionTLS11: true, tls.VersionTLS12: false} {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
		srv.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version}
		srv.Config.ErrorLog = log.New(io.Discard, "", 0)
		srv.StartTLS()
		c := &certinext.Client{
			BaseURL: srv.URL, Retries: -1, Credentials: certinext.OAuth{ClientID: "1", ClientSecret: testSecret},
		}
		_, err := c.Me(t.Context())
		srv.Close()
		if refused {
			assert.ErrorContains(t, err, "protocol version")
		} else {
			assert.ErrorContains(t, err, "certificate", "the version will do, the certificate is nobody's")
		}
	}
}

func TestSandboxClockSkew(t *testing.T) {
	eachDialect(t, func(t *testing.T, srv *certinexttest.Server) {
		c := sandbox(srv)
		c.Retries = -1
		ahead := time.Duration(0)
		srv.Now = func() time.Time { return time.Now().Add(ahead) }
		_, known := c.ClockSkew()
		assert.False(t, known, "nothing was asked yet")
		expect := func(want time.Duration, why string) {
			t.Helper()
			skew, known := c.ClockSkew()
			assert.True(t, known)
			assert.InDelta(t, want, skew, float64(time.Second), why)
		}
		if srv.Dialect != certinexttest.Live { // a signature bears the time
			_, err := c.Me(t.Context())
			require.NoError(t, err)
			expect(0, "a success")
		}
		ahead = -60 * time.Second
		_, err := c.Me(t.Context())
		require.NoError(t, err)
		expect(ahead, "a success")
		ahead = -2 * time.Minute
		_, err = c.TrackOrder(t.Context(), certinext.FamilySSL, "1")
		require.True(t, certinext.IsRefusal(err))
		expect(ahead, "a refusal of CERTInext's own")

		for _, status := range []int{200, 204, 403, 502} {
			ahead += time.Hour
			srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultMiddleman, Operation: certinexttest.OpMe, Status: status, Times: 1})
			_, err = c.Me(t.Context())
			require.Error(t, err, status)
			expect(-2*time.Minute, "somebody in between has a clock of his own")
		}
	})
}

func TestClockSkewOfHostileDates(t *testing.T) {
	const century = 100 * 365 * 24 * time.Hour
	now := time.Date(2026, 5, 12, 13, 0, 0, 0, time.UTC)
	for date, want := range map[string]struct {
		skew  time.Duration
		known bool
	}{
		now.Add(90 * time.Minute).Format(http.TimeFormat): {90 * time.Minute, true},
		now.Add(-time.Hour).Format(http.TimeFormat):       {-time.Hour, true},
		"Fri, 31 Dec 9999 23:59:59 GMT":                   {century, true},
		"Mon, 01 Jan 0001 00:00:00 GMT":                   {-century, true},
		"":                                                {0, false},
		"soon":                                            {0, false},
		"2026-05-12T13:00:00Z":                            {0, false},
	} {
		_, c := newRig(always(200, meBody, "Date", date))
		c.Now = func() time.Time { return now }
		_, err := c.Me(t.Context())
		require.NoError(t, err)
		skew, known := c.ClockSkew()
		assert.Equal(t, want.known, known, date)
		assert.InDelta(t, want.skew, skew, float64(time.Second), date)
	}
	t.Run("the token endpoint may be somebody in between until a token has proved good", func(t *testing.T) {
		g, c := newRig(always(403, `<html></html>`))
		g.token = func(int, context.Context) (*http.Response, error) {
			return response(200, grantBody("t", "3600"), "Date", now.Add(time.Hour).Format(http.TimeFormat)), nil
		}
		_, err := c.Me(t.Context())
		require.Error(t, err)
		_, known := c.ClockSkew()
		assert.False(t, known)
	})
	t.Run("an answer from a cache tells when it was made", func(t *testing.T) {
		date := now.Add(-time.Hour).Format(http.TimeFormat)
		for age, known := range map[string]bool{"3600": false, "0": true} {
			_, c := newRig(always(200, meBody, "Date", date, "Age", age))
			c.Now = func() time.Time { return now }
			_, err := c.Me(t.Context())
			require.NoError(t, err)
			_, got := c.ClockSkew()
			assert.Equal(t, known, got, age)
		}
	})
	t.Run("an answer without a date leaves the last one", func(t *testing.T) {
		_, c := newRig(inTurn(always(200, meBody, "Date", now.Add(time.Hour).Format(http.TimeFormat)), always(200, meBody)))
		c.Now = func() time.Time { return now }
		for range 2 {
			_, err := c.Me(t.Context())
			require.NoError(t, err)
			skew, known := c.ClockSkew()
			assert.True(t, known)
			assert.InDelta(t, time.Hour, skew, float64(time.Second))
		}
	})
}

// The Client's clock jumps between two answers.
func TestClockSkewSeesAJumpAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead time.Duration
		_, c := newRig(func(int, sent) (*http.Response, error) {
			return response(200, meBody, "Date", time.Now().UTC().Format(http.TimeFormat)), nil
		})
		c.Now = func() time.Time { return time.Now().Add(ahead) }
		_, err := c.Me(t.Context())
		require.NoError(t, err)
		for _, jump := range []time.Duration{0, 60 * 24 * time.Hour, -2 * time.Hour} {
			ahead = jump
			time.Sleep(time.Hour)
			skew, known := c.ClockSkew()
			assert.True(t, known)
			assert.InDelta(t, -jump, skew, float64(time.Second))
		}
	})
}
