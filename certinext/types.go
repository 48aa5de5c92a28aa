// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"strings"
	"time"
)

// A Family is one of CERTInext's product families. An order lives under the path of its family, and an id
// asked for under another family's path is answered 404, so a family is stored with every order.
type Family string

// CERTInext's product families.
const (
	FamilySSL        Family = "ssl"         // public TLS server certificates: DV, OV, EV
	FamilyPrivatePKI Family = "private-pki" // certificates of the customer's own CA
	FamilySignature  Family = "signature"   // document signers
	// FamilySMIME is served by version 1 of the API whatever the Client's Version: version 2 has no path for it.
	FamilySMIME Family = "smime"
)

// An APIVersion is one of the two versions of CERTInext's API. Both work on the same orders.
type APIVersion int

// The versions of the API.
const (
	// V2 is the REST API below /api/certinext/v2.
	V2 APIVersion = iota
	// V1 is the API below /emSignHub-API, in which every call carries a signature of its own. It serves accounts whose
	// key is not in OAuth mode.
	V1
)

// A Contact is a person that CERTInext may write to about an order.
type Contact struct {
	Name        string
	Email       string
	Phone       string // E.164, e.g. +14155550123
	Designation string
}

// A Subject is whom a document signer's or an S/MIME certificate is made out to. Email is always needed (documented). What
// else is depends on the product's subject type (inferred): for a natural-person first and last name, for a legal-person
// the same and the organization's name, for a legal-entity the organization's name and identification number.
type Subject struct {
	FirstName                        string
	LastName                         string
	Email                            string
	Phone                            string // E.164, e.g. +14155550123
	Designation                      string
	IdentityDocumentType             string
	IdentificationNumber             string // of the identity document
	StreetAddress1                   string
	StreetAddress2                   string
	Locality                         string
	State                            string
	PostalCode                       string
	CountryCode                      string // ISO 3166-1 alpha-2
	OrganizationName                 string
	OrganizationUnit                 string
	OrganizationIdentificationNumber string
	BusinessCategory                 string
}

// An OrganizationRef names a vetted organization of the account. OV and EV orders need one.
type OrganizationRef struct {
	Number string
	// ConsentToken is the organization's consent token from the portal. With it an order does not stop for
	// a manual consent. Optional.
	ConsentToken Secret
}

// An Agreement is the acceptance of the subscriber agreement.
type Agreement struct {
	SignerName  string
	SignerPlace string
	SignerIP    string // a public address; the live service ignores it, the documented one asks for it
	Accepted    bool
}

// An AccountingModel is how an order is paid for.
type AccountingModel string

// The accounting models. The documentation of version 1 lists cash only; its samples, and live accounts, use credit.
const (
	AccountingCredit AccountingModel = "credit"
	AccountingCash   AccountingModel = "cash"
)

// A CustomField is the value of a field that a product's catalog entry asks for.
type CustomField struct {
	FieldID string
	Value   string
}

// An OrderRequest is everything a new order may say. ProductCode, Variant and Requestor are always needed, and a Domain or
// a Subject; what is zero is left out of the request.
//
// Private PKI has no agreement, organization, delegation, drafts or AutoSecureWWW: the first three are not sent, and a
// draft is refused. Document signers and S/MIME have a Subject instead of a Domain, and no names are sent for them. In
// version 2, a document signer's CSR is refused here and goes to [Client.SubmitCSR], which can say that its key is attested.
type OrderRequest struct {
	Family      Family
	ProductCode string // as the account's catalog lists it
	// Variant is dv, ov or ev for FamilySSL, and intranet-ssl or igtf-host for FamilyPrivatePKI. Whether the product is
	// a wildcard or a multi-domain one follows from ProductCode. For FamilySignature it is the subject's type:
	// natural-person, legal-person or legal-entity.
	Variant string

	Domain            string   // the common name: a DNS name, for private PKI a host name
	AdditionalDomains []string // further names: DNS names, for private PKI IP addresses too
	CSR               string   // PEM; may also be submitted later
	// Attested says that the CSR's key was made in an attested hardware module, as document signers need.
	Attested bool
	// Subject is for FamilySignature and FamilySMIME. Version 1 also takes a private certificate's organization from it.
	Subject *Subject

	Requestor        Contact
	Delegation       *Contact
	TechnicalContact *Contact
	Organization     *OrganizationRef
	Agreement        *Agreement
	GroupNumber      string // the billing group; the account's default group when empty
	// AccountingModel is how a version 1 order is paid: AccountingCredit when empty. Version 2 leaves that to the account.
	AccountingModel AccountingModel

	ValidityYears   int  // length of the subscription, not of the certificate; 1 when zero
	AutoRenew       bool // CERTInext's own default is true, so the value is always sent
	RenewBeforeDays int  // before the end of the subscription; CERTInext's 30 when zero
	AutoSecureWWW   bool // CERTInext's own default is true, so the value is always sent

	EmailNotifications string // "all", "0" for none; the account's setting when empty
	RecipientEmails    []string
	Tags               []string // "name:value"; shown by the orders report only
	Remarks            string   // shown in the portal; semicolons become commas, and at most 500 characters are sent
	CustomFields       []CustomField

	CAProfileID     string // private PKI
	MasterProductID string // private PKI

	// SaveAsDraft places a draft, which gets a request id and no order id. RequestID promotes that draft.
	SaveAsDraft bool
	RequestID   string

	// Extra holds further fields of the create body, merged at its top level; in version 1 into orderDetails and its blocks.
	// A field that this type sends wins.
	Extra map[string]any

	// IdempotencyKey is sent as a header. The documented API replays the first answer to a repeated key; the
	// live API ignores it (observed 2026), so a caller must not rely on it.
	IdempotencyKey string
}

