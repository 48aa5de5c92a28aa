// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A domain's id is 48 characters of base64url.
const testDomainID = "Zm9vYmFyYmF6cXV4LWZvb2Jhci1iYXotcXV4XzAxMjM0NTY_"

func example() certinext.DomainRequest {
	return certinext.DomainRequest{Name: "example.com", OrganizationID: "4000001", Method: certinext.DCVMethodDNS}
}

// everyOfDomains lists all calls about one domain of the account.
var everyOfDomains = map[string]func(ctx context.Context, c *certinext.Client) error{
	"add": func(ctx context.Context, c *certinext.Client) error {
		_, _, err := c.AddDomain(ctx, example())
		return err
	},
	"read": func(ctx context.Context, c *certinext.Client) error {
		_, err := c.Domain(ctx, testDomainID)
		return err
	},
	"challenge": func(ctx context.Context, c *certinext.Client) error {
		_, err := c.DomainChallenge(ctx, testDomainID, "example.com", certinext.DCVMethodDNS)
		return err
	},
	"renew": func(ctx context.Context, c *certinext.Client) error {
		_, err := c.RenewDomainChallenge(ctx, testDomainID, "example.com", certinext.DCVMethodDNS)
		return err
	},
	"verify": func(ctx context.Context, c *certinext.Client) error { return c.VerifyDomain(ctx, testDomainID) },
	"diagnosis": func(ctx context.Context, c *certinext.Client) error {
		_, err := c.DomainDiagnosis(ctx, testDomainID)
		return err
	},
}

