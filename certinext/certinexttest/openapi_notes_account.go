// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"maps"
	"reflect"
	"slices"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/openapi"
)

// challengeNotes are those on domains and their challenges.
func challengeNotes(d Dialect) map[reflect.Type]openapi.Notes {
	method := openapi.Note{Enum: methods}
	outcome := openapi.Note{Enum: []string{"VERIFIED", "FAILED"}}
	const expiry = "As in 2026-05-14 13:00:00, without a zone: UTC."
	failure := openapi.Note{Enum: []string{
		classMissing, classMismatch, classUnreachable, classTokenExpired, classNoReply,
	}}
	domainStatus := openapi.Note{Enum: []string{"ACTIVE", "INACTIVE"}}
	domainDCV := openapi.Note{Enum: []string{"PENDING", "VERIFIED", "EXPIRED"}}
	notes := map[reflect.Type]openapi.Notes{
		reflect.TypeFor[docChallengeLive](): {
			"token":           said("What the TXT record or the file is to hold."),
			"tokenExpiryDate": said(expiry),
			"fileName":        said("Of a file challenge: below /.well-known/pki-validation/."),
		},
		reflect.TypeFor[docChallengeDoc2](): {
			"dcvMethod": amongst("2 is DNS and 1 is HTTP: the other way round than in version 1.",
				"1", "2"),
			"tokenExpiryDate": said(expiry),
		},
		reflect.TypeFor[docChallengeRecord](): {"method": method},
		reflect.TypeFor[docVerified](): {
			"overallStatus": outcome, "method": method, "verifiedAt": instant,
		},
		reflect.TypeFor[docDiagnostics](): {"overallStatus": outcome, "failureClass": failure},
		reflect.TypeFor[wireDomainRow](): {
			"dcvStatus": domainDCV, "status": domainStatus, "createdAt": instant,
			"validTill": instant, "domainId": said("48 characters of base64url (observed)."),
		},
	}
	if d == Documented {
		return notes // the calls for a domain of its own were seen live only
	}
	maps.Copy(notes, map[reflect.Type]openapi.Notes{
		reflect.TypeFor[docDomain](): {
			"status": domainStatus, "dcvStatus": domainDCV, "createdAt": instant,
			"verifiedAt": instant, "validTill": instant,
		},
		reflect.TypeFor[docDomainAdded](): {
			"domainStatus": domainStatus, "dcvMethod": method,
		},
		reflect.TypeFor[docDomainChallenge](): {
			"method": method, "tokenExpiry": said(expiry),
			"txtToken": said("Empty once it has expired, until the method is chosen again."),
		},
		reflect.TypeFor[docAttempt](): {
			"overallStatus": outcome, "method": method, "failureClass": failure,
			"attemptedAt": instant,
		},
		reflect.TypeFor[docLastAttempt](): {"status": outcome, "method": method},
	})
	return notes
}

