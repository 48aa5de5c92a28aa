// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func credentials(change map[string]string) url.Values {
	v := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"1234567890"}, "client_secret": {"sandbox-client-secret"},
	}
	for k, c := range change {
		if v.Set(k, c); c == "" {
			v.Del(k)
		}
	}
	return v
}

func TestLiveTokenIsOAuth(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	a := r.form(credentials(nil))
	v := a.must(http.StatusOK)
	require.Len(t, v["access_token"], 43)
	require.Equal(t, "Bearer", v["token_type"])
	require.EqualValues(t, 3600, v["expires_in"])
	require.NotEmpty(t, v["refresh_token"])

	basic := credentials(map[string]string{"client_id": "", "client_secret": ""})
	r.form(basic, "Authorization", "Basic MTIzNDU2Nzg5MDpzYW5kYm94LWNsaWVudC1zZWNyZXQ=").must(http.StatusOK)
}

func TestLiveTokenRefusals(t *testing.T) {
	cases := map[string]struct {
		form   map[string]string
		status int
		code   string
	}{
		"a wrong secret is an invalid client":    {map[string]string{"client_secret": "x"}, 401, "invalid_client"},
		"a wrong id is an invalid client":        {map[string]string{"client_id": "x"}, 401, "invalid_client"},
		"an unknown grant is named":              {map[string]string{"grant_type": "password"}, 400, "unsupported_grant_type"},
		"no grant type is an invalid request":    {map[string]string{"grant_type": ""}, 400, "invalid_request"},
		"a form field nobody defined is refused": {map[string]string{"accountNumber": "1"}, 400, "invalid_request"},
		"an unknown refresh token is no grant":   {map[string]string{"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"},
		"a refresh without a token is no grant":  {map[string]string{"grant_type": "refresh_token"}, 400, "invalid_grant"},
		"an access key is not a client secret":   {map[string]string{"client_secret": "sandbox-access-key"}, 401, "invalid_client"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, new(certinexttest.Server))
			v := r.form(credentials(c.form)).must(c.status)
			require.Equal(t, c.code, v["error"])
			require.NotContains(t, v, "title", "the token endpoint speaks OAuth, not problem documents")
		})
	}
}

func TestEachDialectRefusesTheOthersTokenRequest(t *testing.T) {
	live := newRig(t, new(certinexttest.Server))
	v := live.post("/oauth/token", signedToken(time.Now(), nil)).must(http.StatusBadRequest)
	require.Equal(t, "invalid_request", v["error"])

	documented := newRig(t, &certinexttest.Server{Dialect: certinexttest.Documented})
	v = documented.form(credentials(nil)).must(http.StatusBadRequest)
	require.Equal(t, "EMS-2028", v["meta"].(m)["errorCode"])
}

func TestDocumentedTokenRefusals(t *testing.T) {
	cases := map[string]struct {
		change m
		status int
		code   string
	}{
		"a missing txn is named":            {m{"txn": nil}, 400, "EMS-2028"},
		"a missing grant type is named":     {m{"grant_type": nil}, 400, "EMS-2028"},
		"an unknown grant type is refused":  {m{"grant_type": "password"}, 400, "EMS-2028"},
		"another version is refused":        {m{"ver": "2.0"}, 400, "EMS-2028"},
		"a short txn is refused":            {m{"txn": "short"}, 400, "EMS-2028"},
		"a txn with a dash is refused":      {m{"txn": "0123456789-abc"}, 400, "EMS-2028"},
		"a ts without offset is refused":    {m{"ts": "2026-04-24T10:00:00"}, 400, "EMS-2028"},
		"a ts with Z is refused":            {m{"ts": "2026-04-24T10:00:00Z"}, 400, "EMS-2028"},
		"a stale ts is refused":             {signedToken(time.Now().Add(-time.Hour), nil), 400, "EMS-2028"},
		"a ts from the future is refused":   {signedToken(time.Now().Add(time.Hour), nil), 400, "EMS-2028"},
		"an unknown member is refused":      {m{"authkey": "x"}, 400, "EMS-2028"},
		"another account is not found":      {m{"accountNumber": "1"}, 401, "EMS-2036"},
		"an access key in plain is no hash": {m{"authKey": "sandbox-access-key"}, 401, "EMS-2006"},
		"the hash must match":               {m{"authKey": strings.Repeat("0", 64)}, 401, "EMS-2037"},
		"an unknown refresh token is spent": {m{"grant_type": "refresh_token", "refresh_token": "x"}, 401, "EMS-2038"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &certinexttest.Server{Dialect: certinexttest.Documented})
			v := r.post("/oauth/token", signedToken(time.Now(), c.change)).must(c.status)
			require.Equal(t, c.code, v["meta"].(m)["errorCode"])
			require.Equal(t, "0", v["meta"].(m)["status"])
		})
	}
}

