// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

const defaultRemarks = "Ordered through the CERTInext API"

// errNoOrderID is the error of a create whose answer is a success and names no order.
var errNoOrderID = errors.New("the answer names no order; it may exist nevertheless")

// CreateOrder places an order. An order costs money, so the request is sent once. It is sent again
// only after a 401 of CERTInext's own, which means that it was not carried out.
//
// The Order returned has whatever status the order has already reached, issued included; version 1
// does not say, and its status is unknown. With SaveAsDraft it is a draft: it has a RequestID, no
// ID, and the status draft.
//
// When the error's Acted is true (see [MayHaveActed]), the order may exist and may be charged for:
// the connection was lost, the time was up, the server failed, it answered success without a usable
// order id, or a gateway answered in CERTInext's place. It must then be looked for, not placed
// again. A request that CERTInext would refuse for want of an organization, a requestor, a DNS name
// or a part of the Subject is refused here, with an [*InvalidRequestError].
func (c *Client) CreateOrder(ctx context.Context, r OrderRequest) (*Order, error) {
	const operation = "placing order"
	s, e := c.open(operation)
	if e != nil {
		return nil, e
	}
	o, err := c.protocolFor(r.Family).create(ctx, s, operation, r)
	if err != nil {
		return nil, asError(operation, err)
	}
	return o, nil
}

func (c v2) create(
	ctx context.Context, s *session, operation string, r OrderRequest,
) (*Order, error) {
	req, err := c.placement(s, operation, r)
	if err != nil {
		return nil, err
	}
	return fetch(ctx, c.Client, req, func(body []byte) (*Order, error) {
		o, err := decodeOrder(body)
		if err != nil {
			return nil, err
		}
		return o, placed(o, r)
	})
}

// placement builds the call.
func (c v2) placement(s *session, operation string, r OrderRequest) (*call, error) {
	root, err := r.Family.root()
	if err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	if err := r.checkV2(); err != nil {
		return nil, err
	}
	key, err := c.idempotencyKey(s, r.IdempotencyKey)
	if err != nil {
		return nil, err
	}
	body, err := r.body(c.Credentials.dialect())
	if err != nil {
		return nil, err
	}
	req, err := c.write(operation, http.MethodPost, root, body)
	if err != nil {
		return nil, err
	}
	req.header.Set("X-Product-Code", r.ProductCode)
	req.header.Set("Idempotency-Key", key)
	req.repeat, req.timeout = repeatNever, c.createTimeout()
	req.secrets = r.secrets()
	return req, nil
}

// secrets returns the parts of the request that are masked in errors: the organization's consent
// token, and the number of a person's identity document.
func (r OrderRequest) secrets() []string {
	var all []string
	if r.Organization != nil {
		all = append(all, r.Organization.ConsentToken.Reveal())
	}
	if r.Subject != nil {
		all = append(all, r.Subject.IdentificationNumber)
	}
	return all
}

// placed checks that a successful create names an order, or a draft where one was asked for. A
// promotion keeps the draft's request id (inferred: both records show it), so an answer with
// another one is about another order.
func placed(o *Order, r OrderRequest) error {
	switch {
	case o.ID == "" && (!r.SaveAsDraft || o.RequestID == ""):
		return errNoOrderID
	case r.RequestID != "" && o.RequestID != "" && o.RequestID != r.RequestID:
		return errOtherOrder
	case o.Status != "":
	case o.ID == "":
		o.Status = StatusDraft
	default:
		o.Status = StatusUnknown
	}
	return nil
}

// body returns the family's wire form in the dialect's spelling, with Extra merged in.
func (r OrderRequest) body(d dialect) (any, error) {
	var known any
	switch r.Family {
	case FamilySSL:
		known = wireSSLOrder{
			ProductVariant: r.Variant,
			Certificate: wireCertificateNames{
				Domain: r.Domain, AdditionalDomains: r.AdditionalDomains,
				AutoSecureWWW: r.AutoSecureWWW,
			},
			wireCommon: newWireCommon(r),
			wirePublic: newWirePublic(r),
		}
	case FamilyPrivatePKI:
		known = wirePrivatePKIOrder{
			Variant:         r.Variant,
			Hostname:        r.Domain,
			AdditionalHosts: r.AdditionalDomains,
			CAProfileID:     r.CAProfileID,
			MasterProductID: r.MasterProductID,
			wireCommon:      newWireCommon(r),
		}
	default:
		known = wireSignatureOrder{
			SubjectType: r.Variant,
			Subject:     newWireSubject(r.Subject, d),
			wireCommon:  newWireCommon(r),
			wirePublic:  newWirePublic(r),
		}
	}
	if len(r.Extra) == 0 {
		return known, nil
	}
	return merge(known, r.Extra)
}

// merge adds the fields of extra that known does not send.
func merge(known any, extra map[string]any) (map[string]any, error) {
	b, err := json.Marshal(known)
	if err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, err
	}
	merged := make(map[string]any, len(fields)+len(extra))
	for name, value := range extra {
		if _, err := json.Marshal(value); err != nil {
			return nil, &InvalidRequestError{
				Field: "Extra[" + name + "]", Problem: "cannot be written as JSON",
			}
		}
		merged[name] = value
	}
	for name, value := range fields {
		merged[name] = value
	}
	return merged, nil
}

