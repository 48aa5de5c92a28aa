// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"maps"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A Subject is whom a document signer's or an S/MIME certificate is made out to, by the names of [subjectFields]. Nobody proves
// by DNS who he is, so the role decides whom it is for: with values of its own, with identity templates, and with those fields
// that a request may fill in.
type Subject map[string]string

// subjectFields are what a subject may say, and where it stands in an order.
var subjectFields = []struct {
	name string
	at   func(*certinext.Subject) *string
}{
	{"first_name", func(s *certinext.Subject) *string { return &s.FirstName }},
	{"last_name", func(s *certinext.Subject) *string { return &s.LastName }},
	{"email", func(s *certinext.Subject) *string { return &s.Email }},
	{"phone", func(s *certinext.Subject) *string { return &s.Phone }},
	{"designation", func(s *certinext.Subject) *string { return &s.Designation }},
	{"identity_document_type", func(s *certinext.Subject) *string { return &s.IdentityDocumentType }},
	{identificationNumber, func(s *certinext.Subject) *string { return &s.IdentificationNumber }},
	{"street_address1", func(s *certinext.Subject) *string { return &s.StreetAddress1 }},
	{"street_address2", func(s *certinext.Subject) *string { return &s.StreetAddress2 }},
	{"locality", func(s *certinext.Subject) *string { return &s.Locality }},
	{"state", func(s *certinext.Subject) *string { return &s.State }},
	{"postal_code", func(s *certinext.Subject) *string { return &s.PostalCode }},
	{"country_code", func(s *certinext.Subject) *string { return &s.CountryCode }},
	{"organization_name", func(s *certinext.Subject) *string { return &s.OrganizationName }},
	{"organization_unit", func(s *certinext.Subject) *string { return &s.OrganizationUnit }},
	{"organization_identification_number", func(s *certinext.Subject) *string { return &s.OrganizationIdentificationNumber }},
	{"business_category", func(s *certinext.Subject) *string { return &s.BusinessCategory }},
}

// identificationNumber is the number of a person's identity document. It is not kept for longer than the order is open.
const identificationNumber = "identification_number"

// subjectNeeds are the fields without which CERTInext takes no order of a kind: documented is the address, the others follow
// from what the certificate is made out to.
var subjectNeeds = map[string][]string{
	"natural-person": {"email", "first_name", "last_name"},
	"legal-person":   {"email", "first_name", "last_name", "organization_name"},
	"legal-entity":   {"email", "organization_name", "organization_identification_number"},
	"smime":          {"email"},
}

// maxSubjectValue bounds one value, in characters. No attribute of a certificate's subject is longer (RFC 5280, appendix A.1,
// but for names of 32,768).
const maxSubjectValue = 128

// SubjectFields lists the names of the fields of a subject, for help texts.
func SubjectFields() []string {
	names := make([]string, len(subjectFields))
	for i, f := range subjectFields {
		names[i] = f.name
	}
	return names
}

func knownSubjectField(name string) bool {
	return slices.Contains(SubjectFields(), name)
}

// validateSubject says what is wrong with the role's subject, if anything. Templates are only filled in for a request.
func (r *Role) validateSubject() error {
	if !r.Shape().Personal() {
		switch {
		case len(r.Subject) > 0:
			return fault.BadField("subject", "is for document signers and S/MIME: the names of %s certificates are those of the request", r.Variant)
		case len(r.AllowedSubjectFields) > 0:
			return fault.BadField("allowed_subject_fields", "is for document signers and S/MIME")
		case r.Attested:
			return fault.BadField("attested", "is for document signers")
		}
		return nil
	}
	if r.Attested && r.Shape().Family != certinext.FamilySignature {
		return fault.BadField("attested", "is for document signers")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Subject)) {
		if !knownSubjectField(name) {
			return fault.BadField("subject", "%q is none of its fields: %s", sanitize.Short(name), strings.Join(SubjectFields(), ", "))
		}
		if v := r.Subject[name]; !IsTemplate(v) {
			if problem := subjectProblem(name, v); problem != "" {
				return fault.BadField("subject", "%s %s", name, problem)
			}
		}
	}
	for _, name := range r.AllowedSubjectFields {
		if name != "*" && !knownSubjectField(name) {
			return fault.BadField("allowed_subject_fields", "%q is no field of a subject: %s, or * for all", sanitize.Short(name), strings.Join(SubjectFields(), ", "))
		}
	}
	for _, name := range subjectNeeds[r.Variant] {
		if r.Subject[name] == "" && !r.takesSubject(name) {
			return fault.BadField("subject", "%s is needed for %s: set it, by an identity template if it is the requester's own, or name it in allowed_subject_fields",
				name, r.Variant)
		}
	}
	return nil
}

