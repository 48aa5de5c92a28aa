// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"slices"
	"strings"
)

// The types of a document signer's subject (documented), as OrderRequest.Variant spells them.
const (
	subjectNaturalPerson = "natural-person" // somebody
	subjectLegalPerson   = "legal-person"   // somebody who signs for an organization
	subjectLegalEntity   = "legal-entity"   // the organization itself
)

// checkSignature refuses an order for a document signer that says too little of whom it is for. A subject in Extra is
// sent as it stands, and is CERTInext's to judge.
func (r OrderRequest) checkSignature() error {
	types := []string{subjectNaturalPerson, subjectLegalPerson, subjectLegalEntity}
	_, extra := r.Extra["subject"]
	switch {
	case !slices.Contains(types, r.Variant):
		return &InvalidRequestError{Field: "Variant", Problem: "must be " + strings.Join(types[:2], ", ") + " or " + types[2]}
	case r.Subject == nil && !extra:
		return &InvalidRequestError{Field: "Subject", Problem: "must be set"}
	case r.Subject == nil:
		return nil
	}
	return r.Subject.check(r.Variant)
}

// checkV2 refuses what version 2 has no word for. A signer's key has to be attested (documented for version 1), and only
// [Client.SubmitCSR] can say that it is.
func (r OrderRequest) checkV2() error {
	if r.Family == FamilySignature && r.CSR != "" {
		return &InvalidRequestError{Field: "CSR", Problem: "must be submitted after the create, which cannot say that its key is attested"}
	}
	return nil
}

// check names the first field that a subject of this type lacks.
func (s Subject) check(subjectType string) error {
	person, organization := subjectType != subjectLegalEntity, subjectType != subjectNaturalPerson
	for _, need := range []struct {
		field, value string
		needed       bool
	}{
		{"Email", s.Email, true},
		{"FirstName", s.FirstName, person},
		{"LastName", s.LastName, person},
		{"OrganizationName", s.OrganizationName, organization},
		{"OrganizationIdentificationNumber", s.OrganizationIdentificationNumber, !person},
	} {
		if need.needed && strings.TrimSpace(need.value) == "" {
			return &InvalidRequestError{Field: "Subject." + need.field, Problem: "must be set for a " + subjectType}
		}
	}
	return nil
}
