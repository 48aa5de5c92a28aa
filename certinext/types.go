// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"strings"
	"time"
)

// A Family is one of CERTInext's product families. An order lives under the path of its family, and
// CERTInext answers 404 to an id under another family's path (observed 2026), so a caller stores
// the family with every order. There is no default: an empty Family is refused.
type Family string

// CERTInext's product families.
const (
	// FamilySSL is public TLS server certificates: DV, OV and EV.
	FamilySSL Family = "ssl"
	// FamilyPrivatePKI is certificates of the customer's own CA.
	FamilyPrivatePKI Family = "private-pki"
	// FamilySignature is document signers.
	FamilySignature Family = "signature"
	// FamilySMIME is mail certificates. It is served by version 1 of the API whatever the Client's
	// Version: version 2 has no path for it.
	FamilySMIME Family = "smime"
)

// An APIVersion is one of the two versions of CERTInext's API. Both work on the same orders.
type APIVersion int

// The versions of the API.
const (
	// V2 is the REST API below /api/certinext/v2.
	V2 APIVersion = iota
	// V1 is the API below /emSignHub-API, in which every call carries a signature of its own. It
	// serves accounts whose key is not in OAuth mode.
	V1
)

// A Contact is a person that CERTInext may write to about an order.
type Contact struct {
	// Name is the person's full name. CERTInext answers 400 to a requestor without one
	// (documented).
	Name string
	// Email is the person's address, needed as Name is.
	Email string
	// Phone is a number in the form of E.164, e.g. +14155550123. Optional; version 1 wants the
	// country's code apart, and is sent "1" where a requestor has no number.
	Phone string
	// Designation is the person's title, e.g. "PKI Manager". Optional; version 1 has a
	// place for a requestor's only.
	Designation string
}

// A Subject is the person or organization that a document signer's or an S/MIME certificate is
// issued to. Email is always needed (documented). What else is depends on the product's subject
// type (inferred): for a natural-person first and last name; for a legal-person, who signs for an
// organization, these and the organization's name; for a legal-entity the organization's name and
// identification number. Any other field is optional and left out when empty.
type Subject struct {
	// FirstName and LastName are a person's. The published collection of version 2 calls them
	// givenName and surname, and a Client with an [AccessKey] sends these.
	FirstName string
	LastName  string
	// Email is the subject's address, and for S/MIME what the certificate is for.
	Email string
	// Phone is a number in the form of E.164, e.g. +14155550123.
	Phone string
	// Designation is the person's title within the organization.
	Designation string
	// IdentityDocumentType is CERTInext's name for the kind of document; no source lists the names.
	IdentityDocumentType string
	// IdentificationNumber is the identity document's. It is masked in errors.
	IdentificationNumber string
	// StreetAddress1 and StreetAddress2 are the lines of the address.
	StreetAddress1 string
	StreetAddress2 string
	// Locality is the town.
	Locality string
	// State is the state or province, in words.
	State string
	// PostalCode is as the country writes it.
	PostalCode string
	// CountryCode is two letters of ISO 3166-1.
	CountryCode string
	// OrganizationName is the organization's registered name.
	OrganizationName string
	// OrganizationUnit is a part of the organization.
	OrganizationUnit string
	// OrganizationIdentificationNumber is the number in the organization's register; version 1 is
	// also sent it as registeredId for a legal-entity.
	OrganizationIdentificationNumber string
	// BusinessCategory is as in EV certificates, e.g. "Private Organization".
	BusinessCategory string
}

// An OrganizationRef names a vetted organization of the account. OV and EV orders need one.
type OrganizationRef struct {
	// Number is the organization's, from [Client.Organizations]. Needed.
	Number string
	// ConsentToken is the organization's consent token from the portal. With it an order does not
	// stop for a manual consent (observed 2026). Optional. It is masked in errors.
	ConsentToken Secret
}

// An Agreement is the acceptance of the subscriber agreement.
type Agreement struct {
	// SignerName is the person who accepts.
	SignerName string
	// SignerPlace is the town where the person is; needed in practice (observed 2026).
	SignerPlace string
	// SignerIP is a public address. Version 1 needs one and refuses a loopback one with EMS-1091
	// (observed 2026); the live version 2 ignores it, and the published collection asks for it.
	SignerIP string
	// Accepted is the acceptance itself. False in a create leaves the agreement to
	// [Client.AcceptAgreement], which refuses false.
	Accepted bool
}

