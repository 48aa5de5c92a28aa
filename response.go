// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/bundle"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/openapi"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// answer converts an error of the engine into a response. An error that the caller or CERTInext has
// to correct becomes a 400 with an explanation, whatever status CERTInext returned: Vault's clients
// retry a 5xx and some other statuses, and an order must not be placed twice (ADR 0006). Any other
// error is a fault and is returned as it is.
func answer(err error) (*logical.Response, error) {
	var (
		field    *backend.FieldError
		notFound *backend.NotFoundError
		order    *backend.OrderError
		refused  *backend.RefusedError
		future   *backend.FutureError
	)
	switch {
	case backend.IsReadOnly(err):
		return nil, logical.ErrReadOnly // alone: Vault forwards by the error's whole text
	case errors.As(err, &field), errors.As(err, &order), errors.As(err, &refused),
		errors.As(err, &notFound), errors.As(err, &future),
		errors.Is(err, backend.ErrNotConfigured), errors.Is(err, backend.ErrHeld):
		return logical.ErrorResponse(err.Error()), nil
	}
	return nil, err
}

// badOption converts a [*bundle.OptionError] into the engine's error about a field.
func badOption(err error) error {
	if o := new(bundle.OptionError); errors.As(err, &o) {
		return &backend.FieldError{Field: o.Option, Problem: o.Problem}
	}
	return err
}

// A handler serves an operation. Its errors are those of the engine, and [answer] converts them.
type handler func(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error)