func TestAddDomainShapes(t *testing.T) {
	const dns, file = certinext.DCVMethodDNS, certinext.DCVMethodHTTP
	base := certinext.Domain{ID: "d-1_", Name: "example.com", OrganizationID: "4000001"}
	challenge := &certinext.Challenge{Domain: "example.com", DNSValue: "v"}
	for name, tc := range map[string]struct {
		body      string
		method    certinext.DCVMethod
		renew     bool
		want      certinext.Domain
		challenge *certinext.Challenge
	}{
		"documented": {
			body: `{"domainId":"d-1_","domainName":"Example.com","organizationId":4000001,"domainStatus":"ACTIVE","dcvStatus":"PENDING",
				"dcvMethod":"dns-txt","dcv":{"method":"dns-txt","txtToken":"v","tokenExpiry":"2026-05-14 13:00:00","instructions":"Publish it"},
				"autoVerify":false,"createdAt":"2026-05-12T13:00:00Z"}`,
			method: dns,
			want: certinext.Domain{
				ID: "d-1_", Name: "Example.com", OrganizationID: "4000001", Status: "ACTIVE", DCVStatus: "PENDING", DCVMethod: "dns-txt",
				CreatedAt: time.Date(2026, 5, 12, 13, 0, 0, 0, time.UTC),
			},
			challenge: &certinext.Challenge{
				Domain: "example.com", DNSValue: "v", ExpiresText: "2026-05-14 13:00:00", Expires: time.Date(2026, 5, 14, 13, 0, 0, 0, time.UTC),
			},
		},
		"a file": {
			body: `{"domainId":"d-1_","dcv":{"fileName":"f.txt","fileToken":"v"}}`, method: file, want: base,
			challenge: &certinext.Challenge{Domain: "example.com", HTTPPath: "/.well-known/pki-validation/f.txt", HTTPContent: "v"},
		},
		"the challenge is not nested":          {`{"domainId":"d-1_","txtToken":"v"}`, dns, false, base, challenge},
		"no challenge":                         {`{"domainId":"d-1_"}`, dns, false, base, nil},
		"another method's challenge":           {`{"domainId":"d-1_","dcv":{"fileName":"f","fileToken":"v"}}`, dns, false, base, nil},
		"a challenge that cannot be published": {`{"domainId":"d-1_","dcv":{"txtToken":"a\nb"}}`, dns, false, base, nil},
		"another domain's challenge":           {`{"domainId":"d-1_","dcv":{"domain":"evil.example","txtToken":"v"}}`, dns, false, base, nil},
		"verified at once": {
			`{"domainId":"d-1_","dcvStatus":"VERIFIED","dcv":{"method":"dns-txt"}}`, dns, false,
			certinext.Domain{ID: "d-1_", Name: "example.com", OrganizationID: "4000001", DCVStatus: "VERIFIED", DCVMethod: "dns-txt"},
			&certinext.Challenge{Domain: "example.com", AlreadyVerified: true},
		},
		"a renewal whose challenge is not told is not verified by the validation before": {
			`{"domainId":"d-1_","dcvStatus":"VERIFIED"}`, dns, true,
			certinext.Domain{ID: "d-1_", Name: "example.com", OrganizationID: "4000001", DCVStatus: "VERIFIED"},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, status := range []int{200, 201} {
				g, c := newRig(always(status, tc.body))
				d, ch, err := c.AddDomain(t.Context(), certinext.DomainRequest{
					Name: "example.com", OrganizationID: "4000001", Method: tc.method, Renew: tc.renew,
				})
				require.NoError(t, err)
				assert.Equal(t, tc.want, *d)
				assert.Equal(t, tc.challenge, ch)
				assert.Equal(t, tc.renew, strings.Contains(g.sentCalls()[0].body, `"mode":"renew"`))
				assert.Contains(t, g.sentCalls()[0].body, `"skipCAA":false`)
			}
		})
	}
	long := strings.Repeat("9", 65)
	for name, body := range map[string]string{
		"empty": ``, "garbage": `ok`, "cut off": `{"domainId":"d-1`, "a list": `[{"domainId":"d-1"}]`, "no id": `{"domainName":"example.com"}`,
		"an id too long": `{"domainId":"` + long + `"}`, "an id that climbs": `{"domainId":"../x"}`, "an id with a slash": `{"domainId":"1/deactivate"}`,
		"another domain":            `{"domainId":"d-1","domainName":"evil.example"}`,
		"a name like it":            `{"domainId":"d-1","domainName":"example.com.evil.example"}`,
		"HTML":                      `<html><title>Sign in</title></html>`,
		"a name with a line break":  `{"domainId":"d-1","domainName":"example.com\nx"}`,
		"more than any answer":      `{"domainId":"d-1"}` + strings.Repeat(" ", 9<<20),
		"an id that is a table":     `{"domainId":{"x":1}}`,
		"an id with a percent sign": `{"domainId":"1%2Fx"}`,
	} {
		t.Run(name+" is an error, and the domain may be there", func(t *testing.T) {
			_, c := newRig(always(201, body))
			d, ch, err := c.AddDomain(t.Context(), example())
			e := asErr(t, err)
			assert.Nil(t, d)
			assert.Nil(t, ch)
			assert.True(t, e.Acted)
			assert.Equal(t, 201, e.Status)
			assert.NotContains(t, err.Error(), long)
		})
	}
}

func TestAddDomainThatIsThere(t *testing.T) {
	for body, id := range map[string]string{
		`{"detail":"[DOMAIN-002] Domain already exists","existingDomainId":"` + testDomainID + `"}`: testDomainID,
		`{"detail":"[DOMAIN-002] Domain already exists","existingDomainId":17}`:                     "17",
		`{"detail":"[DOMAIN-002] Domain already exists"}`:                                           "",
		`{"detail":"[DOMAIN-002] Domain already exists","existingDomainId":"../x"}`:                 "",
		`{"detail":"[DOMAIN-002] Domain already exists","existingDomainId":["x"]}`:                  "",
		`{"detail":"[DOMAIN-002] Domain already exists","existingDomainId":"token-1"}`:              "",
	} {
		g, c := newRig(always(409, body))
		_, _, err := c.AddDomain(t.Context(), example())
		e := asErr(t, err)
		assert.Equal(t, 409, e.Status)
		assert.Equal(t, "DOMAIN-002", e.Code)
		assert.Equal(t, id, e.ExistingDomainID, body)
		assert.True(t, e.Acted, "by this call, or by one before it")
		assert.Len(t, g.sentCalls(), 1)
	}
}

