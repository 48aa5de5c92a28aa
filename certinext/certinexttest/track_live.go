// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"time"
)

// wireLiveTrack is the track answer as observed. createdAt, issuedAt,
// productVariant, additionalDomains and _links are documented elsewhere and
// absent here.
type wireLiveTrack struct {
	OrderID          string             `json:"orderId"`
	RequestID        string             `json:"requestId"`
	Status           string             `json:"status"`
	Domain           string             `json:"domain,omitempty"`
	Hostname         string             `json:"hostname,omitempty"`
	SubjectName      string             `json:"subjectDisplayName,omitempty"` // by analogy
	OrderState       string             `json:"orderState"`
	CertificateState string             `json:"certificateState"`
	CSRSubmitted     bool               `json:"csrSubmitted"`
	ExpiresAt        string             `json:"expiresAt,omitempty"`
	Requestor        wireTrackRequestor `json:"requestor"`
	Subscription     *wireTrackTerm     `json:"subscription,omitempty"`
	Agreement        *wireTrackSigned   `json:"subscriberAgreement,omitempty"`
	Verifications    *wireVerifications `json:"verifications,omitempty"`
	Revocation       *wireEnding        `json:"revocation,omitempty"`
	Rejection        *wireEnding        `json:"rejection,omitempty"` // inferred, by analogy
}

type wireTrackRequestor struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	Phone string `json:"phone,omitempty"`
}

type wireTrackTerm struct {
	ValidityYears int    `json:"validityYears"`
	EndDate       string `json:"endDate"`
	Status        string `json:"status"`
}

type wireTrackSigned struct {
	Signed      bool   `json:"signed"`
	SignerName  string `json:"signerName,omitempty"`
	SignedAt    string `json:"signedAt,omitempty"`
	SignedPlace string `json:"signedPlace,omitempty"`
}

type wireVerifications struct {
	Empty        bool                    `json:"empty"`            // always there: an artefact
	Domain       *wireDomainVerification `json:"domain,omitempty"` // SSL only
	Organization *wireOrgVerification    `json:"organization,omitempty"`
}

type wireDomainVerification struct {
	Status  string             `json:"status"`
	Domains []wireDomainStatus `json:"domains"`
}

type wireDomainStatus struct {
	Domain       string `json:"domain"`
	DomainStatus string `json:"domainStatus"`
	DCVMethod    string `json:"dcvMethod,omitempty"` // absent until verified
	DCVStatus    string `json:"dcvStatus"`
	VerifiedAt   string `json:"verifiedAt,omitempty"`
	CAAStatus    string `json:"caaStatus"`
}

type wireOrgVerification struct {
	Status           string `json:"status"`
	OrganizationName string `json:"organizationName"`
	ConsentStatus    string `json:"consentStatus"`
	ConsentSentTo    string `json:"consentSentTo"`
}

type wireEnding struct {
	Status      string `json:"status"`
	Reason      string `json:"reason"`
	ProcessedAt string `json:"processedAt"`
}

func (s version2) wireLiveTrackOf(o *order, now time.Time) wireLiveTrack {
	st := s.shownStatus(o, now)
	w := wireLiveTrack{
		OrderID: o.id, RequestID: o.requestID, Status: st,
		OrderState: orderState(st), CertificateState: s.certificateState(o, now),
		CSRSubmitted: o.current().csr != nil,
		Requestor:    wireTrackRequestor{o.requestor.Name, o.requestor.Email, o.requestor.Phone},
	}
	if sg := o.certificate(); sg != nil {
		w.ExpiresAt = rfc3339(sg.cert.NotAfter)
		w.Subscription = s.wireTerm(o, now)
	}
	if o.revoked != nil {
		w.Revocation = &wireEnding{"Certificate Revoked", o.revoked.reason, rfc3339(o.revoked.at)}
	}
	if o.rejected != nil {
		w.Rejection = &wireEnding{"Order Rejected", o.rejected.reason, rfc3339(o.rejected.at)}
	}
	switch o.family {
	case FamilyPrivatePKI:
		w.Hostname = o.domain
		return w
	case FamilySignature:
		w.SubjectName = o.subject.displayName
	default:
		w.Domain = o.domain
	}
	w.Agreement = o.wireAgreement()
	w.Verifications = s.wireVerificationsOf(o, now)
	return w
}

