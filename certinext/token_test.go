// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

const meBody = `{"accountNumber":"1234567890","authType":"oauth2"}`

func grantBody(token string, seconds string) string {
	return `{"access_token":"` + token + `","expires_in":` + seconds + `}`
}

func TestManyCallersShareOneTokenRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newRig(always(200, meBody))
		g.token = func(_ int, _ context.Context) (*http.Response, error) {
			time.Sleep(time.Second)
			return response(200, grantBody("shared", "3600")), nil
		}
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				_, err := c.Me(t.Context())
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.Equal(t, 1, g.grantCount())
		for _, r := range g.sentCalls() {
			assert.Equal(t, "Bearer shared", r.header.Get("Authorization"))
		}
	})
}

func TestWaiterLeavesTheTokenRequestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newRig(always(200, meBody))
		g.token = func(_ int, ctx context.Context) (*http.Response, error) {
			select {
			case <-time.After(10 * time.Second):
				return response(200, grantBody("late", "3600")), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		var wg sync.WaitGroup
		wg.Go(func() { // starts the request for a token, and leaves
			_, err := c.Me(impatient)
			e := asErr(t, err)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.True(t, e.SigningIn)
			assert.False(t, e.Acted)
			assert.Equal(t, time.Second, time.Since(start))
		})
		synctest.Wait()
		wg.Go(func() {
			_, err := c.Me(t.Context())
			assert.NoError(t, err)
		})
		wg.Wait()
		assert.Equal(t, 1, g.grantCount())
	})
}

func TestFailedTokenRequestIsNotRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newRig(always(200, meBody))
		g.token = func(n int, _ context.Context) (*http.Response, error) {
			if n == 1 {
				return response(401, `{"error":"invalid_client"}`), nil
			}
			return response(200, grantBody("fine", "3600")), nil
		}
		_, err := c.Me(t.Context())
		assert.True(t, certinext.HasStatus(err, 401))
		_, err = c.Me(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, 2, g.grantCount())
	})
}

func TestOutageWhileSigningIn(t *testing.T) {
	for status, token := range map[int]func(int, context.Context) (*http.Response, error){
		0:   func(int, context.Context) (*http.Response, error) { return nil, errBroken },
		503: func(int, context.Context) (*http.Response, error) { return response(503, ``), nil },
		429: func(int, context.Context) (*http.Response, error) { return response(429, ``), nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			g, c := newRig(always(200, createdBody))
			g.token = token
			for name, call := range every {
				before := g.grantCount()
				err := call(t.Context(), c)
				e := asErr(t, err)
				assert.True(t, e.SigningIn, name)
				assert.True(t, certinext.HasStatus(err, status), "%s, %d", name, status)
				assert.False(t, e.Acted, "%s was never sent", name)
				assert.Equal(t, 5, g.grantCount()-before, "the tries of the token are not multiplied by those of the call")
			}
			assert.Empty(t, g.sentCalls())
		})
	}
}

func TestTokenRequestIsRepeatedWithAFreshTransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var txns []string
		c := &certinext.Client{
			BaseURL: testBase, Credentials: certinext.AccessKey{AccountNumber: "1234567890", AccessKey: "access-key"},
			HTTPClient: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.URL.Path != "/oauth/token" {
					return response(200, meBody), nil
				}
				var w struct{ Txn, TS, AuthKey, AccountNumber string }
				b, _ := io.ReadAll(r.Body)
				assert.NoError(t, json.Unmarshal(b, &w))
				sum := sha256.Sum256([]byte("access-key" + w.TS + w.Txn))
				assert.Equal(t, hex.EncodeToString(sum[:]), w.AuthKey)
				assert.NotContains(t, string(b), "access-key")
				txns = append(txns, w.Txn)
				if len(txns) < 3 {
					return response(503, ``), nil
				}
				return response(200, `{"meta":{"status":"1"},"tokenDetails":{"accessToken":"t","expiresIn":3600}}`), nil
			})},
		}
		_, err := c.Me(t.Context())
		require.NoError(t, err)
		require.Len(t, txns, 3)
		assert.NotEqual(t, txns[0], txns[1])
		for _, txn := range txns {
			assert.Regexp(t, `^[A-Za-z0-9]{10,50}$`, txn)
		}
	})
}

