// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"strconv"
)

// newSSLOrder completes an SSL order: names, agreement, organization.
func (s version1) newSSLOrder(c *call, o *order, req wireV1Order) *problem {
	www := orDefault(req.CertificateInformation.AutoSecureWWW, req.AutoSecureWWW)
	if problem := checkV1SSLForm(req, www); problem != nil {
		return problem
	}
	o.additional = distinct(o.domain, req.CertificateInformation.AdditionalDomains)
	if problem := s.checkPublicNames(o.domain, o.additional); problem != nil {
		return problem
	}
	if problem := checkV1Names(o, s.Demands.LoneUCC); problem != nil {
		return problem
	}
	auto := www != "0" // "This is set to '1' by default" (documented)
	o.www = wantsWWW(o.domain, &auto)
	o.targets = newTargets(o.leafNames())
	if problem := s.setOrganization(o, req); problem != nil {
		return problem
	}
	s.Demands.park(o, req.hasTechnicalContact())
	if a := req.AgreementDetails; a != nil {
		o.sign(a.agreement(), c.now)
	}
	return nil
}

// checkV1SSLForm: remarks are mandatory (observed), and so is the agreement
// unless an organization that has signed one is re-used (documented).
func checkV1SSLForm(req wireV1Order, www string) *problem {
	reused := orZero(req.OrganizationDetails).PreVetting == "1"
	problem := firstUnmet(
		demand{
			filled(orZero(req.AdditionalInformation).Remarks), "EMS-918",
			"Additional Information cannot be empty.",
		},
		demand{
			req.SubscriptionDetails != nil, "EMS-919", "Subscription Information cannot be empty.",
		},
		demand{oneOf(www, "", "0", "1"), "EMS-1105", `Invalid value for the key "autoSecureWWW".`},
		demand{
			req.AgreementDetails != nil || reused, "EMS-1084",
			"agreementDetails block cannot be empty.",
		},
		demand{
			req.CertificateInformation.DNSType == "", wordsOnly, "dnsType belongs to private PKI.",
		},
	)
	if problem != nil {
		return problem
	}
	if problem := checkV1Subscription(*req.SubscriptionDetails); problem != nil {
		return problem
	}
	if req.AgreementDetails == nil {
		return nil
	}
	return checkV1Agreement(*req.AgreementDetails)
}

// checkV1Names holds the names of an order against its product.
func checkV1Names(o *order, loneUCC bool) *problem {
	t, shape := productTypes[o.product.Type], shapeOf(o.domain, o.additional)
	problem := firstUnmet(
		demand{t.wildcard || !shape.wildcard, "EMS-1058", "Wild Card Domains are not allowed."},
		demand{!t.wildcard || shape.wildcard, "EMS-1059", "Only Wild Card Domains are allowed."},
		demand{
			shape.several == t.ucc || (t.ucc && loneUCC), "EMS-1173",
			"Invalid Additional Domain Names.",
		},
	)
	if problem != nil && t.wildcard == shape.wildcard && !shape.several {
		problem.because(needsAdditional)
	}
	return problem
}

// setOrganization settles whose order it is. Re-using a pre-vetted
// organization is what makes its validated domains count (documented): without
// it even a DV order has to show control anew.
func (s version1) setOrganization(o *order, req wireV1Order) *problem {
	ref := orZero(req.OrganizationDetails)
	problem := firstUnmet(
		demand{oneOf(ref.PreVetting, "", "0", "1"), "EMS-1075", "Invalid Pre-Vetting value."},
		demand{
			ref.PreVetting == "1" || ref.OrganizationNumber == "", "EMS-1075",
			"Invalid Pre-Vetting value.",
		},
		demand{
			ref.PreVetting != "1" || ref.OrganizationNumber != "", "EMS-1134",
			"Organization Number cannot be empty.",
		},
	)
	if problem != nil {
		return problem
	}
	if ref.PreVetting == "1" {
		return reuseOrganization(s.Server, o, req)
	}
	o.ownValidation = true
	named := filled(req.CertificateInformation.OrganizationName)
	if !o.needsOrganization() || (!named && s.Demands.parks(PartOrganization)) {
		return nil
	}
	return o.setNewOrganization(req)
}

