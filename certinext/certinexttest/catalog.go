// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Product is one line of the account's catalog.
type Product struct {
	// Code is the product code, a decimal string that differs per environment.
	Code string `json:"code,omitempty"`
	// Name is the only thing that tells products of one type apart.
	Name string `json:"name,omitempty"`
	// Type is the productTypeID, such as "13" for DV. It is not unique.
	Type string `json:"type,omitempty"`
	// Variant is the private-PKI variant that the product serves; "" for
	// other families.
	Variant string `json:"variant,omitempty"`
	// Years are the terms on offer, "1 Year", "2 Years" or "3 Years", with their price. A price
	// that is no amount, such as "on request", is shown as it is and costs nothing. nil means a
	// price of 0.0 for one to three years, as was observed.
	Years map[string]string `json:"years,omitempty"`
	// Term is how many years the product lasts, whatever the order says; zero leaves that to the
	// order. The names of document signers say so.
	Term int `json:"term,omitempty"`
	// Refused products are listed, and every order of them is refused as one that the account is
	// not entitled to: EMS-1162 in version 1 (observed for product 149 of a sandbox), and EMS-915
	// in version 2 (documented).
	Refused bool `json:"refused,omitempty"`
	// NeedsApproval parks each order of the product at pending-approval.
	NeedsApproval bool `json:"needsApproval,omitempty"`
	// CustomFields are the additional fields that orders of the product take.
	CustomFields []CustomField `json:"customFields,omitempty"`
}

// A CustomField is an account-defined field of a product.
type CustomField struct {
	// ID names it in orders; Name is for people.
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
	// Mandatory refuses an order without it.
	Mandatory bool `json:"mandatory,omitempty"`
	// Values are those that it takes; nil means any text.
	Values []string `json:"values,omitempty"`
	// MaxLength is the longest value in characters; zero means 100.
	MaxLength int `json:"maxLength,omitempty"`
}

func (f CustomField) maxLength() int { return orDefault(f.MaxLength, 100) }

// Product type ids (observed, except where the vendor's text is all there is).
const (
	typeNaturalPerson = "10"
	typeLegalPerson   = "11"
	typeLegalEntity   = "12"
	typeDV            = "13"
	typeDVWildcard    = "14"
	typeDVUCC         = "15"
	typeOV            = "16"
	typeOVWildcard    = "17"
	typeOVUCC         = "18"
	typeEV            = "19"
	typeEVUCC         = "20"
	typeDVWildcardUCC = "21"
	typeOVWildcardUCC = "22"
	typePrivatePKI    = "39"
	typeSMIME         = "41"
)

// A productType is what a type id means for the shape of an order.
type productType struct {
	family     string
	validation string // dv, ov or ev for SSL, the subject's type for a signer
	wildcard   bool
	ucc        bool
}

var productTypes = map[string]productType{
	typeDV:            {FamilySSL, "dv", false, false},
	typeDVWildcard:    {FamilySSL, "dv", true, false},
	typeDVUCC:         {FamilySSL, "dv", false, true},
	typeDVWildcardUCC: {FamilySSL, "dv", true, true},
	typeOV:            {FamilySSL, "ov", false, false},
	typeOVWildcard:    {FamilySSL, "ov", true, false},
	typeOVUCC:         {FamilySSL, "ov", false, true},
	typeOVWildcardUCC: {FamilySSL, "ov", true, true},
	typeEV:            {FamilySSL, "ev", false, false},
	typeEVUCC:         {FamilySSL, "ev", false, true},
	typePrivatePKI:    {family: FamilyPrivatePKI},
	typeNaturalPerson: {FamilySignature, subjectNaturalPerson, false, false},
	typeLegalPerson:   {FamilySignature, subjectLegalPerson, false, false},
	typeLegalEntity:   {FamilySignature, subjectLegalEntity, false, false},
	typeSMIME:         {family: FamilySMIME}, // no path in v2
}

// variantName is the long product variant, such as dv-wildcard-ucc.
func (t productType) variantName() string {
	name := t.validation
	if t.wildcard {
		name += "-wildcard"
	}
	if t.ucc {
		name += "-ucc"
	}
	return name
}