func TestTokenLifetime(t *testing.T) {
	for name, tc := range map[string]struct {
		body  string
		fresh time.Duration // still used after this
		stale time.Duration // renewed after this
	}{
		"an hour's token is renewed a minute early":         {grantBody("t", "3600"), 3539 * time.Second, 3541 * time.Second},
		"a lifetime in quotes":                              {grantBody("t", `"3600"`), 3539 * time.Second, 3541 * time.Second},
		"a token too short-lived for the margin lives 30 s": {grantBody("t", "45"), 29 * time.Second, 31 * time.Second},
		"no lifetime is taken for five minutes":             {`{"access_token":"t"}`, 239 * time.Second, 241 * time.Second},
		"an absurd lifetime is cut to a day":                {grantBody("t", "1000000000"), 23 * time.Hour, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, c := newRig(always(200, meBody))
				g.token = func(int, context.Context) (*http.Response, error) { return response(200, tc.body), nil }
				call := func() {
					_, err := c.Me(t.Context())
					require.NoError(t, err)
				}
				call()
				time.Sleep(tc.fresh)
				call()
				assert.Equal(t, 1, g.grantCount())
				time.Sleep(tc.stale - tc.fresh)
				call()
				assert.Equal(t, 2, g.grantCount())
			})
		})
	}
}

func TestQuirk03TokenDiesEarly(t *testing.T) {
	for name, call := range every {
		t.Run(name+" is replayed once with a new token", func(t *testing.T) {
			g, c := newRig(func(_ int, r sent) (*http.Response, error) {
				if r.header.Get("Authorization") == "Bearer token-1" {
					return refuses(401, "Missing or invalid bearer token")(0, r)
				}
				return done(0, r)
			})
			require.NoError(t, call(t.Context(), c))
			calls := g.sentCalls()
			require.Len(t, calls, 2)
			assert.Equal(t, calls[0].body, calls[1].body)
			assert.Equal(t, calls[0].header.Get("Idempotency-Key"), calls[1].header.Get("Idempotency-Key"))
			assert.Equal(t, 2, g.grantCount())
		})
		t.Run(name+" gives up after the second 401", func(t *testing.T) {
			g, c := newRig(refuses(401, "Missing or invalid bearer token"))
			e := asErr(t, call(t.Context(), c))
			assert.Equal(t, 401, e.Status)
			assert.False(t, e.Acted)
			assert.False(t, e.SigningIn)
			assert.Len(t, g.sentCalls(), 2)
			assert.Equal(t, 2, g.grantCount())
		})
	}
}

func TestOneReplayPerCallHoweverOftenItIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newRig(inTurn(always(401, ``), always(503, ``), always(401, ``), always(200, meBody)))
		_, err := c.Me(t.Context())
		assert.True(t, certinext.HasStatus(err, 401))
		assert.Len(t, g.sentCalls(), 3)
		assert.Equal(t, 2, g.grantCount())
	})
}

func TestOneNewTokenForManyCallersWithADeadOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c := newRig(func(_ int, r sent) (*http.Response, error) {
			time.Sleep(time.Second)
			if r.header.Get("Authorization") == "Bearer token-1" {
				return response(401, ``), nil
			}
			return response(200, meBody), nil
		})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, err := c.Me(t.Context())
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.Equal(t, 2, g.grantCount())
	})
}

func TestQuirk01LiveTokenRequestIsAForm(t *testing.T) {
	var got http.Header
	g, c := newRig(always(200, meBody))
	c.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Path == "/oauth/token" {
			got = r.Header
			assert.NoError(t, r.ParseForm())
			assert.Equal(t, testSecret, r.PostForm.Get("client_secret"))
			assert.Empty(t, r.URL.RawQuery)
		}
		return g.RoundTrip(r)
	})}
	_, err := c.Me(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "application/x-www-form-urlencoded", got.Get("Content-Type"))
	assert.Empty(t, got.Get("Authorization"))
}

func TestQuirk02TokenRefusalsInPlainWords(t *testing.T) {
	oauth := certinext.OAuth{ClientID: "1234567890", ClientSecret: testSecret}
	key := certinext.AccessKey{AccountNumber: "1234567890", AccessKey: "access-key"}
	for name, tc := range map[string]struct {
		creds  certinext.Credentials
		status int
		body   string
		want   string
	}{
		"401 is a wrong id or secret":               {oauth, 401, `{"error":"invalid_client"}`, "check the client id and the client secret"},
		"403 is a key that is not for OAuth":        {oauth, 403, `{"error":"unauthorized_client"}`, "authentication type OAuth"},
		"404 is a wrong address":                    {oauth, 404, `<html><title>Nothing here</title></html>`, "base URL"},
		"401 for an access key":                     {key, 401, `{"meta":{"status":"0","errorCode":"EMS-2006","errorMessage":"Invalid key"}}`, "check the account number"},
		"403 for an access key":                     {key, 403, `{"meta":{"status":"0","errorCode":"EMS-2022"}}`, "tokens are not enabled"},
		"422 for an access key":                     {key, 422, `{"meta":{"status":"0","errorCode":"EMS-2007"}}`, "no active access key"},
		"an access key at the live service's gates": {key, 400, `{"error":"invalid_request"}`, "OAuth key"},
	} {
		t.Run(name, func(t *testing.T) {
			g, c := newRig(always(200, meBody))
			c.Credentials = tc.creds
			g.token = func(int, context.Context) (*http.Response, error) { return response(tc.status, tc.body), nil }
			_, err := c.TrackOrder(t.Context(), certinext.FamilySSL, "1000000001")
			e := asErr(t, err)
			assert.True(t, e.SigningIn)
			assert.False(t, e.Acted)
			assert.Equal(t, tc.status, e.Status)
			assert.ErrorContains(t, err, tc.want)
			assert.Equal(t, 1, g.grantCount(), "a refusal is not repeated")
			assert.Equal(t, tc.status == 401 || tc.status == 403, certinext.HasStatus(err, tc.status),
				"a 404 or 422 of the token endpoint is not about the order")
			assert.False(t, certinext.IsNotReady(err))
		})
	}
}

