// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	firstPause    = 500 * time.Millisecond
	longestPause  = 15 * time.Second
	maxRetryPause = 60 * time.Second // the most that a Retry-After is waited for
	retryLimit    = 5 * time.Minute  // no further try begins later than this
)

// A repetition says when a call may be sent again after a failure.
type repetition int

const (
	repeatNever   repetition = iota // a create: not even when it certainly did nothing
	repeatRefused                   // a change: only when CERTInext certainly did nothing
	repeatFreely                    // a read
)

// A patience says which failures a call is sent again after, how often at most, and how long the pauses are: they double
// from first to longest, each of them longer or shorter by up to spread.
type patience struct {
	again          func(*Error) bool
	tries          uint
	first, longest time.Duration
	spread         float64
}

// A call is one request to CERTInext, as often as it may have to be sent.
type call struct {
	operation string // for Error.Operation
	method    string
	path      string // below the base URL, escaped
	query     url.Values
	header    http.Header
	body      []byte // nil for none

	// compose, if not nil, makes body and signature anew before every try, as version 1 wants it.
	compose func(ctx context.Context, s *session, r *call) *Error
	// enveloped is set for version 1: whether the call succeeded stands in the answer's meta and not in its status.
	enveloped bool
	// signed is set for a call that proves by its body whose it is, and needs no token.
	signed bool
	// ofOrder is set for a call that names an order or a draft.
	ofOrder bool

	repeat    repetition
	timeout   time.Duration // of one try
	secrets   []string      // in the body, and not to be shown in an error
	signature string        // one more of them

	// bodyless is set for a change whose success is complete with the status line: whatever follows may be lost.
	bodyless bool

	replayed bool   // the one replay after a 401 is used up
	dead     string // the token that the 401 was about
}

// read starts a call that changes nothing.
func (c *Client) read(operation, path string, query url.Values) *call {
	return &call{
		operation: operation, method: http.MethodGet, path: apiRoot + path, query: query,
		header: http.Header{"Accept": {"application/json"}}, repeat: repeatFreely, timeout: c.timeout(),
	}
}

// write starts a call that changes something, with a JSON body.
func (c *Client) write(operation, method, path string, body any) (*call, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	return &call{
		operation: operation, method: method, path: apiRoot + path, body: b,
		header: http.Header{"Accept": {"application/json"}, "Content-Type": {"application/json"}},
		repeat: repeatRefused, timeout: c.timeout(), bodyless: true,
	}, nil
}

// do makes a call with the account's token, as often as the call allows. The error is the last one.
func (c *Client) do(ctx context.Context, r *call) (*reply, *Error) {
	s, err := c.open(r.operation)
	if err != nil {
		return nil, err
	}
	return c.retry(ctx, c.patience(r.repeat), func() (*reply, *Error) {
		return c.retry(ctx, c.burstPatience(), func() (*reply, *Error) { return c.authorized(ctx, s, r) })
	})
}

func (c *Client) patience(how repetition) patience {
	return patience{
		again: how.allows, tries: c.tries(), first: firstPause, longest: longestPause,
		spread: backoff.DefaultRandomizationFactor,
	}
}

// burstPatience outlasts version 1's limit on bursts, whatever the call: nothing is done with a call that it refuses.
// Observed 2026: the limit, some 16 orders within 10 seconds, passes within the half minute that this takes.
func (c *Client) burstPatience() patience {
	tries := uint(6)
	if c.Retries < 0 {
		tries = 1
	}
	return patience{
		again: func(e *Error) bool { return e.burst }, tries: tries,
		first: time.Second, longest: 16 * time.Second, spread: 0.25,
	}
}

// fetch makes a read and decodes its answer.
func fetch[T any](ctx context.Context, c *Client, r *call, decode func([]byte) (T, error)) (T, error) {
	var none T
	rep, e := c.do(ctx, r)
	if e != nil {
		return none, e
	}
	v, err := decode(rep.body)
	if err != nil {
		return none, rep.unusable(r, err)
	}
	return v, nil
}

// change makes a call of which only success or failure matters.
func (c *Client) change(ctx context.Context, r *call) error {
	if _, e := c.do(ctx, r); e != nil {
		return e
	}
	return nil
}

// authorized sends the call with a token. A 401 was not processed, so whatever the call is, it is sent once more with
// another token; tokens may die before their time (documented: refreshing a token elsewhere kills it).
func (c *Client) authorized(ctx context.Context, s *session, r *call) (*reply, *Error) {
	if r.signed {
		return c.send(ctx, s, r, "")
	}
	token, err := c.token(ctx, s, r.operation, r.dead)
	if err != nil {
		return nil, err
	}
	rep, err := c.send(ctx, s, r, token)
	if err == nil || err.Status != http.StatusUnauthorized || r.replayed {
		return rep, err
	}
	r.replayed, r.dead = true, token
	if token, err = c.token(ctx, s, r.operation, r.dead); err != nil {
		return nil, err
	}
	return c.send(ctx, s, r, token)
}

// retry runs try until it succeeds, fails for good, or has used up its tries, its time or ctx. It returns the last
// error of try, to which the end of ctx is added.
func (c *Client) retry(ctx context.Context, p patience, try func() (*reply, *Error)) (*reply, *Error) {
	var last *Error
	pause := &backoff.ExponentialBackOff{
		InitialInterval: p.first, MaxInterval: p.longest, Multiplier: 2, RandomizationFactor: p.spread,
	}
	rep, err := backoff.Retry(ctx, func() (*reply, error) {
		rep, err := try()
		if err == nil {
			return rep, nil
		}
		last = err
		if !p.again(err) {
			return nil, backoff.Permanent(err)
		}
		return nil, afterPause(ctx, err)
	}, backoff.WithBackOff(pause), backoff.WithMaxTries(p.tries), backoff.WithMaxElapsedTime(retryLimit))
	if err == nil {
		return rep, nil
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(last, cause) {
		stopped := *last
		stopped.Err = fmt.Errorf("gave up repeating it: %w", cause)
		if last.Err != nil {
			stopped.Err = fmt.Errorf("%w; gave up repeating it: %w", last.Err, cause)
		}
		last = &stopped
	}
	return nil, last
}

// allows reports whether a call that failed with e may be sent again.
func (how repetition) allows(e *Error) bool {
	if how == repeatNever || e.SigningIn || e.burst {
		return false // obtaining a token and outlasting a burst have their own tries
	}
	passing := e.Status == http.StatusTooManyRequests || e.lost
	if how == repeatRefused {
		return passing && !e.Acted
	}
	return passing || e.Status >= 500 && e.Status != http.StatusNotImplemented
}

// afterPause asks backoff for CERTInext's own pause if it named one, with a little added so that many clients do not
// come back at once. A pause that outlasts ctx is not begun.
func afterPause(ctx context.Context, e *Error) error {
	if e.RetryAfter <= 0 {
		return e
	}
	pause := min(e.RetryAfter, maxRetryPause)
	pause += rand.N(pause/10 + 1) //nolint:gosec // spreading load, not keeping a secret
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= pause {
		return backoff.Permanent(e)
	}
	return errors.Join(e, &backoff.RetryAfterError{Duration: pause})
}
