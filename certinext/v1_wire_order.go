// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// wireV1Order is the block of a create. Where the published collection disagrees with itself or
// with what clients send, the spelling is the one that was observed to work.
type wireV1Order struct {
	ProductCode        string              `json:"productCode"`
	AccountingModel    string              `json:"accountingModel"`
	SaveAndHold        string              `json:"saveAndHold"`
	RequestNumber      string              `json:"requestNumber,omitempty"`
	EmailNotifications string              `json:"emailNotifications,omitempty"`
	GroupNumber        string              `json:"groupNumber,omitempty"`
	Requestor          wireV1Requestor     `json:"requestorInformation"`
	Delegation         *wireV1Delegation   `json:"delegationInformation,omitempty"`
	Organization       *wireV1Organization `json:"organizationDetails,omitempty"`
	Subscription       wireV1Subscription  `json:"subscriptionDetails"`
	Certificate        any                 `json:"certificateInformation"`
	CSR                string              `json:"csr,omitempty"`
	Agreement          *wireV1Agreement    `json:"agreementDetails,omitempty"`
	TechnicalContact   *wireV1TechContact  `json:"technicalPointOfContact,omitempty"`
	Additional         wireV1Additional    `json:"additionalInformation"`
}

type wireV1Requestor struct {
	Name        string `json:"requestorName"`
	ISDCode     string `json:"requestorIsdCode"`
	Mobile      string `json:"requestorMobileNumber"`
	Email       string `json:"requestorEmail"`
	Designation string `json:"requestorDesignation,omitempty"`
}

// wireV1Delegation names a second person, and the group that an SSL order is billed to.
type wireV1Delegation struct {
	Name        string `json:"contactName,omitempty"`
	Email       string `json:"email,omitempty"`
	GroupNumber string `json:"groupNumber,omitempty"`
}

type wireV1Organization struct {
	PreVetting string `json:"preVetting"`
	Number     string `json:"organizationNumber"`
	Token      string `json:"prevettingToken,omitempty"`
}

type wireV1Subscription struct {
	Validity      string `json:"validity"`
	AutoRenew     string `json:"autoRenew"`     // the server's default is 1 (documented)
	RenewCriteria string `json:"renewCriteria"` // 30 or 60 (documented)
}

type wireV1TechContact struct {
	Name    string `json:"tpcName"`
	Email   string `json:"tpcEmail"`
	ISDCode string `json:"tpcIsdCode,omitempty"`
	Mobile  string `json:"tpcMobileNumber,omitempty"`
}

type wireV1Additional struct {
	Remarks      string              `json:"remarks"` // refused without (observed: EMS-918)
	Tags         []string            `json:"tags,omitempty"`
	CustomFields []wireV1CustomField `json:"customFields,omitempty"`
	Recipients   string              `json:"recipientEmail,omitempty"`
}

type wireV1CustomField struct {
	FieldID string `json:"fieldID"`
	Value   string `json:"fieldValue"`
}

// wireV1Names are the names of an SSL certificate.
type wireV1Names struct {
	Domain            string   `json:"domainName"`
	AdditionalDomains []string `json:"additionalDomains,omitempty"`
	AutoSecureWWW     string   `json:"autoSecureWWW"` // always sent: version 2's default is true
}

// wireV1Host are the names and the subject of a private certificate. dnsType is 1 for an internal
// name and 2 for a public one, whose control would have to be proven (documented).
type wireV1Host struct {
	Domain            string   `json:"domainName"`
	AdditionalDomains []string `json:"additionalDomains,omitempty"`
	DNSType           string   `json:"dnsType"`
	wireV1Subject
}

// wireV1Subject is the subject of a document signer's or an S/MIME certificate. Its members are
// documented, though not all of them for every kind of subject; registeredId is a legal entity's
// identification number.
type wireV1Subject struct {
	FirstName                        string `json:"firstName,omitempty"`
	LastName                         string `json:"lastName,omitempty"`
	Email                            string `json:"email,omitempty"`
	ISDCode                          string `json:"isdCode,omitempty"`
	Mobile                           string `json:"mobileNumber,omitempty"`
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
	RegisteredID                     string `json:"registeredId,omitempty"`
	BusinessCategory                 string `json:"businessCategory,omitempty"`
}

