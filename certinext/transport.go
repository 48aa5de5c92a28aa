// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// A repetition says when a call may be sent again after a failure.
type repetition int

const (
	repeatNever   repetition = iota // a create: not even when it certainly did nothing
	repeatRefused                   // a change: when CERTInext certainly did nothing, or the rate was limited
	repeatFreely                    // a read
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
	rep, err := c.retry(ctx, s, c.patience(r.repeat), func() (*reply, *Error) {
		return c.retry(ctx, s, c.burstPatience(), func() (*reply, *Error) { return c.authorized(ctx, s, r) })
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
