// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"maps"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/openapi"
)

// describeV2 describes the operations of version 2 by their names, or by method and path.
func describeV2(d Dialect) map[string]description {
	all := map[string]description{OpToken: describeToken(d)}
	for _, part := range []map[string]description{
		describeCreates(), describeOrders(d), describeEndings(), describeAccount(d),
		describeReports(d), describeDomains(d),
	} {
		maps.Copy(all, part)
	}
	return all
}

// byDialect chooses between two types of an answer.
func byDialect(d Dialect, live, documented any) any {
	if d == Documented {
		return documented
	}
	return live
}

const (
	conflictingKey = "The Idempotency-Key was used before with another body; where keys count " +
		"(`Idempotency`)."
	unknownOrder = "The order is unknown, or of another family (observed)."
	orderID      = "The order's id: digits in the live dialect, perhaps with a suffix such as " +
		"R007 (observed), ord_… in the documented one."
)

var orderName = map[string]string{"id": orderID}

func describeToken(d Dialect) description {
	switch d {
	case Documented:
		return description{
			summary: "Exchange a signature for a token",
			about: "`authKey` is the hexadecimal SHA-256 of access key, `ts` and `txn` " +
				"(documented; an older edition, which the service no longer speaks).",
			takes: wireToken{}, gives: map[int]given{200: gives("A token.", docSignedGrant{})},
		}
	case V1:
		return description{
			summary: "Exchange credentials for a token",
			about:   "An account whose key is not in OAuth mode is refused (observed).",
			takes:   docTokenForm{}, sloppy: true,
		}
	}
	return description{
		summary: "Exchange credentials for a token",
		about: "The credentials stand in the form or in HTTP Basic. A refresh token is good " +
			"once, " +
			"and its access token dies with it (documented).",
		takes: docTokenForm{}, sloppy: true,
		gives: map[int]given{200: gives("A token, of one hour by default.", docGrant{})},
	}
}

func describeCreates() map[string]description {
	created := map[int]given{201: gives("The order, or with saveAsDraft the draft, which has a "+
		"requestId and no orderId.", wireCreated{})}
	conflict := conflictingKey
	return map[string]description{
		OpCreateSSL: {
			summary: "Place an SSL order, or keep or promote a draft", takes: wireCreateSSL{},
			about: "It costs money as soon as it is taken. A draft is promoted by its requestId.",
			gives: created, refuses: map[int]string{
				409: conflict, 422: "EMS-915 the product does not fit, EMS-917 a name or the CSR " +
					"does not, EMS-918 a custom field or remarks are missing, EMS-1180 OV and EV " +
					"need an organization (observed).",
			},
		},
		OpCreatePrivatePKI: {
			summary: "Place an order with the customer's own CA", takes: wireCreatePrivatePKI{},
			about: "There are no drafts, no domain control and no agreement.",
			gives: created, refuses: map[int]string{
				409: conflict,
				422: "EMS-915 the product or the CA profile does not fit, EMS-917 a name does not.",
			},
		},
		OpCreateSignature: {
			summary: "Place an order for a document signer, or keep or promote a draft",
			takes:   wireCreateSignature{}, gives: created, refuses: map[int]string{
				409: conflict, 422: "EMS-915 the product does not fit, or the key is not attested.",
			},
		},
		OpReissue: {
			summary: "Start another certificate within an issued order", takes: wireReissue{},
			about: "The order keeps its id and gets another requestId (published; no client was " +
				"seen to call it).",
			names: orderName, gives: map[int]given{201: gives("It began.", docReissued{})},
			refuses: map[int]string{
				404: unknownOrder, 409: conflict,
				422: "EMS-940 not issued, EMS-941 one is under way, EMS-1063 the product " +
					"takes no " +
					"further names.",
			},
		},
	}
}

