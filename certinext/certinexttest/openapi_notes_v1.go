// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"reflect"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/openapi"
)

const (
	yesNo      = "1 is yes, and 0 no."
	email      = "Whoever asks; an address is all that is looked for."
	indianDate = "As in 2026-05-14 13:00:00, in UTC (documented)."
)

// v1RequestNotes are those on what the verbs of version 1 take: all scalars are strings.
func v1RequestNotes() map[reflect.Type]openapi.Notes {
	return map[reflect.Type]openapi.Notes{
		reflect.TypeFor[wireV1Meta](): {
			"ver": {Enum: []string{"1.0"}, Required: true},
			"ts":  mandatory("ISO 8601, within five minutes; without a zone it is Indian time."),
			"txn": mandatory("10 to 50 letters and digits, each once for an account."),

			"accountNumber": needed,
			"authKey": said("The hexadecimal SHA-256 of access key, ts and txn; empty with a " +
				"bearer token."),
		},
		reflect.TypeFor[wireV1Create](): {"orderDetails": needed},
		reflect.TypeFor[wireV1Order](): {
			"productCode":            needed,
			"accountingModel":        said("2 is the account's own contract (observed)."),
			"saveAndHold":            said(yesNo + " A draft is kept, and no order placed."),
			"requestNumber":          said("The draft to promote."),
			"emailNotifications":     said("all, or 0 for none."),
			"groupNumber":            said("Documented; live, delegationInformation has it."),
			"requestorInformation":   needed,
			"certificateInformation": needed,
			"autoSecureWWW":          said("As one sample has it; else in certificateInformation."),
		},
		reflect.TypeFor[wireV1Delegation](): {
			"groupNumber": said("Who is charged, in the live dialect (observed)."),
		},
		reflect.TypeFor[wireV1OrganizationRef](): {
			"preVetting": said(yesNo + " DV re-uses validated domains with it."),
		},
		reflect.TypeFor[wireV1Subscription](): {
			"validity":  said("Years: 1, 2 or 3."),
			"autoRenew": said(yesNo),
		},
		reflect.TypeFor[wireV1Agreement](): {
			"acceptAgreement": said(yesNo),
			"signerIP":        said("A public address."),
		},
		reflect.TypeFor[wireV1OrderNumber](): {
			"orderDetails":               needed,
			"orderDetails.requestNumber": said("Of a draft, which has no orderNumber."),
		},
		reflect.TypeFor[wireV1OrderRef](): {
			"orderDetails": needed, "orderDetails.orderNumber": needed,
			"orderDetails.requestorEmail": mandatory(email),
		},
		reflect.TypeFor[wireV1DCV](): {
			"dcvDetails": needed, "dcvDetails.requestorEmail": mandatory(email),
			"dcvDetails.orderNumber": needed, "dcvDetails.domainName": needed,
			"dcvDetails.dcvMethod": {
				About: "1 is DNS, 2 HTTP and 3 e-mail.", Enum: []string{"1", "2", "3"},
				Required: true,
			},
			"dcvDetails.dcvEmail": said("With 3: the address that confirms."),
		},
		reflect.TypeFor[wireV1SubmitCSR](): {
			"orderDetails": needed, "orderDetails.requestorEmail": mandatory(email),
			"orderDetails.csr":           needed,
			"orderDetails.requestNumber": said("Of a draft, which has no orderNumber."),
		},
		reflect.TypeFor[wireV1AcceptAgreement](): {
			"agreementDetails": needed, "agreementDetails.requestorEmail": mandatory(email),
			"agreementDetails.orderNumber": needed,
			"agreementDetails.signerIP":    said("A public address."),
		},
		reflect.TypeFor[wireV1Revoke](): {
			"revocationDetails":                needed,
			"revocationDetails.orderNumber":    needed,
			"revocationDetails.requestorEmail": mandatory(email),
			"revocationDetails.revokeReasonId": {
				About:    "As in RFC 5280.",
				Enum:     []string{"1", "3", "4", "5", "9"},
				Required: true,
			},
			"revocationDetails.revokeRemarks": mandatory("No semicolon."),
		},
		reflect.TypeFor[wireV1RejectOrder](): {
			"orderDetails": needed, "orderDetails.orderNumber": needed,
			"orderDetails.rejectRemarks": needed,
		},
		reflect.TypeFor[wireV1RejectRequest](): {
			"orderDetails": needed, "orderDetails.requestNumber": needed,
			"orderDetails.rejectRemarks": needed,
		},
		reflect.TypeFor[wireV1SubmitDocument](): {
			"documentDetails":                   needed,
			"documentDetails.requestorEmail":    mandatory(email),
			"documentDetails.orderNumber":       needed,
			"documentDetails.numberOfDocuments": needed,
			"documentDetails.documentsAttached": needed,
		},
		reflect.TypeFor[wireV1Document](): {
			"id": needed, "fileName": mandatory("It ends with .pdf."),
			"description": mandatory("25 characters at most."),
			"base64Value": mandatory("Base64, and URL-encoded on top."),
		},
		reflect.TypeFor[wireV1Search](): {"searchCriteria": needed},
		reflect.TypeFor[wireV1Criteria](): {
			"orderStatusId":        said("Ids with commas between them."),
			"tagSearchCriteria":    amongst("1 for any tag, 2 for all.", "", "1", "2"),
			"certificateTrustType": amongst("1 public, 2 private.", "", "1", "2"),
			"pageNumber":           said("From 1."),
			"pageSize":             said("100 by default, 500 at most (observed)."),
		},
		reflect.TypeFor[wireV1OrganizationQuery](): {
			"organizationDetails": needed, "organizationDetails.organizationNumber": needed,
		},
		reflect.TypeFor[wireV1FieldQuery](): {
			"productDetails": needed, "productDetails.productCode": needed,
		},
	}
}

