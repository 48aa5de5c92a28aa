// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

// newPrivateOrder completes a private-PKI order. There is no agreement and no
// organization to vet. One sandbox was seen to answer EMS-939 to each order of
// its product 149: [FaultMetaError] does that.
func (s version1) newPrivateOrder(_ *call, o *order, req wireV1Order) *problem {
	if problem := checkV1PrivateForm(req); problem != nil {
		return problem
	}
	if !privateName.MatchString(o.domain) {
		return v1Failure("EMS-1057", "Invalid Domain Name.")
	}
	var problem *problem
	if o.additional, o.hosts, problem = splitHosts(
		distinct(o.domain, req.CertificateInformation.AdditionalDomains),
	); problem != nil {
		return problem
	}
	if req.CertificateInformation.DNSType == "2" {
		// GetDcv and VerifyDcv are for "external DNS type Private PKI", too
		// (documented).
		o.targets, o.ownValidation = newTargets(o.leafNames()), true
	}
	return nil
}

// checkV1PrivateForm: the CSR is mandatory, the term is not (both documented).
// One client was seen to send agreementDetails, too: it is taken, and nothing is
// signed.
func checkV1PrivateForm(req wireV1Order) *problem {
	problem := firstUnmet(
		demand{filled(req.CSR), "EMS-1006", "CSR cannot be empty."},
		demand{
			oneOf(req.CertificateInformation.DNSType, "", "1", "2"), wordsOnly,
			"Invalid value for dnsType.",
		},
		demand{
			req.OrganizationDetails == nil, wordsOnly,
			"organizationDetails does not belong to private PKI.",
		},
	)
	if problem != nil {
		return problem
	}
	return checkV1Subscription(orZero(req.SubscriptionDetails))
}