// operation declares an operation that only reads.
func operation(
	h handler, summary, verb, suffix string, fields map[string]*framework.FieldSchema,
) *framework.PathOperation {
	return &framework.PathOperation{
		Callback: func(
			ctx context.Context, req *logical.Request, d *framework.FieldData,
		) (*logical.Response, error) {
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

// writing declares an operation that writes storage or calls CERTInext. Vault forwards it to the
// active node of the primary cluster.
func writing(
	h handler, summary, verb, suffix string, fields map[string]*framework.FieldSchema,
) *framework.PathOperation {
	op := operation(h, summary, verb, suffix, fields)
	op.ForwardPerformanceStandby, op.ForwardPerformanceSecondary = true, true
	return op
}

// silent declares that a successful answer of op has no body.
func silent(op *framework.PathOperation) *framework.PathOperation {
	op.Responses = map[int][]framework.Response{http.StatusNoContent: {{Description: "Done"}}}
	return op
}

// warned declares that a successful answer of op may contain warnings.
func warned(op *framework.PathOperation) *framework.PathOperation {
	op.Responses[http.StatusOK] = []framework.Response{{Description: "Done, with warnings"}}
	return op
}

// strict makes every operation refuse unknown fields: ignoring a misspelt constraint would be worse
// than an error. Those that Vault forwards do nothing on a node that may not write. One with
// dry_run is given storage that refuses every write, whatever else the request says.
func (b *secretsBackend) strict(paths []*framework.Path) []*framework.Path {
	for _, p := range paths {
		for _, h := range p.Operations {
			op := h.(*framework.PathOperation)
			next := op.Callback
			op.Callback = func(
				ctx context.Context, req *logical.Request, d *framework.FieldData,
			) (*logical.Response, error) {
				if unknown := unknownFields(req.Data, p.Fields); len(unknown) > 0 {
					told := guessed(unknown, p.Fields, req.Path)
					return logical.ErrorResponse("unknown field: %s", told), nil
				}
				if isDryRun(d) {
					asked := *req
					asked.Storage = backend.ReadOnly(req.Storage)
					req = &asked
				}
				if op.ForwardPerformanceStandby {
					if err := b.engine.Account.MayWrite(ctx, req.Storage); err != nil {
						return answer(err)
					}
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

// guessed lists unknown fields with the known ones that they may stand for, and says how to see
// those of the path if there is no guess.
func guessed(unknown []string, fields map[string]*framework.FieldSchema, path string) string {
	known, remedy := slices.Collect(maps.Keys(fields)), ""
	for i, name := range unknown {
		unknown[i] = phrase.Shown(name)
		if near := phrase.Nearest(name, known); near != "" {
			unknown[i] += " (did you mean " + near + "?)"
		} else {
			remedy = ": vault path-help " + mountMark + phrase.Shown(path) + " shows the fields"
		}
	}
	return strings.Join(unknown, ", ") + remedy
}

// batchToken is the warning to a requester whose token has no accessor. Vault tells a plugin
// nothing of when a token ends.
const batchToken = "the token of this request has no accessor, as batch tokens have none: its " +
	"leases end with it, however long they are, and then the certificate is revoked"

// certificateResponse returns a certificate in the caller's form, tied to its lease if it has one.
func (b *secretsBackend) certificateResponse(
	req *logical.Request, issued *backend.Issued, o bundle.Options,
) (*logical.Response, error) {
	data, err := certificateData(issued, o)
	if err != nil {
		return nil, err
	}
	resp := &logical.Response{Data: data}
	if l := issued.Lease; l != nil {
		resp = b.Secret(certificateSecretType).Response(data, map[string]any{
			"serial":      strings.ReplaceAll(issued.Certificate.Serial, ":", "-"),
			"lease":       l.ID,
			"answered_at": l.AnsweredAt.UTC().Format(time.RFC3339),
		})
		resp.Secret.TTL, resp.Secret.MaxTTL = l.TTL, l.MaxTTL
		if req.ClientTokenAccessor == "" {
			resp.AddWarning(batchToken)
		}
	}
	for _, w := range issued.Warnings {
		resp.AddWarning(w)
	}
	return resp, nil
}

// certificateData is the answer of issue and sign. A keystore contains key and chain, so they are
// not returned beside it.
func certificateData(issued *backend.Issued, o bundle.Options) (map[string]any, error) {
	c := issued.Certificate
	shown := bundle.Certificate{
		PEM:       c.PEM,
		Chain:     c.Chain,
		Key:       issued.PrivateKey,
		NotBefore: c.NotBefore,
	}
	encoded, err := shown.Encode(o)
	if err != nil {
		return nil, err
	}
	data := map[string]any{
		"certificate":      encoded.Certificate,
		"issuing_ca":       encoded.IssuingCA,
		"authority_key_id": bundle.AuthorityKeyID(c.PEM),
		"serial_number":    c.Serial,
		"expiration":       c.NotAfter.Unix(),
		"renew_after":      c.RenewAfter.Unix(),
		"order_id":         c.OrderID,
		"ca_order_id":      c.CAOrderID,
		"reused":           issued.Reused,
	}
	if !encoded.Archive {
		data["ca_chain"] = encoded.Chain
	}
	if encoded.Key != "" {
		data["private_key"], data["private_key_type"] = encoded.Key, issued.PrivateKeyType
	}
	return data, nil
}

// downloadResponse returns the requested form of a certificate as a file.
func downloadResponse(d *backend.Download, fd *framework.FieldData) (*logical.Response, error) {
	encoding, form := fd.Get("encoding").(string), fd.Get("form").(string)
	if encoding != "raw" && encoding != "base64" {
		return nil, &backend.FieldError{
			Field:   "encoding",
			Problem: fmt.Sprintf("%q is not raw or base64", encoding),
		}
	}
	file, err := bundle.FileOf(form)
	if err != nil {
		return nil, badOption(err)
	}
	c := bundle.Certificate{CSR: d.CSR}
	switch {
	case d.Certificate != nil:
		c.PEM = d.Certificate.PEM
		c.Chain = d.Certificate.Chain
		c.NotBefore = d.Certificate.NotBefore
	case form != "csr":
		return nil, &backend.OrderError{Order: d.Order}
	}
	if fd.Get("remove_roots_from_chain").(bool) {
		c.Chain = bundle.WithoutRoots(c.Chain)
	}
	body, err := file.Encode(&c)
	if errors.Is(err, bundle.ErrAbsent) {
		return nil, &backend.FieldError{Field: "form", Problem: form + " " + err.Error()}
	}
	if err != nil {
		return nil, err
	}
	if encoding == "base64" {
		return &logical.Response{Data: map[string]any{
			"content":      base64.StdEncoding.EncodeToString(body),
			"content_type": file.MediaType,
			"file_name":    file.Name,
		}}, nil
	}
	return rawResponse(body, file.MediaType), nil
}

// helpResponse mends the OpenAPI document in the framework's answer to a request for help, so that
// Vault keeps all of it: see [openapi.Mended].
func helpResponse(resp *logical.Response, err error) (*logical.Response, error) {
	if err != nil || resp == nil || resp.Data["openapi"] == nil {
		return resp, err
	}
	document, err := openapi.Mended(resp.Data["openapi"])
	if err != nil {
		return nil, err
	}
	resp.Data["openapi"] = document
	return resp, nil
}

// rawResponse answers with bytes instead of JSON, as Vault's PKI engine does for certificates.
func rawResponse(body []byte, mediaType string) *logical.Response {
	return &logical.Response{Data: map[string]any{
		logical.HTTPStatusCode:  http.StatusOK,
		logical.HTTPRawBody:     body,
		logical.HTTPContentType: mediaType,
	}}
}

// window decodes the page of a list that a request selects.
func window(d *framework.FieldData) backend.Window {
	return backend.Window{After: d.Get("after").(string), Limit: d.Get("limit").(int)}
}

// pageResponse returns one page of a list.
func pageResponse[T any](
	name string, p backend.Page[T], encode func(T) map[string]any,
) *logical.Response {
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

// rfc3339 formats a time from CERTInext. The zero time becomes an empty string.
func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// amount converts an amount, which CERTInext sends as text, to a JSON number with the same digits.
// Text that is not a number is returned unchanged; empty text becomes nil.
func amount(text string) any {
	switch {
	case text == "":
		return nil
	case len(text) <= 40 && strings.IndexAny(text, "-0123456789") == 0 && json.Valid([]byte(text)):
		return json.Number(text)
	}
	return text
}

// entityRequester identifies an identity entity as requester.
func entityRequester(id string) string { return "entity:" + id }

// requester identifies the sender of a request, as it is stored with an order.
func requester(req *logical.Request) string {
	switch {
	case req.EntityID != "":
		return entityRequester(req.EntityID)
	case req.ClientTokenAccessor != "":
		return "accessor:" + req.ClientTokenAccessor
	case req.ClientToken != "":
		// Batch tokens have no accessor. A plugin only ever sees a hash of the token; even that is
		// not stored as it is.
		sum := sha256.Sum256([]byte(req.ClientToken))
		return "token:" + hex.EncodeToString(sum[:16])
	}
	return "anonymous"
}

// mountMark stands for the mount's path in the engine's texts, which do not know it. Logs and
// stored texts keep it.
const mountMark = "<mount>/"

// atMount writes the mount's path into the texts of an answer, so that the commands in them can be
// pasted, and says in words what Go says of a request that was not waited for.
func atMount(resp *logical.Response, mount string) *logical.Response {
	if resp == nil {
		return nil
	}
	if mount == "" {
		mount = Name + "/"
	}
	told := strings.NewReplacer(
		mountMark, shellWord(mount),
		context.DeadlineExceeded.Error(), "its time was over",
		context.Canceled.Error(), "the request had ended",
	)
	for i, text := range resp.Warnings {
		resp.Warnings[i] = told.Replace(text)
	}
	for field, value := range resp.Data {
		if field != logical.HTTPRawBody {
			resp.Data[field] = placed(value, told)
		}
	}
	return resp
}

// plainMount matches the paths of mounts that a shell takes as they are.
var plainMount = regexp.MustCompile(`^[\w./@:+-]*$`)

// shellWord writes the mount's path as a shell takes it, before the rest of a path: a mount may
// have any name.
func shellWord(mount string) string {
	if plainMount.MatchString(mount) {
		return mount
	}
	return "'" + strings.ReplaceAll(mount, "'", `'\''`) + "'"
}

// placed returns a value of an answer with its texts as people are told them. It changes none in
// place: some are the engine's own.
func placed(value any, told *strings.Replacer) any {
	switch v := value.(type) {
	case string:
		return told.Replace(v)
	case []string:
		out := slices.Clone(v)
		for i, text := range out {
			out[i] = told.Replace(text)
		}
		return out
	case []map[string]any:
		out := slices.Clone(v)
		for i, m := range out {
			out[i] = placed(m, told).(map[string]any)
		}
		return out
	case []any:
		out := slices.Clone(v)
		for i, item := range out {
			out[i] = placed(item, told)
		}
		return out
	case map[string]any:
		out := maps.Clone(v)
		for field, item := range out {
			out[field] = placed(item, told)
		}
		return out
	}
	return value
}