func TestDocumentedTokenNeedsNoVersion(t *testing.T) {
	r := newRig(t, &certinexttest.Server{Dialect: certinexttest.Documented})
	v := r.post("/oauth/token", signedToken(time.Now(), m{"ver": nil})).must(http.StatusOK)
	require.NotEmpty(t, v["tokenDetails"].(m)["accessToken"])
}

func TestDocumentedTxnIsGoodOnce(t *testing.T) {
	r := newRig(t, &certinexttest.Server{Dialect: certinexttest.Documented})
	body := signedToken(time.Now(), nil)
	r.post("/oauth/token", body).must(http.StatusOK)
	v := r.post("/oauth/token", body).must(http.StatusBadRequest)
	require.Equal(t, "EMS-2028", v["meta"].(m)["errorCode"])
}

func TestKeyStates(t *testing.T) {
	cases := map[string]struct {
		state  certinexttest.KeyState
		live   int
		oauth  string
		docs   int
		docEMS string
	}{
		"a key of another mode is forbidden": {certinexttest.KeyNotOAuth, 403, "unauthorized_client", 403, "EMS-2022"},
		"no active key is refused":           {certinexttest.KeyInactive, 401, "invalid_client", 422, "EMS-2007"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			srv := &certinexttest.Server{KeyState: c.state}
			live := &rig{t: t, srv: srv, http: srv.Client(), base: host}
			require.Equal(t, c.oauth, live.form(credentials(nil)).must(c.live)["error"])

			srv = &certinexttest.Server{KeyState: c.state, Dialect: certinexttest.Documented}
			docs := &rig{t: t, srv: srv, http: srv.Client(), base: host}
			v := docs.post("/oauth/token", signedToken(time.Now(), nil)).must(c.docs)
			require.Equal(t, c.docEMS, v["meta"].(m)["errorCode"])
		})
	}
}

func TestRefreshRotatesAndKillsTheTokenBefore(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r := newRig(t, &certinexttest.Server{Dialect: d})
		grant := func(change m) (access, refresh string, status int) {
			if d == certinexttest.Live {
				form := credentials(nil)
				for k, v := range change {
					form.Set(k, v.(string))
				}
				a := r.form(form)
				if a.status != http.StatusOK {
					return "", "", a.status
				}
				v := a.must(http.StatusOK)
				return v["access_token"].(string), v["refresh_token"].(string), a.status
			}
			a := r.post("/oauth/token", signedToken(time.Now(), change))
			if a.status != http.StatusOK {
				return "", "", a.status
			}
			v := a.must(http.StatusOK)["tokenDetails"].(m)
			return v["accessToken"].(string), v["refreshToken"].(string), a.status
		}
		access, refresh, _ := grant(nil)
		r.token = access
		r.get(api + "/auth/me").must(http.StatusOK)

		renewed, _, status := grant(m{"grant_type": "refresh_token", "refresh_token": refresh})
		require.Equal(t, http.StatusOK, status)
		r.get(api+"/auth/me").refused(http.StatusUnauthorized, "")
		r.token = renewed
		r.get(api + "/auth/me").must(http.StatusOK)

		_, _, status = grant(m{"grant_type": "refresh_token", "refresh_token": refresh})
		require.NotEqual(t, http.StatusOK, status, "a refresh token is good once")
	})
}

func TestTokensExpireAndDie(t *testing.T) {
	c := newClock()
	r := newRig(t, &certinexttest.Server{Now: c.now, TokenTTL: time.Minute})
	r.get(api + "/auth/me").must(http.StatusOK)
	c.advance(time.Minute)
	a := r.get(api + "/auth/me")
	a.refused(http.StatusUnauthorized, "")
	require.Equal(t, "Bearer", a.header.Get("WWW-Authenticate"))

	r.login()
	r.get(api + "/auth/me").must(http.StatusOK)
	r.srv.KillTokens()
	r.get(api+"/auth/me").refused(http.StatusUnauthorized, "")
}

func TestSingleTokenRevokesTheOneBefore(t *testing.T) {
	for name, c := range map[string]struct {
		single bool
		status int
	}{
		"tokens live side by side by default":          {false, http.StatusOK},
		"a new token ends the old one if it is single": {true, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, &certinexttest.Server{SingleToken: c.single})
			first := r.token
			r.login()
			r.token = first
			require.Equal(t, c.status, r.get(api+"/auth/me").status)
		})
	}
}