func newWireV1Order(r OrderRequest) wireV1Order {
	w := wireV1Order{
		ProductCode:        r.ProductCode,
		AccountingModel:    newWireV1Accounting(r.AccountingModel),
		SaveAndHold:        digit(r.SaveAsDraft),
		RequestNumber:      r.RequestID,
		EmailNotifications: r.EmailNotifications,
		GroupNumber:        r.GroupNumber,
		Requestor:          newWireV1Requestor(r.Requestor),
		Subscription: wireV1Subscription{
			Validity: strconv.Itoa(max(r.ValidityYears, 1)), AutoRenew: digit(r.AutoRenew),
			RenewCriteria: strconv.Itoa(cmp.Or(r.RenewBeforeDays, 30)),
		},
		Certificate:      newWireV1Certificate(r),
		CSR:              r.CSR,
		TechnicalContact: newWireV1TechContact(r.TechnicalContact),
		Additional:       newWireV1Additional(r),
	}
	if equalFold(r.EmailNotifications, "all") {
		w.EmailNotifications = "1"
	}
	if r.Family != FamilyPrivatePKI {
		w.Agreement = newWireV1Agreement(r.Agreement)
		w.Organization = newWireV1Organization(r.Organization)
		w.Delegation = newWireV1Delegation(r)
	}
	return w
}

// newWireV1Accounting writes the model as its number: 1 cash, 2 credit, which is the default.
func newWireV1Accounting(m AccountingModel) string {
	if m == AccountingCash {
		return "1"
	}
	return "2"
}

func newWireV1Certificate(r OrderRequest) any {
	switch r.Family {
	case FamilySSL:
		return wireV1Names{
			Domain: r.Domain, AdditionalDomains: r.AdditionalDomains,
			AutoSecureWWW: digit(r.AutoSecureWWW),
		}
	case FamilyPrivatePKI:
		return wireV1Host{
			Domain: r.Domain, AdditionalDomains: r.AdditionalDomains, DNSType: "1",
			wireV1Subject: newWireV1Subject(r),
		}
	}
	return newWireV1Subject(r)
}

func newWireV1Subject(r OrderRequest) wireV1Subject {
	s := r.Subject
	if s == nil {
		return wireV1Subject{}
	}
	w := wireV1Subject{
		FirstName: s.FirstName, LastName: s.LastName, Email: s.Email, Designation: s.Designation,
		IdentityDocumentType: s.IdentityDocumentType, IdentificationNumber: s.IdentificationNumber,
		StreetAddress1: s.StreetAddress1, StreetAddress2: s.StreetAddress2, Locality: s.Locality,
		State:      s.State,
		PostalCode: s.PostalCode, CountryCode: s.CountryCode, OrganizationName: s.OrganizationName,
		OrganizationUnit:                 s.OrganizationUnit,
		OrganizationIdentificationNumber: s.OrganizationIdentificationNumber,
		BusinessCategory:                 s.BusinessCategory,
	}
	w.ISDCode, w.Mobile = splitPhone(s.Phone)
	if r.Family == FamilySignature && equalFold(r.Variant, "legal-entity") {
		w.RegisteredID = s.OrganizationIdentificationNumber
	}
	return w
}

func newWireV1Requestor(c Contact) wireV1Requestor {
	w := wireV1Requestor{Name: c.Name, Email: c.Email, Designation: c.Designation}
	if w.ISDCode, w.Mobile = splitPhone(c.Phone); w.ISDCode+w.Mobile == "" {
		w.ISDCode = "1" // mandatory (documented); that it is taken with no number is inferred
	}
	return w
}

func newWireV1TechContact(c *Contact) *wireV1TechContact {
	if c == nil {
		return nil
	}
	w := &wireV1TechContact{Name: c.Name, Email: c.Email}
	w.ISDCode, w.Mobile = splitPhone(c.Phone)
	return w
}

