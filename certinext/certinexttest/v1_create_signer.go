// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import "fmt"

// createSignature places an order for a document signer.
func (s version1) createSignature(c *call) (reply, *problem) {
	return s.create(c, FamilySignature, version1.newSignerOrder)
}

// createSMIME places an order for an S/MIME certificate. Version 2 has no path
// for it.
func (s version1) createSMIME(c *call) (reply, *problem) {
	return s.create(c, FamilySMIME, version1.newMailOrder)
}

// newSignerOrder completes a document signer's order. Which parts of a subject
// are mandatory is inferred, as in version 2.
func (s version1) newSignerOrder(c *call, o *order, req wireV1Order) *problem {
	subjectType := productTypes[o.product.Type].validation
	info := *req.CertificateInformation
	person, organization := subjectType != subjectLegalEntity, subjectType != subjectNaturalPerson
	problem := firstUnmet(
		demand{!person || filled(info.FirstName), wordsOnly, "First Name cannot be empty."},
		demand{!person || filled(info.LastName), wordsOnly, "Last Name cannot be empty."},
		demand{
			!organization || filled(info.OrganizationName), "EMS-1180",
			"Organization Name cannot be empty",
		},
		demand{
			person || filled(orDefault(info.RegisteredID, info.OrganizationIdentificationNumber)),
			wordsOnly, "Organization Identification Number cannot be empty.",
		},
	)
	if problem != nil {
		return problem
	}
	o.variant = subjectType
	return s.completeSubject(c, o, subjectType, req)
}

// newMailOrder completes an S/MIME order. What validates its address is not
// known, so nothing does (inferred from the absence of a call for it).
func (s version1) newMailOrder(c *call, o *order, req wireV1Order) *problem {
	o.variant = "smime"
	if problem := s.completeSubject(c, o, subjectNaturalPerson, req); problem != nil {
		return problem
	}
	if !filled(o.subject.displayName) {
		o.subject.displayName = o.subject.email
	}
	return nil
}

// completeSubject is what all orders share that are for a person or an organization instead of for
// a host: the subject, the agreement, the organization.
func (s version1) completeSubject(c *call, o *order, subjectType string, req wireV1Order) *problem {
	info := *req.CertificateInformation
	problem := firstUnmet(
		demand{!info.forHost(), wordsOnly, "Domain names do not belong to this certificate."},
		demand{filled(info.Email), wordsOnly, "Email cannot be empty."},
		demand{mailAddress.MatchString(info.Email), "EMS-1047", "Invalid Email Address."},
		demand{
			info.CountryCode == "" || countryCode.MatchString(info.CountryCode), wordsOnly,
			"Invalid Country Code.",
		},
		demand{
			info.MobileNumber == "" || digits.MatchString(info.MobileNumber), wordsOnly,
			"Invalid Mobile Number.",
		},
		demand{
			filled(orZero(req.AdditionalInformation).Remarks), "EMS-918",
			"Additional Information cannot be empty.",
		},
		demand{
			req.SubscriptionDetails != nil, "EMS-919", "Subscription Information cannot be empty.",
		},
		demand{req.AgreementDetails != nil, "EMS-1084", "agreementDetails block cannot be empty."},
	)
	if problem == nil {
		problem = checkV1Subscription(*req.SubscriptionDetails)
	}
	if problem == nil {
		problem = checkV1Agreement(*req.AgreementDetails)
	}
	if problem != nil {
		return problem
	}
	o.domain, o.subject = "", newSubject(subjectType, info.subject())
	if what, most := o.subject.tooLong(subjectType, Live); what != "" {
		return v1Failure(wordsOnly, fmt.Sprintf("Length of %s exceeds %d.", what, most))
	}
	if ref := orZero(req.OrganizationDetails); ref.OrganizationNumber != "" {
		named := &wireOrganizationRef{
			ref.OrganizationNumber, ref.PreVetting == "1", ref.PrevettingToken,
		}
		if problem := s.v2().checkOrganization(o, named); problem != nil {
			return problem
		}
	}
	o.sign(req.AgreementDetails.agreement(), c.now)
	return nil
}

// forHost reports whether the block names a host.
func (i wireV1Certificate) forHost() bool {
	return i.DomainName != "" || len(i.AdditionalDomains) > 0 || i.AutoSecureWWW != "" ||
		i.DNSType != ""
}

// forPerson reports whether the block has a member that only a person has.
func (i wireV1Certificate) forPerson() bool {
	for _, v := range []string{
		i.FirstName, i.LastName, i.Email, i.IsdCode, i.MobileNumber, i.Designation,
		i.IdentityDocumentType, i.IdentificationNumber, i.OrganizationIdentificationNumber,
		i.RegisteredID,
	} {
		if v != "" {
			return true
		}
	}
	return false
}

// subject is the block as version 2 has it.
func (i wireV1Certificate) subject() wireSubject {
	return wireSubject{
		FirstName: i.FirstName, LastName: i.LastName, Email: i.Email, Designation: i.Designation,
		IdentityDocumentType: i.IdentityDocumentType, IdentificationNumber: i.IdentificationNumber,
		StreetAddress1: i.StreetAddress1, StreetAddress2: i.StreetAddress2, Locality: i.Locality,
		State: i.State, PostalCode: i.PostalCode, CountryCode: i.CountryCode,
		OrganizationName: i.OrganizationName,
		OrganizationUnit: i.OrganizationUnit,
		OrganizationIdentificationNumber: orDefault(
			i.RegisteredID, i.OrganizationIdentificationNumber,
		),
		BusinessCategory: i.BusinessCategory,
	}
}