// An AccountingModel is how an order is paid for.
type AccountingModel string

// The accounting models. The documentation of version 1 lists cash only; its samples, and live
// accounts, use credit.
const (
	AccountingCredit AccountingModel = "credit"
	AccountingCash   AccountingModel = "cash"
)

// A CustomField is the value of a field that a product's catalog entry asks for.
type CustomField struct {
	// FieldID is [CustomFieldSpec.ID].
	FieldID string
	// Value is one of the Values of the specification where it lists any, and free text otherwise.
	Value string
}

// An OrderRequest is everything a new order may say. ProductCode, Variant and Requestor are always
// needed, and a Domain or a Subject; what is zero is left out of the request.
//
// Private PKI has no agreement, organization, delegation, drafts or AutoSecureWWW: the first three
// are not sent, and a draft is refused. Document signers and S/MIME have a Subject instead of a
// Domain, and no names are sent for them. In version 2, a document signer's CSR is refused here and
// goes to [Client.SubmitCSR], which can say that its key is attested.
type OrderRequest struct {
	// Family is the product's. Needed.
	Family Family
	// ProductCode is the product's, as the account's catalog lists it: see [Client.Products].
	ProductCode string
	// Variant is dv, ov or ev for FamilySSL, and intranet-ssl or igtf-host for FamilyPrivatePKI.
	// Whether the product is a wildcard or a multi-domain one follows from ProductCode. For
	// FamilySignature it is the subject's type: natural-person, legal-person or legal-entity.
	// FamilySMIME has only one and may leave it empty.
	Variant string

	// Domain is the common name: a DNS name, for private PKI a host name. Names of other kinds were
	// observed to leave an order that is never issued, so for FamilySSL they are refused here.
	Domain string
	// AdditionalDomains are further names: DNS names, for private PKI IP addresses too. Products
	// that are not multi-domain ones ignore or refuse them.
	AdditionalDomains []string
	// CSR is in PEM. When empty, [Client.SubmitCSR] brings it later.
	CSR string
	// Attested says that the CSR's key was made in an attested hardware module, as document signers
	// need. No create has a word for it: it is for the caller to pass to [Client.SubmitCSR].
	Attested bool
	// Subject is for FamilySignature and FamilySMIME. Version 1 also takes a private certificate's
	// organization from it.
	Subject *Subject

	// Requestor is the person who orders. Name and Email are needed.
	Requestor Contact
	// Delegation is a second person for the same order; nil for none.
	Delegation *Contact
	// TechnicalContact is the person for technical questions; nil for none. Orders of version 1
	// without one were observed to wait for a registration officer.
	TechnicalContact *Contact
	// Organization is needed for OV and EV (observed 2026: 422 EMS-1180 without). In version 1 a DV
	// order names one to use its validated domains (documented).
	Organization *OrganizationRef
	// Agreement, when accepted here, keeps the order from stopping for it (observed 2026); nil for
	// later.
	Agreement *Agreement
	// GroupNumber is the billing group; when empty, the account's default group.
	GroupNumber string
	// AccountingModel is how a version 1 order is paid for: AccountingCredit when empty. Version 2
	// leaves that to the account, and is not told.
	AccountingModel AccountingModel

	// ValidityYears is the length of the subscription in years, not of the certificate: 1, 2 or 3
	// (documented). Zero is 1.
	ValidityYears int
	// AutoRenew has CERTInext order again before the subscription ends. CERTInext's own default is
	// true (documented), so the value is always sent.
	AutoRenew bool
	// RenewBeforeDays is how many days before the end of the subscription AutoRenew acts. Zero is
	// CERTInext's 30 (documented).
	RenewBeforeDays int
	// AutoSecureWWW adds the name with www. before it. CERTInext's own default is true
	// (documented), so the value is always sent.
	AutoSecureWWW bool

	// EmailNotifications is "all", or "0" for none (observed 2026); when empty, the account's
	// setting holds.
	EmailNotifications string
	// RecipientEmails are further addresses that the mails go to.
	RecipientEmails []string
	// Tags are "name:value" each. Only [Client.OrdersReport] shows them (observed 2026), which
	// makes them the place for a marker of the caller's.
	Tags []string
	// Remarks are shown in the portal. Semicolons become commas, at most 500 characters are sent,
	// and a default when empty: version 1 refuses an order without (documented: EMS-918).
	Remarks string
	// CustomFields are those that the product's catalog entry asks for: see [Client.CustomFields].
	CustomFields []CustomField

	// CAProfileID and MasterProductID choose the CA of a private PKI order in version 2. The
	// published collection needs them; the newer documentation has them override a default.
	CAProfileID     string
	MasterProductID string

	// SaveAsDraft places a draft, which gets a request id and no order id (documented).
	SaveAsDraft bool
	// RequestID is the draft that this request promotes to an order; empty for a new order.
	RequestID string

	// Extra holds further fields of the create body, merged at its top level; in version 1 into
	// orderDetails and its blocks. A field that this type sends wins.
	Extra map[string]any

	// IdempotencyKey is sent as a header in version 2: at most 255 characters of printable ASCII
	// without spaces, a random one when empty. The documented API replays the first answer to a
	// repeated key; the live API ignores it (observed 2026), so a caller must not rely on it.
	IdempotencyKey string
}

