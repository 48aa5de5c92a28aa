// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"net/url"
)

// A Product is something the account may order. Product codes differ between environments and accounts: 842 is a DV
// product in one and an OV product in another.
type Product struct {
	Code     string // for OrderRequest.ProductCode
	Name     string
	Category Category
	// TypeID tells what kind of product this is, but not which: products for 30 and 90 days and for the full term
	// share it, and only the name tells them apart. With several matches, ask; do not guess.
	TypeID string
	// Family follows from Category; empty for a category that is not known.
	Family Family
	// Variant follows from TypeID: dv, dv-wildcard, dv-ucc, dv-wildcard-ucc, the same for ov, ev, ev-ucc, private-pki,
	// natural-person, legal-person, legal-entity, smime; empty for an unknown one. OrderRequest.Variant takes what stands
	// before the first dash for SSL.
	Variant  string
	Currency string // e.g. USD
	// Prices holds amounts as CERTInext writes them by length of subscription, e.g. "1 Year": "0.0".
	Prices map[string]string
}

// A Category is a part of the catalog. ID is 1 for document signers, 2 for S/MIME, 3 for SSL/TLS, 8 for private PKI.
type Category struct {
	ID   string
	Name string
}

// Products returns what the account may order, or what a billing group may if groupNumber is not empty.
func (c *Client) Products(ctx context.Context, groupNumber string) ([]Product, error) {
	return c.protocol().products(ctx, "listing products", groupNumber)
}

func (c v2) products(ctx context.Context, operation, groupNumber string) ([]Product, error) {
	return fetch(ctx, c.Client, c.read(operation, "/catalog/products", groupQuery(groupNumber)), decodeProducts)
}

func groupQuery(number string) url.Values {
	if number == "" {
		return nil
	}
	return url.Values{"groupNumber": {number}}
}

// A CustomFieldSpec describes a field that a product's orders may or must fill in (documented; every live catalog seen
// in 2026 was empty).
type CustomFieldSpec struct {
	ID        string // for CustomField.FieldID
	Name      string
	Section   string // e.g. certificateInformation
	Type      string
	MaxLength int // characters; zero when not limited
	Mandatory bool
	Values    []string // the permitted ones; empty for free text
}

// CustomFields returns the custom fields of a product.
func (c *Client) CustomFields(ctx context.Context, productCode string) ([]CustomFieldSpec, error) {
	return c.protocol().customFields(ctx, "listing custom fields", productCode)
}

func (c v2) customFields(ctx context.Context, operation, productCode string) ([]CustomFieldSpec, error) {
	code, err := segment("productCode", productCode)
	if err != nil {
		return nil, asError(operation, err)
	}
	return fetch(ctx, c.Client, c.read(operation, "/catalog/products/"+code+"/custom-fields", nil), decodeCustomFields)
}
