// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

// wireSubject is a subject in both spellings. A person's names are firstName and lastName in the newer documentation,
// which is taken for the live service's, and givenName and surname in the published collection, whose one sample shows
// no fields beyond these two, email and countryCode.
type wireSubject struct {
	FirstName                        string `json:"firstName,omitempty"`
	LastName                         string `json:"lastName,omitempty"`
	GivenName                        string `json:"givenName,omitempty"`
	Surname                          string `json:"surname,omitempty"`
	Email                            string `json:"email"`
	Phone                            string `json:"phone,omitempty"`
	Designation                      string `json:"designation,omitempty"`
	IdentityDocumentType             string `json:"identityDocumentType,omitempty"`
	IdentificationNumber             string `json:"identificationNumber,omitempty"`
	StreetAddress1                   string `json:"streetAddress1,omitempty"`
	StreetAddress2                   string `json:"streetAddress2,omitempty"`
	Locality                         string `json:"locality,omitempty"`
	State                            string `json:"state,omitempty"`
	PostalCode                       string `json:"postalCode,omitempty"`
	CountryCode                      string `json:"countryCode,omitempty"`
	OrganizationName                 string `json:"organizationName,omitempty"`
	OrganizationUnit                 string `json:"organizationUnit,omitempty"`
	OrganizationIdentificationNumber string `json:"organizationIdentificationNumber,omitempty"`
	BusinessCategory                 string `json:"businessCategory,omitempty"`
}

func newWireSubject(s *Subject, d dialect) *wireSubject {
	if s == nil {
		return nil
	}
	w := &wireSubject{
		Email: s.Email, Phone: s.Phone, Designation: s.Designation,
		IdentityDocumentType: s.IdentityDocumentType, IdentificationNumber: s.IdentificationNumber,
		StreetAddress1: s.StreetAddress1, StreetAddress2: s.StreetAddress2, Locality: s.Locality, State: s.State,
		PostalCode: s.PostalCode, CountryCode: s.CountryCode,
		OrganizationName: s.OrganizationName, OrganizationUnit: s.OrganizationUnit,
		OrganizationIdentificationNumber: s.OrganizationIdentificationNumber, BusinessCategory: s.BusinessCategory,
	}
	if d == documented {
		w.GivenName, w.Surname = s.FirstName, s.LastName
	} else {
		w.FirstName, w.LastName = s.FirstName, s.LastName
	}
	return w
}