func describeOrders(d Dialect) map[string]description {
	lost := map[int]string{404: unknownOrder}
	return map[string]description{
		OpTrack: {
			summary: "What has become of an order", names: orderName, refuses: lost,
			gives: map[int]given{200: gives("Its state.",
				byDialect(d, wireLiveTrack{}, wireDocumentedTrack{}))},
		},
		OpSubmitCSR: {
			summary: "Hand in the CSR", takes: wireSubmitCSR{}, names: orderName,
			about: "In the live dialect at any time before issuance (observed), in the " +
				"documented " +
				"one once the order is pending-csr.",
			gives: map[int]given{204: gives("It is taken.")},
			refuses: map[int]string{
				404: unknownOrder,
				422: "EMS-917, EMS-921 or EMS-922 it does not fit, EMS-984 one was handed in.",
			},
		},
		OpCertificate: {
			summary: "Download the newest certificate", names: orderName,
			about: "PKCS#7 cannot be had; the documented format=pkcs7 is an alias of der. " +
				"What was " +
				"revoked is no longer served (observed of one client).",
			query: openapi.Notes{"format": {
				About: "Overrides Accept.", Enum: []string{"pem", "der", "pkcs7"},
			}},
			gives: map[int]given{200: {
				about: "As JSON, PEM or DER, by Accept.",
				v:     []any{byDialect(d, wireLiveCertificate{}, wireDocumentedCertificate{})},
				files: []string{typePEM, typeDER},
			}},
			refuses: map[int]string{
				404: unknownOrder, 422: "EMS-1165 not yet issued, EMS-969 revoked.",
			},
		},
		OpDCV: {
			summary: "What to publish for a name", names: orderName,
			query: openapi.Notes{
				"domain": {
					About:    "The name. The live dialect takes the first that is open.",
					Required: d == Documented,
				},
				"method": {About: "dns-txt by default.", Enum: methods},
			},
			about: "Which of the forms is answered is the knob dcvShape.",
			gives: map[int]given{200: gives("The challenge.", docChallengeLive{},
				docChallengeDoc1{}, docChallengeDoc2{}, docChallengeRecord{}, docChallengeFile{})},
			refuses: map[int]string{
				404: unknownOrder,
				422: "EMS-1080 the name is verified (observed), EMS-1157 it is not the order's, " +
					"EMS-1158 there is no such method.",
			},
		},
		OpVerifyDCV: {
			summary: "Have the CA look for what was published", takes: wireVerifyDCV{},
			names: orderName, gives: map[int]given{
				200: gives("It was seen (live).", docVerified{}),
				204: gives("It was seen, now (documented) or before."),
			},
			refuses: map[int]string{
				404: unknownOrder,
				422: "EMS-1160 or EMS-1161 it was not, with diagnostics in the live dialect; " +
					"EMS-1080 the name is verified.",
			},
		},
		OpAgreement: {
			summary: "Accept the subscriber agreement", takes: wireAcceptAgreement{},
			names: orderName, gives: map[int]given{204: gives("It is signed.")},
			refuses: map[int]string{
				404: unknownOrder, 409: conflictingKey,
				422: "EMS-984 the order is not pending-agreement, EMS-920 not accepted.",
			},
		},
		OpDocuments: {
			summary: "Documents of a signer, which version 2 does not take", names: orderName,
			refuses: map[int]string{501: "Always: SubmitDocument of version 1 does (documented)."},
		},
	}
}

func describeEndings() map[string]description {
	done := map[int]given{204: gives("It is done.")}
	return map[string]description{
		OpCancel: {
			summary: "Withdraw an order that is not issued", takes: wireReason{}, gives: done,
			names: orderName,
			refuses: map[int]string{
				404: unknownOrder, 409: conflictingKey, 422: "EMS-930: it is issued, or has ended.",
			},
		},
		OpReject: {
			summary: "Reject an order that is not issued", takes: wireReject{}, gives: done,
			names: orderName, about: "In the service's own document; no client was seen to " +
				"call it.",
			refuses: map[int]string{
				404: unknownOrder, 409: conflictingKey, 422: "EMS-930: it is issued, or has ended.",
			},
		},
		OpCancelDraft: {
			summary: "Discard a draft", takes: wireReason{}, gives: done,
			names: map[string]string{"id": "The draft's requestId."},
			refuses: map[int]string{
				404: "There is no such request.", 409: conflictingKey,
				422: "EMS-930: it was ordered or discarded.",
			},
		},
		OpRevoke: {
			summary: "Revoke all certificates of an order", takes: wireRevoke{}, gives: done,
			names: orderName,
			about: "The reasons are those of the dialect. Of the live ones, SSL orders take " +
				"five, " +
				"and a note must not have a semicolon (observed).",
			refuses: map[int]string{
				404: unknownOrder + " Live: also one that is not issued or revoked already " +
					"(observed).",
				409: conflictingKey,
				422: "The reason or the note is not taken; documented: EMS-931 not issued, " +
					"EMS-964 revoked already.",
			},
		},
	}
}
