// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"strings"
	"time"
)

// wireV1OrderNumber names an order to TrackOrder, or a draft, which has only a
// request number.
type wireV1OrderNumber struct {
	OrderDetails struct {
		OrderNumber   string `json:"orderNumber"`
		RequestNumber string `json:"requestNumber"`
	} `json:"orderDetails"`
}

// findOrder looks an order up by its number, whatever its family and the version
// it was placed through. Observed: a request number is EMS-943.
func (s version1) findOrder(c *call, number string) (*order, *problem) {
	if strings.TrimSpace(number) == "" {
		return nil, v1Failure("EMS-942", "Order ID cannot be empty.")
	}
	o := s.book.orders[number]
	if o == nil {
		return nil, v1Failure("EMS-943", "Invalid Order ID.")
	}
	s.settle(o, c.now)
	return o, nil
}

// findRequest is findOrder for the verbs that take a request number in place of
// an order's: "tracking a draft order before it is formally submitted" and
// "attaching a CSR to a pending order" (observed). An order number goes first.
func (s version1) findRequest(c *call, number, request string) (*order, *problem) {
	if filled(number) || !filled(request) {
		return s.findOrder(c, number)
	}
	o := s.book.requests[request]
	if o == nil {
		return nil, v1Failure("EMS-1005", "Invalid Request Number.")
	}
	s.settle(o, c.now)
	return o, nil
}

// trackOrder answers the state of an order or a draft.
func (s version1) trackOrder(c *call) (reply, *problem) {
	var req wireV1OrderNumber
	if problem := c.decodeV1(&req); problem != nil {
		return reply{}, problem
	}
	d := req.OrderDetails
	o, problem := s.findRequest(c, d.OrderNumber, d.RequestNumber)
	if problem != nil {
		return reply{}, problem
	}
	return s.success(c, map[string]any{"orderDetails": s.wireTrackOf(o, c.now)})
}

// wireV1Track is the state of an order. Verifications are null where the
// order's family has none.
type wireV1Track struct {
	TrackingURL              string                     `json:"trackingUrl"`
	OrderStatusID            string                     `json:"orderStatusId"`
	OrderStatus              string                     `json:"orderStatus"`
	CertificateStatusID      string                     `json:"certificateStatusId"`
	CertificateStatus        string                     `json:"certificateStatus"`
	CertificateExpiryDate    string                     `json:"certificateExpiryDate"`
	RequestorInformation     wireV1Requestor            `json:"requestorInformation"`
	DomainVerification       map[string]any             `json:"domainVerification"`
	SubscriberAgreement      *wireV1Signed              `json:"subscriberAgreement"`
	OrganizationVerification *wireV1OrganizationChecked `json:"organizationVerification"`
	RevocationDetails        wireV1Revocation           `json:"revocationDetails"`
	CSR                      string                     `json:"csr"` // "1" once there is one
}

type wireV1Signed struct {
	Status        string `json:"status"` // 0 pending, 1 completed, 2 rejected
	SignerName    string `json:"signerName"`
	SignedDate    string `json:"signedDate"`
	SignedPlace   string `json:"signedPlace"`
	ConsentStatus string `json:"consentStatus"`
	ConsentSentTo string `json:"consentSentTo"`
}

type wireV1OrganizationChecked struct {
	OrganizationName string `json:"organizationName"`
	Status           string `json:"status"` // 0 pending, 1 completed, 2 rejected
	ConsentStatus    string `json:"consentStatus"`
	ConsentSentTo    string `json:"consentSentTo"`
}

type wireV1Revocation struct {
	RevokeRequestStatusID string `json:"revokeRequestStatusId"` // 2 is "Certificate Revoked"
	RevokeReasonID        string `json:"revokeReasonId"`
	RevokeProcessedDate   string `json:"revokeProcessedDate"`
	RevokeRequestStatus   string `json:"revokeRequestStatus"`
}

type wireV1DomainChecked struct {
	DCVMethod    string `json:"dcvMethod"`
	DCVStatus    string `json:"dcvStatus"` // 0 pending, 1 validated, 2 rejected
	Status       string `json:"status"`    // 1 active, 2 inactive, 3 expired
	VerifiedDate string `json:"verifiedDate"`
	CAAStatus    string `json:"caaStatus"` // 1 authorized, 2 not, 3 pending
}

