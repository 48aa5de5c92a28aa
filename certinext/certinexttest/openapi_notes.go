// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"maps"
	"reflect"
	"slices"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/openapi"
)

// wireNotes say of members what their types do not.
func wireNotes(d Dialect) map[reflect.Type]openapi.Notes {
	all := make(map[reflect.Type]openapi.Notes)
	for _, part := range []map[reflect.Type]openapi.Notes{
		createNotes(d), stepNotes(d), trackNotes(d), challengeNotes(d), accountNotes(d),
		v1RequestNotes(), v1AnswerNotes(), adminNotes(), tokenNotes(d),
	} {
		maps.Copy(all, part)
	}
	return all
}

var (
	needed  = openapi.Note{Required: true}
	instant = openapi.Note{Schema: &openapi.Schema{Type: "string", Format: "date-time"}}
)

// mandatory is the note on a member that has to be there, with what is said of it.
func mandatory(about string) openapi.Note { return openapi.Note{About: about, Required: true} }

func said(about string) openapi.Note { return openapi.Note{About: about} }

// amongst is the note on a string that is one of those.
func amongst(about string, values ...string) openapi.Note {
	return openapi.Note{About: about, Enum: values}
}

// createNotes are those on what orders are made of.
func createNotes(d Dialect) map[reflect.Type]openapi.Notes {
	documented := d == Documented
	variantsHere := variants
	if documented {
		variantsHere = variants[:3]
	}
	return map[reflect.Type]openapi.Notes{
		reflect.TypeFor[wireCreateSSL](): {
			"productVariant": {
				About: "With a short one (dv) the names and X-Product-Code choose the product.",
				Enum:  variantsHere, Required: true,
			},
			"emailNotifications": said("all, 0 for none, or addresses (observed)."),
			"saveAsDraft":        said("Keep it without ordering."),
			"requestId":          said("The draft to promote."),
			"groupNumber":        said("Who is charged; the default group if it is left out."),
			"requestor":          needed,
			"certificate":        needed,
			"organization":       said("For OV and EV (EMS-1180 without, observed); none for DV."),
			"csr":                said("PEM, or bare base64 of DER; it may follow later."),
			"remarks": {
				About: "No semicolon (observed).", Required: documented,
			},
			"subscription": {
				About:    "The term that is paid for, not the certificate's life.",
				Required: documented,
			},
			"agreement": {
				About:    "In the live dialect an accepted one is signed at once (observed).",
				Required: documented,
			},
			"tags": said("name:value, which reports show and tracking does not (observed)."),
		},
		reflect.TypeFor[wireParty](): {
			"name": needed, "email": needed, "phone": said("E.164, such as +14155551234."),
		},
		reflect.TypeFor[wireOrganizationRef](): {
			"preVettingToken": said("The organization's consent, which spares the approver."),
		},
		reflect.TypeFor[wireCertificateBlock](): {
			"domain":            mandatory("The common name; *.x for a wildcard."),
			"additionalDomains": said("Further DNS names, of UCC products."),
			"autoSecureWww":     said("true if it is left out (observed)."),
		},
		reflect.TypeFor[wireSubscription](): {
			"validityYears":   said("1, 2 or 3; 1 if it is left out."),
			"autoRenew":       said("true if it is left out (documented)."),
			"renewBeforeDays": said("30 if it is left out."),
		},
		reflect.TypeFor[wireAgreement](): {
			"signerName":  said("Mandatory with accepted; errors name the block agreementDetails."),
			"signerPlace": said("Mandatory with accepted."),
			"signerIp":    said("It is not looked at (documented)."),
		},
		reflect.TypeFor[wireCreatePrivatePKI](): {
			"variant": {
				Enum: slices.Concat(privateVariants, unentitledVariant), Required: true,
			},
			"hostname":        mandatory("The common name: a DNS name, of one label at least."),
			"additionalHosts": said("DNS names and addresses."),
			"caProfileId":     {Required: documented},
			"masterProductId": {Required: documented},
			"requestor":       needed,
		},
		reflect.TypeFor[wireCreateSignature](): {
			"subjectType": {Enum: subjectTypes, Required: true},
			"subject":     needed, "requestor": needed,
			"csr": said("It is refused: the key has to be attested (PUT csr)."),
		},
		reflect.TypeFor[wireSubject](): {
			"firstName":   said("In the live dialect; documented: givenName."),
			"lastName":    said("In the live dialect; documented: surname."),
			"givenName":   said("In the documented dialect; live: firstName."),
			"surname":     said("In the documented dialect; live: lastName."),
			"countryCode": said("Two letters of ISO 3166-1."),
		},
	}
}

