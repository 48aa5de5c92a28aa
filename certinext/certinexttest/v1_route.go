// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import "net/http"

// Collections of version 2, as the Link header of version 1 names them.
const (
	sslCollection     = "/ssl-certificates"
	privateCollection = "/private-pki-certificates"
	signerCollection  = "/signature-certificates"
)

// verb is a route of version 1. All of them are POST with a JSON body, in all
// dialects.
func verb(op, name, successor string, handle func(version1, *call) (reply, *problem)) route {
	return route{
		op: op, method: http.MethodPost, pattern: "/" + name, successor: successor, body: true,
		handle: by(handle),
	}
}

// v1Routes are the verbs of version 1. An operation has the name it has in
// version 2, so that a fault strikes it in both.
func v1Routes() []route {
	return []route{
		verb(OpMe, "ValidateCredentials", "/auth/me", version1.validateCredentials),
		verb(OpCreateSSL, "GenerateOrderSSL", sslCollection, version1.createSSL),
		verb(
			OpCreatePrivatePKI, "GenerateOrderPrivatePKI", privateCollection,
			version1.createPrivatePKI,
		),
		verb(
			OpCreateSignature, "GenerateOrderSignature", signerCollection, version1.createSignature,
		),
		verb(OpCreateSMIME, "GenerateOrderSMIME", signerCollection, version1.createSMIME),
		documentVerb(),
		verb(OpTrack, "TrackOrder", sslCollection, version1.trackOrder),
		verb(OpDCV, "GetDcv", sslCollection, version1.getDCV),
		verifyVerb(),
		verb(OpSubmitCSR, "SubmitCSR", sslCollection, version1.submitCSR),
		verb(OpAgreement, "AgreementAcceptance", sslCollection, version1.acceptAgreement),
		verb(OpCertificate, "GetCertificate", sslCollection, version1.getCertificate),
		verb(OpRevoke, "RevokeOrder", sslCollection, version1.revokeOrder),
		verb(OpCancel, "RejectOrder", sslCollection, version1.rejectOrder),
		verb(OpCancelDraft, "RejectRequest", sslCollection, version1.rejectRequest),
		verb(OpOrdersReport, "GetOrderReport", "/reports/orders", version1.ordersReport),
		verb(OpLedger, "GetLedgerStatementDetails", "/reports/ledger", version1.ledger),
		verb(OpGroups, "GetGroupDetails", "/groups", version1.groupDetails),
		verb(OpGroups, "GetGroupDetailsV2", "/groups", version1.groupDetailsV2),
		verb(
			OpOrganization, "GetOrganizationDetails", "/organizations",
			version1.organizationDetails,
		),
		verb(OpDomains, "GetDomainDetails", "/domains", version1.listDomains),
		verb(OpProducts, "GetProductDetails", "/catalog/products", version1.products),
		verb(OpCustomFields, "GetFieldDetails", "/catalog/products", version1.fields),
	}
}

// documentVerb takes files.
func documentVerb() route {
	rt := verb(OpDocuments, "SubmitDocument", signerCollection, version1.submitDocument)
	rt.maxBody = maxV1Documents * maxV1DocumentSize * 2
	return rt
}

// verifyVerb takes the lock itself, since it looks names up.
func verifyVerb() route {
	rt := verb(OpVerifyDCV, "VerifyDcv", sslCollection, version1.verifyDCV)
	rt.unlocked = true
	return rt
}

// validateCredentials has nothing to say beyond meta.
func (s version1) validateCredentials(c *call) (reply, *problem) {
	if problem := c.decodeV1(&wireNothing{}); problem != nil {
		return reply{}, problem
	}
	return s.success(c, nil)
}