// newWireV1Delegation repeats the group of an SSL order. The documents have it in orderDetails
// alone; clients of the live service send it here with every SSL order, and report that orders
// without it wait for a review or are the default group's (observed by others, 2026).
func newWireV1Delegation(r OrderRequest) *wireV1Delegation {
	var w wireV1Delegation
	if r.Delegation != nil {
		w.Name, w.Email = r.Delegation.Name, r.Delegation.Email
	}
	if r.Family == FamilySSL {
		w.GroupNumber = r.GroupNumber
	}
	if w == (wireV1Delegation{}) {
		return nil
	}
	return &w
}

func newWireV1Organization(o *OrganizationRef) *wireV1Organization {
	if o == nil {
		return nil
	}
	return &wireV1Organization{PreVetting: "1", Number: o.Number, Token: o.ConsentToken.Reveal()}
}

func newWireV1Additional(r OrderRequest) wireV1Additional {
	w := wireV1Additional{
		Remarks: freeText(r.Remarks, defaultRemarks, maxRemarks), Tags: r.Tags,
		Recipients: strings.Join(r.RecipientEmails, ","),
	}
	for _, f := range r.CustomFields {
		w.CustomFields = append(w.CustomFields, wireV1CustomField(f))
	}
	return w
}

// twoDigitCodes are the country codes of two digits that ITU-T E.164 assigns. 1 and 7 have one
// digit, all others three.
var twoDigitCodes = []string{
	"20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47",
	"48", "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65",
	"66", "81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98",
}

// splitPhone divides a number of the form of E.164 into the country's code and the rest, which
// version 1 wants apart. A number without a leading + has no country's code, and stays whole.
func splitPhone(s string) (isd, number string) {
	s = strings.NewReplacer(" ", "", "-", "", ".", "", "(", "", ")", "").Replace(s)
	number, international := strings.CutPrefix(s, "+")
	if !international {
		return "", s
	}
	n := 3
	switch {
	case strings.HasPrefix(number, "1"), strings.HasPrefix(number, "7"):
		n = 1
	case slices.Contains(twoDigitCodes, number[:min(2, len(number))]):
		n = 2
	}
	n = min(n, len(number))
	return number[:n], number[n:]
}

// wireTracked is the answer to TrackOrder. Numbers, dates and booleans are strings, all of them
// optional.
type wireTracked struct {
	OrderNumber         text         `json:"orderNumber"`
	RequestNumber       text         `json:"requestNumber"`
	OrderStatusID       text         `json:"orderStatusId"`
	OrderStatus         text         `json:"orderStatus"`
	CertificateStatusID text         `json:"certificateStatusId"`
	CertificateStatus   text         `json:"certificateStatus"`
	ExpiryDate          moment       `json:"certificateExpiryDate"`
	DomainName          text         `json:"domainName"`
	CSR                 flag         `json:"csr"`
	RejectRemarks       text         `json:"rejectRemarks"`
	Domains             domainStates `json:"domainVerification"`
	Requestor           object[struct {
		Email text `json:"requestorEmail"`
	}] `json:"requestorInformation"`
	Agreement object[struct {
		Status text `json:"status"` // 0 pending, 1 completed, 2 rejected
	}] `json:"subscriberAgreement"`
	Organization object[wireOrganizationVerification] `json:"organizationVerification"`
	Revocation   object[struct {
		StatusID    text   `json:"revokeRequestStatusId"`
		Status      text   `json:"revokeRequestStatus"`
		ReasonID    text   `json:"revokeReasonId"`
		ProcessedAt moment `json:"revokeProcessedDate"`
	}] `json:"revocationDetails"`
}

// decodeTracked reads the answer.
func decodeTracked(body []byte) (wireTracked, error) {
	var w struct {
		Order object[wireTracked] `json:"orderDetails"`
	}
	if err := unmarshalObject(body, &w); err != nil {
		return wireTracked{}, err
	}
	if !w.Order.set {
		return wireTracked{}, errWrongShape
	}
	return w.Order.value, nil
}

