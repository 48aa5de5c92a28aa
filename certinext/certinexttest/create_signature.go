// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// The types of a document signer's subject.
const (
	subjectNaturalPerson = "natural-person"
	subjectLegalPerson   = "legal-person"
	subjectLegalEntity   = "legal-entity"
)

var subjectTypes = []string{subjectNaturalPerson, subjectLegalPerson, subjectLegalEntity}

var (
	// mailAddress is what fits into a certificate as rfc822Name.
	mailAddress = regexp.MustCompile(`^[!-?A-~]+@[!-?A-~]+$`)
	countryCode = regexp.MustCompile(`^[A-Z]{2}$`)
)

// A subject is whom a document signer is made out to.
type subject struct {
	displayName  string // the common name: the person's, or the organization's own
	given        string // the person's names
	surname      string
	email        string
	identifier   string // of the person's document, or of the organization
	organization string
	registered   string // the organization's number in a register, beside a person
	unit         string
	locality     string
	state        string
	country      string
}

// createSignature places an order for a document signer or a draft, or
// promotes a draft.
func (s version2) createSignature(c *call) (reply, *problem) {
	var req wireCreateSignature
	if problem := decode(c.body, &req); problem != nil {
		return reply{}, problem
	}
	o, problem := s.newSignatureOrder(c, req)
	if problem != nil {
		return reply{}, problem
	}
	if o, problem = s.place(c, o, "", req.RequestID); problem != nil {
		return reply{}, problem
	}
	return respond(http.StatusCreated, s.wireCreatedSignature(o, c.now))
}

// newSignatureOrder checks a create request from form to business. There is no
// DCV: the approver vets documents that are handed in afterwards.
func (s version2) newSignatureOrder(c *call, req wireCreateSignature) (*order, *problem) {
	if problem := s.checkSignatureForm(req); problem != nil {
		return nil, problem
	}
	if req.CSR != "" {
		return nil, s.unattested()
	}
	product, problem := s.resolveProduct(c.r.Header.Get("X-Product-Code"), func(p Product) bool {
		t := productTypes[p.Type]
		return t.family == FamilySignature && t.validation == req.SubjectType
	})
	if problem != nil {
		return nil, problem
	}
	o := &order{
		family: FamilySignature, product: product, variant: req.SubjectType,
		subject: newSubject(req.SubjectType, *req.Subject), group: req.GroupNumber,
		requestor: *req.Requestor, years: years(req.Subscription),
		renewal: renewalTermsOf(req.Subscription), customFields: req.CustomFields,
		remarks: req.Remarks,
		tags:    req.Tags, createdAt: c.now, draft: req.SaveAsDraft,
	}
	if what, most := o.subject.tooLong(req.SubjectType, s.Dialect); what != "" {
		problem := fmt.Sprintf("must have at most %d characters", most)
		return nil, invalidField("subject."+what, problem)
	}
	if problem := s.checkSSLBusiness(o, req.CustomFields, req.Organization); problem != nil {
		return nil, problem // a signer's account is asked no less
	}
	if s.Dialect != Documented {
		o.sign(req.Agreement, c.now) // inferred: as for SSL
	}
	return o, nil
}

// checkSignatureForm is everything that can be said without knowing the
// account. The published table of create errors asks for remarks, too, which
// the collection's own sample of a signer lacks.
func (s version2) checkSignatureForm(req wireCreateSignature) *problem {
	if s.Dialect == Documented {
		if problem := firstMissing(
			requestorBlock(req.Requestor), certificateBlock(req.Subject != nil),
			subscriptionBlock(req.Subscription), agreementBlock(req.Agreement),
		); problem != nil {
			return problem
		}
	}
	var l checklist
	l.notBlank("subjectType", req.SubjectType)
	switch {
	case slices.Contains(subjectTypes, req.SubjectType):
		l.subject(req.SubjectType, req.Subject, s.Dialect)
	case req.SubjectType != "":
		l.add("subjectType", "must be "+strings.Join(subjectTypes, ", "))
	}
	l.party("requestor", req.Requestor, true)
	l.party("delegation", req.Delegation, false)
	l.party("technicalPointOfContact", req.TechnicalPointOfContact, false)
	l.subscription(req.Subscription)
	l.emails("recipientEmails", req.RecipientEmails)
	l.agreement(req.Agreement)
	return l.problem()
}