func TestDomainShapes(t *testing.T) {
	_, c := newRig(always(200, `{"domainId":"`+testDomainID+`","domainName":"example.com","organizationName":"Example\u0007 University",
		"status":"ACTIVE","dcvStatus":"VERIFIED","dcv":{"method":"dns-txt"},"createdAt":"2026-05-01T10:00:00Z",
		"verifiedAt":"2026-05-28T00:00:00Z","validTill":"2026-12-14T00:00:00Z"}`))
	d, err := c.Domain(t.Context(), testDomainID)
	require.NoError(t, err)
	assert.Equal(t, certinext.Domain{
		ID: testDomainID, Name: "example.com", OrganizationName: "Example University", Status: "ACTIVE", DCVStatus: "VERIFIED",
		DCVMethod: "dns-txt", CreatedAt: time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC),
		VerifiedAt: time.Date(2026, 5, 28, 0, 0, 0, 0, time.UTC), ValidTill: time.Date(2026, 12, 14, 0, 0, 0, 0, time.UTC),
	}, *d)

	_, c = newRig(always(200, `{"domainName":"example.com"}`))
	d, err = c.Domain(t.Context(), testDomainID)
	require.NoError(t, err)
	assert.Equal(t, testDomainID, d.ID)
	for _, body := range []string{
		``, `[]`, `{}`, `{"domainId":"` + testDomainID + `"}`, `{"domainId":"other","domainName":"example.com"}`,
		`{"domainId":"../x","domainName":"example.com"}`, `{"domainName":"` + strings.Repeat("a.", 200) + `b"}`,
	} {
		_, c := newRig(always(200, body))
		_, err := c.Domain(t.Context(), testDomainID)
		assert.Error(t, err, body)
		assert.False(t, certinext.MayHaveActed(err))
	}
}

func TestQuirk40ExpiredTokensReadEmpty(t *testing.T) {
	verified := certinext.Challenge{Domain: "example.com", AlreadyVerified: true}
	for body, want := range map[string]any{
		`{"method":"dns-txt"}`:  verified,
		`{"method":"http-url"}`: verified, // whatever it was verified by
		`{"method":"DNS-TXT","domainName":"example.com","domainId":"` + testDomainID + `"}`: verified,
		`{"method":"dns-txt","txtToken":"","tokenExpiry":"2026-05-14 13:00:00"}`:            certinext.ErrChallengeExpired,
		`{"method":"dns-txt","txtToken":""}`:                                                certinext.ErrChallengeExpired,
		`{"method":"dns-txt","txtToken":null}`:                                              certinext.ErrChallengeExpired,
		`{"method":"dns-txt","tokenExpiry":"2026-05-14 13:00:00"}`:                          certinext.ErrChallengeExpired,
		`{"method":"http-url","fileName":"f.txt","fileToken":""}`:                           certinext.ErrChallengeExpired,
		`{"token":"","tokenExpiryDate":""}`:                                                 certinext.ErrChallengeExpired,
		`{"method":"http-url","fileName":"f.txt","fileToken":"v"}`:                          "holds no challenge",
		`{"method":"dns-txt","domainName":"evil.example"}`:                                  "holds no challenge",
		`{"method":"dns-txt","domainName":"evil.example","txtToken":""}`:                    "holds no challenge",
		`{"method":"dns-txt","domain":"evil.example","txtToken":"v"}`:                       "holds no challenge",
		`{"method":"dns-txt","secret":"v"}`:                                                 "holds no challenge",
		`{"method":"dns-txt","dcvStatus":"PENDING"}`:                                        "holds no challenge",
		`{"method":"dns-txt","txtToken":"a\u0000b"}`:                                        "holds no challenge",
		`{"method":"carrier-pigeon"}`:                                                       "holds no challenge",
		`{"method":["dns-txt"]}`:                                                            "holds no challenge",
		`{"method":2}`:                                                                      "holds no challenge",
		`{}`:                                                                                "holds no challenge",
		`[]`:                                                                                "holds no challenge",
		``:                                                                                  "empty",
		`"dns-txt"`:                                                                         "shape",
	} {
		_, c := newRig(always(200, body))
		ch, err := c.DomainChallenge(t.Context(), testDomainID, "example.com", certinext.DCVMethodDNS)
		switch want := want.(type) {
		case certinext.Challenge:
			require.NoError(t, err, body)
			assert.Equal(t, want, *ch, body)
			continue
		case error:
			assert.ErrorIs(t, err, want, body)
		case string:
			assert.ErrorContains(t, err, want, body)
			assert.NotErrorIs(t, err, certinext.ErrChallengeExpired, body)
		}
		assert.False(t, certinext.MayHaveActed(err), body)
	}
	t.Run("of an order, too", func(t *testing.T) {
		_, c := newRig(always(200, `{"token":"","tokenExpiryDate":"2026-05-14 13:00:00"}`))
		_, err := c.DCVChallenge(t.Context(), "1", "example.com", certinext.DCVMethodDNS)
		require.ErrorIs(t, err, certinext.ErrChallengeExpired)
		_, c = newRig(always(200, `{"method":"dns-txt"}`))
		_, err = c.DCVChallenge(t.Context(), "1", "example.com", certinext.DCVMethodDNS)
		require.ErrorContains(t, err, "holds no challenge", "an order says EMS-1080")
	})
	t.Run("mail has no token", func(t *testing.T) {
		_, c := newRig(always(200, `{"method":"email","token":"","dcvEmails":[]}`))
		_, err := c.DomainChallenge(t.Context(), testDomainID, "example.com", certinext.DCVMethodEmail)
		require.ErrorContains(t, err, "holds no challenge")
	})
}

