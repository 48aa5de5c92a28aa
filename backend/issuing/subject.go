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

// A Subject is the person or organization that a document signer or S/MIME certificate is for, by
// the names of [SubjectFields]. DNS cannot prove a person's name, so the role decides on the
// subject: by its own values, by identity templates, and by the fields that it leaves to the
// request (ADR 0012).
type Subject map[string]string

// subjectFields are the fields of a subject, and their places in an order.
var subjectFields = []struct {
	name string
	at   func(*certinext.Subject) *string
}{
	{"first_name", func(s *certinext.Subject) *string { return &s.FirstName }},
	{"last_name", func(s *certinext.Subject) *string { return &s.LastName }},
	{"email", func(s *certinext.Subject) *string { return &s.Email }},
	{"phone", func(s *certinext.Subject) *string { return &s.Phone }},
	{"designation", func(s *certinext.Subject) *string { return &s.Designation }},
	{"identity_document_type", func(s *certinext.Subject) *string {
		return &s.IdentityDocumentType
	}},
	{identificationNumber, func(s *certinext.Subject) *string { return &s.IdentificationNumber }},
	{"street_address1", func(s *certinext.Subject) *string { return &s.StreetAddress1 }},
	{"street_address2", func(s *certinext.Subject) *string { return &s.StreetAddress2 }},
	{"locality", func(s *certinext.Subject) *string { return &s.Locality }},
	{"state", func(s *certinext.Subject) *string { return &s.State }},
	{"postal_code", func(s *certinext.Subject) *string { return &s.PostalCode }},
	{"country_code", func(s *certinext.Subject) *string { return &s.CountryCode }},
	{"organization_name", func(s *certinext.Subject) *string { return &s.OrganizationName }},
	{"organization_unit", func(s *certinext.Subject) *string { return &s.OrganizationUnit }},
	{"organization_identification_number", func(s *certinext.Subject) *string {
		return &s.OrganizationIdentificationNumber
	}},
	{"business_category", func(s *certinext.Subject) *string { return &s.BusinessCategory }},
}

// identificationNumber is the number of a person's identity document. It is stored only while the
// order is open.
const identificationNumber = "identification_number"

// subjectNeeds are the required fields of each variant. Of these, CERTInext documents the email.
// The others follow from what the certificate names.
var subjectNeeds = map[string][]string{
	"natural-person": {"email", "first_name", "last_name"},
	"legal-person":   {"email", "first_name", "last_name", "organization_name"},
	"legal-entity":   {"email", "organization_name", "organization_identification_number"},
	"smime":          {"email"},
}

// maxSubjectValue bounds one value, in characters. RFC 5280, appendix A.1, allows no attribute of a
// certificate's subject to be longer, except for names of up to 32,768.
const maxSubjectValue = 128

// SubjectFields returns the names of the fields of a subject.
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

// unknownSubjectField returns the error for a name that no subject has.
func unknownSubjectField(name string) error {
	return fault.BadField("subject", "%q is none of its fields: %s",
		sanitize.Short(name), strings.Join(SubjectFields(), ", "))
}

// checkSubject looks at the role's subject. The values of templates are checked for each request.
func (r *Role) checkSubject(all *fault.Fields) {
	if r.Attested && r.Shape().Family != certinext.FamilySignature {
		all.Bad("attested", "is for document signers")
	}
	if !r.Shape().Personal() {
		if len(r.Subject) > 0 {
			all.Bad("subject", "is for document signers and S/MIME: %s certificates "+
				"have the names of the request", r.Variant)
		}
		if len(r.AllowedSubjectFields) > 0 {
			all.Bad("allowed_subject_fields", "is for document signers and S/MIME")
		}
		return
	}
	for _, name := range slices.Sorted(maps.Keys(r.Subject)) {
		v := r.Subject[name]
		switch {
		case !knownSubjectField(name):
			all.Add(unknownSubjectField(name))
		case !IsTemplate(v):
			if problem := subjectProblem(name, v); problem != "" {
				all.Bad("subject", "%s %s", name, problem)
			}
		}
	}
	for _, name := range r.AllowedSubjectFields {
		if name != "*" && !knownSubjectField(name) {
			all.Bad("allowed_subject_fields",
				"%q is not a field of a subject: use %s, or * for all",
				sanitize.Short(name), strings.Join(SubjectFields(), ", "))
		}
	}
	for _, name := range subjectNeeds[r.Variant] {
		if r.Subject[name] == "" && !r.takesSubject(name) {
			all.Bad("subject", "%s is needed for %s: set it, by an identity "+
				"template if each requester has another one, or name it in allowed_subject_fields",
				name, r.Variant)
		}
	}
}

