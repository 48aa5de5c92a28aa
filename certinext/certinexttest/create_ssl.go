// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// variants are the product variants the live service knows; the published text
// has the first three.
var variants = []string{
	"dv", "ov", "ev", "dv-wildcard", "dv-ucc", "dv-wildcard-ucc", "ov-wildcard", "ov-ucc",
	"ov-wildcard-ucc", "ev-ucc",
}

// createSSL places an SSL order or a draft, or promotes a draft.
func (s version2) createSSL(c *call) (reply, *problem) {
	var req wireCreateSSL
	if problem := decode(c.body, &req); problem != nil {
		return reply{}, problem
	}
	o, problem := s.newSSLOrder(c, req)
	if problem != nil {
		return reply{}, problem
	}
	if o, problem = s.place(c, o, req.CSR, req.RequestID); problem != nil {
		return reply{}, problem
	}
	return respond(http.StatusCreated, s.wireCreatedSSL(o, c.now))
}

// newSSLOrder checks a create request from form to business and builds the
// order, without entering it anywhere.
func (s version2) newSSLOrder(c *call, req wireCreateSSL) (*order, *problem) {
	if problem := s.checkSSLForm(req); problem != nil {
		return nil, problem
	}
	domain := strings.ToLower(req.Certificate.Domain)
	additional := distinct(domain, req.Certificate.AdditionalDomains)
	if problem := s.checkPublicNames(domain, additional); problem != nil {
		return nil, problem
	}
	product, problem := s.resolveSSLProduct(
		c.r.Header.Get("X-Product-Code"), req.ProductVariant, shapeOf(domain, additional),
	)
	if problem != nil {
		return nil, problem
	}
	o := &order{
		family: FamilySSL, product: product, variant: req.ProductVariant, domain: domain,
		additional: additional, www: wantsWWW(domain, req.Certificate.AutoSecureWww),
		group: req.GroupNumber, requestor: *req.Requestor, years: years(req.Subscription),
		renewal: renewalTermsOf(req.Subscription), customFields: req.CustomFields,
		remarks: req.Remarks, tags: req.Tags, createdAt: c.now, draft: req.SaveAsDraft,
	}
	o.targets = newTargets(o.leafNames())
	if problem := s.checkSSLBusiness(o, req.CustomFields, req.Organization); problem != nil {
		return nil, problem
	}
	s.Demands.park(o, req.TechnicalPointOfContact != nil)
	if s.Dialect != Documented {
		// Observed: accepted:true at create signs the agreement at once.
		o.sign(req.Agreement, c.now)
	}
	return o, nil
}

// checkSSLForm is everything that can be said without knowing the account.
func (s version2) checkSSLForm(req wireCreateSSL) *problem {
	if s.Dialect == Documented {
		if problem := firstMissing(
			requestorBlock(req.Requestor), certificateBlock(req.Certificate != nil),
			remarksBlock(req.Remarks), subscriptionBlock(req.Subscription),
			agreementBlock(req.Agreement),
		); problem != nil {
			return problem
		}
	}
	var l checklist
	l.notBlank("productVariant", req.ProductVariant)
	known := variants
	if s.Dialect == Documented {
		known = variants[:3]
	}
	if req.ProductVariant != "" && !slices.Contains(known, req.ProductVariant) {
		l.add("productVariant", "unknown product variant")
	}
	if req.Certificate == nil {
		l.add("certificate.domain", mustNotBeBlank)
	} else {
		l.notBlank("certificate.domain", req.Certificate.Domain)
	}
	l.party("requestor", req.Requestor, true)
	l.party("delegation", req.Delegation, false)
	l.party("technicalPointOfContact", req.TechnicalPointOfContact, false)
	l.subscription(req.Subscription)
	l.emails("recipientEmails", req.RecipientEmails)
	l.agreement(req.Agreement)
	return l.problem()
}

// resolveSSLProduct settles the product. A short variant (dv) takes any
// product of its validation level that the names fit; a long one (dv-ucc) only
// its own.
func (s version2) resolveSSLProduct(code, variant string, shape nameShape) (Product, *problem) {
	validation, _, long := strings.Cut(variant, "-")
	product, problem := s.resolveProduct(code, func(p Product) bool {
		t := productTypes[p.Type]
		if t.family != FamilySSL || t.validation != validation ||
			!shape.fits(t, s.Demands.LoneUCC) {
			return false
		}
		if long {
			return t.variantName() == variant
		}
		return code != "" || shape.exact(t)
	})
	if ordered, _ := s.product(code); problem != nil && !shape.several &&
		(productTypes[ordered.Type].ucc || strings.HasSuffix(variant, "-ucc")) {
		problem.because(needsAdditional)
	}
	return product, problem
}

// needsAdditional is the rule that an order of a UCC product with a single name breaks.
var needsAdditional = reason{Name: "additional-domains-needed", Source: sourceGateway}

// checkSSLBusiness is what the account has to say: group, custom fields,
// organization, consent.
func (s version2) checkSSLBusiness(
	o *order, fields []wireCustomField, ref *wireOrganizationRef,
) *problem {
	if problem := s.checkGroup(o.group); problem != nil {
		return problem
	}
	if problem := o.product.checkCustomFields(fields); problem != nil {
		return problem
	}
	return s.checkOrganization(o, ref)
}

// checkOrganization settles for whom an order is. OV and EV need to know.
func (s version2) checkOrganization(o *order, ref *wireOrganizationRef) *problem {
	if ref == nil || ref.OrganizationNumber == "" {
		if o.needsOrganization() && !s.Demands.parks(PartOrganization) {
			return rule("EMS-1180", "Organization Name cannot be empty")
		}
		return nil
	}
	org := s.organization(ref.OrganizationNumber)
	if org == nil || (productTypes[o.product.Type].validation == "ev" && org.ValidationFor != "2") {
		return rule("EMS-1073", "Invalid Organization Number")
	}
	if ref.PreVettingToken != "" && !equal(ref.PreVettingToken, org.ConsentToken) {
		return rule("", "Invalid pre-vetting token").inV1("EMS-1214").becauseOf("EMS-1214")
	}
	o.organization, o.preVetted, o.consented = org, ref.PreVetted, ref.PreVettingToken != ""
	return nil
}

// sign records an accepted agreement; anything else leaves it open.
func (o *order) sign(a *wireAgreement, now time.Time) {
	if a != nil && a.Accepted {
		o.agreement = &signedAgreement{signer: a.SignerName, place: a.SignerPlace, at: now}
	}
}