// stepNotes are those on what is done with orders.
func stepNotes(d Dialect) map[reflect.Type]openapi.Notes {
	reasons := slices.Sorted(maps.Keys((&Server{Dialect: d}).reasons()))
	method := openapi.Note{Enum: methods, Required: true}
	notes := map[reflect.Type]openapi.Notes{
		reflect.TypeFor[wireSubmitCSR](): {
			"csr":      mandatory("PEM, or bare base64 of DER."),
			"attested": said("The key is in a device that attests it: document signers."),
		},
		reflect.TypeFor[wireAcceptAgreement](): {"agreement": needed},
		reflect.TypeFor[wireVerifyDCV]():       {"domain": needed, "method": method},
		reflect.TypeFor[wireReason]():          {"reason": needed},
		reflect.TypeFor[wireRevoke](): {
			"reason": {Enum: reasons, Required: true}, "note": said("No semicolon (observed)."),
		},
	}
	if d == Documented {
		return notes // there is no reissue, and no domain can be added
	}
	notes[reflect.TypeFor[wireReissue]()] = openapi.Notes{
		"mode":   {Enum: []string{"rekey", "update-sans"}, Required: true},
		"reason": needed,
		"revokeReason": said("A reason as for revoke; with revokePrevious or " +
			"revokeAllPriorReissues."),
	}
	notes[reflect.TypeFor[wireAddDomain]()] = openapi.Notes{
		"domainName": needed, "organizationId": needed,
		"dcvMethod": amongst("dns-txt if it is left out.", methods...),
		"mode":      amongst("Another challenge of a domain that is there (inferred).", modeRenew),
	}
	notes[reflect.TypeFor[wireDomainMethod]()] = openapi.Notes{"dcvMethod": method}
	return notes
}

// orderStatuses are those that version 2 shows of an order.
func orderStatuses(d Dialect) []string {
	list := []string{
		statusPendingDCV, statusPendingCSR, statusPendingAgreement, statusPendingOrganization,
		statusPendingDocuments, statusPendingApproval, statusIssued, statusRevoked,
		statusCancelled, statusRejected, statusExpired,
	}
	if d == Documented {
		list = append(list, statusPendingVetting)
	}
	return list
}

// trackNotes are those on what is told of an order.
func trackNotes(d Dialect) map[reflect.Type]openapi.Notes {
	status := openapi.Note{Enum: orderStatuses(d)}
	checked := openapi.Note{Enum: []string{"VERIFIED", "PENDING"}}
	created := reflect.TypeFor[wireCreated]()
	if d == Documented {
		return map[reflect.Type]openapi.Notes{
			created: {
				"status": status, "orderId": said("ord_…; a draft has none."),
				"createdAt": said("Live only."), "resolvedProductCode": said("Live only."),
			},
			reflect.TypeFor[wireDocumentedTrack](): {
				"status": status, "createdAt": instant, "issuedAt": instant,
			},
			reflect.TypeFor[wireDocumentedCertificate](): {
				"serialNumber": said("Hexadecimal."), "notBefore": instant, "notAfter": instant,
			},
		}
	}
	states := openapi.Note{Enum: []string{
		"Order Accepted", "Order Fulfilled", "Order Cancelled", "Order Rejected",
	}}
	certificates := openapi.Note{
		About: "Approved by System is approved and not signed, whatever the status says.",
		Enum: []string{
			"Pending for Approver", "Pending System RA", "Approved by System",
			"Certificate Generated",
			"Certificate Downloaded", "Certificate Revoked", "Certificate Expired",
			"Rejected (Order Cancelled)",
		},
	}
	return map[reflect.Type]openapi.Notes{
		created: {
			"status": status, "createdAt": instant,
			"orderId": said("Digits; a draft has none."), "_links": said("Documented only."),
		},
		reflect.TypeFor[docReissued](): {
			"status": status, "requestedAt": instant,
			"mode": {Enum: []string{"rekey", "update-sans"}},
		},
		reflect.TypeFor[wireLiveTrack](): {
			"status": status, "expiresAt": instant, "orderState": states,
			"certificateState": certificates, "rejection": said("Inferred, by analogy."),
			"subjectDisplayName": said("Inferred, by analogy."),
		},
		reflect.TypeFor[wireTrackTerm](): {
			"endDate": instant, "status": {Enum: []string{"active", "expired", "cancelled"}},
		},
		reflect.TypeFor[wireTrackSigned](): {"signedAt": instant},
		reflect.TypeFor[wireVerifications](): {
			"empty": said("An artefact of the service."), "domain": said("SSL only."),
		},
		reflect.TypeFor[wireDomainVerification](): {
			"status": {
				About: "Not to be trusted: it stayed PENDING after a cancel (observed).",
				Enum:  checked.Enum,
			},
		},
		reflect.TypeFor[wireDomainStatus](): {
			"domainStatus": {Enum: []string{"ACTIVE", "INACTIVE", "EXPIRED"}},
			"dcvMethod":    amongst("Absent until it is verified.", methods...),
			"dcvStatus":    {Enum: []string{"PENDING", "VERIFIED", "REJECTED"}},
			"caaStatus":    {Enum: []string{"PASSED", "FAILED", "SKIPPED"}},
			"verifiedAt":   instant,
		},
		reflect.TypeFor[wireOrgVerification](): {
			"status":        checked,
			"consentStatus": amongst("0 pending, 1 accepted, 2 declined.", "0", "1", "2"),
		},
		reflect.TypeFor[wireEnding](): {"processedAt": instant},
		reflect.TypeFor[wireLiveCertificate](): {
			"serialNumber":   said("Decimal (observed)."),
			"subject":        said("The common name alone."),
			"issuer":         said("The common name alone."),
			"certificatePem": said("Without a newline at its end (observed)."),
			"chainPem":       said("In the order of the knob chainOrder."),
			"notAfter":       instant,
		},
		reflect.TypeFor[wireReportRow](): {
			"productCode":       said("Empty."),
			"orderStatus":       states,
			"certificateStatus": {Enum: certificates.Enum},
			"orderDate":         instant,
			"certificateSerialNumber": said(
				"Decimal; empty while there is no certificate.",
			),
		},
	}
}
