// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// maxDocuments bounds what is handed in at once.
const maxDocuments = 100

var (
	errNoDocuments    = errors.New("the order takes no documents")
	errDocumentNumber = fmt.Errorf("there must be 1 to %d documents", maxDocuments)
)

// AddDocuments hands in n documents for an order, as its requestor does through
// version 1 of the API or in the portal. Vetting begins with the first. It
// returns [ErrNoOrder] for an unknown id, and an error for an order that has
// ended or takes no documents.
func (s *Server) AddDocuments(orderID string, n int) error {
	s.once.Do(s.setUp)
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.book.orders[orderID]
	if o == nil {
		return fmt.Errorf("order %q: %w", orderID, ErrNoOrder)
	}
	if err := s.takeDocuments(o, n, s.now()); err != nil {
		return fmt.Errorf("order %q: %w", orderID, err)
	}
	return nil
}

// takeDocuments notes that n documents came in for o. The lock is held.
func (s *Server) takeDocuments(o *order, n int, now time.Time) error {
	s.settle(o, now)
	switch {
	case n < 1 || n > maxDocuments:
		return errDocumentNumber
	case !o.takesDocuments():
		return errNoDocuments
	case o.ended():
		return fmt.Errorf("it is %s and needs no documents any more", s.status(o, now))
	}
	if o.documents == 0 {
		o.documentsAt = now
	}
	o.documents += n
	s.settle(o, now)
	return nil
}

// takesDocuments: documents prove who a signer or an organization is.
func (o *order) takesDocuments() bool { return o.isSigner() || o.needsOrganization() }

// isSigner reports whether o is for a document signer, whom documents have to
// prove. An S/MIME order has a subject, too.
func (o *order) isSigner() bool { return o.family == FamilySignature }

// documents is the portal's upload, without the files.
func (s administration) documents(r *http.Request) (any, error) {
	var body wireAdminDocuments
	if err := adminBody(r, &body); err != nil {
		return nil, err
	}
	return nil, s.AddDocuments(r.PathValue("id"), body.Count)
}
