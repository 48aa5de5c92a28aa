// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"encoding/json"
	"slices"
	"strings"
)

// wireTracked is the answer to TrackOrder. Numbers, dates and booleans are strings, all of them optional.
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
		ID:               safeID(w.OrderNumber),
		RequestID:        safeID(w.RequestNumber),
		Status:           w.status(),
		Domain:           hostName(w.DomainName),
		OrderState:       stateWords(w.OrderStatus, w.OrderStatusID, v1OrderStates),
		CertificateState: stateWords(w.CertificateStatus, w.CertificateStatusID, v1CertificateStates),
		CSRSubmitted:     w.CSR.pointer(),
		ExpiresAt:        w.ExpiryDate.Time,
		Domains:          w.Domains,
		Remark:           words(w.RejectRemarks),
	}
	if status := w.Agreement.value.Status; status != "" {
		signed := status == "1"
		o.AgreementSigned = &signed
	}
	if v := w.Organization; v.set {
		o.Organization = &OrganizationVerification{
			Name: words(v.value.Name), Status: named(v.value.Status, dcvStates),
			ConsentStatus: words(v.value.ConsentStatus), ConsentSentTo: words(v.value.ConsentSentTo),
		}
	}
	// A request to revoke has states of its own: 2 and 5 are done, the others are not, or were rejected.
	if v := w.Revocation.value; o.Status == StatusRevoked || v.StatusID == "2" || v.StatusID == "5" {
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

// What version 1 numbers and version 2 names. The numbers are documented; that 3 of the CAA check, "authorization pending",
// is what version 2 calls SKIPPED is inferred.
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

// domainStates is an object that holds one member for each domain beside a fixed one, the aggregate, which lies. It is null
// for some seconds after a create (observed 2026).
type domainStates []DomainVerification

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
			Domain: domain, Status: named(m.value.Status, domainStatuses), DCVMethod: methodName(m.value.Method),
			DCVStatus: named(m.value.DCVStatus, dcvStates), CAAStatus: named(m.value.CAAStatus, caaStates),
			VerifiedAt: m.value.VerifiedAt.Time,
		})
	}
	slices.SortFunc(*s, func(a, b DomainVerification) int { return strings.Compare(a.Domain, b.Domain) })
	return nil
}

// methodName reads a numeral, or words such as "DNS TXT Record" and "Email based verification".
func methodName(t text) string {
	s := named(t, dcvNumerals)
	for _, known := range []struct{ word, name string }{{"dns", "dns-txt"}, {"mail", "email"}, {"http", "http-url"}, {"file", "http-url"}} {
		if strings.Contains(strings.ToLower(s), known.word) {
			return known.name
		}
	}
	return s
}
