// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import "slices"

// Operation names, as counted by [Server.Calls] and matched by
// [Fault.Operation]. An operation has one name whatever the product family.
const (
	OpToken            = "token"
	OpCreateSSL        = "create-ssl"
	OpCreatePrivatePKI = "create-private-pki"
	OpCreateSignature  = "create-signature"
	OpCreateSMIME      = "create-smime"
	OpTrack            = "track"
	OpDCV              = "dcv"
	OpVerifyDCV        = "verify-dcv"
	OpSubmitCSR        = "submit-csr"
	OpAgreement        = "agreement"
	OpDocuments        = "documents"
	OpCertificate      = "certificate"
	OpCancel           = "cancel"
	OpReject           = "reject"
	OpCancelDraft      = "cancel-draft"
	OpRevoke           = "revoke"
	OpReissue          = "reissue"
	OpMe               = "me"
	OpGroups           = "groups"
	OpOrganizations    = "organizations"
	OpOrganization     = "organization"
	OpProducts         = "products"
	OpCustomFields     = "custom-fields"
	OpDomains          = "domains"
	OpDomain           = "domain"
	OpAddDomain        = "add-domain"
	OpDomainDCV        = "domain-dcv"
	OpDomainDCVMethod  = "domain-dcv-method"
	OpVerifyDomain     = "verify-domain"
	OpDomainAttempts   = "domain-attempts"
	OpDeactivateDomain = "deactivate-domain"
	OpOrdersReport     = "orders-report"
	OpLedger           = "ledger"
)

// Operations returns the names of all operations, in alphabetical order.
func Operations() []string {
	var all []string
	for _, r := range routes {
		all = append(all, r.op)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Product families, as [OrderRecord.Family] spells them.
const (
	FamilySSL        = "ssl"
	FamilyPrivatePKI = "private-pki"
	FamilySignature  = "signature"
	FamilySMIME      = "smime"
)
