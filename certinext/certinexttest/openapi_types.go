// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

// The forms of answers that are put together without a type of their own. They are there for the
// OpenAPI document, which the answers of all tests are held against.

type docMeLive struct {
	AccountNumber string `json:"accountNumber"`
	AuthType      string `json:"authType"`
}

type docMeDocumented struct {
	AppCode       string `json:"appCode"`
	AccountID     string `json:"accountId"`
	AccountUserID string `json:"accountUserId"`
	AuthType      string `json:"authType"`
}

type docGrant struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int    `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
}

type docSignedGrant struct {
	Meta struct {
		Status string `json:"status"`
		TS     string `json:"ts"`
		Txn    string `json:"txn"`
	} `json:"meta"`
	TokenDetails struct {
		AccessToken  string `json:"accessToken"`
		TokenType    string `json:"tokenType"`
		ExpiresIn    int    `json:"expiresIn"`
		RefreshToken string `json:"refreshToken"`
	} `json:"tokenDetails"`
}

// docTokenForm is the form of a live token request, whose members are strings all.
type docTokenForm struct {
	GrantType    string `json:"grant_type"`
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope"`
}

type docOAuthError struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

type docSignedError struct {
	Meta struct {
		Status       string `json:"status"`
		TS           string `json:"ts"`
		ErrorCode    string `json:"errorCode"`
		ErrorMessage string `json:"errorMessage"`
	} `json:"meta"`
}

type docProblem struct {
	Type     string       `json:"type"`
	Title    string       `json:"title"`
	Status   int          `json:"status"`
	Detail   string       `json:"detail"`
	Instance string       `json:"instance"`
	Errors   []fieldError `json:"errors,omitempty"`

	Diagnostics      *docDiagnostics `json:"diagnostics,omitempty"`
	ExistingDomainID string          `json:"existingDomainId,omitempty"`
}

type docProblemDocumented struct {
	docProblem
	Code string `json:"code"`
}

type docSpringError struct {
	Timestamp string `json:"timestamp"`
	Status    int    `json:"status"`
	Error     string `json:"error"`
	Message   string `json:"message"`
	Path      string `json:"path"`
}

type docGroups struct {
	Groups []wireGroup `json:"groups"`
}

type docOrganizations struct {
	Organizations []wireOrganization `json:"organizations"`
}

type docOrganization struct {
	OrganizationNumber         string              `json:"organizationNumber"`
	OrganizationName           string              `json:"organizationName"`
	OrganizationStreetAddress1 string              `json:"organizationStreetAddress1"`
	OrganizationStreetAddress2 string              `json:"organizationStreetAddress2"`
	OrganizationLocality       string              `json:"organizationLocality"`
	OrganizationStateCode      string              `json:"organizationStateCode"`
	OrganizationStateName      string              `json:"organizationStateName"`
	OrganizationCountryCode    string              `json:"organizationCountryCode"`
	OrganizationPostalCode     string              `json:"organizationPostalCode"`
	OrganizationStatusID       string              `json:"organizationStatusId"`
	BusinessCategoryID         string              `json:"businessCategoryId"`
	ValidationFor              string              `json:"validationFor"`
	ValidationStatusID         string              `json:"validationStatusId"`
	Domains                    []string            `json:"domains"`
	OrgRepresentatives         []docRepresentative `json:"orgRepresentatives"`
}

type docOrganizationV2 struct {
	docOrganization
	SubscriberAgreement struct {
		Signed      bool   `json:"signed"`
		SignerName  string `json:"signerName,omitempty"`
		SignedPlace string `json:"signedPlace,omitempty"`
		SignedDate  string `json:"signedDate,omitempty"`
	} `json:"subscriberAgreement"`
}

type docOrganizationV1 struct {
	docOrganization
	PrevettingToken     string `json:"prevettingToken"`
	OrganizationStateID string `json:"organizationStateId"`
	SubscriberAgreement struct {
		Status      string `json:"status"`
		SignerName  string `json:"signerName"`
		SignedPlace string `json:"signedPlace"`
		SignedDate  string `json:"signedDate"`
	} `json:"subscriberAgreement"`
}

type docRepresentative struct {
	Name                 string `json:"name"`
	EmailID              string `json:"emailId"`
	IsdCode              string `json:"isdCode"`
	MobileNumber         string `json:"mobileNumber"`
	Designation          string `json:"designation"`
	RepresentativeNumber string `json:"representativeNumber"`
}

type docProducts struct {
	Products []wireCategory `json:"products"`
}

type docCustomFields struct {
	CustomFields []docFieldBlocks `json:"customFields"`
}

type docFieldBlocks struct {
	CertificateInformation []any                 `json:"certificateInformation"`
	AdditionalInformation  []wireCustomFieldInfo `json:"additionalInformation"`
}

type docReissued struct {
	OrderID     string `json:"orderId"`
	RequestID   string `json:"requestId"`
	Status      string `json:"status"`
	Mode        string `json:"mode"`
	RequestedAt string `json:"requestedAt"`
}

type docPage struct {
	Page          int `json:"page"`
	Size          int `json:"size"`
	TotalElements int `json:"totalElements"`
	TotalPages    int `json:"totalPages"`
}

type docReport struct {
	docPage
	Content []wireReportRow `json:"content"`
}

type docLedger struct {
	docPage
	Content []any `json:"content"`
}

type docDomains struct {
	docPage
	Content []wireDomainRow `json:"content"`
}

type docAttempts struct {
	docPage
	Content []docAttempt `json:"content"`
}
