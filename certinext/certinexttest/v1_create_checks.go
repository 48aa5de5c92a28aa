// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// digits is what version 1 takes for the two halves of a number; the country
// code was published with and without its plus sign.
var (
	digits  = regexp.MustCompile(`^[0-9]{1,15}$`)
	isdCode = regexp.MustCompile(`^\+?[0-9]{1,4}$`)
)

// checkV1Form is what can be said of any order without knowing the account.
// The codes are those of the vendor's list for version 1, where it has one for
// the case.
func checkV1Form(req wireV1Order, family string) *problem {
	requestor, cert := orZero(req.RequestorInformation), orZero(req.CertificateInformation)
	return firstUnmet(
		demand{req.ProductCode != "", "EMS-914", "Certificate ID cannot be empty."},
		demand{oneOf(req.AccountingModel, "", "1", "2"), wordsOnly, "Invalid Accounting Model."},
		demand{oneOf(req.SaveAndHold, "", "0", "1"), wordsOnly, "Invalid value for saveAndHold."},
		demand{
			oneOf(req.EmailNotifications, "", "0", "1"), wordsOnly,
			"Invalid value for emailNotifications.",
		},
		demand{
			req.RequestorInformation != nil, "EMS-916", "Requestor Information cannot be empty.",
		},
		demand{filled(requestor.RequestorName), "EMS-916", "Requestor Name cannot be empty."},
		demand{filled(requestor.RequestorEmail), "EMS-924", "Requestor Email ID cannot be empty."},
		demand{mailbox(requestor.RequestorEmail), "EMS-925", "Invalid Requestor Email ID."},
		demand{requestor.hasNumber(), "EMS-923", "Invalid Requestor Mobile Number."},
		demand{
			req.CertificateInformation != nil, "EMS-917",
			"Certificate Information cannot be empty.",
		},
		demand{
			!forHosts(family) || filled(cert.DomainName), "EMS-1157",
			"Domain name cannot be empty.",
		},
		demand{
			!forHosts(family) || !cert.forPerson(), wordsOnly,
			"certificateInformation has members of a person.",
		},
		demand{
			orMailbox(orZero(req.DelegationInformation).Email), "EMS-1011",
			"Invalid Delegation Email ID.",
		},
		demand{req.TechnicalPointOfContact == nil || orZero(
			req.AdditionalInformation,
		).TechnicalPointOfContact == nil, wordsOnly, "Technical Contact is given twice."},
		demand{orMailbox(req.technicalEmail()), "EMS-1047", "Invalid Email Address."},
		demand{
			orMailbox(orZero(req.AdditionalInformation).RecipientEmail), "EMS-1016",
			"Invalid Email ID.",
		},
	)
}

// checkV1Subscription is the term of an order; blanks have defaults.
func checkV1Subscription(sub wireV1Subscription) *problem {
	return firstUnmet(
		demand{
			oneOf(sub.Validity, "", "1", "2", "3"), "EMS-1216",
			"Please enter valid Validity in Subscription Details.",
		},
		demand{
			oneOf(sub.AutoRenew, "", "0", "1"), "EMS-1217",
			"Please enter valid Auto Renew in Subscription Details.",
		},
		demand{
			oneOf(sub.RenewCriteria, "", "30", "60"), "EMS-1218",
			"Please enter valid Renew Criteria in Subscription Details.",
		},
	)
}

// checkV1Tags: a tag is "colon separated" (documented). The limits of its
// halves are published, too, and whether the service minds them is unknown.
func checkV1Tags(tags []string, limits bool) *problem {
	for _, tag := range tags {
		name, value, ok := strings.Cut(tag, ":")
		problem := firstUnmet(
			demand{
				ok && filled(name) && filled(value), "EMS-1128", "Please enter valid Tag Details.",
			},
			demand{
				!limits || len(name) >= 3, "EMS-1145",
				"Tag Name should be of minimum 3 characters.",
			},
			demand{!limits || len(name) <= 30, "EMS-1146", "Tag Name cannot exceed 30 characters."},
			demand{
				!limits || len(value) <= 30, "EMS-1148", "Tag Value cannot exceed 30 characters.",
			},
		)
		if problem != nil {
			return problem
		}
	}
	return nil
}