// v1AnswerNotes are those on what they answer.
func v1AnswerNotes() map[reflect.Type]openapi.Notes {
	ids := func(list ...v1ID) (numbers, names []string) {
		for _, id := range list {
			numbers, names = append(numbers, id.id), append(names, id.name)
		}
		return numbers, names
	}
	orderIDs, orderNames := ids(v1Accepted, v1InProgress, v1Rejected, v1Cancelled, v1Fulfilled,
		v1OnHold, v1Pending)
	certIDs, certNames := ids(v1SetupPending, v1PendingApprover, v1Discrepancy, v1Approved,
		v1CertRejected, v1Downloaded, v1Expired, v1CertCancelled, v1AutoApproved, v1Generated,
		v1Revoked, v1PendingAuto, v1PendingLRA)
	order, orderName := openapi.Note{Enum: orderIDs}, openapi.Note{Enum: orderNames}
	certNames = append(certNames, v1PendingSystemRA.name)
	cert, certName := openapi.Note{Enum: certIDs}, openapi.Note{Enum: certNames}
	checked := amongst("0 pending, 1 completed, 2 rejected.", "0", "1", "2")
	return map[reflect.Type]openapi.Notes{
		reflect.TypeFor[docV1Succeeded](): {"status": {Enum: []string{"1"}}},
		reflect.TypeFor[docV1Failed](): {
			"status":    {Enum: []string{"0"}},
			"txn":       said("The call's own, if it could be read."),
			"errorCode": said("Empty where words are all (observed)."),
		},
		reflect.TypeFor[wireV1Created](): {
			"orderNumber": said("Empty for a draft."),
			"trackingURL": said("Live (observed)."), "trackingUrl": said("Documented."),
		},
		reflect.TypeFor[wireV1Track](): {
			"orderStatusId": order, "orderStatus": orderName,
			"certificateStatusId": cert, "certificateStatus": certName,
			"certificateExpiryDate": said(indianDate),
			"domainVerification": {
				About: "A member for each name, and status for all of them; null for some " +
					"seconds after the order (observed).",
				Schema: &openapi.Schema{
					Type:       "object",
					Properties: map[string]*openapi.Schema{"status": openapi.OneOf("0", "1", "2")},
					Required:   []string{"status"}, Others: openapi.Ref("V1DomainChecked"),
				},
			},
			"csr": amongst("1 once there is one.", "0", "1"),
		},
		reflect.TypeFor[wireV1DomainChecked](): {
			"dcvMethod": said("Words, once it is validated."), "dcvStatus": checked,
			"status":    amongst("1 active, 2 inactive, 3 expired.", "1", "2", "3"),
			"caaStatus": amongst("1 authorized, 2 not, 3 pending.", "1", "2", "3"),
		},
		reflect.TypeFor[wireV1Signed]():              {"status": checked},
		reflect.TypeFor[wireV1OrganizationChecked](): {"status": checked},
		reflect.TypeFor[wireV1Revocation](): {
			"revokeRequestStatusId": said("2 is revoked; empty before."),
		},
		reflect.TypeFor[wireV1Domain](): {
			"dcvMethod": {Enum: []string{"1", "2", "3"}},
			"dcvStatus": amongst("0 pending, 1 completed.", "0", "1"),
			"status":    amongst("1 active, 2 inactive, 3 expired.", "1", "2", "3"),
		},
		reflect.TypeFor[wireV1Certificates](): {
			"ceritficateSerialNumber": said("Decimal, and misspelt (observed)."),
			"expiryDate":              said(indianDate),
		},
		reflect.TypeFor[wireV1Challenge](): {
			"token":    said("With the method 1."),
			"fileName": said("With the method 2, without the .txt that it is published with."),
		},
		reflect.TypeFor[wireV1Report](): {
			"pageSize": said("Rows of this page."), "currentPage": said("A string (observed)."),
		},
		reflect.TypeFor[wireV1ReportRow](): {
			"orderNumber":   said("Empty for drafts."),
			"orderStatusId": order, "orderStatus": orderName,
			"certificateStatusId": cert, "certificateStatus": certName,
			"certificateTrustType": amongst("1 public, 2 private.", "1", "2"),
			"expiresWithin":        said("Days."),
		},
		reflect.TypeFor[wireV1FieldInfo](): {"isMandatory": {Enum: []string{"0", "1"}}},
	}
}
