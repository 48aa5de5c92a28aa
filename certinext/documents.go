// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxDocuments    = 10      // in one call; documented: there is a limit (EMS-999), but not which
	maxDocumentSize = 3 << 20 // bytes; documented: "File size cannot exceed 3 MB"
	maxDescription  = 25      // characters; documented
	maxFileName     = 100     // characters; not documented
)

// A Document is a proof that is uploaded for an order, e.g. of a signer's identity.
type Document struct {
	// FileName ends in .pdf, has no path, and is at most 100 characters long.
	FileName string
	// Description is at most 25 characters long (documented); "Supporting document" when empty.
	Description string
	// Content is a PDF file of at most 3 MB (documented).
	Content []byte
}

// SubmitDocuments uploads proofs for an order that waits for them, such as a signer's identity
// document or an organization's registration: PDF files of at most 3 MB with a description of at
// most 25 characters, in one call. They are added to those that the order has.
//
// This goes through version 1 whatever the Client's Version: version 2 answers 501 (documented). A
// document that would be refused is refused here, by its place and name, before anything is sent.
func (c *Client) SubmitDocuments(
	ctx context.Context, f Family, orderID string, docs []Document,
) error {
	const operation = "submitting documents"
	if err := checkDocuments(docs); err != nil {
		return asError(operation, err)
	}
	return v1{c}.submitDocuments(ctx, operation, f, orderID, docs)
}

func (c v1) submitDocuments(
	ctx context.Context, operation string, f Family, orderID string, docs []Document,
) error {
	requestor, err := c.requestor(ctx, operation, f, orderID)
	if err != nil {
		return err
	}
	r := c.tell(
		operation, "SubmitDocument", "documentDetails", newWireDocuments(requestor, orderID, docs),
	)
	r.ofOrder, r.timeout = true, c.createTimeout() // 40 MB at most
	return c.change(ctx, r)
}

func checkDocuments(docs []Document) error {
	if len(docs) == 0 || len(docs) > maxDocuments {
		return &InvalidRequestError{
			Field: "docs", Problem: fmt.Sprintf("must be 1 to %d documents", maxDocuments),
		}
	}
	for i, d := range docs {
		if field, problem := d.problem(); problem != "" {
			return &InvalidRequestError{
				Field: fmt.Sprintf("docs[%d].%s", i, field), Problem: problem,
			}
		}
	}
	return nil
}

// problem returns the first field of the document that is wrong, and how.
func (d Document) problem() (field, problem string) {
	switch {
	case !strings.EqualFold(d.FileName[max(0, len(d.FileName)-4):], ".pdf") ||
		len(d.FileName) == len(".pdf"):
		return "FileName", "must be the name of a PDF file"
	case strings.ContainsAny(d.FileName, `/\`) || clean(d.FileName) != d.FileName:
		return "FileName", "must be a file name without a path"
	case utf8.RuneCountInString(d.FileName) > maxFileName:
		return "FileName", fmt.Sprintf("is longer than %d characters", maxFileName)
	case utf8.RuneCountInString(d.Description) > maxDescription:
		return "Description", fmt.Sprintf("is longer than %d characters", maxDescription)
	case !bytes.HasPrefix(d.Content, []byte("%PDF")):
		return "Content", "is not a PDF file"
	case len(d.Content) > maxDocumentSize:
		return "Content", fmt.Sprintf("is larger than %d bytes", maxDocumentSize)
	}
	return "", ""
}

type wireDocuments struct {
	Requestor   string         `json:"requestorEmail"`
	OrderNumber string         `json:"orderNumber"`
	Number      string         `json:"numberOfDocuments"`
	Documents   []wireDocument `json:"documentsAttached"`
}

type wireDocument struct {
	ID          string `json:"id"` // in ascending order
	FileName    string `json:"fileName"`
	Description string `json:"description"` // refused without (documented)
	Base64      string `json:"base64Value"` // and URL-encoded on top (documented)
}

func newWireDocuments(requestor, orderID string, docs []Document) wireDocuments {
	w := wireDocuments{Requestor: requestor, OrderNumber: orderID, Number: strconv.Itoa(len(docs))}
	for i, d := range docs {
		w.Documents = append(w.Documents, wireDocument{
			ID: strconv.Itoa(i + 1), FileName: d.FileName,
			Description: cmp.Or(clean(d.Description), "Supporting document"),
			Base64:      url.QueryEscape(base64.StdEncoding.EncodeToString(d.Content)),
		})
	}
	return w
}