// unattested is the refusal of a signer's CSR that does not claim an attested
// key, as the text of version 1 demands. The published collection of version 2
// says attested:false in its own sample and promises 204 for it, so that the
// documented dialect asks for nothing.
func (s *Server) unattested() *problem {
	return s.csrRefusal("EMS-922", "EMS-952", "CSR key must be attested")
}

// subject checks whom the certificate is for. Documented: the email is
// mandatory. Inferred: so is what the certificate of the type names.
func (l *checklist) subject(subjectType string, w *wireSubject, d Dialect) {
	if w == nil {
		w = &wireSubject{}
	}
	l.notBlank("subject.email", w.Email)
	if w.Email != "" && !mailAddress.MatchString(w.Email) {
		l.add("subject.email", "must be an email address")
	}
	if w.Phone != "" && !e164.MatchString(w.Phone) {
		l.add("subject.phone", "must be an E.164 number")
	}
	if w.CountryCode != "" && !countryCode.MatchString(w.CountryCode) {
		l.add("subject.countryCode", "must be two capital letters")
	}
	l.personName(w, d, subjectType != subjectLegalEntity)
	if subjectType != subjectNaturalPerson {
		l.notBlank("subject.organizationName", w.OrganizationName)
	}
	if subjectType == subjectLegalEntity {
		l.notBlank("subject.organizationIdentificationNumber", w.OrganizationIdentificationNumber)
	}
}

// personName takes the dialect's spelling of a person's names and does not
// know the other.
func (l *checklist) personName(w *wireSubject, d Dialect, mandatory bool) {
	type member struct{ name, value string }
	known := []member{{"firstName", w.FirstName}, {"lastName", w.LastName}}
	foreign := []member{{"givenName", w.GivenName}, {"surname", w.Surname}}
	if d == Documented {
		known, foreign = foreign, known
	}
	for _, m := range known {
		if mandatory {
			l.notBlank("subject."+m.name, m.value)
		}
	}
	for _, m := range foreign {
		if m.value != "" {
			l.add("subject."+m.name, "unknown field")
		}
	}
}

// newSubject reads a checked subject, in which only one spelling of the names
// is filled in.
func newSubject(subjectType string, w wireSubject) *subject {
	s := &subject{
		given: w.FirstName + w.GivenName, surname: w.LastName + w.Surname, email: w.Email,
		identifier: w.IdentificationNumber, organization: w.OrganizationName,
		registered: w.OrganizationIdentificationNumber,
		unit:       w.OrganizationUnit, locality: w.Locality, state: w.State,
		country: w.CountryCode,
	}
	s.displayName = strings.TrimSpace(s.given + " " + s.surname)
	if subjectType == subjectLegalEntity {
		s.displayName, s.identifier = w.OrganizationName, w.OrganizationIdentificationNumber
	}
	return s
}

// tooLong is a member with more characters than a certificate has room for, by its name in a
// dialect, and how many that are (RFC 5280, appendix A.1). A person's names are counted together.
func (s *subject) tooLong(subjectType string, d Dialect) (what string, most int) {
	surname, number := "lastName", "identificationNumber"
	if d == Documented {
		surname = "surname"
	}
	if subjectType == subjectLegalEntity {
		number = "organizationIdentificationNumber"
	}
	for _, part := range []struct {
		name, value string
		most        int
	}{
		{"organizationName", s.organization, 64},
		{"organizationUnit", s.unit, 64},
		{surname, s.displayName, longestCommonName},
		{number, s.identifier, 64},
		{"locality", s.locality, 128},
		{"state", s.state, 128},
	} {
		if utf8.RuneCountInString(part.value) > part.most {
			return part.name, part.most
		}
	}
	return "", 0
}