func TestRenewDomainChallenge(t *testing.T) {
	renew := func(c *certinext.Client) (*certinext.Challenge, error) {
		return c.RenewDomainChallenge(t.Context(), testDomainID, "example.com", certinext.DCVMethodDNS)
	}
	for name, tc := range map[string]struct {
		body     string
		requests int
	}{
		"a challenge in the answer":      {`{"method":"dns-txt","txtToken":"v"}`, 1},
		"within the domain":              {`{"domainName":"example.com","dcv":{"txtToken":"v"}}`, 1},
		"an answer without a challenge":  {`{"method":"dns-txt"}`, 2},
		"the domain without a challenge": {`{"domainId":"` + testDomainID + `","status":"ACTIVE"}`, 2},
		"the domain, verified":           {`{"domainId":"` + testDomainID + `","dcvStatus":"VERIFIED"}`, 2},
	} {
		t.Run(name, func(t *testing.T) {
			g, c := newRig(inTurn(always(200, tc.body), always(200, `{"method":"dns-txt","txtToken":"v"}`)))
			ch, err := renew(c)
			require.NoError(t, err)
			assert.Equal(t, certinext.Challenge{Domain: "example.com", DNSValue: "v"}, *ch)
			calls := g.sentCalls()
			require.Len(t, calls, tc.requests)
			assert.Equal(t, http.MethodPatch, calls[0].method)
			assert.NotEmpty(t, calls[0].header.Get("Idempotency-Key"))
			if tc.requests == 2 {
				assert.Equal(t, http.MethodGet, calls[1].method)
				assert.Equal(t, "/api/certinext/v2/domains/"+testDomainID+"/dcv", calls[1].path)
			}
		})
	}
	t.Run("what is no answer of CERTInext's leaves a doubt", func(t *testing.T) {
		for _, body := range []string{
			``, `{}`, `OK`, `{"status":"error"}`, `{"domainName":"evil.example","txtToken":"w"}`, `{"method":"http-url"}`,
			`{"domainName":"evil.example","dcv":{"txtToken":"w"}}`, `{"domainId":"another"}`, `{"method":"dns-txt","status":"error"}`,
		} {
			g, c := newRig(always(200, body))
			_, err := renew(c)
			assert.True(t, asErr(t, err).Acted, body)
			assert.Len(t, g.sentCalls(), 1, "an old challenge would be taken for a new one")
		}
	})
	t.Run("nothing is left to prove", func(t *testing.T) {
		_, c := newRig(always(422, `{"detail":"[EMS-1080] Domain already verified"}`))
		ch, err := renew(c)
		require.NoError(t, err)
		assert.Equal(t, certinext.Challenge{Domain: "example.com", AlreadyVerified: true}, *ch)
	})
	t.Run("a refusal asks for nothing more", func(t *testing.T) {
		g, c := newRig(always(422, `{"detail":"[EMS-1158] Invalid DCV method"}`))
		_, err := renew(c)
		assert.False(t, certinext.MayHaveActed(err))
		assert.Len(t, g.sentCalls(), 1)
	})
	t.Run("a renewed challenge that cannot be read was renewed nevertheless", func(t *testing.T) {
		for _, second := range []func(int, sent) (*http.Response, error){always(404, ``), always(200, `{"txtToken":""}`)} {
			_, c := newRig(inTurn(always(204, ``), second))
			_, err := renew(c)
			e := asErr(t, err)
			assert.True(t, e.Acted)
			assert.Equal(t, "renewing domain's challenge", e.Operation)
		}
	})
	t.Run("the body is lost, and with it what it was", func(t *testing.T) {
		_, c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPatch {
				w.Header().Set("Content-Length", "500")
				return
			}
			_, _ = io.WriteString(w, `{"txtToken":"v"}`)
		})
		_, err := renew(c)
		assert.True(t, asErr(t, err).Acted)
	})
}

