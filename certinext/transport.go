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
	repeatRefused                   // a change: when CERTInext certainly did nothing, or the rate was limited
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
	// txn is the transaction id of the latest try in version 1, and answered is set when an answer has repeated it.
	txn      string
	answered bool
	// signed is set for a call that proves by its body whose it is, and needs no token.
	signed bool
	// ofOrder is set for a call that names an order or a draft.
	ofOrder bool
	// grants is set for a call to the token endpoint, which refuses in a shape of its own.
	grants bool

	repeat    repetition
	timeout   time.Duration // of one try
	secrets   []string      // in the body, and not to be shown in an error
	signature string        // one more of them

	// accept reads an answer with a successful status, and says why it is none of CERTInext's to this call.
	accept func(p *reply) error

	replayed bool   // the one replay after a 401 is used up
	dead     string // the token that the 401 was about
	inDoubt  bool   // one of its tries may have taken effect
}

// read starts a call that changes nothing.
func (c *Client) read(operation, path string, query url.Values) *call {
	return &call{
		operation: operation, method: http.MethodGet, path: apiRoot + path, query: query,
		header: http.Header{"Accept": {"application/json"}}, repeat: repeatFreely, timeout: c.timeout(),
	}
}

// write starts a call that changes something, with a JSON body. Its success is an answer without content, unless the call
// says otherwise.
func (c *Client) write(operation, method, path string, body any) (*call, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encoding the request: %w", err)
	}
	return &call{
		operation: operation, method: method, path: apiRoot + path, body: b,
		header: http.Header{"Accept": {"application/json"}, "Content-Type": {"application/json"}},
		repeat: repeatRefused, timeout: c.timeout(), accept: withoutContent,
	}, nil
}

// do makes a call with the account's token, as often as the call allows. The error is the last one.
func (c *Client) do(ctx context.Context, r *call) (*reply, *Error) {
	s, err := c.open(r.operation)
	if err != nil {
		return nil, err
	}
	rep, err := c.retry(ctx, c.patience(r.repeat), func() (*reply, *Error) {
		return c.retry(ctx, c.burstPatience(), func() (*reply, *Error) { return c.authorized(ctx, s, r) })
	})
	if err != nil && r.inDoubt && !err.Acted {
		// Refusing the last try does not undo what an earlier one may have done.
		doubtful := *err
		doubtful.Acted = true
		err = &doubtful
	}
	return rep, err
}

// attempt sends the call once, and remembers if that leaves a doubt.
func (c *Client) attempt(ctx context.Context, s *session, r *call, token string) (*reply, *Error) {
	rep, err := c.send(ctx, s, r, token)
	r.inDoubt = r.inDoubt || err != nil && err.Acted
	return rep, err
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
	var v, none T
	r.accept = func(p *reply) (err error) {
		v, err = decode(p.body)
		return err
	}
	if _, e := c.do(ctx, r); e != nil {
		return none, e
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

// authorized sends the call with a token, and once more with another one after a 401: tokens may die before their time
// (documented: refreshing a token elsewhere kills it).
func (c *Client) authorized(ctx context.Context, s *session, r *call) (*reply, *Error) {
	if r.signed {
		return c.attempt(ctx, s, r, "")
	}
	token, err := c.token(ctx, s, r)
	if err != nil {
		return nil, err
	}
	rep, err := c.attempt(ctx, s, r, token)
	if err == nil || r.replayed || !r.replayable(err) {
		return rep, err
	}
	r.replayed, r.dead = true, token
	if token, err = c.token(ctx, s, r); err != nil {
		return nil, err
	}
	return c.attempt(ctx, s, r, token)
}

// replayable reports whether a refused token is a reason to send the call again. Only CERTInext's own 401 says that the call
// was not carried out, and its shape is documented: RFC 7807. How the live service words the 401 of an expired token was never
// captured, and a bare one, with no more than a WWW-Authenticate, is also what a gateway answers. A create is not sent again
// after it; a read is, and so is a change, since none of the others does more when it comes twice.
func (r *call) replayable(e *Error) bool {
	return e.Status == http.StatusUnauthorized && (r.repeat != repeatNever || e.certain())
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
	limited := e.Status == http.StatusTooManyRequests
	if how == repeatRefused {
		// Whoever limits the rate: a change that is asked for twice is made once, and the doubt stays with the call.
		return limited || e.lost && !e.Acted
	}
	return limited || e.lost || e.Status >= 500 && e.Status != http.StatusNotImplemented
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
