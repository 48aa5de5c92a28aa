// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"net/url"
	"time"
)

// An Account is whom the token belongs to.
type Account struct {
	Number   string // the documentation's appCode
	AuthType string // "oauth2" on the live service; empty for a key that signs in version 1
	// ID and UserID are CERTInext's internal ids; the live service leaves them out (observed 2026).
	ID     string
	UserID string
}

// Me returns the account that the credentials belong to. It is the cheapest call that proves that they work.
func (c *Client) Me(ctx context.Context) (*Account, error) {
	return c.protocol().me(ctx, "reading account")
}

func (c v2) me(ctx context.Context, operation string) (*Account, error) {
	return fetch(ctx, c.Client, c.read(operation, "/auth/me", nil), decodeAccount)
}

// A Group is a billing group.
type Group struct {
	Number  string // for OrderRequest.GroupNumber
	Name    string
	Default bool // charged when an order names none
	// OwnBalance is true when orders are charged to the group's balance, false for the account's.
	OwnBalance bool
	// AccountBalance and GroupBalance are amounts as CERTInext writes them, without a currency; empty when absent.
	AccountBalance string
	GroupBalance   string
	Organizations  []GroupOrganization
}

// A GroupOrganization is an organization that a group may order for.
type GroupOrganization struct {
	Number        string
	Name          string
	ValidationFor string // "1" OV, "2" EV and OV, "3" S/MIME
}

// Groups returns the account's billing groups.
func (c *Client) Groups(ctx context.Context) ([]Group, error) {
	return c.protocol().groups(ctx, "listing groups")
}

func (c v2) groups(ctx context.Context, operation string) ([]Group, error) {
	return fetch(ctx, c.Client, c.read(operation, "/groups", nil), decodeGroups)
}

// An Organization is one that CERTInext vetted for the account, or is vetting. The same legal entity may stand under
// several numbers, one for each kind of validation. [Client.Organizations] fills in the first block of fields only, and in
// version 1, which lists them by group, Number, Name and ValidationFor.
type Organization struct {
	Number      string // for OrganizationRef.Number
	Name        string
	Locality    string
	CountryCode string // ISO 3166-1 alpha-2
	PostalCode  string
	StatusID    string
	PreVetted   *bool // nil when CERTInext does not say

	StreetAddress1     string
	StreetAddress2     string
	StateCode          string
	StateName          string
	BusinessCategoryID string
	ValidationFor      string // "1" OV, "2" EV and OV, "3" S/MIME
	ValidationStatusID string // "0" to "5"
	Domains            []string
	Representatives    []Representative
	// AgreementSigned is nil when CERTInext does not say. The time has no zone on the wire and is taken as UTC.
	AgreementSigned   *bool
	AgreementSigner   string
	AgreementSignedAt time.Time
}

// A Representative is a person whom CERTInext knows for an organization.
type Representative struct {
	Number      string
	Name        string
	Email       string
	Phone       string // E.164
	Designation string
}

// Organizations returns the account's organizations.
func (c *Client) Organizations(ctx context.Context) ([]Organization, error) {
	return c.protocol().organizations(ctx, "listing organizations")
}

func (c v2) organizations(ctx context.Context, operation string) ([]Organization, error) {
	return fetch(ctx, c.Client, c.read(operation, "/organizations", nil), decodeOrganizations)
}

// Organization returns everything that CERTInext says of one organization.
func (c *Client) Organization(ctx context.Context, number string) (*Organization, error) {
	return c.protocol().organization(ctx, "reading organization", number)
}

func (c v2) organization(ctx context.Context, operation, number string) (*Organization, error) {
	id, err := segment("number", number)
	if err != nil {
		return nil, asError(operation, err)
	}
	return fetch(ctx, c.Client, c.read(operation, "/organizations/"+id, nil), decodeOrganization)
}

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