func (w wireTracked) order() *Order {
	o := &Order{
		ID:         safeID(w.OrderNumber),
		RequestID:  safeID(w.RequestNumber),
		Status:     w.status(),
		Domain:     hostName(w.DomainName),
		OrderState: stateWords(w.OrderStatus, w.OrderStatusID, v1OrderStates),
		CertificateState: stateWords(
			w.CertificateStatus, w.CertificateStatusID, v1CertificateStates,
		),
		CSRSubmitted: w.CSR.pointer(),
		ExpiresAt:    w.ExpiryDate.Time,
		Domains:      w.Domains,
		Remark:       words(w.RejectRemarks),
	}
	if status := w.Agreement.value.Status; status != "" {
		signed := status == "1"
		o.AgreementSigned = &signed
	}
	if v := w.Organization; v.set {
		o.Organization = &OrganizationVerification{
			Name: words(v.value.Name), Status: named(v.value.Status, dcvStates),
			ConsentStatus: words(v.value.ConsentStatus),
			ConsentSentTo: words(v.value.ConsentSentTo),
		}
	}
	// A request to revoke has states of its own: 2 and 5 are done, the others are not, or were
	// rejected.
	if v := w.Revocation.value; o.Status == StatusRevoked || v.StatusID == "2" ||
		v.StatusID == "5" {
		o.Revocation = &Revocation{Status: words(v.Status), ProcessedAt: v.ProcessedAt.Time}
		if reason, err := ParseReason(string(v.ReasonID)); err == nil {
			o.Revocation.Reason = string(reason)
		}
	}
	return o
}

// stateWords returns a state's words, which are left out of some answers (documented).
func stateWords(said, id text, states map[string]v1State) string {
	if s := words(said); s != "" {
		return s
	}
	return states[words(id)].words
}

// The names of version 2 for version 1's numbers. The numbers are documented; that 3 of the CAA
// check, "authorization pending", is what version 2 calls SKIPPED is inferred.
var (
	domainStatuses = map[string]string{"1": "ACTIVE", "2": "INACTIVE", "3": "EXPIRED"}
	dcvStates      = map[string]string{"0": "PENDING", "1": "VERIFIED", "2": "REJECTED"}
	caaStates      = map[string]string{"1": "PASSED", "2": "FAILED", "3": "SKIPPED"}
	dcvNumerals    = map[string]string{"1": "dns-txt", "2": "http-url", "3": "email"}
)

// named returns the name of a number, and anything else as it came.
func named(t text, names map[string]string) string {
	s := words(t)
	if name, ok := names[s]; ok {
		return name
	}
	return s
}

// domainStates is an object that holds one member for each domain beside a fixed one, the
// aggregate, which is unreliable (observed 2026) and not read. It is null for some seconds after a
// create (observed 2026).
type domainStates []DomainVerification

// UnmarshalJSON sorts the domains by name and skips members that are not objects.
func (s *domainStates) UnmarshalJSON(b []byte) error {
	*s = nil
	var members object[map[string]object[struct {
		Method     text   `json:"dcvMethod"`
		DCVStatus  text   `json:"dcvStatus"`
		Status     text   `json:"status"`
		VerifiedAt moment `json:"verifiedDate"`
		CAAStatus  text   `json:"caaStatus"`
	}]]
	if err := json.Unmarshal(b, &members); err != nil {
		return err
	}
	for name, m := range members.value {
		domain := hostName(text(name))
		if !m.set || domain == "" {
			continue
		}
		*s = append(*s, DomainVerification{
			Domain: domain, Status: named(m.value.Status, domainStatuses),
			DCVMethod:  methodName(m.value.Method),
			DCVStatus:  named(m.value.DCVStatus, dcvStates),
			CAAStatus:  named(m.value.CAAStatus, caaStates),
			VerifiedAt: m.value.VerifiedAt.Time,
		})
	}
	slices.SortFunc(*s, func(a, b DomainVerification) int {
		return strings.Compare(a.Domain, b.Domain)
	})
	return nil
}

// methodName reads a numeral, or words such as "DNS TXT Record" and "Email based verification".
func methodName(t text) string {
	s := named(t, dcvNumerals)
	for _, known := range []struct{ word, name string }{
		{"dns", "dns-txt"}, {"mail", "email"}, {"http", "http-url"}, {"file", "http-url"},
	} {
		if strings.Contains(strings.ToLower(s), known.word) {
			return known.name
		}
	}
	return s
}
