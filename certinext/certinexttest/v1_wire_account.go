// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

// What the verbs of version 1 that tell of the account are asked with.

type wireV1GroupQuery struct {
	GroupDetails struct {
		GroupNumber string `json:"groupNumber"`
	} `json:"groupDetails"`
}

type wireV1OrganizationQuery struct {
	OrganizationDetails struct {
		OrganizationNumber string `json:"organizationNumber"`
		GroupNumber        string `json:"groupNumber"`
	} `json:"organizationDetails"`
}

type wireV1ProductQuery struct {
	ProductDetails struct {
		GroupNumber string `json:"groupNumber"`
	} `json:"productDetails"`
}

type wireV1FieldQuery struct {
	ProductDetails struct {
		GroupNumber string `json:"groupNumber"`
		CategoryID  string `json:"categoryID"`
		ProductCode string `json:"productCode"`
	} `json:"productDetails"`
}

type wireV1LedgerQuery struct {
	StatementDetails struct {
		GroupNumber string `json:"groupNumber"`
		PageNumber  string `json:"pageNumber"`
		PageSize    string `json:"pageSize"`
	} `json:"statementDetails"`
}