func TestVerifyDomain(t *testing.T) {
	g, c := newRig(always(200, `{"overallStatus":"VERIFIED","method":"dns-txt"}`))
	for range 2 {
		require.NoError(t, c.VerifyDomain(t.Context(), testDomainID))
	}
	calls := g.sentCalls()
	assert.JSONEq(t, `{}`, calls[0].body)
	assert.NotEqual(t, calls[0].header.Get("Idempotency-Key"), calls[1].header.Get("Idempotency-Key"), "each is a new attempt")

	_, c = newRig(always(422, `{"detail":"[EMS-1080] Domain already verified"}`))
	require.NoError(t, c.VerifyDomain(t.Context(), testDomainID))
	_, c = newRig(always(422, `{"detail":"[EMS-1160] x","diagnostics":{"failureClass":"RECORD_MISSING"}}`))
	err := c.VerifyDomain(t.Context(), testDomainID)
	assert.True(t, certinext.IsVerifying(err), "%v", err)
	assert.False(t, certinext.MayHaveActed(err))
	_, c = newRig(always(200, `{"overallStatus":"FAILED"}`))
	assert.ErrorContains(t, c.VerifyDomain(t.Context(), testDomainID), "FAILED")
}

func TestDomainDiagnosis(t *testing.T) {
	for body, want := range map[string]certinext.Diagnostics{
		`{"domainId":"x","method":"dns-txt","status":"FAILED","diagnostics":{"method":"DNS_TXT","failureClass":"RECORD_MISSING","nextSteps":[{"key":"publish"}]}}`: {
			Method: "DNS_TXT", FailureClass: "RECORD_MISSING", NextSteps: []string{"publish"},
		},
		`{"method":"dns-txt","status":"VERIFIED"}`:                                         {Method: "dns-txt"},
		`{"attemptId":"x","method":"dns\u0007-txt","failureClass":"RECORD\nMISSING"}`:      {Method: "dns -txt", FailureClass: "RECORD MISSING"},
		`{"diagnostics":{"failureClass":"TOKEN_EXPIRED"},"failureClass":"RECORD_MISSING"}`: {FailureClass: "TOKEN_EXPIRED"},
	} {
		_, c := newRig(always(200, body))
		d, err := c.DomainDiagnosis(t.Context(), testDomainID)
		require.NoError(t, err)
		assert.Equal(t, want, *d)
	}
	for _, body := range []string{``, `[]`, `{}`, `{"diagnostics":"none"}`} {
		_, c := newRig(always(200, body))
		_, err := c.DomainDiagnosis(t.Context(), testDomainID)
		assert.Error(t, err, body)
	}
}

