// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/authority"
)

// Policies of the S/MIME Baseline Requirements §7.1.6.1, by what was validated, each of the strict
// generation, whose certificates are for mail alone.
const (
	mailboxValidated    = "2.23.140.1.5.1.3"
	sponsorValidated    = "2.23.140.1.5.3.3" // a person, and the organization it belongs to
	individualValidated = "2.23.140.1.5.4.3"
)

// What the S/MIME Baseline Requirements §7.1.4.2.2 have in a subject beside the usual.
var (
	surname                = asn1.ObjectIdentifier{2, 5, 4, 4}
	givenName              = asn1.ObjectIdentifier{2, 5, 4, 42}
	organizationIdentifier = asn1.ObjectIdentifier{2, 5, 4, 97}
)

// longestCommonName is in characters (RFC 5280, appendix A.1).
const longestCommonName = 64

// forMail completes the certificate of an S/MIME order. How the service chooses among the profiles
// of the Baseline Requirements was never seen: here an order without a person's name is for a
// mailbox, one with an organization whose registration is known for its member, and any other for
// the person.
func forMail(p *authority.Leaf, o *order) {
	p.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	// Mail is enciphered to it, too.
	p.RSAUsage, p.ECUsage = x509.KeyUsageKeyEncipherment, x509.KeyUsageKeyAgreement
	validated := individualValidated
	employer := employerOf(o)
	switch {
	case o.subject.given == "" && o.subject.surname == "":
		validated, p.Subject = mailboxValidated, o.subject.mailbox()
	case employer.identifier() != "":
		validated, p.Subject = sponsorValidated, o.subject.member(employer)
	default:
		p.Subject = o.subject.person()
	}
	p.Policies = append([]string{validated}, p.Policies...)
}

// mailbox is a subject of the address alone, or of nothing where that is too long for a common
// name.
func (s *subject) mailbox() pkix.Name {
	if len(s.email) > longestCommonName {
		return pkix.Name{}
	}
	return pkix.Name{CommonName: s.email}
}

// person is a subject without what only members of an organization have.
func (s *subject) person() pkix.Name {
	name := s.name()
	name.Organization, name.OrganizationalUnit = nil, nil
	for _, part := range []pkix.AttributeTypeAndValue{
		{Type: givenName, Value: s.given}, {Type: surname, Value: s.surname},
	} {
		if part.Value != "" {
			name.ExtraNames = append(name.ExtraNames, part)
		}
	}
	return name
}

// member is a subject that belongs to an organization. Its place is the organization's.
func (s *subject) member(e employer) pkix.Name {
	of := subject{organization: e.name, locality: e.locality, state: e.state, country: e.country}
	place, name := of.name(), s.person()
	name.Organization, name.Locality = place.Organization, place.Locality
	name.Province, name.Country = place.Province, place.Country
	name.ExtraNames = append(name.ExtraNames, pkix.AttributeTypeAndValue{
		Type: organizationIdentifier, Value: e.identifier(),
	})
	return name
}

// An employer is the organization that a person belongs to.
type employer struct{ name, number, locality, state, country string }

// employerOf is the account's own organization if the order names it, or the one that the order
// describes.
func employerOf(o *order) employer {
	if org := o.organization; org != nil {
		return employer{
			org.Name, org.RegistrationNumber, org.Locality, org.State, org.CountryCode,
		}
	}
	s := o.subject
	return employer{s.organization, s.registered, s.locality, s.state, s.country}
}

// identifier is what identifies an organization by its registration (S/MIME Baseline Requirements,
// appendix A): that of a national trade register, unless it says itself which it is. It is "" where
// there is too little to tell.
func (e employer) identifier() string {
	if e.name == "" || e.number == "" || e.country == "" {
		return ""
	}
	for _, scheme := range []string{"NTR", "VAT", "PSD"} {
		if strings.HasPrefix(e.number, scheme+e.country) {
			return e.number
		}
	}
	return "NTR" + e.country + "-" + e.number
}
