// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	tokenMargin  = 60 * time.Second // a token is renewed this long before its end
	minTokenLife = 30 * time.Second // a token is used this long, whatever its end
	createLead   = 5 * time.Minute  // a create has it renewed this much earlier
)

// A tokenCache holds the Client's token. At most one request for a token is under way at a time,
// and all callers wait for that one.
type tokenCache struct {
	mu sync.Mutex
	// token returns the token; nil for none. It is a function because fmt prints no function's
	// value: a struct that holds a Client somewhere below would otherwise show the token under a
	// verb that does not suit it, such as %s.
	token   func() string
	asked   time.Time
	expires time.Time
	flight  *flight
}

// A flight is a request for a token that is under way.
type flight struct {
	done  chan struct{} // closed when the two below are set
	token string
	err   *Error
}

// secrets returns the token for hiding it.
func (t *tokenCache) secrets() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return []string{t.current()}
}

func (t *tokenCache) current() string {
	if t.token == nil {
		return ""
	}
	return t.token()
}

// token returns a token for r, other than the one that a 401 refused to r. A failure is not stored:
// the next caller asks again.
func (c *Client) token(ctx context.Context, s *session, r *call) (string, *Error) {
	operation := r.operation
	t := &s.token
	t.mu.Lock()
	if token := t.current(); token != "" && token != r.dead && t.lasts(c.now(), r) {
		defer t.mu.Unlock()
		return token, nil
	}
	f := t.flight
	if f == nil {
		f = &flight{done: make(chan struct{})}
		t.flight = f
		go c.fly(context.WithoutCancel(ctx), s, f)
	}
	t.mu.Unlock()

	select {
	case <-f.done:
	case <-ctx.Done():
		return "", &Error{Operation: signingIn(operation), SigningIn: true, Err: context.Cause(ctx)}
	}
	if f.err != nil {
		e := *f.err
		e.Operation = signingIn(operation)
		return "", &e
	}
	return f.token, nil
}

// lasts reports whether the token is good for r. A create is not sent again after a 401 that may be
// a gateway's, so it is not sent with a token near its end either; but a short-lived token serves
// the first half of its life.
func (t *tokenCache) lasts(now time.Time, r *call) bool {
	end := t.expires
	if r.repeat == repeatNever {
		end = end.Add(-min(createLead, t.expires.Sub(t.asked)/2))
	}
	return now.Before(end)
}

func signingIn(operation string) string { return operation + ": signing in" }

// fly obtains a token for all callers that wait. It has no caller's context: one whose context ends
// stops waiting, and the request goes on for the others.
func (c *Client) fly(ctx context.Context, s *session, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout())
	defer cancel()
	asked := c.now()
	g, err := c.signIn(ctx, s)

	t := &s.token
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flight = nil
	f.token, f.err = g.token, err
	if err == nil {
		t.token = func() string { return g.token }
		t.asked, t.expires = asked, asked.Add(max(g.life-tokenMargin, minTokenLife))
	}
	close(f.done)
}

// signIn exchanges the credentials for a token. The exchange changes nothing that matters and may
// be repeated, but each try needs its own time and transaction id (documented).
func (c *Client) signIn(ctx context.Context, s *session) (grant, *Error) {
	var r *call
	rep, e := c.retry(ctx, s, c.patience(repeatFreely), func() (*reply, *Error) {
		txn, err := c.transaction(s)
		if err != nil {
			return nil, &Error{Err: err}
		}
		r = c.Credentials.exchange(c.now(), txn)
		r.method, r.path, r.grants = http.MethodPost, "/oauth/token", true
		r.repeat, r.timeout = repeatFreely, c.timeout()
		return c.send(ctx, s, r, "")
	})
	var g grant
	if e == nil {
		var err error
		if g, err = decodeToken(rep.body); errors.Is(err, errRefusedWith200) {
			e = &Error{Status: rep.status}
			_, _ = e.explain(rep.body, c.mask(s, r, "")) // decodeToken has read it as an object
		} else if err != nil {
			e = rep.unusable(r, err)
		}
	}
	if e == nil {
		return g, nil
	}
	failed := *e
	failed.SigningIn, failed.Acted = true, false
	if hint := c.Credentials.hint(failed.Status); hint != "" {
		failed.Hint = hint
	}
	return grant{}, &failed
}

// wireSignedGrant is the documented request for a token.
type wireSignedGrant struct {
	GrantType     string `json:"grant_type"`
	AccountNumber string `json:"accountNumber"`
	AuthKey       string `json:"authKey"`
	Version       string `json:"ver"`
	TS            string `json:"ts"`
	Txn           string `json:"txn"`
}

// wireToken is either answer: the flat one of RFC 6749, which the live service gives, and the
// documented one, in version 1's envelope. Refresh tokens are never used: refreshing kills the
// access token that other nodes still use (documented), so they are not even read.
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

// A grant is a token and its lifetime.
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
	case len(token) > maxTokenSize ||
		strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }):
		return grant{}, errors.New("the answer holds something that cannot be a token")
	}
	g := grant{token: token, life: guessedLifetime}
	if seconds > 0 {
		g.life = min(time.Duration(seconds)*time.Second, maxTokenLife)
	}
	return g, nil
}

// errRefusedWith200 tells signIn to read the answer as a refusal.
var errRefusedWith200 = errors.New("the answer is a refusal with a successful HTTP status")
