// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// A repetition says when a call may be sent again after a failure.
type repetition int

const (
	// repeatNever is for a create: it is not sent again even when it certainly did nothing.
	repeatNever repetition = iota
	// repeatRefused is for a change: it is sent again when CERTInext certainly did nothing, or the
	// rate was limited.
	repeatRefused
	// repeatFreely is for a read.
	repeatFreely
)

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
	// enveloped is set for version 1, whose answers say in meta whether the call succeeded, and not
	// by their HTTP status.
	enveloped bool
	// txn is the transaction id of the latest try in version 1, and answered is set when an answer
	// has repeated it.
	txn      string
	answered bool
	// signed is set for a call whose body carries a signature, and that needs no token.
	signed bool
	// ofOrder is set for a call that names an order or a draft.
	ofOrder bool
	// grants is set for a call to the token endpoint, whose refusals have the shape of RFC 6749.
	grants bool

	repeat    repetition
	timeout   time.Duration // of one try
	secrets   []string      // in the body, and not to be shown in an error
	signature string        // one more of them

	// accept reads an answer with a successful status. An error means that it is not an answer of
	// CERTInext's to this call.
	accept func(p *reply) error

	replayed bool   // the one replay after a 401 is used up
	dead     string // the token that the 401 was about
	inDoubt  bool   // one of its tries may have taken effect
}

// read starts a call that changes nothing.
func (c *Client) read(operation, path string, query url.Values) *call {
	return &call{
		operation: operation, method: http.MethodGet, path: apiRoot + path, query: query,
		header: http.Header{"Accept": {"application/json"}}, repeat: repeatFreely,
		timeout: c.timeout(),
	}
}

// write starts a call that changes something, with a JSON body. Its success is an answer without
// content, unless the call says otherwise.
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
	if r.repeat != repeatFreely && c.BeforeChange != nil {
		if refused := c.BeforeChange(r.operation); refused != nil {
			return nil, &Error{Operation: r.operation, Err: refused}
		}
	}
	rep, err := c.retry(ctx, s, c.patience(r.repeat), func() (*reply, *Error) {
		return c.retry(ctx, s, c.burstPatience(), func() (*reply, *Error) {
			return c.authorized(ctx, s, r)
		})
	})
	if err != nil && r.inDoubt && !err.Acted {
		// The refusal of the last try does not undo what an earlier one may have done (ADR 0010).
		doubtful := *err
		doubtful.Acted = true
		err = &doubtful
	}
	return rep, err
}

// attempt sends the call once, and sets inDoubt when it may have taken effect although it failed.
func (c *Client) attempt(ctx context.Context, s *session, r *call, token string) (*reply, *Error) {
	rep, err := c.send(ctx, s, r, token)
	r.inDoubt = r.inDoubt || (err != nil && err.Acted)
	return rep, err
}

// fetch makes a read and decodes its answer.
func fetch[T any](
	ctx context.Context, c *Client, r *call, decode func([]byte) (T, error),
) (T, error) {
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

// authorized sends the call with a token, and once more with another one after a 401: a token may
// become invalid before its end (documented: refreshing it elsewhere invalidates it).
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

// replayable reports whether a refused token is a reason to send the call again. Only CERTInext's
// own 401 says that the call was not carried out, and its shape is documented: RFC 7807. How the
// live service words the 401 of an expired token was never captured, and a bare one, with no more
// than a WWW-Authenticate, is also what a gateway answers. A create is not sent again after it; a
// read is, and so is a change: a change that arrives twice has the effect of one.
func (r *call) replayable(e *Error) bool {
	return e.Status == http.StatusUnauthorized && (r.repeat != repeatNever || e.certain())
}

const (
	maxBody      = 8 << 20  // bytes of a useful answer; a full report page is some 60 kB
	maxErrorBody = 64 << 10 // bytes of a refusal
)

// A reply is a successful answer.
type reply struct {
	status int
	body   []byte
}

// unusable returns the error of an answer that came and cannot be used. A read changed nothing;
// anything else may have.
func (p *reply) unusable(r *call, err error) *Error {
	return &Error{
		Operation: r.operation, Status: p.status, Acted: r.repeat != repeatFreely, Err: err,
	}
}

// send makes one request, with token unless that is empty, as soon as the rate allows it.
func (c *Client) send(ctx context.Context, s *session, r *call, token string) (*reply, *Error) {
	if err := c.admit(ctx); err != nil {
		return nil, &Error{Operation: r.operation, Err: err}
	}
	if r.compose != nil {
		if err := r.compose(ctx, s, r); err != nil {
			return nil, err
		}
	}
	if c.Begin == nil {
		return c.exchange(ctx, s, r, token)
	}
	end := c.Begin(cmp.Or(r.operation, SigningIn))
	rep, err := c.exchange(ctx, s, r, token)
	if err != nil {
		end(err)
	} else {
		end(nil)
	}
	return rep, err
}

// exchange sends one request and reads its answer.
func (c *Client) exchange(
	ctx context.Context, s *session, r *call, token string,
) (*reply, *Error) {
	tryCtx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	var sent progress
	req, err := c.request(httptrace.WithClientTrace(tryCtx, sent.trace()), s, r, token)
	if err != nil {
		return nil, &Error{Operation: r.operation, Err: err}
	}
	hide := c.mask(s, r, token)
	res, err := s.http.Do(req)
	if err != nil {
		return nil, &Error{
			Operation: r.operation, Acted: r.repeat != repeatFreely && sent.mayHaveArrived(),
			lost: true,
			Err:  transportError(ctx, tryCtx, r.timeout, err, hide),
		}
	}
	defer res.Body.Close()
	clock := c.sightClock(res.Header)
	rep, e := c.answer(ctx, tryCtx, r, res, hide)
	if (e == nil && !r.grants) || (e != nil && e.Own) {
		c.learn(clock)
	}
	return rep, e
}

// answer reads an answer with any status.
func (c *Client) answer(
	ctx, tryCtx context.Context, r *call, res *http.Response, hide mask,
) (*reply, *Error) {
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, c.refusal(r, res, hide)
	}
	rep, e := receive(ctx, tryCtx, r, res, hide)
	if e == nil && r.enveloped {
		e = c.verdict(r, rep, hide)
	}
	if e != nil {
		return nil, e
	}
	if r.accept != nil {
		if err := r.accept(rep); err != nil {
			return nil, rep.unusable(r, err)
		}
	}
	return rep, nil
}