// checkV1Agreement is the signature under the subscriber agreement. EMS-920
// for one that is withheld is the code of version 2: what version 1 answers is
// not known. A signer at a loopback address was seen to be EMS-1091.
func checkV1Agreement(a wireV1Agreement) *problem {
	return firstUnmet(
		demand{filled(a.AcceptAgreement), "EMS-1085", "acceptAgreement cannot be empty."},
		demand{
			oneOf(a.AcceptAgreement, "0", "1"), "EMS-1092", "Invalid value for acceptAgreement.",
		},
		demand{a.AcceptAgreement == "1", "EMS-920", "Agreement not accepted."},
		demand{filled(a.SignerName), "EMS-1088", "Signer Name cannot be empty."},
		demand{filled(a.SignerPlace), "EMS-1086", "Signed Place cannot be empty."},
		demand{filled(a.SignerIP), "EMS-1087", "Signer IP cannot be empty."},
		demand{isPublicIP(a.SignerIP), "EMS-1091", "Invalid Signer IP."},
	)
}

// agreement is a as version 2 has it.
func (a wireV1Agreement) agreement() *wireAgreement {
	return &wireAgreement{
		SignerName: a.SignerName, SignerPlace: a.SignerPlace, SignerIP: a.SignerIP,
		Accepted: a.AcceptAgreement == "1",
	}
}

// isPublicIP reports whether text is an address of the public Internet.
func isPublicIP(text string) bool {
	ip, err := netip.ParseAddr(text)
	return err == nil && ip.Zone() == "" && ip.IsGlobalUnicast() && !ip.Unmap().IsPrivate()
}

// hasNumber: both halves of the number are mandatory as published, and were
// left out by a client that worked.
func (r wireV1Requestor) hasNumber() bool {
	if r.RequestorMobileNumber == "" {
		return r.RequestorIsdCode == "" || isdCode.MatchString(r.RequestorIsdCode)
	}
	return isdCode.MatchString(r.RequestorIsdCode) && digits.MatchString(r.RequestorMobileNumber)
}

// party is the requestor as version 2 has one, with a single number.
func (r wireV1Requestor) party() wireParty {
	p := wireParty{
		Name: r.RequestorName, Email: r.RequestorEmail, Designation: r.RequestorDesignation,
	}
	if r.RequestorMobileNumber != "" {
		p.Phone = "+" + strings.TrimPrefix(r.RequestorIsdCode, "+") + r.RequestorMobileNumber
	}
	return p
}

// technicalEmail is the address of the technical contact, from either of the
// places it was seen in.
func (req wireV1Order) technicalEmail() string {
	outer, inner := orZero(req.TechnicalPointOfContact), orZero(
		orZero(req.AdditionalInformation).TechnicalPointOfContact,
	)
	return orDefault(outer.Email, inner.Email)
}

// hasTechnicalContact reports whether there is one, in either place.
func (req wireV1Order) hasTechnicalContact() bool {
	return filled(orZero(req.TechnicalPointOfContact).Name) ||
		filled(orZero(orZero(req.AdditionalInformation).TechnicalPointOfContact).Name)
}

// forHosts reports whether the certificates of a family are for hosts.
func forHosts(family string) bool { return family == FamilySSL || family == FamilyPrivatePKI }

func filled(text string) bool { return strings.TrimSpace(text) != "" }

func mailbox(text string) bool { return strings.Contains(text, "@") }

func orMailbox(text string) bool { return text == "" || mailbox(text) }

func oneOf(value string, allowed ...string) bool { return slices.Contains(allowed, value) }