// An Order is what CERTInext says of an order, from placing or from tracking it. The live service leaves most
// fields out when tracking; an absent one is zero.
type Order struct {
	ID        string // opaque; 10 digits on the live service, sometimes with a suffix
	RequestID string // not a key for any call but CancelDraft
	Status    Status
	Domain    string
	// SubjectName is the name that CERTInext made of a document signer's Subject, e.g. "Platform Team" (documented, in the
	// answer to a create).
	SubjectName string

	// OrderState and CertificateState are CERTInext's own display words, e.g. "Order Fulfilled".
	OrderState       string
	CertificateState string

	// CSRSubmitted is nil when CERTInext does not say.
	CSRSubmitted *bool

	ProductCode string    // resolved by CERTInext; only in the answer to a create
	CreatedAt   time.Time // zero when absent
	ExpiresAt   time.Time // of the certificate; zero when absent

	Domains      []DomainVerification
	Organization *OrganizationVerification
	Revocation   *Revocation
	// AgreementSigned is nil when CERTInext does not say.
	AgreementSigned *bool
	// Remark is what an approver wrote when rejecting, or the reason of a cancellation, where served.
	Remark string
}

// A DomainVerification is the state of one domain's control validation within an order. The order's aggregate
// is not offered: it was observed to lag behind and to contradict the single domains.
type DomainVerification struct {
	Domain     string
	Status     string // ACTIVE, INACTIVE, EXPIRED
	DCVMethod  string // empty until verified
	DCVStatus  string // PENDING, VERIFIED, REJECTED
	CAAStatus  string // PASSED, FAILED, SKIPPED
	VerifiedAt time.Time
}

// Verified reports whether the domain's control is validated.
func (d DomainVerification) Verified() bool { return equalFold(d.DCVStatus, "VERIFIED") }

// An OrganizationVerification is the state of the organization's vetting within an order.
type OrganizationVerification struct {
	Name          string
	Status        string
	ConsentStatus string // "0" pending, "1" accepted, "2" declined
	ConsentSentTo string
}

// A Revocation says that and why an order's certificate is revoked.
type Revocation struct {
	Status      string
	Reason      string
	ProcessedAt time.Time
}

// A Status is the state of an order. Stages may be skipped and repeated and come in any order, and new ones may
// appear: a caller decides from the status it sees and waits on one it does not know.
type Status string

// The statuses that CERTInext documents for v2.
const (
	StatusPendingDCV          Status = "pending-dcv"
	StatusPendingCSR          Status = "pending-csr"
	StatusPendingAgreement    Status = "pending-agreement"
	StatusPendingOrganization Status = "pending-organization-verification"
	StatusPendingDocuments    Status = "pending-documents"
	StatusPendingVetting      Status = "pending-vetting" // of a signer's documents; the newer documentation says pending-approval
	StatusPendingApproval     Status = "pending-approval"
	StatusIssued              Status = "issued" // the certificate may still be some seconds away
	StatusRevoked             Status = "revoked"
	StatusCancelled           Status = "cancelled"
	StatusRejected            Status = "rejected"
	StatusExpired             Status = "expired"
	StatusUnknown             Status = "unknown" // CERTInext could not classify the order
	StatusDraft               Status = "draft"   // placed with SaveAsDraft, not yet an order
)

// Known reports whether s is one of the documented statuses.
func (s Status) Known() bool {
	switch s {
	case StatusPendingDCV, StatusPendingCSR, StatusPendingAgreement, StatusPendingOrganization,
		StatusPendingDocuments, StatusPendingVetting, StatusPendingApproval, StatusIssued, StatusRevoked, StatusCancelled,
		StatusRejected, StatusExpired, StatusUnknown, StatusDraft:
		return true
	}
	return false
}

// Terminal reports whether an order with this status will never yield a certificate any more.
func (s Status) Terminal() bool {
	switch s {
	case StatusRevoked, StatusCancelled, StatusRejected, StatusExpired:
		return true
	}
	return false
}

// parseStatus reads a status whatever its case: the case of the live enumerations is not guaranteed to last.
func parseStatus(s string) Status {
	return Status(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), "_", "-"))
}

func equalFold(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), b) }

func upper(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }
