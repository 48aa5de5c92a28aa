// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *secretsBackend) pathDocuments() []*framework.Path {
	return []*framework.Path{{
		Pattern: "orders/" + framework.GenericNameRegex("role") +
			"/" + framework.GenericNameRegex("id") + "/documents$",
		Fields: merge(roleField(), orderField(), map[string]*framework.FieldSchema{
			"file_name": {
				Type: framework.TypeString,
				Description: "File name of the document in content; it ends in .pdf and has at " +
					"most 100 characters.",
			},
			"description": {
				Type:        framework.TypeString,
				Description: "What the document shows, e.g. passport; at most 25 characters.",
			},
			"content": {
				Type:        framework.TypeString,
				Description: "The document: a PDF file of at most 3 MB, in base64.",
			},
			"documents": {
				Type: framework.TypeSlice,
				Description: "Several documents instead of one: at most 10 objects, each with " +
					"file_name, description and content.",
			},
		}),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: writing(b.submitDocuments,
				"Submit the documents that an order is waiting for.",
				"submit", "order-documents", orderFields()),
		},
		HelpSynopsis:    "Documents for the order of a document signer or of an organization.",
		HelpDescription: documentsHelp,
	}}
}

func (b *secretsBackend) submitDocuments(
	ctx context.Context, req *logical.Request, d *framework.FieldData,
) (*logical.Response, error) {
	docs, err := decodeDocuments(d)
	if err != nil {
		return nil, err
	}
	o, err := b.engine.Orders.SubmitDocuments(ctx, req.Storage, d.Get("role").(string),
		d.Get("id").(string), requester(req), docs)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: encodeOrder(o)}, nil
}

// decodeDocuments reads either the single document or the list of documents.
func decodeDocuments(d *framework.FieldData) ([]backend.Document, error) {
	several, _ := d.Get("documents").([]any)
	one := map[string]any{}
	for _, field := range []string{"file_name", "description", "content"} {
		if v := d.Get(field).(string); v != "" {
			one[field] = v
		}
	}
	switch {
	case len(one) > 0 && len(several) > 0:
		return nil, &backend.FieldError{
			Field: "documents",
			Problem: "cannot be combined with file_name, description and content: " +
				"send either one document or a list",
		}
	case len(one) > 0:
		several = []any{one}
	}
	docs := make([]backend.Document, 0, len(several))
	for i, v := range several {
		doc, err := decodeDocument(v)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", i+1, err)
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

func decodeDocument(v any) (backend.Document, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return backend.Document{}, &backend.FieldError{
			Field:   "documents",
			Problem: "must be objects with file_name, description and content",
		}
	}
	var doc backend.Document
	var content string
	into := map[string]*string{
		"file_name":   &doc.FileName,
		"description": &doc.Description,
		"content":     &content,
	}
	for name, value := range m {
		at, known := into[name]
		text, isText := value.(string)
		if !known || !isText {
			return doc, &backend.FieldError{
				Field: "documents",
				Problem: fmt.Sprintf(
					"%q is not one of the text fields file_name, description and content", name),
			}
		}
		*at = text
	}
	var err error
	doc.Content, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(content), ""))
	if err != nil || len(doc.Content) == 0 {
		return doc, &backend.FieldError{
			Field:   "content",
			Problem: "must be a PDF file in base64",
		}
	}
	return doc, nil
}

const documentsHelp = `
An order for a document signer waits for documents that prove who the signer is; an order for an
organization may do so, too. They are passed on to CERTInext and not stored; the order's timeline
records the name, size and SHA-256 of each. If the answer to an upload was lost, send the
documents again.

    vault write certinext/orders/<role>/<id>/documents file_name=passport.pdf \
        content="$(base64 -w0 passport.pdf)"
`