// An Order is what CERTInext says of an order, when it is placed or tracked. The live service
// leaves most fields out when tracking (observed 2026); what is absent is zero. Texts are
// CERTInext's, on one line and at most 200 characters long.
type Order struct {
	// ID is opaque: 10 digits on the live service, sometimes with a suffix (observed 2026). Empty
	// for a draft, and when an answer does not say whose it is.
	ID string
	// RequestID is another number of the same order. It is no key for any call but
	// [Client.CancelDraft] and the promotion of a draft.
	RequestID string
	// Status is the order's state, [StatusUnknown] when CERTInext does not say. A create in version
	// 1 never says.
	Status Status
	// Domain is the common name.
	Domain string
	// SubjectName is the name that CERTInext made of a document signer's Subject, e.g. "Platform
	// Team" (documented, in the answer to a create).
	SubjectName string

	// OrderState and CertificateState are CERTInext's own display words, e.g. "Order Fulfilled" and
	// "Certificate Downloaded". Decide by Status.
	OrderState       string
	CertificateState string

	// CSRSubmitted is nil when CERTInext does not say.
	CSRSubmitted *bool

	// ProductCode is the product that CERTInext resolved; only in the answer to a create.
	ProductCode string
	// CreatedAt is when the order was placed, in UTC. The live service leaves it out when tracking
	// (observed 2026).
	CreatedAt time.Time
	// ExpiresAt is the end of the certificate, not of the subscription, in UTC. Zero before there
	// is a certificate.
	ExpiresAt time.Time

	// Domains are the states of the single domains, empty for families without any and for some
	// seconds after a create in version 1 (observed 2026).
	Domains []DomainVerification
	// Organization is nil for orders that need none, and when CERTInext does not say.
	Organization *OrganizationVerification
	// Revocation is nil unless the certificate is revoked.
	Revocation *Revocation
	// Subscription is what the order has bought; nil when CERTInext does not say, as in one
	// production account (observed 2026), and in version 1.
	Subscription *Subscription
	// AgreementSigned is nil when CERTInext does not say.
	AgreementSigned *bool
	// Remark is what an approver wrote when rejecting, or the reason of a cancellation. Empty
	// unless served.
	Remark string
}

// A DomainVerification is the state of one domain's control validation within an order. The order's
// aggregate is not offered: it was observed to lag behind and to contradict the single domains.
type DomainVerification struct {
	// Domain is the DNS name.
	Domain string
	// Status is ACTIVE, INACTIVE or EXPIRED (documented).
	Status string
	// DCVMethod is a [DCVMethod]; empty until the domain is verified (observed 2026).
	DCVMethod string
	// DCVStatus is PENDING, VERIFIED or REJECTED (documented); see [DomainVerification.Verified].
	DCVStatus string
	// CAAStatus is PASSED, FAILED or SKIPPED (documented).
	CAAStatus string
	// VerifiedAt is in UTC; zero until the domain is verified.
	VerifiedAt time.Time
}

