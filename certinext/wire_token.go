// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"errors"
	"strings"
	"time"
)

// wireSignedGrant is the documented request for a token.
type wireSignedGrant struct {
	GrantType     string `json:"grant_type"`
	AccountNumber string `json:"accountNumber"`
	AuthKey       string `json:"authKey"`
	Version       string `json:"ver"`
	TS            string `json:"ts"`
	Txn           string `json:"txn"`
}

// wireToken is either answer: the flat one of RFC 6749, which the live service gives, and the documented one, in
// version 1's envelope. Refresh tokens are never used: refreshing kills the access token that other nodes still use
// (documented), so they are not even read.
type wireToken struct {
	AccessToken text  `json:"access_token"`
	ExpiresIn   count `json:"expires_in"`
	Details     object[struct {
		AccessToken text  `json:"accessToken"`
		ExpiresIn   count `json:"expiresIn"`
	}] `json:"tokenDetails"`
	Meta object[wireMeta] `json:"meta"`
}

// wireMeta is version 1's envelope, in which an error may come with HTTP status 200.
type wireMeta struct {
	Status       text `json:"status"`
	Txn          text `json:"txn"`
	ErrorCode    text `json:"errorCode"`
	ErrorMessage text `json:"errorMessage"`
}

const (
	maxTokenSize    = 16 << 10
	maxTokenLife    = 24 * time.Hour
	guessedLifetime = 5 * time.Minute // where none is given; an early 401 costs one replay
)

// A grant is a token and how long it lives.
type grant struct {
	token string
	life  time.Duration
}

func decodeToken(body []byte) (grant, error) {
	var w wireToken
	if err := unmarshalObject(body, &w); err != nil {
		return grant{}, err
	}
	if w.Meta.set && w.Meta.value.Status == "0" {
		return grant{}, errRefusedWith200
	}
	token, seconds := string(w.AccessToken), w.ExpiresIn
	if token == "" {
		token, seconds = string(w.Details.value.AccessToken), w.Details.value.ExpiresIn
	}
	switch {
	case token == "":
		return grant{}, errors.New("the answer holds no token")
	case len(token) > maxTokenSize || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return grant{}, errors.New("the answer holds something that cannot be a token")
	}
	g := grant{token: token, life: guessedLifetime}
	if seconds > 0 {
		g.life = min(time.Duration(seconds)*time.Second, maxTokenLife)
	}
	return g, nil
}

// errRefusedWith200 makes the caller read the answer as the refusal that it is.
var errRefusedWith200 = errors.New("the answer is a refusal with a successful HTTP status")
