// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// signerOrder is an order for a document signer of a type, with everything that its subject needs.
func signerOrder(subjectType string) certinext.OrderRequest {
	subject := map[string]certinext.Subject{
		"natural-person": {FirstName: "Jane", LastName: "Doe"},
		"legal-person":   {FirstName: "Jane", LastName: "Doe", OrganizationName: "Example Corporation"},
		"legal-entity":   {OrganizationName: "Example Corporation", OrganizationIdentificationNumber: "US-12-3456789"},
	}[subjectType]
	subject.Email, subject.CountryCode = "jane@example.com", "US"
	return certinext.OrderRequest{
		Family: certinext.FamilySignature, Variant: subjectType, Subject: &subject, Requestor: dvOrder().Requestor,
		ProductCode: map[string]string{"natural-person": "819", "legal-person": "822", "legal-entity": "825"}[subjectType],
		Agreement:   &certinext.Agreement{SignerName: "Platform Team", SignerPlace: "New York", SignerIP: "203.0.113.7", Accepted: true},
	}
}

func TestSubjectsNeedWhatTheirTypeSays(t *testing.T) {
	clear := map[string]func(*certinext.Subject){
		"Subject.Email":            func(s *certinext.Subject) { s.Email = " " },
		"Subject.FirstName":        func(s *certinext.Subject) { s.FirstName = "" },
		"Subject.LastName":         func(s *certinext.Subject) { s.LastName = "\t" },
		"Subject.OrganizationName": func(s *certinext.Subject) { s.OrganizationName = "" },
		"Subject.OrganizationIdentificationNumber": func(s *certinext.Subject) {
			s.OrganizationIdentificationNumber = ""
		},
	}
	for subjectType, needed := range map[string][]string{
		"natural-person": {"Subject.Email", "Subject.FirstName", "Subject.LastName"},
		"legal-person":   {"Subject.Email", "Subject.FirstName", "Subject.LastName", "Subject.OrganizationName"},
		"legal-entity":   {"Subject.Email", "Subject.OrganizationName", "Subject.OrganizationIdentificationNumber"},
	} {
		for field, without := range clear {
			t.Run(subjectType+" without "+field, func(t *testing.T) {
				g, c := newRig(always(201, createdBody))
				r := signerOrder(subjectType)
				without(r.Subject)
				_, err := c.CreateOrder(t.Context(), r)
				if !slices.Contains(needed, field) {
					assert.NoError(t, err)
					return
				}
				requireInvalid(t, err, field)
				assert.Contains(t, err.Error(), subjectType)
				assert.Empty(t, g.sentCalls())
			})
		}
	}
}

func TestSignerOrdersThatCannotSucceed(t *testing.T) {
	edit := func(f func(*certinext.OrderRequest)) certinext.OrderRequest {
		r := signerOrder("natural-person")
		f(&r)
		return r
	}
	for name, tc := range map[string]struct {
		request certinext.OrderRequest
		field   string
	}{
		"an unknown type of subject": {edit(func(r *certinext.OrderRequest) { r.Variant = "person" }), "Variant"},
		"a type in capitals":         {edit(func(r *certinext.OrderRequest) { r.Variant = "Natural-Person" }), "Variant"},
		"no subject":                 {edit(func(r *certinext.OrderRequest) { r.Subject = nil }), "Subject"},
		"a CSR that nothing attests": {edit(func(r *certinext.OrderRequest) { r.CSR = "csr" }), "CSR"},
		"no requestor":               {edit(func(r *certinext.OrderRequest) { r.Requestor.Email = "" }), "Requestor.Email"},
	} {
		t.Run(name, func(t *testing.T) {
			g, c := newRig(always(201, createdBody))
			_, err := c.CreateOrder(t.Context(), tc.request)
			requireInvalid(t, err, tc.field)
			assert.Zero(t, g.grantCount())
		})
	}
	t.Run("a subject in Extra is CERTInext's to judge", func(t *testing.T) {
		g, c := newRig(always(201, createdBody))
		_, err := c.CreateOrder(t.Context(), edit(func(r *certinext.OrderRequest) {
			r.Subject, r.Extra = nil, map[string]any{"subject": map[string]any{"email": "jane@example.com", "pseudonym": "JD"}}
		}))
		require.NoError(t, err)
		assert.Equal(t, map[string]any{"email": "jane@example.com", "pseudonym": "JD"}, sentBody(t, g)["subject"])
	})
	t.Run("a Subject wins over the one in Extra", func(t *testing.T) {
		g, c := newRig(always(201, createdBody))
		_, err := c.CreateOrder(t.Context(), edit(func(r *certinext.OrderRequest) {
			r.Extra = map[string]any{"subject": "loses"}
		}))
		require.NoError(t, err)
		assert.Equal(t, "Jane", sentBody(t, g)["subject"].(map[string]any)["firstName"])
	})
}

func TestSMIMEHasNoPathInVersion2(t *testing.T) {
	g, c := newRig(always(201, createdBody))
	r := signerOrder("natural-person")
	r.Family, r.ProductCode, r.Variant = certinext.FamilySMIME, "914", "smime"
	_, err := c.CreateOrder(t.Context(), r)
	requireInvalid(t, err, "Family")
	assert.ErrorContains(t, err, "no path in version 2")
	assert.False(t, certinext.MayHaveActed(err))
	_, err = c.TrackOrder(t.Context(), certinext.FamilySMIME, "1000000001")
	requireInvalid(t, err, "Family")
	assert.Empty(t, g.sentCalls())
}

func TestIdentityNumberIsNotRepeated(t *testing.T) {
	_, c := newRig(always(http.StatusUnprocessableEntity, `{"detail":"identificationNumber P-7741903 is not valid"}`))
	r := signerOrder("natural-person")
	r.Subject.IdentificationNumber = "P-7741903"
	_, err := c.CreateOrder(t.Context(), r)
	require.ErrorContains(t, err, "is not valid")
	assert.False(t, strings.Contains(err.Error(), "7741903"), err)
}
