// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/subtle"
	"mime"
	"net/http"
	"net/url"
)

// tokenFields are the form fields of a live token request.
var tokenFields = map[string]bool{
	"grant_type": true, "client_id": true, "client_secret": true, "refresh_token": true,
	"scope": true,
}

// oauthError is a refusal in OAuth's shape (RFC 6749 §5.2), which the live
// token endpoint uses instead of problem documents.
func oauthError(status int, code, description string) *problem {
	p := &problem{status: status, oauth: code, detail: description}
	if status == http.StatusUnauthorized {
		p.header = http.Header{"Www-Authenticate": {`Basic realm="certinext"`}}
	}
	return p
}

// grantByForm is the token exchange in use: an OAuth form, with the client's
// credentials in the form or in HTTP Basic.
func (s tokenEndpoint) grantByForm(c *call) (reply, *problem) {
	form, problem := tokenForm(c)
	if problem != nil {
		return reply{}, problem
	}
	if problem := s.authenticateClient(c.r, form); problem != nil {
		return reply{}, problem
	}
	switch form.Get("grant_type") {
	case "client_credentials":
		return formGrant(s.issueToken(c.now))
	case "refresh_token":
		if g, ok := s.rotate(form.Get("refresh_token"), c.now); ok {
			return formGrant(g)
		}
		return reply{}, oauthError(
			http.StatusBadRequest, "invalid_grant", "refresh token is unknown or was used before",
		)
	case "":
		return reply{}, oauthError(
			http.StatusBadRequest, "invalid_request", "grant_type is missing",
		)
	default:
		return reply{}, oauthError(
			http.StatusBadRequest, "unsupported_grant_type", "grant type is not supported",
		)
	}
}

// tokenForm reads the form, each field of which may stand there once.
func tokenForm(c *call) (url.Values, *problem) {
	mediaType, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
		return nil, oauthError(
			http.StatusBadRequest, "invalid_request", "token requests are form encoded",
		)
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return nil, oauthError(http.StatusBadRequest, "invalid_request", "form is malformed")
	}
	for name, values := range form {
		if !tokenFields[name] || len(values) != 1 {
			return nil, oauthError(
				http.StatusBadRequest, "invalid_request", "unexpected or repeated form field",
			)
		}
	}
	return form, nil
}

func (s tokenEndpoint) authenticateClient(r *http.Request, form url.Values) *problem {
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if user, password, ok := r.BasicAuth(); ok {
		if secret != "" || (id != "" && id != user) {
			return oauthError(
				http.StatusBadRequest, "invalid_request", "client authenticates in two ways",
			)
		}
		// RFC 6749 §2.3.1: both halves are form-encoded before they are joined.
		id, secret = unescaped(user), unescaped(password)
	}
	if !equal(id, s.clientID()) || !equal(secret, s.clientSecret()) || s.KeyState == KeyInactive {
		return oauthError(http.StatusUnauthorized, "invalid_client", "client authentication failed")
	}
	if s.KeyState == KeyNotOAuth || s.Dialect == V1 {
		return oauthError(
			http.StatusForbidden, "unauthorized_client", "client is not enabled for OAuth",
		)
	}
	return nil
}

func unescaped(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// formGrant is the flat answer without an envelope.
func formGrant(g grant) (reply, *problem) {
	return respond(http.StatusOK, struct {
		AccessToken  string `json:"access_token"`
		TokenType    string `json:"token_type"`
		ExpiresIn    int    `json:"expires_in"`
		RefreshToken string `json:"refresh_token"`
	}{g.access, "Bearer", int(g.ttl.Seconds()), g.refresh})
}