// Nothing is sent, not even for a token.
func TestDomainArguments(t *testing.T) {
	ctx := t.Context()
	g, c := newRig(nil)
	for field, edit := range map[string]func(*certinext.DomainRequest){
		"Name":           func(r *certinext.DomainRequest) { r.Name = "" },
		"OrganizationID": func(r *certinext.DomainRequest) { r.OrganizationID = "" },
		"Method":         func(r *certinext.DomainRequest) { r.Method = "2" },
	} {
		r := example()
		edit(&r)
		_, _, err := c.AddDomain(ctx, r)
		requireInvalid(t, err, field)
	}
	for _, name := range []string{"*.example.com", "192.0.2.1", "exämple.com", "example.com\n", "example..com"} {
		r := example()
		r.Name = name
		_, _, err := c.AddDomain(ctx, r)
		requireInvalid(t, err, "Name")
	}
	r := example()
	r.OrganizationID = "1/2"
	_, _, err := c.AddDomain(ctx, r)
	requireInvalid(t, err, "OrganizationID")
	_, err = c.DomainChallenge(ctx, testDomainID, "example.com", "2")
	requireInvalid(t, err, "method")
	_, err = c.RenewDomainChallenge(ctx, testDomainID, "", certinext.DCVMethodDNS)
	requireInvalid(t, err, "domain")

	c.Version = certinext.V1
	for name, call := range everyOfDomains {
		err := call(ctx, c)
		requireInvalid(t, err, "Version")
		assert.ErrorContains(t, err, "version 1", name)
		assert.False(t, certinext.MayHaveActed(err))
	}
	assert.Empty(t, g.sentCalls())
	assert.Zero(t, g.grantCount())
}

func TestCallsOfDomainsAreRepeatedAsTheirKindAllows(t *testing.T) {
	const body = `{"domainId":"` + testDomainID + `","domainName":"example.com","txtToken":"v","method":"dns-txt","dcvStatus":"VERIFIED"}`
	reads := map[string]bool{"read": true, "challenge": true, "diagnosis": true}
	for name, call := range everyOfDomains {
		for what, tc := range map[string]struct {
			answer func(int, sent) (*http.Response, error)
			again  bool
		}{
			"429":             {always(429, ``, "Retry-After", "1"), true},
			"503":             {always(503, ``), reads[name]},
			"lost connection": {broken, reads[name]},
			"timeout":         {hangs, reads[name]},
			"409":             {always(409, ``), false},
		} {
			t.Run(name+" after "+what, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g, c := newRig(inTurn(tc.answer, always(200, body)))
					err := call(t.Context(), c)
					if tc.again {
						require.NoError(t, err)
						assert.Len(t, g.sentCalls(), 2)
						return
					}
					e := asErr(t, err)
					assert.Len(t, g.sentCalls(), 1)
					assert.Equal(t, !reads[name], e.Acted)
				})
			})
		}
	}
}

func TestQuirk47SingleDomainsAreSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newRig(func(int, sent) (*http.Response, error) {
			time.Sleep(6 * time.Second)
			return response(200, `{"domainName":"example.com","txtToken":"v"}`), nil
		})
		start := time.Now()
		_, err := c.Domain(t.Context(), testDomainID)
		require.NoError(t, err)
		_, err = c.DomainChallenge(t.Context(), testDomainID, "example.com", certinext.DCVMethodDNS)
		require.NoError(t, err)
		assert.Equal(t, 12*time.Second, time.Since(start))
		assert.Len(t, g.sentCalls(), 2)
		assert.Equal(t, "/api/certinext/v2/domains/"+testDomainID, g.sentCalls()[0].path)
	})
	for name, call := range every { // none of the calls that an order needs asks for a domain
		g, c := newRig(done)
		require.NoError(t, call(t.Context(), c), name)
		for _, r := range g.sentCalls() {
			assert.NotContains(t, r.path, "/domains")
		}
	}
}
