// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

// The bodies of a create. Fields without omitempty are always sent.

type wireContact struct {
	Name        string `json:"name"`
	Email       string `json:"email"`
	Phone       string `json:"phone,omitempty"`
	Designation string `json:"designation,omitempty"`
}

func newWireContact(c *Contact) *wireContact {
	if c == nil {
		return nil
	}
	return &wireContact{Name: c.Name, Email: c.Email, Phone: c.Phone, Designation: c.Designation}
}

type wireOrganization struct {
	Number    string `json:"organizationNumber"`
	PreVetted bool   `json:"preVetted"`
	Token     string `json:"preVettingToken,omitempty"`
}

func newWireOrganization(o *OrganizationRef) *wireOrganization {
	if o == nil {
		return nil
	}
	return &wireOrganization{Number: o.Number, PreVetted: true, Token: o.ConsentToken.Reveal()}
}

type wireCertificateNames struct {
	Domain            string   `json:"domain"`
	AdditionalDomains []string `json:"additionalDomains,omitempty"`
	AutoSecureWWW     bool     `json:"autoSecureWww"` // the server's default is true (documented)
}

type wireSubscription struct {
	ValidityYears   int  `json:"validityYears"`
	AutoRenew       bool `json:"autoRenew"` // the server's default is true (documented)
	RenewBeforeDays int  `json:"renewBeforeDays,omitempty"`
}

func newWireSubscription(r OrderRequest) wireSubscription {
	return wireSubscription{
		ValidityYears: max(r.ValidityYears, 1), AutoRenew: r.AutoRenew,
		RenewBeforeDays: r.RenewBeforeDays,
	}
}

// The error that CERTInext gives for a bad agreement names the block agreementDetails; the field is
// still agreement (observed 2026).
type wireAgreement struct {
	SignerName  string `json:"signerName"`
	SignerPlace string `json:"signerPlace"`
	SignerIP    string `json:"signerIp,omitempty"`
	Accepted    bool   `json:"accepted"`
}

func newWireAgreement(a *Agreement) *wireAgreement {
	if a == nil {
		return nil
	}
	return &wireAgreement{
		SignerName: a.SignerName, SignerPlace: a.SignerPlace, SignerIP: a.SignerIP,
		Accepted: a.Accepted,
	}
}

type wireCustomField struct {
	FieldID string `json:"fieldId"`
	Value   string `json:"value"`
}

// wireCommon is what the create bodies of all families share.
type wireCommon struct {
	EmailNotifications string            `json:"emailNotifications,omitempty"`
	GroupNumber        string            `json:"groupNumber,omitempty"`
	Requestor          *wireContact      `json:"requestor"`
	Subscription       wireSubscription  `json:"subscription"`
	CSR                string            `json:"csr,omitempty"`
	TechnicalContact   *wireContact      `json:"technicalPointOfContact,omitempty"`
	RecipientEmails    []string          `json:"recipientEmails,omitempty"`
	Tags               []string          `json:"tags,omitempty"`
	CustomFields       []wireCustomField `json:"customFields,omitempty"`
	Remarks            string            `json:"remarks"` // version 1 needs one (EMS-918)
}

func newWireCommon(r OrderRequest) wireCommon {
	w := wireCommon{
		EmailNotifications: r.EmailNotifications,
		GroupNumber:        r.GroupNumber,
		Requestor:          newWireContact(&r.Requestor),
		Subscription:       newWireSubscription(r),
		CSR:                r.CSR,
		TechnicalContact:   newWireContact(r.TechnicalContact),
		RecipientEmails:    r.RecipientEmails,
		Tags:               r.Tags,
		Remarks:            freeText(r.Remarks, defaultRemarks, maxRemarks),
	}
	for _, f := range r.CustomFields {
		w.CustomFields = append(w.CustomFields, wireCustomField(f))
	}
	return w
}

// wirePublic is the part that a private PKI order does not have.
type wirePublic struct {
	SaveAsDraft  bool              `json:"saveAsDraft,omitempty"`
	RequestID    string            `json:"requestId,omitempty"`
	Delegation   *wireContact      `json:"delegation,omitempty"`
	Organization *wireOrganization `json:"organization,omitempty"`
	Agreement    *wireAgreement    `json:"agreement,omitempty"`
}

func newWirePublic(r OrderRequest) wirePublic {
	return wirePublic{
		SaveAsDraft:  r.SaveAsDraft,
		RequestID:    r.RequestID,
		Delegation:   newWireContact(r.Delegation),
		Organization: newWireOrganization(r.Organization),
		Agreement:    newWireAgreement(r.Agreement),
	}
}

