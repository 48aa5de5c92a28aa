// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

// The request bodies, spelled from the API facts and not from any client. A
// pointer is used where absent and zero differ.

type wireParty struct {
	Name        string `json:"name"`
	Email       string `json:"email"`
	Phone       string `json:"phone"`
	Designation string `json:"designation"`
}

type wireOrganizationRef struct {
	OrganizationNumber string `json:"organizationNumber"`
	PreVetted          bool   `json:"preVetted"`
	PreVettingToken    string `json:"preVettingToken"`
}

type wireCertificateBlock struct {
	Domain            string   `json:"domain"`
	AdditionalDomains []string `json:"additionalDomains"`
	AutoSecureWww     *bool    `json:"autoSecureWww"`
}

type wireSubscription struct {
	ValidityYears   *int  `json:"validityYears"`
	AutoRenew       *bool `json:"autoRenew"`
	RenewBeforeDays *int  `json:"renewBeforeDays"`
}

type wireAgreement struct {
	SignerName  string `json:"signerName"`
	SignerPlace string `json:"signerPlace"`
	SignerIP    string `json:"signerIp"`
	Accepted    bool   `json:"accepted"`
}

type wireCustomField struct {
	FieldID string `json:"fieldId"`
	Value   string `json:"value"`
}

type wireCreateSSL struct {
	ProductVariant          string                `json:"productVariant"`
	EmailNotifications      stringOrList          `json:"emailNotifications"`
	SaveAsDraft             bool                  `json:"saveAsDraft"`
	RequestID               string                `json:"requestId"`
	GroupNumber             string                `json:"groupNumber"`
	Requestor               *wireParty            `json:"requestor"`
	Delegation              *wireParty            `json:"delegation"`
	Organization            *wireOrganizationRef  `json:"organization"`
	Certificate             *wireCertificateBlock `json:"certificate"`
	Subscription            *wireSubscription     `json:"subscription"`
	Agreement               *wireAgreement        `json:"agreement"`
	CSR                     string                `json:"csr"`
	TechnicalPointOfContact *wireParty            `json:"technicalPointOfContact"`
	RecipientEmails         []string              `json:"recipientEmails"`
	Tags                    []string              `json:"tags"`
	CustomFields            []wireCustomField     `json:"customFields"`
	Remarks                 string                `json:"remarks"`
}

type wireCreatePrivatePKI struct {
	Variant                 string            `json:"variant"`
	Hostname                string            `json:"hostname"`
	AdditionalHosts         []string          `json:"additionalHosts"`
	CAProfileID             string            `json:"caProfileId"`
	MasterProductID         string            `json:"masterProductId"`
	EmailNotifications      stringOrList      `json:"emailNotifications"`
	GroupNumber             string            `json:"groupNumber"`
	Requestor               *wireParty        `json:"requestor"`
	Subscription            *wireSubscription `json:"subscription"`
	CSR                     string            `json:"csr"`
	TechnicalPointOfContact *wireParty        `json:"technicalPointOfContact"`
	RecipientEmails         []string          `json:"recipientEmails"`
	Tags                    []string          `json:"tags"`
	CustomFields            []wireCustomField `json:"customFields"`
	Remarks                 string            `json:"remarks"`
}

// wireSubject: the newer documentation has firstName and lastName, the
// published collection givenName and surname.
type wireSubject struct {
	FirstName                        string `json:"firstName"`
	LastName                         string `json:"lastName"`
	GivenName                        string `json:"givenName"`
	Surname                          string `json:"surname"`
	Email                            string `json:"email"`
	Phone                            string `json:"phone"`
	Designation                      string `json:"designation"`
	IdentityDocumentType             string `json:"identityDocumentType"`
	IdentificationNumber             string `json:"identificationNumber"`
	StreetAddress1                   string `json:"streetAddress1"`
	StreetAddress2                   string `json:"streetAddress2"`
	Locality                         string `json:"locality"`
	State                            string `json:"state"`
	PostalCode                       string `json:"postalCode"`
	CountryCode                      string `json:"countryCode"`
	OrganizationName                 string `json:"organizationName"`
	OrganizationUnit                 string `json:"organizationUnit"`
	OrganizationIdentificationNumber string `json:"organizationIdentificationNumber"`
	BusinessCategory                 string `json:"businessCategory"`
}

type wireCreateSignature struct {
	SubjectType             string               `json:"subjectType"`
	Subject                 *wireSubject         `json:"subject"`
	EmailNotifications      stringOrList         `json:"emailNotifications"`
	SaveAsDraft             bool                 `json:"saveAsDraft"`
	RequestID               string               `json:"requestId"`
	GroupNumber             string               `json:"groupNumber"`
	Requestor               *wireParty           `json:"requestor"`
	Delegation              *wireParty           `json:"delegation"`
	Organization            *wireOrganizationRef `json:"organization"`
	Subscription            *wireSubscription    `json:"subscription"`
	Agreement               *wireAgreement       `json:"agreement"`
	CSR                     string               `json:"csr"`
	TechnicalPointOfContact *wireParty           `json:"technicalPointOfContact"`
	RecipientEmails         []string             `json:"recipientEmails"`
	Tags                    []string             `json:"tags"`
	CustomFields            []wireCustomField    `json:"customFields"`
	Remarks                 string               `json:"remarks"`
}

type wireSubmitCSR struct {
	CSR      string `json:"csr"`
	Attested bool   `json:"attested"`
}

type wireAcceptAgreement struct {
	Agreement *wireAgreement `json:"agreement"`
}

type wireVerifyDCV struct {
	Domain string `json:"domain"`
	Method string `json:"method"`
}

type wireReason struct {
	Reason string `json:"reason"`
}

type wireReject struct {
	Reason  string `json:"reason"`
	Remarks string `json:"remarks"`
}

type wireRevoke struct {
	Reason string `json:"reason"`
	Note   string `json:"note"`
}

type wireReissue struct {
	Mode                   string   `json:"mode"`
	Reason                 string   `json:"reason"`
	CSR                    string   `json:"csr"`
	AdditionalDomains      []string `json:"additionalDomains"`
	RevokePrevious         bool     `json:"revokePrevious"`
	RevokeReason           string   `json:"revokeReason"`
	RevokeAllPriorReissues bool     `json:"revokeAllPriorReissues"`
}

// wireToken is the documented token request, client credentials and refresh.
type wireToken struct {
	GrantType     string `json:"grant_type"`
	AccountNumber string `json:"accountNumber"`
	AuthKey       string `json:"authKey"`
	Ver           string `json:"ver"`
	TS            string `json:"ts"`
	Txn           string `json:"txn"`
	RefreshToken  string `json:"refresh_token"`
}

type wireAddDomain struct {
	DomainName     string `json:"domainName"`
	OrganizationID string `json:"organizationId"`
	DCVMethod      string `json:"dcvMethod"`
	SkipCAA        bool   `json:"skipCAA"`
	Mode           string `json:"mode"`
}

type wireDomainMethod struct {
	DCVMethod string `json:"dcvMethod"`
}

type wireNothing struct{}
