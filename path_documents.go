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
		Pattern: "orders/" + framework.GenericNameRegex("role") + "/" + framework.GenericNameRegex("id") + "/documents$",
		Fields: merge(roleField(), orderField(), map[string]*framework.FieldSchema{
			"file_name":   {Type: framework.TypeString, Description: "Name of the one document that content holds; ends in .pdf; 100 characters at most."},
			"description": {Type: framework.TypeString, Description: "What the document shows, e.g. passport; 25 characters at most."},
			"content":     {Type: framework.TypeString, Description: "The document, a PDF file of 3 MB at most, in base64."},
			"documents":   {Type: framework.TypeSlice, Description: "Several documents instead of one, 10 at most: objects with file_name, description and content."},
		}),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: writing(b.submitDocuments, "Give CERTInext the documents that an order waits for.", "submit", "order-documents", orderFields()),
		},
		HelpSynopsis:    "Documents of an order for a document signer, or of an organization's.",
		HelpDescription: documentsHelp,
	}}
}

func (b *secretsBackend) submitDocuments(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
	docs, err := decodeDocuments(d)
	if err != nil {
		return nil, err
	}
	o, err := b.engine.Orders.SubmitDocuments(ctx, req.Storage, d.Get("role").(string), d.Get("id").(string), docs)
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: encodeOrder(o)}, nil
}

// decodeDocuments reads the one document, or the several.
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
		return nil, &backend.FieldError{Field: "documents", Problem: "takes the place of file_name, description and content: give the one or the others"}
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
		return backend.Document{}, &backend.FieldError{Field: "documents", Problem: "must be objects with file_name, description and content"}
	}
	var doc backend.Document
	var content string
	into := map[string]*string{"file_name": &doc.FileName, "description": &doc.Description, "content": &content}
	for name, value := range m {
		at, known := into[name]
		text, isText := value.(string)
		if !known || !isText {
			return doc, &backend.FieldError{Field: "documents", Problem: fmt.Sprintf("%q is not a text named file_name, description or content", name)}
		}
		*at = text
	}
	var err error
	if doc.Content, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(content), "")); err != nil || len(doc.Content) == 0 {
		return doc, &backend.FieldError{Field: "content", Problem: "must be a PDF file in base64"}
	}
	return doc, nil
}

const documentsHelp = `
A document signer's order waits for documents that show who the signer is, an organization's order may. They are passed on to
CERTInext and not kept; the order's timeline tells the name, size and SHA-256 of each. If the answer to an upload was lost,
send it again.

    vault write certinext/orders/<role>/<id>/documents file_name=passport.pdf content="$(base64 -w0 passport.pdf)"
`
