// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/authority"
)

// sandboxPolicies is the arc of the sandbox's own policies, below the enterprise number that
// RFC 5612 reserves for examples.
const sandboxPolicies = "1.3.6.1.4.1.32473.1."

// policies are the certificate policies by validation, or by family where there is none. The
// CA/Browser Forum's OIDs for what was validated come first (Baseline Requirements §7.1.6.1).
var policies = map[string][]string{
	"dv":                 {"2.23.140.1.2.1", sandboxPolicies + "1"},
	"ov":                 {"2.23.140.1.2.2", sandboxPolicies + "2"},
	"ev":                 {"2.23.140.1.1", sandboxPolicies + "3"},
	FamilyPrivatePKI:     {sandboxPolicies + "4"},
	subjectNaturalPerson: {sandboxPolicies + "5"},
	subjectLegalPerson:   {sandboxPolicies + "6"},
	subjectLegalEntity:   {sandboxPolicies + "7"},
	FamilySMIME:          {sandboxPolicies + "8"},
}

// policiesOf are those of the certificates of o.
func policiesOf(o *order) []string {
	return policies[orDefault(productTypes[o.product.Type].validation, o.family)]
}

// What the EV Guidelines §9.2 add to a subject, beside its serialNumber.
var (
	businessCategory    = asn1.ObjectIdentifier{2, 5, 4, 15}
	jurisdictionCountry = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 60, 2, 1, 3}
)

// leafProfile decides what goes into the certificate of o. The names are the
// order's, not the CSR's; the subject beyond the common name is the
// organization's, or the one that a signer's order gave. Live certificates name
// a .p7c as their issuer.
func (s *Server) leafProfile(o *order, notBefore time.Time) authority.Leaf {
	p := authority.Leaf{
		Subject:   pkix.Name{CommonName: o.commonName()},
		Names:     o.leafNames(),
		Policies:  policiesOf(o),
		KeyUsage:  x509.KeyUsageDigitalSignature,
		NotBefore: notBefore, IssuedAt: notBefore,
		BaseURL:   orDefault(s.BaseURL, o.baseURL),
		AIASuffix: "p7c",
	}
	if s.Dialect == Documented {
		p.AIASuffix = "cer"
	}
	if o.subject != nil {
		p.KeyUsage |= x509.KeyUsageContentCommitment // nonRepudiation
		if o.family == FamilySMIME {
			forMail(&p, o)
			return p
		}
		p.OIDUsages = []asn1.ObjectIdentifier{authority.DocumentSigning}
		p.Subject = o.subject.name()
		return p
	}
	p.Usages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	p.RSAUsage = x509.KeyUsageKeyEncipherment
	if o.product.Variant == "igtf-host" {
		p.Usages = append(p.Usages, x509.ExtKeyUsageClientAuth)
	}
	if o.needsOrganization() {
		org := o.organization
		p.Subject.Country = []string{org.CountryCode}
		p.Subject.Province = []string{org.State}
		p.Subject.Locality = []string{org.Locality}
		p.Subject.Organization = []string{org.Name}
	}
	if productTypes[o.product.Type].validation == "ev" {
		register(&p.Subject, o.organization)
	}
	return p
}

// register adds to a subject where org is registered, and as what.
func register(subject *pkix.Name, org *organization) {
	subject.SerialNumber = org.RegistrationNumber
	subject.ExtraNames = []pkix.AttributeTypeAndValue{
		{Type: businessCategory, Value: org.BusinessCategory},
		{Type: jurisdictionCountry, Value: org.CountryCode},
	}
}

// name is the distinguished name, without the attributes that were not given.
func (s *subject) name() pkix.Name {
	given := func(v string) []string {
		if v == "" {
			return nil
		}
		return []string{v}
	}
	return pkix.Name{
		CommonName: s.displayName, SerialNumber: s.identifier, Organization: given(s.organization),
		OrganizationalUnit: given(s.unit), Locality: given(s.locality), Province: given(s.state),
		Country: given(s.country),
	}
}