func TestUnusableTokensAreRefused(t *testing.T) {
	for name, body := range map[string]string{
		"empty":            ``,
		"not JSON":         `token`,
		"no token":         `{"expires_in":3600}`,
		"line break":       `{"access_token":"a\r\nX-Evil: 1"}`,
		"space":            `{"access_token":"a b"}`,
		"oversized":        `{"access_token":"` + strings.Repeat("x", 17<<10) + `"}`,
		"HTML":             `<!doctype html><title>Sign in</title>`,
		"an array":         `["token"]`,
		"token is a table": `{"access_token":{"v":"t"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			g, c := newRig(always(200, meBody))
			g.token = func(int, context.Context) (*http.Response, error) { return response(200, body), nil }
			_, err := c.CreateOrder(t.Context(), dvOrder())
			e := asErr(t, err)
			assert.True(t, e.SigningIn)
			assert.False(t, e.Acted, "the order was never sent")
			assert.Empty(t, g.sentCalls())
		})
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer other.Close()
	for name, redirect := range map[string]func(w http.ResponseWriter, r *http.Request){
		"of the token": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+"/oauth/token", http.StatusTemporaryRedirect)
		},
		"of the call": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/oauth/token" {
				_, _ = io.WriteString(w, grantBody("t", "3600"))
				return
			}
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusPermanentRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(redirect))
			defer srv.Close()
			for _, hc := range []*http.Client{nil, srv.Client(), {CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}} {
				c := &certinext.Client{BaseURL: srv.URL, HTTPClient: hc, Credentials: certinext.OAuth{ClientID: "1", ClientSecret: testSecret}}
				_, err := c.CreateOrder(t.Context(), dvOrder())
				e := asErr(t, err)
				assert.Equal(t, name == "of the call", e.Acted, "only whoever redirects knows what became of it before")
				assert.ErrorContains(t, err, "a redirect to "+other.URL)
			}
		})
	}
}

func TestCredentialsMustBeComplete(t *testing.T) {
	for name, tc := range map[string]struct {
		creds certinext.Credentials
		field string
	}{
		"none":              {nil, "Credentials"},
		"no client id":      {certinext.OAuth{ClientSecret: "s"}, "ClientID"},
		"no client secret":  {certinext.OAuth{ClientID: "1"}, "ClientSecret"},
		"no account number": {certinext.AccessKey{AccessKey: "k"}, "AccountNumber"},
		"no access key":     {certinext.AccessKey{AccountNumber: "1"}, "AccessKey"},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := newRig(always(200, meBody))
			c.Credentials = tc.creds
			_, err := c.Me(t.Context())
			requireInvalid(t, err, tc.field)
			for _, err := range c.OrdersReport(t.Context(), certinext.ReportFilter{}) {
				requireInvalid(t, err, tc.field)
			}
		})
	}
}

// requireInvalid checks that err is a local refusal that names the field.
func requireInvalid(t *testing.T, err error, field string) {
	t.Helper()
	var invalid *certinext.InvalidRequestError
	require.ErrorAs(t, err, &invalid)
	assert.Equal(t, field, invalid.Field)
	assert.False(t, certinext.MayHaveActed(err))
	assert.Contains(t, err.Error(), field)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRandomnessFailsBeforeAnythingIsSent(t *testing.T) {
	g, c := newRig(always(201, createdBody))
	c.Rand = strings.NewReader("")
	_, err := c.CreateOrder(t.Context(), dvOrder())
	assert.False(t, asErr(t, err).Acted)
	assert.ErrorIs(t, err, io.EOF)
	assert.Empty(t, g.sentCalls())
}