type wireSSLOrder struct {
	ProductVariant string               `json:"productVariant"`
	Certificate    wireCertificateNames `json:"certificate"`
	wireCommon
	wirePublic
}

type wirePrivatePKIOrder struct {
	Variant         string   `json:"variant"`
	Hostname        string   `json:"hostname"`
	AdditionalHosts []string `json:"additionalHosts,omitempty"`
	CAProfileID     string   `json:"caProfileId,omitempty"`
	MasterProductID string   `json:"masterProductId,omitempty"`
	wireCommon
}

type wireSignatureOrder struct {
	SubjectType string       `json:"subjectType"`
	Subject     *wireSubject `json:"subject,omitempty"`
	wireCommon
	wirePublic
}

// The bodies of the other calls on an order.

type wireCSR struct {
	CSR      string `json:"csr"`
	Attested bool   `json:"attested"`
}

type wireAcceptance struct {
	Agreement *wireAgreement `json:"agreement"`
}

type wireCancellation struct {
	Reason string `json:"reason"`
}

type wireRevocation struct {
	Reason string `json:"reason"`
	Note   string `json:"note"`
}

type wireReissue struct {
	Mode              string   `json:"mode"` // rekey, update-sans
	Reason            string   `json:"reason"`
	CSR               string   `json:"csr"`
	AdditionalDomains []string `json:"additionalDomains,omitempty"`
	RevokePrevious    bool     `json:"revokePrevious"`
	RevokeReason      string   `json:"revokeReason,omitempty"`
}

// wireOrder is the answer to a create and to tracking. The links that the published collection
// shows were observed to be absent, and are not read.
type wireOrder struct {
	OrderID             text   `json:"orderId"`
	RequestID           text   `json:"requestId"`
	Status              text   `json:"status"`
	Domain              text   `json:"domain"`
	Hostname            text   `json:"hostname"`           // private PKI
	SubjectDisplayName  text   `json:"subjectDisplayName"` // document signers
	OrderState          text   `json:"orderState"`
	CertificateState    text   `json:"certificateState"`
	CSRSubmitted        flag   `json:"csrSubmitted"`
	ResolvedProductCode text   `json:"resolvedProductCode"`
	ProductCode         text   `json:"productCode"`
	CreatedAt           moment `json:"createdAt"`
	ExpiresAt           moment `json:"expiresAt"`
	// No source names the field in which an approver's words are served; these are read if they are
	// there.
	RejectionReason    text `json:"rejectionReason"`
	RejectRemarks      text `json:"rejectRemarks"`
	CancellationReason text `json:"cancellationReason"`
	CancelReason       text `json:"cancelReason"`
	Rejection          object[struct {
		Reason  text `json:"reason"`
		Remarks text `json:"remarks"`
	}] `json:"rejection"`
	SubscriberAgree object[struct {
		Signed flag `json:"signed"`
	}] `json:"subscriberAgreement"`
	Verifications object[struct {
		Domain object[struct {
			Domains list[object[wireDomainVerification]] `json:"domains"`
		}] `json:"domain"`
		Organization object[wireOrganizationVerification] `json:"organization"`
	}] `json:"verifications"`
	Subscription object[struct {
		EndDate moment `json:"endDate"`
		Status  text   `json:"status"`
	}] `json:"subscription"`
	Revocation object[struct {
		Status      text   `json:"status"`
		Reason      text   `json:"reason"`
		ProcessedAt moment `json:"processedAt"`
	}] `json:"revocation"`
}

type wireDomainVerification struct {
	Domain       text   `json:"domain"`
	DomainStatus text   `json:"domainStatus"`
	DCVMethod    text   `json:"dcvMethod"`
	DCVStatus    text   `json:"dcvStatus"`
	CAAStatus    text   `json:"caaStatus"`
	VerifiedAt   moment `json:"verifiedAt"`
}

type wireOrganizationVerification struct {
	Name          text `json:"organizationName"`
	Status        text `json:"status"`
	ConsentStatus text `json:"consentStatus"`
	ConsentSentTo text `json:"consentSentTo"`
}

func decodeOrder(body []byte) (*Order, error) {
	var w wireOrder
	if err := unmarshalObject(body, &w); err != nil {
		return nil, err
	}
	return w.order(), nil
}

// decodeOrderOf is decodeOrder for an answer about an order that has an id.
func decodeOrderOf(body []byte, id string) (*Order, error) {
	var w wireOrder
	if err := unmarshalObject(body, &w); err != nil {
		return nil, err
	}
	return w.order(), namesOrder(w.OrderID, id)
}