// Verified reports whether the domain's control is validated.
func (d DomainVerification) Verified() bool { return equalFold(d.DCVStatus, "VERIFIED") }

// CAAFailed reports whether the domain's CAA records do not let CERTInext issue. A look that was
// not taken yet, SKIPPED, is no failure.
func (d DomainVerification) CAAFailed() bool { return equalFold(d.CAAStatus, "FAILED") }

// An OrganizationVerification is the state of the organization's vetting within an order.
type OrganizationVerification struct {
	// Name is the organization's.
	Name string
	// Status is PENDING, VERIFIED or REJECTED.
	Status string
	// ConsentStatus is "0" pending, "1" accepted or "2" declined (documented).
	ConsentStatus string
	// ConsentSentTo is the address that was asked for consent; empty when a consent token made that
	// unnecessary.
	ConsentSentTo string
}

// A Subscription is the term of an order, within which certificates of a shorter life are issued.
type Subscription struct {
	// EndsAt is in UTC; zero when CERTInext does not say.
	EndsAt time.Time
	// Status is active, expired or cancelled (documented).
	Status string
}

// A Revocation says that and why an order's certificate is revoked.
type Revocation struct {
	// Status is CERTInext's display words, e.g. "Certificate Revoked" (observed 2026).
	Status string
	// Reason is in CERTInext's spelling, which [ParseReason] reads; empty when it does not say.
	Reason string
	// ProcessedAt is in UTC; zero when CERTInext does not say.
	ProcessedAt time.Time
}

// A Status is the state of an order. Stages may be skipped and repeated and come in any order, and
// new ones may appear: a caller decides from the status it sees and waits on one it does not know.
type Status string

// The statuses that CERTInext documents for version 2. The notes say what an order waits for.
const (
	// StatusPendingDCV waits for proof of control of a domain: [Client.DCVChallenge].
	StatusPendingDCV Status = "pending-dcv"
	// StatusPendingCSR waits for [Client.SubmitCSR].
	StatusPendingCSR Status = "pending-csr"
	// StatusPendingAgreement waits for [Client.AcceptAgreement].
	StatusPendingAgreement Status = "pending-agreement"
	// StatusPendingOrganization waits for CERTInext's vetting, or for the organization's consent.
	StatusPendingOrganization Status = "pending-organization-verification"
	// StatusPendingDocuments waits for [Client.SubmitDocuments].
	StatusPendingDocuments Status = "pending-documents"
	// StatusPendingVetting waits for CERTInext to look at a signer's documents. The newer
	// documentation says pending-approval instead.
	StatusPendingVetting Status = "pending-vetting"
	// StatusPendingApproval waits for a person's approval, which may take days.
	StatusPendingApproval Status = "pending-approval"
	// StatusIssued is an order whose certificate may still be some seconds away (observed 2026).
	StatusIssued Status = "issued"
	// StatusRevoked is an order whose certificate was revoked. It is not served any more.
	StatusRevoked Status = "revoked"
	// StatusCancelled is an order that was withdrawn before it was issued.
	StatusCancelled Status = "cancelled"
	// StatusRejected is an order that an approver or CERTInext refused; see [Order.Remark].
	StatusRejected Status = "rejected"
	// StatusExpired is an order whose certificate has run out.
	StatusExpired Status = "expired"
	// StatusUnknown is an order that CERTInext could not classify, or of which an answer says
	// nothing.
	StatusUnknown Status = "unknown"
	// StatusDraft is what was placed with SaveAsDraft and is not yet an order.
	StatusDraft Status = "draft"
)

// Known reports whether s is one of the documented statuses.
func (s Status) Known() bool {
	switch s {
	case StatusPendingDCV, StatusPendingCSR, StatusPendingAgreement, StatusPendingOrganization,
		StatusPendingDocuments, StatusPendingVetting, StatusPendingApproval, StatusIssued,
		StatusRevoked, StatusCancelled,
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

// parseStatus reads a status whatever its case: the case of the live enumerations is not guaranteed
// to last.
func parseStatus(s string) Status {
	return Status(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), "_", "-"))
}

func equalFold(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), b) }

func upper(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }
