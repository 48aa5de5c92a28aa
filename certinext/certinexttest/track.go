// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"net/http"
	"time"
)

// trackOrder answers the state of an order; the two dialects have little more
// than ids and status in common.
func (s version2) trackOrder(c *call) (reply, *problem) {
	o, problem := s.find(c)
	if problem != nil {
		return reply{}, problem
	}
	if c.live() {
		return respond(http.StatusOK, s.wireLiveTrackOf(o, c.now))
	}
	return respond(http.StatusOK, s.wireDocumentedTrackOf(o, c.now))
}

// rfc3339 is UTC with Z and seconds.
func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }

type wireCreated struct {
	OrderID             string              `json:"orderId,omitempty"` // absent for drafts
	RequestID           string              `json:"requestId"`
	Status              string              `json:"status,omitempty"` // absent for drafts
	ProductVariant      string              `json:"productVariant,omitempty"`
	Variant             string              `json:"variant,omitempty"`
	Domain              string              `json:"domain,omitempty"`
	Hostname            string              `json:"hostname,omitempty"`
	SubjectType         string              `json:"subjectType,omitempty"` // inferred, by analogy
	SubjectDisplayName  string              `json:"subjectDisplayName,omitempty"`
	AdditionalDomains   []string            `json:"additionalDomains,omitempty"`
	CreatedAt           string              `json:"createdAt,omitempty"`           // live only
	ResolvedProductCode string              `json:"resolvedProductCode,omitempty"` // live only
	Links               map[string]wireLink `json:"_links,omitempty"`              // not live
}

func (s version2) wireCreated(o *order, now time.Time) wireCreated {
	w := wireCreated{OrderID: o.id, RequestID: o.requestID}
	if !o.draft {
		w.Status = s.shownStatus(o, now)
	}
	if s.Dialect == Documented {
		w.Links = allLinks(o)
		return w
	}
	w.CreatedAt, w.ResolvedProductCode = rfc3339(o.createdAt), o.product.Code
	return w
}

func (s version2) wireCreatedSSL(o *order, now time.Time) wireCreated {
	w := s.wireCreated(o, now)
	w.ProductVariant, w.Domain, w.AdditionalDomains = o.variant, o.domain, o.additional
	return w
}

func (s version2) wireCreatedPrivatePKI(o *order, now time.Time) wireCreated {
	w := s.wireCreated(o, now)
	w.Variant, w.Hostname = o.variant, o.domain
	return w
}

func (s version2) wireCreatedSignature(o *order, now time.Time) wireCreated {
	w := s.wireCreated(o, now)
	w.SubjectType, w.SubjectDisplayName = o.variant, o.subject.displayName
	return w
}

type wireLink struct {
	Href string `json:"href"`
}

func links(o *order, rels ...string) map[string]wireLink {
	if o.id == "" {
		return nil
	}
	base := apiPrefix + "/" + o.family + "-certificates/" + o.id
	out := map[string]wireLink{"self": {base}}
	for _, rel := range rels {
		out[rel] = wireLink{base + "/" + rel}
	}
	return out
}

// allLinks is what the published create answer lists.
func allLinks(o *order) map[string]wireLink {
	switch o.family {
	case FamilySSL:
		return links(o, "dcv", "csr", "agreement", "certificate", "cancel", "revoke")
	case FamilySignature:
		return links(o, "csr", "agreement", "certificate", "cancel", "revoke")
	default:
		return links(o, "csr", "certificate", "cancel", "revoke")
	}
}

// nextLinks are the operations an order in this status takes.
func nextLinks(o *order, status string) map[string]wireLink {
	switch status {
	case statusPendingDCV:
		return links(o, "dcv", "cancel")
	case statusPendingCSR:
		return links(o, "csr", "cancel")
	case statusPendingAgreement:
		return links(o, "agreement", "cancel")
	case statusPendingOrganization, statusPendingDocuments, statusPendingVetting,
		statusPendingApproval:
		return links(o, "cancel")
	case statusIssued:
		return links(o, "certificate", "revoke")
	default:
		return links(o)
	}
}

// wireDocumentedTrack: the published text shows no track answer, it only names
// status and _links; the rest repeats the create answer.
type wireDocumentedTrack struct {
	OrderID        string              `json:"orderId"`
	RequestID      string              `json:"requestId"`
	Status         string              `json:"status"`
	ProductVariant string              `json:"productVariant,omitempty"`
	Variant        string              `json:"variant,omitempty"`
	Domain         string              `json:"domain,omitempty"`
	Hostname       string              `json:"hostname,omitempty"`
	SubjectType    string              `json:"subjectType,omitempty"`
	SubjectName    string              `json:"subjectDisplayName,omitempty"`
	CreatedAt      string              `json:"createdAt"`
	IssuedAt       string              `json:"issuedAt,omitempty"`
	Links          map[string]wireLink `json:"_links"`
}

func (s version2) wireDocumentedTrackOf(o *order, now time.Time) wireDocumentedTrack {
	st := s.shownStatus(o, now)
	w := wireDocumentedTrack{
		OrderID: o.id, RequestID: o.requestID, Status: st, CreatedAt: rfc3339(o.createdAt),
		Links: nextLinks(o, st),
	}
	if sg := o.certificate(); sg != nil {
		w.IssuedAt = rfc3339(sg.issuedAt)
	}
	switch o.family {
	case FamilySSL:
		w.ProductVariant, w.Domain = o.variant, o.domain
	case FamilySignature:
		w.SubjectType, w.SubjectName = o.variant, o.subject.displayName
	default:
		w.Variant, w.Hostname = o.variant, o.domain
	}
	return w
}
