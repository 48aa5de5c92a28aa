// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"slices"
	"strings"
)

// Private-PKI variants: those that can be ordered, and those that only an
// enumeration of responses mentions.
var (
	privateVariants   = []string{"intranet-ssl", "igtf-host"}
	unentitledVariant = []string{"igtf-personal", "device", "vpn"}
)

// newPrivateOrder checks a private-PKI create request. There is no DCV, no
// agreement and no organization.
func (s version2) newPrivateOrder(c *call, req wireCreatePrivatePKI) (*order, *problem) {
	if problem := s.checkPrivateForm(req); problem != nil {
		return nil, problem
	}
	hostname := strings.ToLower(req.Hostname)
	if !privateName.MatchString(hostname) {
		return nil, invalidHost(hostname)
	}
	additional, hosts, problem := splitHosts(distinct(hostname, req.AdditionalHosts))
	if problem != nil {
		return nil, problem
	}
	if req.CAProfileID != "" && !slices.Contains(s.caProfiles(), req.CAProfileID) {
		return nil, rule("EMS-915", "CA profile is not entitled")
	}
	product, problem := s.resolveProduct(c.r.Header.Get("X-Product-Code"), func(p Product) bool {
		return productTypes[p.Type].family == FamilyPrivatePKI && p.Variant == req.Variant
	})
	if problem != nil {
		return nil, problem
	}
	if problem := s.checkGroup(req.GroupNumber); problem != nil {
		return nil, problem
	}
	if problem := product.checkCustomFields(req.CustomFields); problem != nil {
		return nil, problem
	}
	return &order{
		family: FamilyPrivatePKI, product: product, variant: req.Variant, domain: hostname,
		additional: additional, hosts: hosts, group: req.GroupNumber, requestor: *req.Requestor,
		years:   years(req.Subscription),
		renewal: renewalTermsOf(req.Subscription), customFields: req.CustomFields,
		remarks: req.Remarks, tags: req.Tags, createdAt: c.now,
	}, nil
}

// checkPrivateForm: caProfileId and masterProductId are required as published
// and optional as observed.
func (s version2) checkPrivateForm(req wireCreatePrivatePKI) *problem {
	if s.Dialect == Documented {
		if problem := firstMissing(
			requestorBlock(req.Requestor), subscriptionBlock(req.Subscription),
		); problem != nil {
			return problem
		}
	}
	var l checklist
	l.notBlank("variant", req.Variant)
	l.notBlank("hostname", req.Hostname)
	if req.Variant != "" &&
		!slices.Contains(slices.Concat(privateVariants, unentitledVariant), req.Variant) {
		l.add("variant", "unknown variant")
	}
	if s.Dialect == Documented {
		l.notBlank("caProfileId", req.CAProfileID)
		l.notBlank("masterProductId", req.MasterProductID)
	}
	l.party("requestor", req.Requestor, true)
	l.party("technicalPointOfContact", req.TechnicalPointOfContact, false)
	l.subscription(req.Subscription)
	l.emails("recipientEmails", req.RecipientEmails)
	return l.problem()
}

func (s *Server) caProfiles() []string {
	if s.CAProfiles != nil {
		return s.CAProfiles
	}
	return []string{"1"}
}