// check refuses an order that CERTInext would refuse, or that could never be issued.
func (r OrderRequest) check() error {
	for _, need := range []struct{ field, value string }{
		{"ProductCode", r.ProductCode},
		{"Variant", r.Variant},
		{"Requestor.Name", r.Requestor.Name},
		{"Requestor.Email", r.Requestor.Email},
	} {
		if need.field == "Variant" && r.Family == FamilySMIME {
			continue // there is one kind only
		}
		if strings.TrimSpace(need.value) == "" {
			return &InvalidRequestError{Field: need.field, Problem: "must be set"}
		}
	}
	if !validID(r.ProductCode) {
		return &InvalidRequestError{Field: "ProductCode", Problem: "is not a product code"}
	}
	switch r.Family {
	case FamilySSL:
		return r.checkSSL()
	case FamilyPrivatePKI:
		return r.checkPrivatePKI()
	case FamilySignature:
		return r.checkSignature()
	}
	return nil
}

func (r OrderRequest) checkSSL() error {
	variant := strings.ToLower(r.Variant)
	_, extra := r.Extra["organization"]
	if r.Organization == nil && !extra &&
		(strings.HasPrefix(variant, "ov") || strings.HasPrefix(variant, "ev")) {
		// Observed: 422 EMS-1180.
		return &InvalidRequestError{
			Field: "Organization", Problem: "must be set for OV and EV orders",
		}
	}
	if r.Organization != nil && r.Organization.Number == "" {
		return &InvalidRequestError{Field: "Organization.Number", Problem: "must be set"}
	}
	if problem := dnsNameProblem(r.Domain); problem != "" {
		return &InvalidRequestError{Field: "Domain", Problem: problem}
	}
	for _, name := range r.AdditionalDomains {
		if problem := dnsNameProblem(name); problem != "" {
			return &InvalidRequestError{Field: "AdditionalDomains", Problem: problem}
		}
	}
	return nil
}

func (r OrderRequest) checkPrivatePKI() error {
	if strings.TrimSpace(r.Domain) == "" {
		return &InvalidRequestError{Field: "Domain", Problem: "must be set"}
	}
	if r.SaveAsDraft || r.RequestID != "" {
		// Drafts are documented for the other families only. A server that ignored the field would
		// place and charge an order.
		return &InvalidRequestError{
			Field: "SaveAsDraft", Problem: "is not available for private PKI",
		}
	}
	return nil
}

// dnsNameProblem returns why s cannot be a name in a public certificate, or nothing. Names of other
// kinds were observed to leave an order that is never issued.
func dnsNameProblem(s string) string {
	name := strings.TrimPrefix(s, "*.")
	switch _, err := netip.ParseAddr(s); {
	case s == "":
		return "must be set"
	case err == nil:
		return "must be a DNS name, not an IP address"
	case len(s) > 253:
		return "is longer than a DNS name can be"
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label ||
			strings.ContainsFunc(label, notLDH) {
			return "must be a DNS name in its ASCII form"
		}
	}
	return ""
}

func notLDH(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
		return false
	}
	return true
}

// The types of a document signer's subject (documented), as OrderRequest.Variant spells them.
const (
	subjectNaturalPerson = "natural-person" // a person
	subjectLegalPerson   = "legal-person"   // a person who signs for an organization
	subjectLegalEntity   = "legal-entity"   // the organization itself
)

// checkSignature refuses an order for a document signer whose subject is incomplete for its type. A
// subject in Extra is sent as it is, and checked by CERTInext alone.
func (r OrderRequest) checkSignature() error {
	types := []string{subjectNaturalPerson, subjectLegalPerson, subjectLegalEntity}
	_, extra := r.Extra["subject"]
	switch {
	case !slices.Contains(types, r.Variant):
		return &InvalidRequestError{
			Field:   "Variant",
			Problem: "must be " + strings.Join(types[:2], ", ") + " or " + types[2],
		}
	case r.Subject == nil && !extra:
		return &InvalidRequestError{Field: "Subject", Problem: "must be set"}
	case r.Subject == nil:
		return nil
	}
	return r.Subject.check(r.Variant)
}

// checkV2 refuses what a create of version 2 cannot express. A signer's key has to be attested
// (documented for version 1), and only [Client.SubmitCSR] can say that it is.
func (r OrderRequest) checkV2() error {
	if r.Family == FamilySignature && r.CSR != "" {
		return &InvalidRequestError{
			Field: "CSR",
			Problem: "must be submitted after the create, which cannot say that its key is " +
				"attested",
		}
	}
	return nil
}

// check names the first field that a subject of this type lacks.
func (s Subject) check(subjectType string) error {
	person, organization := subjectType != subjectLegalEntity, subjectType != subjectNaturalPerson
	for _, need := range []struct {
		field, value string
		needed       bool
	}{
		{"Email", s.Email, true},
		{"FirstName", s.FirstName, person},
		{"LastName", s.LastName, person},
		{"OrganizationName", s.OrganizationName, organization},
		{"OrganizationIdentificationNumber", s.OrganizationIdentificationNumber, !person},
	} {
		if need.needed && strings.TrimSpace(need.value) == "" {
			return &InvalidRequestError{
				Field: "Subject." + need.field, Problem: "must be set for a " + subjectType,
			}
		}
	}
	return nil
}