// SandboxCatalog is the catalog of the vendor's sandbox: SSL 842 to 851,
// private PKI 149 and 104, document signers 819 to 827, S/MIME 914.
func SandboxCatalog() []Product {
	return []Product{
		{Code: "842", Name: "SSL DV", Type: typeDV},
		{Code: "843", Name: "SSL DV Wildcard", Type: typeDVWildcard},
		{Code: "844", Name: "SSL DV UCC", Type: typeDVUCC},
		{Code: "845", Name: "SSL DV Wildcard UCC", Type: typeDVWildcardUCC},
		{Code: "846", Name: "SSL OV", Type: typeOV},
		{Code: "847", Name: "SSL OV Wildcard", Type: typeOVWildcard},
		{Code: "848", Name: "SSL OV UCC", Type: typeOVUCC},
		{Code: "849", Name: "SSL OV Wildcard UCC", Type: typeOVWildcardUCC},
		{Code: "850", Name: "SSL EV", Type: typeEV},
		{Code: "851", Name: "SSL EV UCC", Type: typeEVUCC},
		{Code: "149", Name: "Intranet SSL", Type: typePrivatePKI, Variant: "intranet-ssl"},
		{Code: "104", Name: "IGTF Host", Type: typePrivatePKI, Variant: "igtf-host"},
		{
			Code: "819", Name: "Document Signer Natural Person 1 Year",
			Type: typeNaturalPerson, Term: 1,
		},
		{
			Code: "820", Name: "Document Signer Natural Person 2 Years",
			Type: typeNaturalPerson, Term: 2,
		},
		{
			Code: "821", Name: "Document Signer Natural Person 3 Years",
			Type: typeNaturalPerson, Term: 3,
		},
		{Code: "822", Name: "Document Signer Legal Person 1 Year", Type: typeLegalPerson, Term: 1},
		{Code: "823", Name: "Document Signer Legal Person 2 Years", Type: typeLegalPerson, Term: 2},
		{Code: "824", Name: "Document Signer Legal Person 3 Years", Type: typeLegalPerson, Term: 3},
		{Code: "825", Name: "Document Signer Legal Entity 1 Year", Type: typeLegalEntity, Term: 1},
		{Code: "826", Name: "Document Signer Legal Entity 2 Years", Type: typeLegalEntity, Term: 2},
		{Code: "827", Name: "Document Signer Legal Entity 3 Years", Type: typeLegalEntity, Term: 3},
		{Code: "914", Name: "S/MIME", Type: typeSMIME},
	}
}

func (s *Server) catalog() []Product {
	if s.Catalog != nil {
		return s.Catalog
	}
	return SandboxCatalog()
}

func (s *Server) product(code string) (Product, bool) {
	for _, p := range s.catalog() {
		if p.Code == code {
			return p, true
		}
	}
	return Product{}, false
}

// resolveProduct finds the one product that code (from X-Product-Code, may be
// empty) or else fits allows. Several candidates without a code are as wrong
// as none: the server does not guess.
func (s *Server) resolveProduct(code string, fits func(Product) bool) (Product, *problem) {
	if code != "" {
		p, ok := s.product(code)
		if !ok {
			return Product{}, rule("EMS-915", "Invalid Product Code")
		}
		if !fits(p) {
			return Product{}, rule(
				"EMS-915",
				"Product Code does not match the product variant or the names of the order",
			)
		}
		return p, p.refusal()
	}
	candidates := slices.DeleteFunc(slices.Clone(s.catalog()), func(p Product) bool {
		return !fits(p)
	})
	if len(candidates) != 1 {
		return Product{}, rule(
			"EMS-915", "Invalid Product Code: the order does not determine one product",
		)
	}
	return candidates[0], candidates[0].refusal()
}

// refusal is that of a product which is listed and cannot be ordered.
func (p Product) refusal() *problem {
	if !p.Refused {
		return nil
	}
	return rule("EMS-915", "the product is not entitled to this account")
}

// A nameShape is what the names of an SSL order ask of its product.
type nameShape struct {
	wildcard, several bool
}

func shapeOf(domain string, additional []string) nameShape {
	isWildcard := func(n string) bool { return strings.HasPrefix(n, "*.") }
	return nameShape{
		wildcard: isWildcard(domain) || slices.ContainsFunc(additional, isWildcard),
		several:  len(additional) > 0,
	}
}

// fits reports whether a product of type t can carry names of shape n. A wildcard product does not
// stand without a wildcard, and a UCC product stands with a single name only where it may.
func (n nameShape) fits(t productType, loneUCC bool) bool {
	return n.wildcard == t.wildcard && (n.several == t.ucc || (t.ucc && loneUCC))
}

// exact reports whether t is the product that n alone would choose.
func (n nameShape) exact(t productType) bool {
	return n.wildcard == t.wildcard && n.several == t.ucc
}

// Category ids of the catalog.
var categories = []struct{ id, name, family string }{
	{"1", "Document Signer Certificates", FamilySignature},
	{"2", "S/MIME Certificates", FamilySMIME},
	{"3", "SSL/TLS Certificates", FamilySSL},
	{"8", "Private PKI Certificates", FamilyPrivatePKI},
}

