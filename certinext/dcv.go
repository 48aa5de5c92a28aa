// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// codeAlreadyVerified comes with 422 when there is nothing left to prove (observed 2026).
const codeAlreadyVerified = "EMS-1080"

// A DCVMethod is a way to prove control of a domain.
type DCVMethod string

// The methods of domain control validation (documented).
const (
	// DCVMethodDNS is a TXT record.
	DCVMethodDNS DCVMethod = "dns-txt"
	// DCVMethodHTTP is a file below /.well-known/pki-validation/. It cannot prove a wildcard.
	DCVMethodHTTP DCVMethod = "http-url"
	// DCVMethodEmail is a mail that a person at one of the offered addresses answers.
	DCVMethodEmail DCVMethod = "email"
)

func (m DCVMethod) known() bool {
	switch m {
	case DCVMethodDNS, DCVMethodHTTP, DCVMethodEmail:
		return true
	}
	return false
}

// A Challenge says what to publish to prove control of a domain. CERTInext answers in several
// shapes, and the live one names neither host nor method (observed 2026): empty fields are filled
// by the caller's own configuration.
type Challenge struct {
	// Domain is the name that the challenge was asked for.
	Domain string
	// DNSHost is the owner name of the TXT record, empty when CERTInext does not name it, and
	// DNSValue the record's text, to be published as it is. Both are empty when DNS is not offered.
	DNSHost  string
	DNSValue string
	// HTTPPath is the path on the domain, and HTTPContent what to serve there. Both are empty when
	// HTTP is not offered.
	HTTPPath    string
	HTTPContent string
	// EmailTo lists the addresses that the validation mail may go to; empty when mail is not
	// offered.
	EmailTo []string
	// Expires is in UTC, some 48 hours after the challenge was made (documented). It is zero when
	// CERTInext does not say, or says it in a form that is not understood; ExpiresText keeps its
	// words.
	Expires     time.Time
	ExpiresText string
	// AlreadyVerified is set when CERTInext answered that there is nothing left to prove: EMS-1080,
	// or a verified domain of the account. Nothing is to be published then.
	AlreadyVerified bool
}

// DCVChallenge returns what to publish to prove control of one domain of an SSL order. Domains are
// commonly validated for the whole account already; an order then never asks for this, or the
// answer has AlreadyVerified set.
//
// A token lives 48 hours (documented). An expired one reads back empty, [ErrChallengeExpired];
// asking again makes a new one. CERTInext may offer several methods at once, and the fields of all
// of them are filled; an answer without the method asked for, or for another domain, is an error.
func (c *Client) DCVChallenge(
	ctx context.Context, orderID, domain string, m DCVMethod,
) (*Challenge, error) {
	const operation = "fetching DCV challenge"
	if err := checkDCV(domain, m); err != nil {
		return nil, asError(operation, err)
	}
	ch, err := c.protocol().challenge(ctx, operation, orderID, domain, m)
	if alreadyVerified(err) {
		return &Challenge{Domain: domain, AlreadyVerified: true}, nil
	}
	return ch, err
}

func (c v2) challenge(
	ctx context.Context, operation, orderID, domain string, m DCVMethod,
) (*Challenge, error) {
	path, err := orderPath(FamilySSL, orderID, "/dcv")
	if err != nil {
		return nil, asError(operation, err)
	}
	// The domain is mandatory in one edition of the documentation (EMS-1157) and optional in the
	// other.
	query := url.Values{"domain": {domain}, "method": {string(m)}}
	return fetch(ctx, c.Client, c.read(
		operation, path, query,
	), func(body []byte) (*Challenge, error) {
		return decodeChallenge(body, domain, m)
	})
}

// VerifyDCV asks CERTInext to look for what was published. A nil error means that control of the
// domain is proven, also when it already was. The order may take some more seconds to leave
// pending-dcv.
//
// A 422 whose Diagnostics say RECORD_MISSING means "not visible yet": CERTInext looks from several
// places in the world, so wait for the record to spread and ask again.
func (c *Client) VerifyDCV(ctx context.Context, orderID, domain string, m DCVMethod) error {
	const operation = "verifying DCV"
	if err := checkDCV(domain, m); err != nil {
		return asError(operation, err)
	}
	return unlessVerified(c.protocol().verify(ctx, operation, orderID, domain, m))
}

func (c v2) verify(ctx context.Context, operation, orderID, domain string, m DCVMethod) error {
	path, err := orderPath(FamilySSL, orderID, "/dcv/verify")
	if err != nil {
		return asError(operation, err)
	}
	return c.lookUp(ctx, operation, path, wireVerification{Domain: domain, Method: string(m)})
}

// lookUp asks for a verification at path.
func (c v2) lookUp(ctx context.Context, operation, path string, body any) error {
	req, err := c.newChange(operation, http.MethodPost, path, body)
	if err != nil {
		return asError(operation, err)
	}
	req.accept = lookedUp
	rep, e := c.do(ctx, req)
	if e != nil {
		return e
	}
	return verified(operation, rep)
}

// newChange starts a change with a fresh Idempotency-Key, so that each call is an attempt of its
// own: with the same key, the documented API would repeat its old answer.
func (c *Client) newChange(operation, method, path string, body any) (*call, error) {
	s, e := c.open(operation)
	if e != nil {
		return nil, e
	}
	req, err := c.write(operation, method, path, body)
	if err != nil {
		return nil, err
	}
	key, err := c.idempotencyKey(s, "")
	if err != nil {
		return nil, err
	}
	req.header.Set("Idempotency-Key", key)
	return req, nil
}

// unlessVerified returns err, unless it says that there is nothing left to prove.
func unlessVerified(err error) error {
	if alreadyVerified(err) {
		return nil
	}
	return err
}

func alreadyVerified(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Own && !e.SigningIn && e.Code == codeAlreadyVerified
}

const methodProblem = "must be dns-txt, http-url or email"

func checkDCV(domain string, m DCVMethod) error {
	if !m.known() {
		return &InvalidRequestError{Field: "method", Problem: methodProblem}
	}
	if problem := dnsNameProblem(domain); problem != "" {
		return &InvalidRequestError{Field: "domain", Problem: problem}
	}
	return nil
}

// verdict returns the overall status of a verification.
func (w wireVerified) verdict() string {
	return words(text(first(w.OverallStatus, w.Diagnostics.value.OverallStatus, w.DCVStatus)))
}

// verified reads the success of a verification. It is an error all the same when the body names an
// overall status other than VERIFIED (documented).
func verified(operation string, rep *reply) error {
	var w wireVerified
	_ = unmarshalObject(rep.body, &w) // a 204 has none
	status := w.verdict()
	if status == "" || equalFold(status, "VERIFIED") {
		return nil
	}
	e := &Error{
		Operation: operation, Status: rep.status, Detail: "the validation's status is " + status,
	}
	if equalFold(status, "PENDING") {
		e.Err = errVerifying
	}
	if w.Diagnostics.set {
		e.Diagnostics = w.Diagnostics.value.diagnostics(nil)
	}
	return e
}