func (w wireOrder) order() *Order {
	o := &Order{
		ID:               safeID(w.OrderID),
		RequestID:        safeID(w.RequestID),
		Status:           parseStatus(words(w.Status)),
		Domain:           hostName(text(first(w.Domain, w.Hostname))),
		SubjectName:      words(w.SubjectDisplayName),
		OrderState:       words(w.OrderState),
		CertificateState: words(w.CertificateState),
		CSRSubmitted:     w.CSRSubmitted.pointer(),
		ProductCode:      words(text(first(w.ResolvedProductCode, w.ProductCode))),
		CreatedAt:        w.CreatedAt.Time,
		ExpiresAt:        w.ExpiresAt.Time,
		AgreementSigned:  w.SubscriberAgree.value.Signed.pointer(),
		Remark: words(text(first(
			w.RejectionReason, w.RejectRemarks, w.Rejection.value.Reason, w.Rejection.value.Remarks,
			w.CancellationReason, w.CancelReason,
		))),
	}
	verifications := w.Verifications.value
	for _, d := range verifications.Domain.value.Domains {
		o.Domains = append(o.Domains, d.value.verification())
	}
	if v := verifications.Organization; v.set {
		o.Organization = &OrganizationVerification{
			Name: words(v.value.Name), Status: words(v.value.Status),
			ConsentStatus: words(v.value.ConsentStatus),
			ConsentSentTo: words(v.value.ConsentSentTo),
		}
	}
	if v := w.Subscription; v.set {
		o.Subscription = &Subscription{
			EndsAt: v.value.EndDate.Time, Status: words(v.value.Status),
		}
	}
	if v := w.Revocation; v.set {
		o.Revocation = &Revocation{
			Status: words(v.value.Status), Reason: words(v.value.Reason),
			ProcessedAt: v.value.ProcessedAt.Time,
		}
	}
	return o
}

func (d wireDomainVerification) verification() DomainVerification {
	return DomainVerification{
		Domain: hostName(d.Domain), Status: words(d.DomainStatus), DCVMethod: words(d.DCVMethod),
		DCVStatus: words(d.DCVStatus), CAAStatus: words(d.CAAStatus), VerifiedAt: d.VerifiedAt.Time,
	}
}

// wireSubject is a subject in both spellings. A person's names are firstName and lastName in the
// newer documentation, which is taken for the live service's, and givenName and surname in the
// published collection, whose one sample shows no fields beyond these two, email and countryCode.
type wireSubject struct {
	FirstName                        string `json:"firstName,omitempty"`
	LastName                         string `json:"lastName,omitempty"`
	GivenName                        string `json:"givenName,omitempty"`
	Surname                          string `json:"surname,omitempty"`
	Email                            string `json:"email"`
	Phone                            string `json:"phone,omitempty"`
	Designation                      string `json:"designation,omitempty"`
	IdentityDocumentType             string `json:"identityDocumentType,omitempty"`
	IdentificationNumber             string `json:"identificationNumber,omitempty"`
	StreetAddress1                   string `json:"streetAddress1,omitempty"`
	StreetAddress2                   string `json:"streetAddress2,omitempty"`
	Locality                         string `json:"locality,omitempty"`
	State                            string `json:"state,omitempty"`
	PostalCode                       string `json:"postalCode,omitempty"`
	CountryCode                      string `json:"countryCode,omitempty"`
	OrganizationName                 string `json:"organizationName,omitempty"`
	OrganizationUnit                 string `json:"organizationUnit,omitempty"`
	OrganizationIdentificationNumber string `json:"organizationIdentificationNumber,omitempty"`
	BusinessCategory                 string `json:"businessCategory,omitempty"`
}

func newWireSubject(s *Subject, d dialect) *wireSubject {
	if s == nil {
		return nil
	}
	w := &wireSubject{
		Email: s.Email, Phone: s.Phone, Designation: s.Designation,
		IdentityDocumentType: s.IdentityDocumentType, IdentificationNumber: s.IdentificationNumber,
		StreetAddress1: s.StreetAddress1, StreetAddress2: s.StreetAddress2, Locality: s.Locality,
		State:      s.State,
		PostalCode: s.PostalCode, CountryCode: s.CountryCode,
		OrganizationName: s.OrganizationName, OrganizationUnit: s.OrganizationUnit,
		OrganizationIdentificationNumber: s.OrganizationIdentificationNumber,
		BusinessCategory:                 s.BusinessCategory,
	}
	if d == documented {
		w.GivenName, w.Surname = s.FirstName, s.LastName
	} else {
		w.FirstName, w.LastName = s.FirstName, s.LastName
	}
	return w
}