func (o *order) wireAgreement() *wireTrackSigned {
	if o.agreement == nil {
		return &wireTrackSigned{}
	}
	return &wireTrackSigned{true, o.agreement.signer, rfc3339(o.agreement.at), o.agreement.place}
}

// wireVerificationsOf: nothing is verified for a signer by itself, but the
// organization that its order names is.
func (s version2) wireVerificationsOf(o *order, now time.Time) *wireVerifications {
	v := &wireVerifications{}
	if o.family == FamilySSL {
		v.Domain = s.wireDomainsOf(o, now)
	}
	if o.organization != nil && (o.needsOrganization() || o.subject != nil) {
		_, ok := o.organizationVetted()
		v.Organization = &wireOrgVerification{
			Status:           map[bool]string{true: "VERIFIED", false: "PENDING"}[ok],
			OrganizationName: o.organization.Name, ConsentStatus: oneOrZero(o.consented),
			ConsentSentTo: o.requestor.Email,
		}
	}
	v.Empty = v.Domain == nil && v.Organization == nil
	return v
}

// wireDomainsOf: the aggregate is not to be trusted. Observed: it stayed
// PENDING after a cancel while the entries had become REJECTED.
func (s version2) wireDomainsOf(o *order, now time.Time) *wireDomainVerification {
	v := &wireDomainVerification{Status: "VERIFIED"}
	for _, t := range o.targets {
		d := s.wireDomainStatusOf(o, t, now)
		if d.DCVStatus != "VERIFIED" {
			v.Status = "PENDING"
		}
		v.Domains = append(v.Domains, d)
	}
	return v
}

func (s version2) wireDomainStatusOf(o *order, t *target, now time.Time) wireDomainStatus {
	d := wireDomainStatus{
		Domain: t.domain, DomainStatus: "ACTIVE", DCVStatus: "PENDING", CAAStatus: "SKIPPED",
	}
	at, ok := s.verifiedSince(o, t, now)
	switch {
	case ok:
		d.DCVStatus, d.CAAStatus, d.VerifiedAt = "VERIFIED", s.caaStatus(o, t), rfc3339(at)
		d.DCVMethod = orDefault(t.method, methodDNS)
	case o.cancelled != nil || o.rejected != nil:
		d.DCVStatus = "REJECTED"
	}
	return d
}

// orderState is the order's state in the prose of the portal.
func orderState(status string) string {
	switch status {
	case statusIssued, statusRevoked, statusExpired:
		return "Order Fulfilled"
	case statusCancelled:
		return "Order Cancelled"
	case statusRejected:
		return "Order Rejected"
	default:
		return "Order Accepted"
	}
}

// certificateState is the certificate's. "Approved by System" means approved
// but not signed, whatever the order's status says.
func (s version2) certificateState(o *order, now time.Time) string {
	st := s.status(o, now)
	switch {
	case st == statusRevoked:
		return "Certificate Revoked"
	case st == statusExpired:
		return "Certificate Expired"
	case st == statusCancelled, st == statusRejected:
		return "Rejected (Order Cancelled)"
	case st == statusPendingCSR:
		return "Approved by System"
	case st == statusPendingApproval && len(o.missing) > 0:
		return "Pending System RA"
	case st != statusIssued:
		return "Pending for Approver"
	case !s.pemReady(o.certificate(), now):
		return "Approved by System"
	case o.downloaded:
		return "Certificate Downloaded"
	default:
		return "Certificate Generated"
	}
}