// accountNotes are those on what the account is and has.
func accountNotes(d Dialect) map[reflect.Type]openapi.Notes {
	flag := openapi.Note{Enum: []string{"0", "1"}}
	validation := amongst("1 for OV, 2 for EV and OV.", "1", "2")
	var ids, names []string
	for _, c := range categories {
		ids, names = append(ids, c.id), append(names, c.name)
	}
	types := slices.Sorted(maps.Keys(productTypes))
	notes := map[reflect.Type]openapi.Notes{
		reflect.TypeFor[wireGroup]():             {"isDefaultGroup": flag},
		reflect.TypeFor[wireGroupOrganization](): {"validationFor": validation},
		reflect.TypeFor[wireOrganization]():      {"isPreVettingOrg": flag},
		reflect.TypeFor[docOrganization](): {
			"validationFor":      validation,
			"validationStatusId": amongst("1 once it is vetted.", "0", "1"),
			"domains": {
				About: "Validated domains; an empty string where there are none (observed).",
				Schema: openapi.Either(
					openapi.OneOf(""), openapi.List(openapi.Text()),
				),
			},
		},
		reflect.TypeFor[wireCategory](): {
			"categoryID": {Enum: ids}, "categoryName": {Enum: names},
		},
		reflect.TypeFor[wireProduct](): {
			"productTypeID": amongst("What kind of product it is, and not unique.", types...),
			"productType":   said("Documented only."), "variant": said("Documented only."),
			"subscriptionPrice": said("By term, such as 1 Year."),
		},
		reflect.TypeFor[wireCustomFieldInfo](): {"isMandatory": flag},
		reflect.TypeFor[fieldError](): {"field": said("Its path, as in " +
			"certificate.domain.")},
		reflect.TypeFor[docProblem](): {
			"type":   said("about:blank in the live dialect, a URL in the documented one."),
			"detail": said("With an EMS code where there is one."),
			"diagnostics": said(
				"Of a domain control that was not seen, in the live dialect.",
			),
			"existingDomainId": said("Of a domain that is there (409)."),
		},
	}
	if d == Documented {
		notes[reflect.TypeFor[docProblemDocumented]()] = openapi.Notes{
			"code": said("The last part of type, with underscores."),
		}
	}
	return notes
}

func tokenNotes(d Dialect) map[reflect.Type]openapi.Notes {
	grants := openapi.Note{
		Enum: []string{"client_credentials", "refresh_token"}, Required: true,
	}
	if d == Documented {
		return map[reflect.Type]openapi.Notes{
			reflect.TypeFor[wireToken](): {
				"grant_type": grants, "accountNumber": needed,
				"authKey": mandatory("The hexadecimal SHA-256 of access key, ts and txn."),
				"ts":      mandatory("Seconds and numeric offset, within five minutes."),
				"txn":     mandatory("10 to 50 letters and digits, each once."),
			},
			reflect.TypeFor[docSignedGrant](): {"meta.status": {Enum: []string{"1"}}},
			reflect.TypeFor[docSignedError](): {"meta.status": {Enum: []string{"0"}}},
		}
	}
	notes := map[reflect.Type]openapi.Notes{
		reflect.TypeFor[docTokenForm](): {
			"grant_type": grants,
			"client_id":  said("The account number, as a rule; or in HTTP Basic."),
		},
		reflect.TypeFor[docOAuthError](): {"error": {Enum: []string{
			"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
			"unsupported_grant_type",
		}}},
	}
	if d == Live {
		notes[reflect.TypeFor[docGrant]()] = openapi.Notes{
			"access_token": said("43 opaque characters (observed)."),
			"token_type":   {Enum: []string{"Bearer"}},
		}
	}
	return notes
}

func adminNotes() map[reflect.Type]openapi.Notes {
	operation := amongst("The operation it strikes, in either version; any if it is left out.",
		Operations()...)
	return map[reflect.Type]openapi.Notes{
		reflect.TypeFor[wireHealth](): {"dialect": {Enum: dialects}},
		reflect.TypeFor[OrderRecord](): {
			"family": {Enum: []string{FamilySSL, FamilyPrivatePKI, FamilySignature, FamilySMIME}},
			"status": said("As version 2 has it, or draft."),
		},
		reflect.TypeFor[Request](): {
			"refusal": said("Why it was refused."),
			"status":  said("Absent if no answer was sent."),
		},
		reflect.TypeFor[wireFault](): {
			"operation": operation, "kind": needed,
			"times":       said("How many calls it strikes; all until it is removed if left out."),
			"skip":        said("How many calls pass before."),
			"probability": said("From 0 to 1; always if it is left out."),
			"status":      said("The HTTP status of kinds that answer an error."),
			"code":        said("Of refusal and refusal-after: such as EMS-1162."),
			"text":        said("Of refusal and refusal-after."),
			"contentType": said("Of middleman and middleman-after."),
			"body":        said("Of middleman and middleman-after."),
			"orderStatus": said("Of wrong-status and other-order."),
			"named":       said("Of wrong-status: with the order's number."),
			"size":        said("Of oversized, in bytes."),
		},
	}
}