// takesSubject reports whether a request may fill in a field of the subject.
func (r *Role) takesSubject(name string) bool {
	return slices.Contains(r.AllowedSubjectFields, name) || slices.Contains(r.AllowedSubjectFields, "*")
}

// IsTemplate reports whether a value of a role is an identity template.
func IsTemplate(s string) bool { return strings.Contains(s, "{{") }

var countryCode = regexp.MustCompile(`^[A-Z]{2}$`)

// subjectProblem says what is wrong with a value, if anything.
func subjectProblem(name, value string) string {
	switch {
	case value == "":
		return ""
	case strings.TrimSpace(value) != value || value != sanitize.Short(value) || !utf8.ValidString(value):
		return "must be one line of text without spaces around it"
	case utf8.RuneCountInString(value) > maxSubjectValue:
		return "is longer than 128 characters"
	}
	switch name {
	case "email":
		if a, err := mail.ParseAddress(value); err != nil || a.Address != value {
			return "is not an e-mail address"
		}
	case "phone":
		if !account.E164.MatchString(value) {
			return "is not in E.164 form, e.g. +14155550123"
		}
	case "country_code":
		if !countryCode.MatchString(value) {
			return "is not a country code of two capital letters"
		}
	}
	return ""
}

// FillSubject is the subject of a request: what the role says, with templates filled in, and what it lets the request say.
// fill fills in one template.
func FillSubject(role *Role, asked map[string]string, fill func(template string) (string, error)) (Subject, error) {
	if !role.Shape().Personal() {
		if len(asked) > 0 {
			return nil, fault.BadField("subject", "is for document signers and S/MIME, which the role's product is not")
		}
		return nil, nil
	}
	s := make(Subject)
	for _, name := range slices.Sorted(maps.Keys(role.Subject)) {
		v := role.Subject[name]
		if IsTemplate(v) {
			var err error
			if v, err = fill(v); err != nil || v == "" {
				return nil, fault.BadField("subject", "%s: the role's template %q has no value for this requester", name, sanitize.Short(role.Subject[name]))
			}
		}
		s[name] = v
	}
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		switch {
		case !knownSubjectField(name):
			return nil, fault.BadField("subject", "%q is none of its fields: %s", sanitize.Short(name), strings.Join(SubjectFields(), ", "))
		case asked[name] == "":
			continue // as if it were not there
		case s[name] == asked[name]:
		case s[name] != "":
			return nil, fault.BadField("subject", "%s is set by the role", name)
		case !role.takesSubject(name):
			return nil, fault.BadField("subject", "%s is not left to the requester (allowed_subject_fields)", name)
		}
		s[name] = asked[name]
	}
	return s, s.check(role.Variant)
}

// check holds a filled-in subject against what CERTInext takes.
func (s Subject) check(variant string) error {
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if problem := subjectProblem(name, s[name]); problem != "" {
			return fault.BadField("subject", "%s %s", name, problem)
		}
	}
	for _, name := range subjectNeeds[variant] {
		if s[name] == "" {
			return fault.BadField("subject", "%s is needed for %s", name, variant)
		}
	}
	return nil
}

// Client is the subject in the client's terms.
func (s Subject) Client() *certinext.Subject {
	if s == nil {
		return nil
	}
	out := new(certinext.Subject)
	for _, f := range subjectFields {
		*f.at(out) = s[f.name]
	}
	return out
}

// DisplayName is what the certificate is likely to be called: CERTInext makes its common name.
func (s Subject) DisplayName(variant string) string {
	person := strings.TrimSpace(s["first_name"] + " " + s["last_name"])
	switch {
	case variant == "legal-entity" && s["organization_name"] != "":
		return s["organization_name"]
	case person != "":
		return person
	}
	return s["email"]
}

// Forget drops what is not kept longer than it is needed.
func (s Subject) Forget() Subject {
	if s[identificationNumber] == "" {
		return s
	}
	kept := maps.Clone(s)
	delete(kept, identificationNumber)
	return kept
}
