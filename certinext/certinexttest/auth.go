// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// A KeyState says what an administrator did to the API key.
type KeyState int

const (
	// KeyActive keys obtain tokens.
	KeyActive KeyState = iota
	// KeyNotOAuth keys were generated for another mode: live answers 403
	// unauthorized_client, documented 403 EMS-2022.
	KeyNotOAuth
	// KeyInactive means the account has no active key: documented answers 422
	// EMS-2007, live 401 invalid_client.
	KeyInactive
)

// A tokenStore knows every token that was handed out and is still good.
type tokenStore struct {
	access  map[string]accessToken
	refresh map[string]string    // refresh token to its access token
	txns    map[string]time.Time // transaction ids seen, and until when to mind them
}

type accessToken struct {
	expires time.Time
}

// A grant is what a successful token request hands over.
type grant struct {
	access, refresh string
	ttl             time.Duration
}

func newTokenStore() tokenStore {
	return tokenStore{
		access:  make(map[string]accessToken),
		refresh: make(map[string]string),
		txns:    make(map[string]time.Time),
	}
}

// revokeAll forgets all tokens of both kinds.
func (t *tokenStore) revokeAll() {
	clear(t.access)
	clear(t.refresh)
}

// KillTokens revokes every access and refresh token at once, as a key rotation
// in the portal does. The next call with an old token is answered 401.
func (s *Server) KillTokens() {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens.revokeAll()
}

// grantToken answers the token endpoint: an OAuth form in the live dialect, a
// signed JSON body in the documented one. Each refuses the other's request.
func (s tokenEndpoint) grantToken(c *call) (reply, *problem) {
	if len(c.query) > 0 {
		return reply{}, &problem{
			status: http.StatusBadRequest, oauth: "invalid_request",
			detail: "credentials do not belong in the query",
		}
	}
	if c.live() {
		return s.grantByForm(c)
	}
	return s.grantBySignature(c)
}

// issueToken mints a pair of tokens.
func (s tokenEndpoint) issueToken(now time.Time) grant {
	if s.SingleToken {
		s.tokens.revokeAll()
	}
	g := grant{access: randomToken(), refresh: randomToken(), ttl: s.tokenTTL()}
	if s.Dialect == Documented {
		g.access = jwtShaped(s.accountNumber(), g.access)
	}
	s.tokens.access[g.access] = accessToken{expires: now.Add(g.ttl)}
	s.tokens.refresh[g.refresh] = g.access
	return g
}

// rotate spends a refresh token. It is good once, and the access token it came
// with dies with it.
func (s tokenEndpoint) rotate(refresh string, now time.Time) (grant, bool) {
	access, ok := s.tokens.refresh[refresh]
	if !ok {
		return grant{}, false
	}
	delete(s.tokens.refresh, refresh)
	delete(s.tokens.access, access)
	return s.issueToken(now), true
}

// authorize checks the credentials of a resource call. The caller holds the
// lock, except on unlocked routes.
func (s *Server) authorize(c *call) *problem {
	if c.route.unlocked {
		s.lockFor(c)
		defer s.mu.Unlock()
	}
	if c.route.v1() {
		return s.v1().authorizeCall(c)
	}
	return s.checkBearer(c)
}

// checkBearer checks the access token of a call.
func (s *Server) checkBearer(c *call) *problem {
	scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return unauthorized()
	}
	known, ok := s.tokens.access[token]
	if !ok || !c.now.Before(known.expires) {
		return unauthorized()
	}
	return nil
}

// randomToken returns the 43-character opaque string seen live.
func randomToken() string {
	b := make([]byte, 32)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// jwtShaped dresses secret up as the JWT that the documentation speaks of. It
// is not signed: the server knows its tokens by heart.
func jwtShaped(account, secret string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + enc([]byte(`{"sub":"`+account+`"}`)) +
		"." + secret
}
