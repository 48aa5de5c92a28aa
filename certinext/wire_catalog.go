// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// wireCategory is a part of the catalog with its products, or, in the published collection, a product by itself.
type wireCategory struct {
	CategoryID   text                      `json:"categoryID"`
	CategoryName text                      `json:"categoryName"`
	Currency     text                      `json:"currencyType"`
	Products     list[object[wireProduct]] `json:"products"`
	wireProduct
}

type wireProduct struct {
	ProductCode       text        `json:"productCode"`
	ProductName       text        `json:"productName"`
	ProductTypeID     text        `json:"productTypeID"`
	ProductType       text        `json:"productType"` // the family by name (documented)
	SubscriptionPrice wirePricing `json:"subscriptionPrice"`
	Price             wirePricing `json:"price"`
}

// wirePricing is {"1 Year":{"cost":"0.0"}}, or the amounts without the inner object, or one amount.
type wirePricing map[string]string

func (p *wirePricing) UnmarshalJSON(b []byte) error {
	*p = nil
	var terms map[string]json.RawMessage
	if json.Unmarshal(b, &terms) != nil {
		terms = map[string]json.RawMessage{"": b}
	}
	for term, raw := range terms {
		var amount text
		var nested object[struct {
			Cost text `json:"cost"`
		}]
		if bytes.HasPrefix(raw, []byte("{")) {
			_ = json.Unmarshal(raw, &nested)
			amount = nested.value.Cost
		} else {
			_ = json.Unmarshal(raw, &amount)
		}
		if s := words(amount); s != "" {
			if *p == nil {
				*p = wirePricing{}
			}
			(*p)[words(text(term))] = s
		}
	}
	return nil
}

var categoryFamilies = map[text]Family{"1": FamilySignature, "2": FamilySMIME, "3": FamilySSL, "8": FamilyPrivatePKI}

// Documented; 15, 18, 20, 21 and 22 were observed too.
var typeVariants = map[text]string{
	"10": "natural-person", "11": "legal-person", "12": "legal-entity",
	"13": "dv", "14": "dv-wildcard", "15": "dv-ucc", "21": "dv-wildcard-ucc",
	"16": "ov", "17": "ov-wildcard", "18": "ov-ucc", "22": "ov-wildcard-ucc",
	"19": "ev", "20": "ev-ucc",
	"39": "private-pki", "41": "smime",
}

func decodeProducts(body []byte) ([]Product, error) {
	categories, err := decodeRows[wireCategory](body, "products", "categories", "productDetails")
	if err != nil {
		return nil, err
	}
	products := []Product{}
	for _, w := range categories {
		if w.ProductCode != "" {
			products = append(products, w.product(w.wireProduct))
		}
		for _, p := range w.Products {
			products = append(products, w.product(p.value))
		}
	}
	return slices.DeleteFunc(products, func(p Product) bool { return p.Code == "" }), nil
}

func (w wireCategory) product(p wireProduct) Product {
	family := categoryFamilies[w.CategoryID]
	if named := Family(strings.ToLower(string(p.ProductType))); family == "" {
		if _, err := named.root(); err == nil {
			family = named
		}
	}
	prices := p.SubscriptionPrice
	if len(prices) == 0 {
		prices = p.Price
	}
	return Product{
		Code: words(p.ProductCode), Name: words(p.ProductName), TypeID: words(p.ProductTypeID),
		Category: Category{ID: words(w.CategoryID), Name: words(w.CategoryName)},
		Family:   family, Variant: typeVariants[p.ProductTypeID], Currency: words(w.Currency), Prices: prices,
	}
}

type wireCustomFieldSpec struct {
	Name        text       `json:"name"`
	FieldID     text       `json:"fieldId"`
	Type        text       `json:"type"`
	MaxLength   count      `json:"maxlength"`
	IsMandatory flag       `json:"isMandatory"`
	Values      list[text] `json:"values"`
}

// decodeCustomFields reads {"customFields":[...]}, whose elements are fields, or objects that hold lists of fields under
// the name of a section (documented).
func decodeCustomFields(body []byte) ([]CustomFieldSpec, error) {
	elements, err := decodeRows[map[string]json.RawMessage](body, "customFields")
	if errors.Is(err, errWrongShape) {
		var sections map[string]json.RawMessage // without the wrapper
		err = unmarshalObject(body, &sections)
		elements = append(elements, sections)
	}
	if err != nil {
		return nil, err
	}
	specs := []CustomFieldSpec{}
	for _, e := range elements {
		if _, ok := e["fieldId"]; ok {
			specs = appendSpec(specs, "", e)
			continue
		}
		sections := make([]string, 0, len(e))
		for name := range e {
			sections = append(sections, name)
		}
		slices.Sort(sections)
		for _, section := range sections {
			var fields list[map[string]json.RawMessage]
			_ = json.Unmarshal(e[section], &fields)
			for _, f := range fields {
				specs = appendSpec(specs, section, f)
			}
		}
	}
	return specs, nil
}

func appendSpec(specs []CustomFieldSpec, section string, field map[string]json.RawMessage) []CustomFieldSpec {
	raw, err := json.Marshal(field)
	if err != nil {
		return specs
	}
	var w object[wireCustomFieldSpec]
	if json.Unmarshal(raw, &w) != nil || w.value.FieldID == "" {
		return specs
	}
	return append(specs, CustomFieldSpec{
		ID: words(w.value.FieldID), Name: words(w.value.Name), Section: words(text(section)),
		Type: words(w.value.Type), MaxLength: int(w.value.MaxLength), Mandatory: w.value.IsMandatory.on,
		Values: texts(w.value.Values),
	})
}