// admit waits for the client's own rate limit.
func (c *Client) admit(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if c.Limiter == nil {
		return nil
	}
	err := c.Limiter.Wait(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("waiting for the client's own rate limit: %w", err)
	}
	return &RateError{PerSecond: float64(c.Limiter.Limit())} // of [rate.Limiter] it has no type
}

func (c *Client) request(
	ctx context.Context, s *session, r *call, token string,
) (*http.Request, error) {
	target := s.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, errors.New("the request could not be built")
	}
	req.Header = r.header.Clone()
	req.Header.Set("User-Agent", c.userAgent())
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if r.repeat != repeatFreely {
		// net/http sends a request again by itself when a kept connection breaks, provided that the
		// body can be had again and the method is a safe one or the header Idempotency-Key is set.
		// CERTInext does not honour that header, so GetBody is removed.
		req.GetBody = nil
	}
	return req, nil
}

// mask returns a mask of the request's secrets.
func (c *Client) mask(s *session, r *call, token string) mask {
	return newMask(slices.Concat(
		c.Credentials.secrets(), r.secrets, s.token.secrets(), []string{token, r.signature},
	)...)
}

// receive reads the body of a successful answer.
func receive(ctx, tryCtx context.Context, r *call, res *http.Response, hide mask) (*reply, *Error) {
	p := &reply{status: res.StatusCode}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	switch {
	case err != nil:
		e := p.unusable(r, fmt.Errorf(
			"the answer broke off: %w", transportError(ctx, tryCtx, r.timeout, err, hide),
		))
		e.lost = true
		return nil, e
	case len(body) > maxBody:
		return nil, p.unusable(r, fmt.Errorf("the answer is longer than %d bytes", maxBody))
	case isHTML(body, res.Header.Get("Content-Type")):
		// The page is a gateway's, so it is not known whether CERTInext received the call.
		return nil, p.unusable(r, errors.New(hide.text(htmlHint(string(body)), maxDetail)))
	}
	p.body = body
	return p, nil
}

// progress follows how far a request got. Its hooks are called from net/http's own goroutines.
type progress struct{ began, wroteHeaders atomic.Bool }

func (p *progress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn:      func(string) { p.began.Store(true) },
		WroteHeaders: func() { p.wroteHeaders.Store(true) },
	}
}

// mayHaveArrived reports whether CERTInext may have received the request. A server cannot act on
// headers that are incomplete. When nothing was traced, the transport is not net/http's own, and
// the request may have arrived.
func (p *progress) mayHaveArrived() bool { return p.wroteHeaders.Load() || !p.began.Load() }

// transportError makes err fit to be shown. net/http wraps the method and URL around it, which
// Operation says better, and its complaint about a malformed answer repeats bytes of the answer.
func transportError(
	ctx, tryCtx context.Context, timeout time.Duration, err error, hide mask,
) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if shown := hide.text(err.Error(), maxDetail); shown != err.Error() {
		err = errors.New(shown)
	}
	if tryCtx.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("no answer within %g s: %w", timeout.Seconds(), context.DeadlineExceeded)
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// parseRetryAfter reads the header in both of its forms: seconds, and a date. No live 429 was ever
// captured, so either is possible; any other text is zero, and a longer pause than a day is cut to
// a day.
func parseRetryAfter(h string, now time.Time) time.Duration {
	const most = 24 * time.Hour
	h = strings.TrimSpace(h)
	if n, err := strconv.ParseFloat(h, 64); err == nil {
		if !(n > 0) {
			return 0
		}
		return time.Duration(min(n, most.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(h); err == nil {
		return min(max(at.Sub(now), 0), most)
	}
	return 0
}
