// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package rules

// A Rule is what a refusal goes by.
type Rule struct {
	// Name is the rule's own, such as new-key; "" stands for none.
	Name string
	// Source is where it is known from.
	Source string
}

// Of is the rule behind a code, such as EMS-1099, and the zero Rule for a code that no source
// explains.
func Of(code string) Rule {
	for source, codes := range known {
		if name, ok := codes[code]; ok {
			return Rule{name, source}
		}
	}
	return Rule{}
}

// known are the names of rules by code, by their sources. A code that several sources have is with
// the strongest of them.
var known = map[string]map[string]string{
	"seen on the live service":                 liveCodes,
	"the vendor's published collection":        collectionCodes,
	"reported by customers":                    reportedCodes,
	"the vendor's list of codes for version 1": listCodes,
}

var liveCodes = map[string]string{
	"EMS-913":  "account-number",
	"EMS-915":  "product",
	"EMS-918":  "additional-information",
	"EMS-939":  "internal-error",
	"EMS-943":  "order-number",
	"EMS-946":  "certificate-not-ready",
	"EMS-956":  "validation-not-ready",
	"EMS-985":  "order-cancelled",
	"EMS-1073": "organization-number",
	"EMS-1080": "domain-already-verified",
	"EMS-1082": "agreement-already-signed",
	"EMS-1091": "signer-ip",
	"EMS-1099": "new-key",
	"EMS-1162": "product-provisioned",
	"EMS-1165": "certificate-not-issued",
	"EMS-1180": "organization-needed",
	"EMS-1220": "contract-signer-needed",
	"EMS-1221": "certificate-approver-needed",
	"EMS-1269": "product-mapped-to-group",
}

var collectionCodes = map[string]string{
	"DOMAIN-001": "domain-name",
	"DOMAIN-002": "domain-registered-once",
	"EMS-916":    "requestor-needed",
	"EMS-917":    "certificate-information",
	"EMS-919":    "subscription-needed",
	"EMS-920":    "agreement-accepted",
	"EMS-921":    "csr-form",
	"EMS-922":    "csr-matches-order",
	"EMS-930":    "order-cancellable",
	"EMS-931":    "order-issued",
	"EMS-940":    "order-reissuable",
	"EMS-941":    "one-reissue-at-a-time",
	"EMS-964":    "rejection-or-revocation-state",
	"EMS-969":    "certificate-not-revoked",
	"EMS-984":    "order-state",
	"EMS-1063":   "additional-domains-of-product",
	"EMS-1157":   "domain-of-order",
	"EMS-1158":   "validation-method",
	"EMS-1160":   "challenge-not-found",
	"EMS-1161":   "challenge-mismatch",
	"EMS-2006":   "api-key",
	"EMS-2007":   "active-api-key",
	"EMS-2022":   "oauth-mode",
	"EMS-2028":   "token-request-form",
	"EMS-2036":   "token-account",
	"EMS-2037":   "token-signature",
	"EMS-2038":   "refresh-token",
}

var reportedCodes = map[string]string{
	"EMS-1056": "csr-matches-order",
}

var listCodes = map[string]string{
	"EMS-901":  "envelope",
	"EMS-902":  "json",
	"EMS-908":  "transaction-id-needed",
	"EMS-909":  "transaction-id",
	"EMS-910":  "timestamp",
	"EMS-911":  "version",
	"EMS-914":  "product-code-needed",
	"EMS-923":  "requestor-phone",
	"EMS-924":  "requestor-email-needed",
	"EMS-925":  "requestor-email",
	"EMS-942":  "order-number-needed",
	"EMS-947":  "transaction-id-used-once",
	"EMS-952":  "csr-form",
	"EMS-970":  "revocation-reason",
	"EMS-971":  "revocation-remarks-needed",
	"EMS-973":  "certificate-not-revoked",
	"EMS-982":  "certificate-not-expired",
	"EMS-986":  "order-not-rejected",
	"EMS-987":  "certificate-not-generated",
	"EMS-999":  "number-of-documents",
	"EMS-1004": "request-number-needed",
	"EMS-1005": "request-number",
	"EMS-1006": "csr-needed",
	"EMS-1011": "delegation-email",
	"EMS-1016": "recipient-email",
	"EMS-1047": "contact-email",
	"EMS-1057": "domain-name",
	"EMS-1058": "no-wildcard",
	"EMS-1059": "wildcard-needed",
	"EMS-1065": "signature",
	"EMS-1066": "signature-needed",
	"EMS-1068": "csr-submitted-once",
	"EMS-1075": "pre-vetting-value",
	"EMS-1084": "agreement-needed",
	"EMS-1085": "agreement-value-needed",
	"EMS-1086": "signer-place-needed",
	"EMS-1087": "signer-ip-needed",
	"EMS-1088": "signer-name-needed",
	"EMS-1092": "agreement-value",
	"EMS-1105": "auto-secure-www",
	"EMS-1106": "no-file-validation-with-www",
	"EMS-1108": "report-days",
	"EMS-1109": "report-days",
	"EMS-1110": "report-days",
	"EMS-1111": "report-days",
	"EMS-1112": "report-days",
	"EMS-1113": "report-days",
	"EMS-1114": "page-number",
	"EMS-1115": "page-size",
	"EMS-1117": "report-order-status",
	"EMS-1118": "report-order-status",
	"EMS-1119": "search-criteria-needed",
	"EMS-1120": "report-days",
	"EMS-1121": "report-days",
	"EMS-1122": "report-days",
	"EMS-1123": "report-days",
	"EMS-1126": "tag-search",
	"EMS-1128": "tag-form",
	"EMS-1131": "version-needed",
	"EMS-1133": "timestamp-needed",
	"EMS-1134": "organization-number-needed",
	"EMS-1137": "group-number",
	"EMS-1139": "credits",
	"EMS-1145": "tag-name-length",
	"EMS-1146": "tag-name-length",
	"EMS-1148": "tag-value-length",
	"EMS-1159": "validation-method",
	"EMS-1164": "domain-of-order",
	"EMS-1166": "validation-email-needed",
	"EMS-1167": "validation-email",
	"EMS-1169": "request-not-processed",
	"EMS-1173": "additional-domains-of-product",
	"EMS-1203": "custom-field",
	"EMS-1207": "custom-field-value",
	"EMS-1210": "custom-fields-mapped",
	"EMS-1212": "custom-field-needed",
	"EMS-1213": "revocation-remarks",
	"EMS-1214": "pre-vetting-token",
	"EMS-1216": "term",
	"EMS-1217": "auto-renew",
	"EMS-1218": "renew-criteria",
	"EMS-1223": "contract-signer",
	"EMS-1230": "contract-signer",
	"EMS-1232": "certificate-approver",
	"EMS-1239": "certificate-approver",
}