type wireProduct struct {
	ProductCode       string              `json:"productCode"`
	ProductName       string              `json:"productName"`
	ProductTypeID     string              `json:"productTypeID"`
	ProductType       string              `json:"productType,omitempty"` // documented only
	Variant           string              `json:"variant,omitempty"`     // documented only
	SubscriptionPrice map[string]wireCost `json:"subscriptionPrice"`
}

type wireCost struct {
	Cost string `json:"cost"`
}

type wireCategory struct {
	CategoryID   string        `json:"categoryID"`
	CategoryName string        `json:"categoryName"`
	CurrencyType string        `json:"currencyType"`
	Products     []wireProduct `json:"products"`
}

func (s version2) listProducts(c *call) (reply, *problem) {
	if problem := s.checkGroup(c.arg("groupNumber")); problem != nil {
		return reply{}, problem
	}
	categories := s.wireCategories(func(p Product) (wireProduct, bool) {
		return s.wireProduct(p), true
	})
	return respond(http.StatusOK, map[string]any{"products": categories})
}

// wireCategories are the categories that hold products, each as wire spells it
// and as far as it shows it.
func (s *Server) wireCategories(wire func(Product) (wireProduct, bool)) []wireCategory {
	list := []wireCategory{}
	for _, cat := range categories {
		category := wireCategory{
			CategoryID: cat.id, CategoryName: cat.name, CurrencyType: s.currency(),
		}
		for _, p := range s.catalog() {
			if w, shown := wire(p); shown && productTypes[p.Type].family == cat.family {
				category.Products = append(category.Products, w)
			}
		}
		if len(category.Products) > 0 {
			list = append(list, category)
		}
	}
	return list
}

func (s *Server) wireProduct(p Product) wireProduct {
	w := p.wire()
	if s.Dialect == Documented {
		t := productTypes[p.Type]
		w.ProductType, w.Variant = t.family, orDefault(p.Variant, t.variantName())
	}
	return w
}

// wire is what both dialects and both versions say of a product.
func (p Product) wire() wireProduct {
	w := wireProduct{
		ProductCode: p.Code, ProductName: p.Name, ProductTypeID: p.Type,
		SubscriptionPrice: map[string]wireCost{},
	}
	years := p.Years
	if years == nil {
		years = map[string]string{"1 Year": "0.0", "2 Years": "0.0", "3 Years": "0.0"}
	}
	for term, cost := range years {
		w.SubscriptionPrice[term] = wireCost{cost}
	}
	return w
}

type wireCustomFieldInfo struct {
	Name        string   `json:"name"`
	FieldID     string   `json:"fieldId"`
	Type        string   `json:"type"`
	MaxLength   string   `json:"maxlength"`
	IsMandatory string   `json:"isMandatory"`
	Values      []string `json:"values"`
}

// listCustomFields answers the empty list seen live, and the documented
// element where the product does have fields.
func (s version2) listCustomFields(c *call) (reply, *problem) {
	p, ok := s.product(c.param("id"))
	if !ok {
		return reply{}, notFound("Product not found")
	}
	list := []any{}
	if len(p.CustomFields) > 0 {
		fields := []wireCustomFieldInfo{}
		for _, f := range p.CustomFields {
			fields = append(fields, wireCustomFieldInfo{
				f.Name, f.ID, "text", strconv.Itoa(f.maxLength()), oneOrZero(f.Mandatory),
				append([]string{}, f.Values...),
			})
		}
		list = append(list, map[string]any{
			"certificateInformation": []any{}, "additionalInformation": fields,
		})
	}
	return respond(http.StatusOK, map[string]any{"customFields": list})
}

// checkCustomFields asks for the product's mandatory fields and refuses
// fields it does not have and values that they do not take.
func (p Product) checkCustomFields(given []wireCustomField) *problem {
	for _, f := range p.CustomFields {
		has := slices.ContainsFunc(given, func(g wireCustomField) bool {
			return g.FieldID == f.ID && g.Value != ""
		})
		if f.Mandatory && !has {
			return rule("EMS-918", "Additional information "+f.Name+" cannot be empty").inV1(
				"EMS-1212",
			)
		}
	}
	for _, g := range given {
		i := slices.IndexFunc(p.CustomFields, func(f CustomField) bool { return f.ID == g.FieldID })
		if i < 0 {
			return invalidField("customFields.fieldId", "unknown custom field").inV1("EMS-1203")
		}
		f := p.CustomFields[i]
		isListed := g.Value == "" || f.Values == nil || slices.Contains(f.Values, g.Value)
		if utf8.RuneCountInString(g.Value) > f.maxLength() || !isListed {
			return invalidField(
				"customFields.value", "not a value of the custom field "+f.Name,
			).inV1("EMS-1207")
		}
	}
	return nil
}

func oneOrZero(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
