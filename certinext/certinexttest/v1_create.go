// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"strings"
)

// createSSL places an SSL order or a draft, or promotes a draft.
func (s version1) createSSL(c *call) (reply, *problem) {
	return s.create(c, FamilySSL, version1.newSSLOrder)
}

// createPrivatePKI places an order with the customer's own CA.
func (s version1) createPrivatePKI(c *call) (reply, *problem) {
	return s.create(c, FamilyPrivatePKI, version1.newPrivateOrder)
}

// A v1Maker builds the order of one family from a request whose common part
// was checked, without entering it anywhere.
type v1Maker func(s version1, c *call, o *order, req wireV1Order) *problem

// create is what the create verbs share: the form, the product, the account,
// and the way into the book.
func (s version1) create(c *call, family string, fill v1Maker) (reply, *problem) {
	if problem := s.checkBurst(c.now); problem != nil {
		return reply{}, problem
	}
	var body wireV1Create
	if problem := c.decodeV1(&body); problem != nil {
		return reply{}, problem
	}
	req := orZero(body.OrderDetails)
	o, problem := s.newOrder(c, family, req)
	if problem != nil {
		return reply{}, problem
	}
	if problem := fill(s, c, o, req); problem != nil {
		return reply{}, problem
	}
	if problem := s.checkDraft(family, req.RequestNumber); problem != nil {
		return reply{}, problem
	}
	if o, problem = s.place(c, o, req.CSR, req.RequestNumber); problem != nil {
		return reply{}, problem
	}
	s.adopt(o.organization)
	return s.success(c, map[string]any{"orderDetails": s.wireCreatedOf(o)})
}

// newOrder checks what the families share and builds that part of an order.
func (s version1) newOrder(c *call, family string, req wireV1Order) (*order, *problem) {
	if problem := checkV1Form(req, family); problem != nil {
		return nil, problem
	}
	group, problem := billedGroup(s.Dialect, req, family)
	if problem != nil {
		return nil, problem
	}
	product, problem := s.productOf(req.ProductCode, family, group)
	if problem != nil {
		return nil, problem
	}
	extra := orZero(req.AdditionalInformation)
	if problem := checkV1Tags(extra.Tags, s.Dialect == Documented); problem != nil {
		return nil, problem
	}
	if problem := product.checkCustomFields(v1CustomFields(extra.CustomFields)); problem != nil {
		return nil, problem
	}
	return &order{
		family: family, product: product,
		variant: orDefault(product.Variant, productTypes[product.Type].variantName()),
		domain:  strings.ToLower(req.CertificateInformation.DomainName), group: group,
		requestor: req.RequestorInformation.party(), years: v1Years(req.SubscriptionDetails),
		renewal:      v1RenewalTermsOf(req.SubscriptionDetails),
		customFields: v1CustomFields(extra.CustomFields),
		remarks:      extra.Remarks, tags: extra.Tags, createdAt: c.now,
		draft: req.SaveAndHold == "1",
	}, nil
}

// productOf finds the product of an order. What the account does not have is
// EMS-1162, what its group does not have EMS-1269, and a product of a family
// that the verb does not serve EMS-915 (all three observed).
func (s version1) productOf(code, family, group string) (Product, *problem) {
	if problem := s.checkGroup(group); problem != nil {
		return Product{}, problem
	}
	p, ok := s.product(code)
	switch {
	case !ok || p.Refused:
		return Product{}, v1Failure("EMS-1162", "Invalid Product Code.")
	case productTypes[p.Type].family != family:
		return Product{}, v1Failure("EMS-915", "Invalid Certificate ID")
	case !s.groupHas(group, code):
		return Product{}, v1Failure("EMS-1269", "Product is not mapped to the group.")
	}
	return p, nil
}

// billedGroup is the group that an order is billed to; "" for the default one.
// The documents have it on the order, clients of the live service in the
// delegation of every SSL order. Each dialect looks in its own place and
// overlooks the other one: such an order is taken, and is the default group's.
// Of the other families one place is known only, and both are taken.
func billedGroup(d Dialect, req wireV1Order, family string) (string, *problem) {
	outer, inner := req.GroupNumber, orZero(req.DelegationInformation).GroupNumber
	switch {
	case outer != "" && inner != "" && outer != inner:
		return "", v1Failure("EMS-1137", "Invalid Group Number: two are given.")
	case family != FamilySSL:
		return orDefault(outer, inner), nil
	case d == Documented:
		return outer, nil
	default:
		return inner, nil
	}
}

// checkDraft refuses a request number that is no open draft.
func (s version1) checkDraft(family, requestNumber string) *problem {
	if requestNumber == "" {
		return nil
	}
	switch draft := s.book.requests[requestNumber]; {
	case draft == nil || draft.family != family || draft.cancelled != nil:
		return v1Failure("EMS-1005", "Invalid Request Number.")
	case !draft.draft:
		return v1Failure("EMS-1169", "Request is already processed.")
	}
	return nil
}

func (s version1) wireCreatedOf(o *order) wireV1Created {
	w := wireV1Created{RequestNumber: o.requestID, OrderNumber: o.id}
	if s.Dialect == Documented {
		w.DocumentedURL = trackingURL(o)
	} else {
		w.TrackingURL = trackingURL(o)
	}
	return w
}

func v1CustomFields(given []wireV1CustomField) []wireCustomField {
	fields := make([]wireCustomField, 0, len(given))
	for _, g := range given {
		fields = append(fields, wireCustomField{FieldID: g.FieldID, Value: g.FieldValue})
	}
	return fields
}

func v1Years(sub *wireV1Subscription) int {
	switch orZero(sub).Validity {
	case "2":
		return 2
	case "3":
		return 3
	default:
		return 1
	}
}
