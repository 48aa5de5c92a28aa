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
func verb(op, name, successor string, handle func(*Server, *call) (reply, *problem)) route {
	return route{op: op, method: http.MethodPost, pattern: "/" + name, successor: successor, body: true, handle: handle}
}

// v1Routes are the verbs of version 1. An operation has the name it has in
// version 2, so that a fault strikes it in both.
func v1Routes() []route {
	return []route{
		verb(OpMe, "ValidateCredentials", "/auth/me", (*Server).v1ValidateCredentials),
		verb(OpCreateSSL, "GenerateOrderSSL", sslCollection, (*Server).v1CreateSSL),
		verb(OpCreatePrivatePKI, "GenerateOrderPrivatePKI", privateCollection, (*Server).v1CreatePrivatePKI),
		verb(OpCreateSignature, "GenerateOrderSignature", signerCollection, (*Server).v1CreateSignature),
		verb(OpCreateSMIME, "GenerateOrderSMIME", signerCollection, (*Server).v1CreateSMIME),
		documentVerb(),
		verb(OpTrack, "TrackOrder", sslCollection, (*Server).v1TrackOrder),
		verb(OpDCV, "GetDcv", sslCollection, (*Server).v1GetDCV),
		verifyVerb(),
		verb(OpSubmitCSR, "SubmitCSR", sslCollection, (*Server).v1SubmitCSR),
		verb(OpAgreement, "AgreementAcceptance", sslCollection, (*Server).v1AcceptAgreement),
		verb(OpCertificate, "GetCertificate", sslCollection, (*Server).v1GetCertificate),
		verb(OpRevoke, "RevokeOrder", sslCollection, (*Server).v1RevokeOrder),
		verb(OpCancel, "RejectOrder", sslCollection, (*Server).v1RejectOrder),
		verb(OpCancelDraft, "RejectRequest", sslCollection, (*Server).v1RejectRequest),
		verb(OpOrdersReport, "GetOrderReport", "/reports/orders", (*Server).v1OrdersReport),
		verb(OpLedger, "GetLedgerStatementDetails", "/reports/ledger", (*Server).v1Ledger),
		verb(OpGroups, "GetGroupDetails", "/groups", (*Server).v1Groups),
		verb(OpGroups, "GetGroupDetailsV2", "/groups", (*Server).v1GroupsV2),
		verb(OpOrganization, "GetOrganizationDetails", "/organizations", (*Server).v1Organization),
		verb(OpDomains, "GetDomainDetails", "/domains", (*Server).v1Domains),
		verb(OpProducts, "GetProductDetails", "/catalog/products", (*Server).v1Products),
		verb(OpCustomFields, "GetFieldDetails", "/catalog/products", (*Server).v1Fields),
	}
}

// documentVerb takes files.
func documentVerb() route {
	rt := verb(OpDocuments, "SubmitDocument", signerCollection, (*Server).v1SubmitDocument)
	rt.maxBody = maxV1Documents * maxV1DocumentSize * 2
	return rt
}

// verifyVerb takes the lock itself, since it looks names up.
func verifyVerb() route {
	rt := verb(OpVerifyDCV, "VerifyDcv", sslCollection, (*Server).v1VerifyDCV)
	rt.unlocked = true
	return rt
}

// v1ValidateCredentials has nothing to say beyond meta.
func (s *Server) v1ValidateCredentials(c *call) (reply, *problem) {
	if problem := c.decodeV1(&wireNothing{}); problem != nil {
		return reply{}, problem
	}
	return s.v1Success(c, nil)
}
