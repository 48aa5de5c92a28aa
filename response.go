// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// answer turns an engine's error into Vault's answer. What the caller or CERTInext has to mend is a 400 with the reason in
// words, whatever status CERTInext gave: Vault's clients send a 5xx and some others again, and an order must not be
// placed twice. Anything else is a fault, and goes on as an error.
func answer(err error) (*logical.Response, error) {
	var (
		field    *backend.FieldError
		notFound *backend.NotFoundError
		order    *backend.OrderError
		refused  *backend.RefusedError
	)
	switch {
	case errors.As(err, &field), errors.As(err, &order), errors.As(err, &refused), errors.As(err, &notFound),
		errors.Is(err, backend.ErrNotConfigured):
		return logical.ErrorResponse(err.Error()), nil
	}
	return nil, err
}

// handler is a handler whose errors are the engine's own.
type handler func(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error)

// operation declares an operation that only reads.
func operation(h handler, summary, verb, suffix string, fields map[string]*framework.FieldSchema) *framework.PathOperation {
	return &framework.PathOperation{
		Callback: func(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
			resp, err := h(ctx, req, d)
			if err != nil {
				return answer(err)
			}
			return resp, nil
		},
		Summary: summary,
		Responses: map[int][]framework.Response{
			http.StatusOK: {{Description: "OK", Fields: fields}},
		},
		DisplayAttrs: &framework.DisplayAttributes{
			OperationPrefix: Name, OperationVerb: verb, OperationSuffix: suffix,
		},
	}
}

// writing declares an operation that writes storage or talks to CERTInext: it runs on the active node of the primary.
func writing(h handler, summary, verb, suffix string, fields map[string]*framework.FieldSchema) *framework.PathOperation {
	op := operation(h, summary, verb, suffix, fields)
	op.ForwardPerformanceStandby, op.ForwardPerformanceSecondary = true, true
	return op
}

// silent declares that a successful answer has no body.
func silent(op *framework.PathOperation) *framework.PathOperation {
	op.Responses = map[int][]framework.Response{http.StatusNoContent: {{Description: "Done"}}}
	return op
}

// warned declares that a successful answer may hold warnings.
func warned(op *framework.PathOperation) *framework.PathOperation {
	op.Responses[http.StatusOK] = []framework.Response{{Description: "Done, with warnings"}}
	return op
}

// strict makes every operation of paths refuse fields that it does not know: a misspelt constraint that is ignored is worse
// than an error.
func strict(paths []*framework.Path) []*framework.Path {
	for _, p := range paths {
		for _, h := range p.Operations {
			op := h.(*framework.PathOperation)
			next := op.Callback
			op.Callback = func(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
				if unknown := unknownFields(req.Data, p.Fields); len(unknown) > 0 {
					return logical.ErrorResponse("unknown field: %s", strings.Join(unknown, ", ")), nil
				}
				return next(ctx, req, d)
			}
		}
	}
	return paths
}

func unknownFields(data map[string]any, fields map[string]*framework.FieldSchema) []string {
	var unknown []string
	for k := range data {
		if _, ok := fields[k]; !ok {
			unknown = append(unknown, k)
		}
	}
	slices.Sort(unknown)
	return unknown
}

// window decodes the part of a list that a request asks for.
func window(d *framework.FieldData) backend.Window {
	return backend.Window{After: d.Get("after").(string), Limit: d.Get("limit").(int)}
}

// pageResponse is the answer of a list that is read page by page.
func pageResponse[T any](name string, p backend.Page[T], encode func(T) map[string]any) *logical.Response {
	rows := make([]map[string]any, 0, len(p.Rows))
	for _, row := range p.Rows {
		rows = append(rows, encode(row))
	}
	data := map[string]any{name: rows, "next": p.Next}
	if p.Total >= 0 {
		data["total"] = p.Total
	}
	return &logical.Response{Data: data}
}

// rfc3339 writes a time of CERTInext's; empty when it told none.
func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// amount makes a number of what CERTInext writes as text, digit by digit. What is no number stays text, and nothing is nil.
func amount(text string) any {
	switch {
	case text == "":
		return nil
	case len(text) <= 40 && strings.IndexAny(text, "-0123456789") == 0 && json.Valid([]byte(text)):
		return json.Number(text)
	}
	return text
}

// requester names who sends a request, as an order remembers it.
func requester(req *logical.Request) string {
	switch {
	case req.EntityID != "":
		return "entity:" + req.EntityID
	case req.ClientTokenAccessor != "":
		return "accessor:" + req.ClientTokenAccessor
	case req.ClientToken != "":
		// Batch tokens have no accessor. What a plugin sees of a token is a hash already; it is not stored all the same.
		sum := sha256.Sum256([]byte(req.ClientToken))
		return "token:" + hex.EncodeToString(sum[:16])
	}
	return "anonymous"
}
