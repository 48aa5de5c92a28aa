// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

const v1Root = "/emSignHub-API/"

// v1 is the API below /emSignHub-API. Every call is a POST to a verb, whose body carries a meta
// block beside the block of the verb itself.
//
// It does not tell families apart: an order is found under any of them.
type v1 struct{ *Client }

// ask starts a call that changes nothing. block stands in the body under name; without a name there
// is none.
func (c v1) ask(operation, verb, name string, block any) *call {
	raw, err := json.Marshal(block)
	r := &call{
		operation: operation, method: http.MethodPost, path: v1Root + verb, repeat: repeatFreely,
		timeout: c.timeout(),
		header: http.Header{
			"Accept": {"application/json"}, "Content-Type": {"application/json"},
		},
		enveloped: true,
	}
	_, r.signed = c.Credentials.(AccessKey)
	r.compose = func(ctx context.Context, s *session, r *call) *Error {
		if err != nil {
			return &Error{Operation: operation, Err: fmt.Errorf("encoding the request: %w", err)}
		}
		meta, e := c.meta(ctx, s, operation)
		if e != nil {
			return e
		}
		r.body, r.signature = envelope(meta, name, raw), meta.AuthKey
		r.txn, r.answered = meta.Txn, false
		return nil
	}
	return r
}

// tell starts a call that changes something. Unlike in version 2, the HTTP status does not tell
// success from refusal: both are 200 (observed 2026).
func (c v1) tell(operation, verb, name string, block any) *call {
	r := c.ask(operation, verb, name, block)
	r.repeat = repeatRefused
	return r
}

// meta makes the block that identifies the account. The transaction id must be unique (documented:
// "Unique Transaction ID for the given Account") and the hash covers it and the time, so every try
// needs a block of its own.
func (c v1) meta(ctx context.Context, s *session, operation string) (wireRequestMeta, *Error) {
	txn, err := c.transaction(s)
	if err != nil {
		return wireRequestMeta{}, &Error{Operation: operation, Err: err}
	}
	m := wireRequestMeta{Version: "1.0", TS: timestamp(c.now()), Txn: txn}
	if key, ok := c.Credentials.(AccessKey); ok {
		m.AccountNumber, m.AuthKey = key.AccountNumber, key.signature(m.TS, m.Txn)
		return m, nil
	}
	a, e := c.owner(ctx, s, operation)
	if e != nil {
		return m, e
	}
	m.AccountNumber = a.Number
	return m, nil
}

// envelope writes the body of a call.
func envelope(meta wireRequestMeta, name string, block json.RawMessage) []byte {
	m, _ := json.Marshal(meta) // a struct of strings cannot fail
	if name == "" {
		return slices.Concat([]byte(`{"meta":`), m, []byte("}"))
	}
	return slices.Concat([]byte(`{"meta":`), m, []byte(`,"`+name+`":`), block, []byte("}"))
}

// An accountCache holds the account of a token. One caller at a time asks for it.
type accountCache struct {
	turn  chan struct{} // holds one element while a caller asks for the account
	found *Account
}

var errNoAccountNumber = errors.New("the answer names no account")

// owner returns the account that the token belongs to. Version 1 needs the account's number in
// every call. Only version 2 can tell which account a token is for, so it is asked once. After a
// failure the call itself was not sent.
func (c v1) owner(ctx context.Context, s *session, operation string) (*Account, *Error) {
	failed := func(e *Error) *Error {
		shown := *e
		shown.Operation, shown.SigningIn, shown.Acted = signingIn(operation), true, false
		return &shown
	}
	select {
	case s.account.turn <- struct{}{}:
		defer func() { <-s.account.turn }()
	case <-ctx.Done():
		return nil, failed(&Error{Err: context.Cause(ctx)})
	}
	if s.account.found != nil {
		return s.account.found, nil
	}
	a, err := v2(c).me(ctx, operation)
	if err != nil {
		return nil, failed(asError(operation, err))
	}
	if !validID(a.Number) {
		return nil, failed(&Error{Status: http.StatusOK, Err: errNoAccountNumber})
	}
	s.account.found = a
	return a, nil
}

// orderKey refuses an unknown family, and an id that cannot be an order's.
func orderKey(f Family, id string) error {
	switch f {
	case FamilySSL, FamilyPrivatePKI, FamilySignature, FamilySMIME:
	default:
		return &InvalidRequestError{
			Field: "Family", Problem: "must be ssl, private-pki, signature or smime",
		}
	}
	_, err := segment("id", id)
	return err
}
