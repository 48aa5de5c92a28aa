// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Document is a proof that CERTInext wants to see, e.g. of a signer's identity.
type Document = certinext.Document

// documentNeeds says how to give CERTInext the documents that it waits for.
func documentNeeds(o *orderEntry) []string {
	return []string{fmt.Sprintf("CERTInext waits for documents: "+
		"write them to <mount>/orders/%s/%s/documents, or upload them in its portal", o.Role, o.ID)}
}

// SubmitDocuments uploads documents of requester's for an order, and returns the order after
// another look at it. Documents are passed on and not kept; the order's timeline lists their names,
// sizes and SHA-256 sums. An upload whose answer was lost can be sent again.
func (journal *Journal) SubmitDocuments(
	ctx context.Context, s logical.Storage, role, id, requester string, docs []Document,
) (*Order, error) {
	if err := journal.mayActOn(ctx, s, role, id, requester); err != nil {
		return nil, err
	}
	r, h, err := journal.holdOrderOfRole(ctx, s, role, id)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	if err := h.admits(ctx, requester); err != nil {
		return nil, err
	}
	if err := h.uploadDocuments(ctx, docs); err != nil {
		return nil, err
	}
	return journal.newCaller(s, r, forStatus).refreshOrder(ctx, h)
}

// uploadDocuments uploads documents, and notes in the order's timeline what became of that.
func (h *heldOrder) uploadDocuments(ctx context.Context, docs []Document) error {
	o := h.entry
	switch {
	case len(docs) == 0:
		return fault.BadField("documents", "is empty")
	case !o.Placement.takesDocuments():
		return fault.BadField("id",
			"order %s is for a %s certificate, which needs no documents", o.ID, o.Placement.Variant)
	case o.State != StatePending:
		return fault.BadField("id", "order %s is %s: documents can be uploaded "+
			"only for an order that CERTInext holds and has not issued yet", o.ID, o.State)
	}
	client, err := h.journal.clientOf(ctx, h.storage, o)
	if err != nil {
		return err
	}
	asked, cancel := account.WhileAsked(ctx)
	defer cancel()
	err = client.SubmitDocuments(asked, o.Placement.Family, o.CAOrderID, docs)
	var invalid *certinext.InvalidRequestError
	if errors.As(err, &invalid) {
		field := documentFields.Replace(invalid.Field)
		return &fault.FieldError{Field: field, Problem: invalid.Problem}
	}
	if err != nil {
		o.note(h.journal.Now(), "uploading documents failed: %s", sanitize.Short(err.Error()))
	} else {
		o.note(h.journal.Now(), "documents uploaded: %s", describeDocuments(docs))
	}
	if storageErr := h.journal.saveOrder(ctx, h.storage, o); storageErr != nil {
		return storageErr
	}
	return fault.Refused(err)
}

// documentFields turns the client's names for the parts of documents into those of the path's
// fields.
var documentFields = strings.NewReplacer(
	"docs", "documents",
	"FileName", "file_name",
	"Description", "description",
	"Content", "content",
)

// takesDocuments reports whether CERTInext asks for documents: of signers, and of organizations
// (documented).
func (p *placement) takesDocuments() bool {
	return p.Family == certinext.FamilySignature || account.Shapes[p.Variant].Vetted()
}

// describeDocuments lists the names, sizes and SHA-256 sums of documents.
func describeDocuments(docs []Document) string {
	parts := make([]string, len(docs))
	for i, d := range docs {
		parts[i] = fmt.Sprintf("%s (%d bytes, SHA-256 %x)",
			sanitize.Short(d.FileName), len(d.Content), sha256.Sum256(d.Content))
	}
	return strings.Join(parts, ", ")
}