func (s version1) wireTrackOf(o *order, now time.Time) wireV1Track {
	order, certificate := s.statusIDs(o, now)
	w := wireV1Track{
		TrackingURL:   trackingURL(o),
		OrderStatusID: order.id, OrderStatus: order.name,
		CertificateStatusID: certificate.id, CertificateStatus: certificate.name,
		RequestorInformation: wireV1RequestorOf(o.requestor),
		DomainVerification:   s.wireDomains(o, now),
		RevocationDetails:    wireV1RevocationOf(o),
		CSR:                  oneOrZero(o.current().csr != nil),
	}
	if sg := o.certificate(); s.pemReady(sg, now) {
		w.CertificateExpiryDate = v1Time(sg.cert.NotAfter)
	}
	if o.family != FamilyPrivatePKI {
		w.SubscriberAgreement = o.wireV1Signed()
	}
	if o.needsOrganization() && o.organization != nil {
		_, ok := s.organizationMet(o, now, now)
		w.OrganizationVerification = &wireV1OrganizationChecked{
			OrganizationName: o.organization.Name, Status: oneOrZero(ok),
			ConsentStatus: oneOrZero(o.consented), ConsentSentTo: o.requestor.Email,
		}
	}
	return w
}

// trackingURL is the page on which a person follows the order.
func trackingURL(o *order) string {
	return o.baseURL + "/emSign-Subscriber/PublicLink/publicLinkVerification.jsp?a=" + o.requestID
}

func (o *order) wireV1Signed() *wireV1Signed {
	w := &wireV1Signed{Status: "0"}
	if a := o.agreement; a != nil {
		w.Status, w.SignerName, w.SignedDate, w.SignedPlace = "1", a.signer, v1Time(a.at), a.place
	}
	if o.preVetted {
		w.ConsentStatus, w.ConsentSentTo = oneOrZero(o.consented), o.requestor.Email
	}
	return w
}

func wireV1RevocationOf(o *order) wireV1Revocation {
	if o.revoked == nil {
		return wireV1Revocation{}
	}
	return wireV1Revocation{
		"2", v1ReasonID(o.revoked.reason), v1Time(o.revoked.at), "Certificate Revoked",
	}
}

// wireDomains mixes a fixed key with one for each name. Observed: it is null
// for some seconds after the order was placed.
func (s version1) wireDomains(o *order, now time.Time) map[string]any {
	if len(o.targets) == 0 || now.Before(o.createdAt.Add(s.DCVSlotDelay)) {
		return nil
	}
	all := map[string]any{}
	overall := "1"
	for _, t := range o.targets {
		d := s.wireDomainOf(o, t, now)
		all[t.domain] = d
		if d.DCVStatus != "1" && overall != "2" {
			overall = d.DCVStatus
		}
	}
	all["status"] = overall
	return all
}

// A v1DCVMethod is a number, the words TrackOrder has for it, and the method.
type v1DCVMethod struct{ id, name, method string }

// v1Methods are the methods of domain control by number, DNS first: version 2
// of one collection numbers them the other way round.
var v1Methods = []v1DCVMethod{
	{"1", "DNS TXT Record", methodDNS},
	{"2", "HTTP/HTTPS URL based verification", methodHTTP},
	{"3", "Email based verification", methodEmail},
}

func (s version1) wireDomainOf(o *order, t *target, now time.Time) wireV1DomainChecked {
	w := wireV1DomainChecked{DCVStatus: "0", Status: "1", CAAStatus: "3"}
	at, ok := s.verifiedSince(o, t, now)
	switch {
	case ok:
		w.DCVStatus, w.CAAStatus, w.VerifiedDate = "1", v1CAA[s.caaStatus(o, t)], v1Time(at)
		w.DCVMethod = v1MethodName(orDefault(t.method, methodDNS))
	case o.cancelled != nil || o.rejected != nil:
		w.DCVStatus = "2"
	}
	return w
}

// v1CAA are the numbers of what version 2 calls by names.
var v1CAA = map[string]string{"PASSED": "1", "FAILED": "2", "SKIPPED": "3"}

func v1MethodName(method string) string {
	for _, m := range v1Methods {
		if m.method == method {
			return m.name
		}
	}
	return ""
}