// takesSubject reports whether a request may fill in a field of the subject.
func (r *Role) takesSubject(name string) bool {
	return slices.Contains(r.AllowedSubjectFields, name) ||
		slices.Contains(r.AllowedSubjectFields, "*")
}

// IsTemplate reports whether a value of a role contains an identity template.
func IsTemplate(s string) bool { return strings.Contains(s, "{{") }

var countryCode = regexp.MustCompile(`^[A-Z]{2}$`)

// subjectProblem says what is wrong with the value of a field; it is empty when nothing is.
func subjectProblem(name, value string) string {
	switch {
	case value == "":
		return ""
	case strings.TrimSpace(value) != value || value != sanitize.Short(value) ||
		!utf8.ValidString(value):
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

// Public returns the subject as it may be shown to somebody else than its requester: without the
// number of an identity document.
func (s Subject) Public() map[string]string {
	out := maps.Clone(s)
	delete(out, identificationNumber)
	return out
}

// FillSubject returns the subject of a request: the role's values, with templates filled in, and
// the requested fields that the role leaves to the request. fill returns the value of one template
// for the requester. The subject is nil for products that certify host names. Its error is a
// [*fault.FieldError].
func FillSubject(
	role *Role, requested map[string]string, fill func(template string) (string, error),
) (Subject, error) {
	if !role.Shape().Personal() {
		if len(requested) > 0 {
			return nil, fault.BadField("subject",
				"is for document signers and S/MIME, which the role's product is not")
		}
		return nil, nil
	}
	s := make(Subject)
	for _, name := range slices.Sorted(maps.Keys(role.Subject)) {
		v := role.Subject[name]
		if IsTemplate(v) {
			var err error
			if v, err = fill(v); err != nil || v == "" {
				return nil, fault.BadField("subject",
					"%s: the role's template %q has no value for this requester",
					name, sanitize.Short(role.Subject[name]))
			}
		}
		s[name] = v
	}
	for _, name := range slices.Sorted(maps.Keys(requested)) {
		switch {
		case !knownSubjectField(name):
			return nil, unknownSubjectField(name)
		case requested[name] == "":
			continue // the same as leaving it out
		case s[name] == requested[name]:
		case s[name] != "":
			return nil, fault.BadField("subject", "%s is set by the role", name)
		case !role.takesSubject(name):
			return nil, fault.BadField("subject",
				"%s is not left to the requester (allowed_subject_fields)", name)
		}
		s[name] = requested[name]
	}
	return s, s.check(role.Variant)
}

// check returns an error for the first field of a filled-in subject that CERTInext would refuse, or
// that is missing.
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

// Client returns the subject as the CERTInext client sends it; nil for nil.
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

// DisplayName returns the name that the certificate is expected to have. Its common name is
// CERTInext's decision.
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

// Called returns the names of which the certificate's common name has to hold one: CERTInext
// decides which, and what stands beside it.
func (s Subject) Called() []string {
	return NonEmpty(strings.TrimSpace(s["first_name"]+" "+s["last_name"]),
		s["organization_name"], s["email"])
}

// Forget returns the subject without the number of the identity document, for an order that is
// closed. It does not change s.
func (s Subject) Forget() Subject {
	if s[identificationNumber] == "" {
		return s
	}
	kept := maps.Clone(s)
	delete(kept, identificationNumber)
	return kept
}
