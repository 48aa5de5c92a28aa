// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import "strings"

// The order requests of version 1, spelled from the API facts and not from any
// client. All scalars are strings.

type wireV1Requestor struct {
	RequestorName         string `json:"requestorName"`
	RequestorIsdCode      string `json:"requestorIsdCode"`
	RequestorMobileNumber string `json:"requestorMobileNumber"`
	RequestorEmail        string `json:"requestorEmail"`
	RequestorDesignation  string `json:"requestorDesignation"`
}

type wireV1Delegation struct {
	ContactName string `json:"contactName"`
	Email       string `json:"email"`
	GroupNumber string `json:"groupNumber"` // observed; the text has it on orderDetails
}

type wireV1OrganizationRef struct {
	PreVetting           string `json:"preVetting"`
	OrganizationNumber   string `json:"organizationNumber"`
	PrevettingToken      string `json:"prevettingToken"`
	RepresentativeNumber string `json:"representativeNumber"`
}

type wireV1Subscription struct {
	Validity      string `json:"validity"`
	AutoRenew     string `json:"autoRenew"`
	RenewCriteria string `json:"renewCriteria"`
}

type wireV1Certificate struct {
	DomainName                string   `json:"domainName"`
	AdditionalDomains         []string `json:"additionalDomains"`
	AutoSecureWWW             string   `json:"autoSecureWWW"`
	OrganizationName          string   `json:"organizationName"`
	OrganizationUnit          string   `json:"organizationUnit"`
	StreetAddress1            string   `json:"streetAddress1"`
	StreetAddress2            string   `json:"streetAddress2"`
	Locality                  string   `json:"locality"`
	State                     string   `json:"state"`
	CountryCode               string   `json:"countryCode"`
	PostalCode                string   `json:"postalCode"`
	BusinessCategory          string   `json:"businessCategory"`
	CompanyRegistrationNumber string   `json:"companyRegistrationNumber"`
	DNSType                   string   `json:"dnsType"` // private PKI

	// Of the person whom a certificate is for, beside the address above.
	FirstName                        string `json:"firstName"`
	LastName                         string `json:"lastName"`
	Email                            string `json:"email"`
	IsdCode                          string `json:"isdCode"`
	MobileNumber                     string `json:"mobileNumber"`
	Designation                      string `json:"designation"`
	IdentityDocumentType             string `json:"identityDocumentType"`
	IdentificationNumber             string `json:"identificationNumber"`
	OrganizationIdentificationNumber string `json:"organizationIdentificationNumber"`
	RegisteredID                     string `json:"registeredId"`
}

type wireV1Agreement struct {
	AcceptAgreement string `json:"acceptAgreement"`
	SignerName      string `json:"signerName"`
	SignerPlace     string `json:"signerPlace"`
	SignerIP        string `json:"signerIP"`
}

// wireV1Contact is the technical contact as one client spells it on
// orderDetails.
type wireV1Contact struct {
	Name         string `json:"tpcName"`
	Email        string `json:"tpcEmail"`
	IsdCode      string `json:"tpcIsdCode"`
	MobileNumber string `json:"tpcMobileNumber"`
}

// wireV1InnerContact is the technical contact as the text has it, in
// additionalInformation.
type wireV1InnerContact struct {
	Name         string `json:"pocName"`
	Email        string `json:"pocEmail"`
	IsdCode      string `json:"pocIsdCode"`
	MobileNumber string `json:"pocMobileNumber"`
	Designation  string `json:"pocDesignation"`
}

// wireV1Person is a person that an EV order names.
type wireV1Person struct {
	Name         string `json:"name"`
	Email        string `json:"email"`
	IsdCode      string `json:"isdCode"`
	MobileNumber string `json:"mobileNumber"`
	Designation  string `json:"designation"`
	EmployeeID   string `json:"employeeID"`
}

type wireV1CustomField struct {
	FieldID    string `json:"fieldID"`
	FieldValue string `json:"fieldValue"`
}

type wireV1Additional struct {
	Remarks                 string              `json:"remarks"`
	Tags                    []string            `json:"tags"`
	CustomFields            []wireV1CustomField `json:"customFields"`
	RecipientEmail          string              `json:"recipientEmail"`
	TechnicalPointOfContact *wireV1InnerContact `json:"technicalPointOfContact"`
}

// wireV1Order is the orderDetails of the create verbs. Blocks that a family
// does not have are refused where its order is made.
type wireV1Order struct {
	ProductCode             string                 `json:"productCode"`
	AccountingModel         string                 `json:"accountingModel"`
	SaveAndHold             string                 `json:"saveAndHold"`
	RequestNumber           string                 `json:"requestNumber"`
	EmailNotifications      string                 `json:"emailNotifications"`
	GroupNumber             string                 `json:"groupNumber"`
	RequestorInformation    *wireV1Requestor       `json:"requestorInformation"`
	DelegationInformation   *wireV1Delegation      `json:"delegationInformation"`
	OrganizationDetails     *wireV1OrganizationRef `json:"organizationDetails"`
	SubscriptionDetails     *wireV1Subscription    `json:"subscriptionDetails"`
	CertificateInformation  *wireV1Certificate     `json:"certificateInformation"`
	AutoSecureWWW           string                 `json:"autoSecureWWW"` // as one sample has it
	CSR                     string                 `json:"csr"`
	AgreementDetails        *wireV1Agreement       `json:"agreementDetails"`
	TechnicalPointOfContact *wireV1Contact         `json:"technicalPointOfContact"`
	ContractSignerInfo      *wireV1Person          `json:"contractSignerInfo"`
	CertificateApproverInfo *wireV1Person          `json:"certificateApproverInfo"`
	AdditionalInformation   *wireV1Additional      `json:"additionalInformation"`
}

type wireV1Create struct {
	OrderDetails *wireV1Order `json:"orderDetails"`
}

// wireV1Created is the answer to a create verb. An observed answer spells the
// URL differently from the published one.
type wireV1Created struct {
	RequestNumber string `json:"requestNumber"`
	OrderNumber   string `json:"orderNumber"` // "" for a draft
	TrackingURL   string `json:"trackingURL,omitempty"`
	DocumentedURL string `json:"trackingUrl,omitempty"`
}

// wireV1RequestorOf splits the single number of version 2 again. Where the
// country code ends cannot be told from it, so all of it is the number.
func wireV1RequestorOf(p wireParty) wireV1Requestor {
	return wireV1Requestor{
		RequestorName: p.Name, RequestorEmail: p.Email, RequestorDesignation: p.Designation,
		RequestorMobileNumber: strings.TrimPrefix(p.Phone, "+"),
	}
}