// reuseOrganization is for an order that names one of the account's organizations.
func reuseOrganization(s *Server, o *order, req wireV1Order) *problem {
	ref := req.OrganizationDetails
	if s.Demands.FullParticulars && o.needsOrganization() {
		problem := checkV1Particulars(o, req, *req.CertificateInformation)
		if problem != nil {
			return problem.because(reason{Name: "full-particulars", Source: sourceGateway})
		}
	}
	return s.v2().checkOrganization(o, &wireOrganizationRef{
		ref.OrganizationNumber, true, ref.PrevettingToken,
	})
}

// setNewOrganization gives an OV or EV order the organization that it
// describes, which is still to be vetted.
func (o *order) setNewOrganization(req wireV1Order) *problem {
	info := *req.CertificateInformation
	if !filled(info.OrganizationName) {
		return firstUnmet(particular("Organization Name", ""))
	}
	if problem := checkV1Particulars(o, req, info); problem != nil {
		return problem
	}
	o.organization = &organization{Organization: Organization{
		Name: info.OrganizationName, Street: info.StreetAddress1, Locality: info.Locality,
		State: info.State, PostalCode: info.PostalCode, CountryCode: info.CountryCode,
		ValidationFor: map[bool]string{true: "2", false: "1"}[o.isEV()],
	}}
	return nil
}

// particular is a part of an organization's description that has to be there.
func particular(what, value string) demand {
	return demand{filled(value), "EMS-1180", what + " cannot be empty"}
}

// isEV reports whether the order is for extended validation.
func (o *order) isEV() bool { return productTypes[o.product.Type].validation == "ev" }

// checkV1Particulars is what describes an organization beside its name.
func checkV1Particulars(o *order, req wireV1Order, info wireV1Certificate) *problem {
	problem := firstUnmet(
		particular("Street Address 1", info.StreetAddress1),
		particular("Locality", info.Locality), particular("State", info.State),
		particular("Country Code", info.CountryCode), particular("Postal Code", info.PostalCode),
	)
	if problem != nil || !o.isEV() {
		return problem
	}
	return checkV1EV(req)
}

// checkV1EV is what an EV order names beyond an OV order (observed).
func checkV1EV(req wireV1Order) *problem {
	signer, approver := orZero(req.ContractSignerInfo), orZero(req.CertificateApproverInfo)
	return firstUnmet(
		particular("Street Address 2", req.CertificateInformation.StreetAddress2),
		particular(
			"Company Registration Number", req.CertificateInformation.CompanyRegistrationNumber,
		),
		demand{
			req.ContractSignerInfo != nil, "EMS-1220",
			"Contract Signer Information block cannot be empty.",
		},
		demand{filled(signer.Name), "EMS-1230", "Contract Signer Name cannot be empty."},
		demand{mailbox(signer.Email), "EMS-1223", "Invalid Contract Signer Email ID."},
		demand{
			req.CertificateApproverInfo != nil, "EMS-1221",
			"Certificate Approver Information block cannot be empty.",
		},
		demand{filled(approver.Name), "EMS-1239", "Certificate Approver Name cannot be empty."},
		demand{mailbox(approver.Email), "EMS-1232", "Invalid Certificate Approver Email ID."},
	)
}

// adopt enters an organization that came with an order into the account.
func (s version1) adopt(org *organization) {
	if org == nil || org.Number != "" {
		return
	}
	for n := 4_000_001; org.Number == ""; n++ {
		if number := strconv.Itoa(n); s.organization(number) == nil {
			org.Number = number
		}
	}
	s.owners = append(s.owners, org)
}
