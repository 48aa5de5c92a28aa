// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"context"
	"net/url"
	"time"
)

// An Account is the one that the credentials belong to.
type Account struct {
	// Number is the account's ten digits, the documentation's appCode.
	Number string
	// AuthType is "oauth2" on the live service (observed 2026); empty for a key that signs in
	// version 1.
	AuthType string
	// ID and UserID are CERTInext's internal ids; the live service leaves them out (observed 2026).
	ID     string
	UserID string
}

// Me returns the account that the credentials belong to. It is the cheapest call that proves that
// they work.
func (c *Client) Me(ctx context.Context) (*Account, error) {
	return c.protocol().me(ctx, "reading account")
}

func (c v2) me(ctx context.Context, operation string) (*Account, error) {
	return fetch(ctx, c.Client, c.read(operation, "/auth/me", nil), decodeAccount)
}

// A Group is a billing group.
type Group struct {
	// Number is for [OrderRequest.GroupNumber].
	Number string
	// Name is the portal's.
	Name string
	// Default is set for the group that is charged when an order names none.
	Default bool
	// OwnBalance is true when orders are charged to the group's balance, false for the account's.
	OwnBalance bool
	// AccountBalance and GroupBalance are amounts as CERTInext writes them, e.g. "0.00", without a
	// currency; empty when absent.
	AccountBalance string
	GroupBalance   string
	// Organizations are those that the group may order for; empty when CERTInext names none.
	Organizations []GroupOrganization
}

// A GroupOrganization is an organization that a group may order for.
type GroupOrganization struct {
	// Number is for [OrganizationRef.Number].
	Number string
	// Name is the organization's.
	Name string
	// ValidationFor is "1" OV, "2" EV and OV, "3" S/MIME (observed 2026).
	ValidationFor string
}

// Groups returns the account's billing groups.
func (c *Client) Groups(ctx context.Context) ([]Group, error) {
	return c.protocol().groups(ctx, "listing groups")
}

func (c v2) groups(ctx context.Context, operation string) ([]Group, error) {
	return fetch(ctx, c.Client, c.read(operation, "/groups", nil), decodeGroups)
}

// An Organization is one that CERTInext vetted for the account, or is vetting. The same legal
// entity may stand under several numbers, one for each kind of validation (observed 2026).
// [Client.Organizations] fills in the first block of fields only, and in version 1, which lists
// them by group, Number, Name and ValidationFor. What CERTInext leaves out is empty.
type Organization struct {
	// Number is for [OrganizationRef.Number].
	Number string
	// Name is the organization's registered name.
	Name string
	// Locality is its town.
	Locality string
	// CountryCode is two letters of ISO 3166-1.
	CountryCode string
	// PostalCode is as the country writes it.
	PostalCode string
	// StatusID is CERTInext's number of the organization's state, "1" for all that were observed.
	// No source lists the others.
	StatusID string
	// PreVetted says whether orders may name the organization without another vetting; nil when
	// CERTInext does not say.
	PreVetted *bool

	// StreetAddress1 and StreetAddress2 are the lines of the address.
	StreetAddress1 string
	StreetAddress2 string
	// StateCode and StateName are the state or province.
	StateCode string
	StateName string
	// BusinessCategoryID is CERTInext's number of the category; no source lists them.
	BusinessCategoryID string
	// ValidationFor is "1" OV, "2" EV and OV, "3" S/MIME (observed 2026).
	ValidationFor string
	// ValidationStatusID is "0" to "5" (observed 2026); no source says what the numbers mean.
	ValidationStatusID string
	// Domains are the names that are registered for the organization.
	Domains []string
	// Representatives are the people that CERTInext may ask.
	Representatives []Representative
	// AgreementSigned is nil when CERTInext does not say. AgreementSigner and AgreementSignedAt are
	// zero when it does not; the time has no zone on the wire and is taken as UTC.
	AgreementSigned   *bool
	AgreementSigner   string
	AgreementSignedAt time.Time
}

// A Representative is a person whom CERTInext knows for an organization. What CERTInext leaves out
// is empty.
type Representative struct {
	// Number is CERTInext's for the person; no call takes it.
	Number string
	// Name is the person's full name.
	Name string
	// Email is the person's address.
	Email string
	// Phone is a number in the form of E.164, or the local number when no country's code is known.
	Phone string
	// Designation is the person's title.
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

// A Product is something the account may order. Product codes differ between environments and
// accounts: 842 is a DV product in one and an OV product in another.
type Product struct {
	// Code is for [OrderRequest.ProductCode].
	Code string
	// Name is CERTInext's for the product, e.g. "InCommon OV SSL".
	Name string
	// Category is the part of the catalog that lists the product.
	Category Category
	// TypeID tells what kind of product this is, but not which: products for 30 and 90 days and for
	// the full term share it, and only the name tells them apart (observed 2026). With several
	// matches, ask; do not guess.
	TypeID string
	// Family follows from Category; empty for a category that is not known.
	Family Family
	// Variant follows from TypeID: dv, dv-wildcard, dv-ucc, dv-wildcard-ucc, the same for ov, ev,
	// ev-ucc, private-pki, natural-person, legal-person, legal-entity, smime; empty for an unknown
	// one. OrderRequest.Variant takes what stands before the first dash for SSL.
	Variant string
	// Currency is e.g. USD.
	Currency string
	// Prices holds amounts as CERTInext writes them by length of subscription, e.g. "1 Year":
	// "0.0". An amount without a length has the key "". nil when the catalog names no price.
	Prices map[string]string
}

// A Category is a part of the catalog.
type Category struct {
	// ID is 1 for document signers, 2 for S/MIME, 3 for SSL/TLS, 8 for private PKI (observed 2026).
	ID string
	// Name is CERTInext's, e.g. "SSL/TLS Certificates".
	Name string
}

// Products returns what the account may order, or what a billing group may if groupNumber is not
// empty.
func (c *Client) Products(ctx context.Context, groupNumber string) ([]Product, error) {
	return c.protocol().products(ctx, "listing products", groupNumber)
}

func (c v2) products(ctx context.Context, operation, groupNumber string) ([]Product, error) {
	return fetch(
		ctx, c.Client, c.read(operation, "/catalog/products", groupQuery(groupNumber)),
		decodeProducts,
	)
}

func groupQuery(number string) url.Values {
	if number == "" {
		return nil
	}
	return url.Values{"groupNumber": {number}}
}

// A CustomFieldSpec describes a field that a product's orders may or must fill in (documented;
// every live catalog seen in 2026 was empty).
type CustomFieldSpec struct {
	// ID is for [CustomField.FieldID].
	ID string
	// Name is what the portal shows.
	Name string
	// Section is the part of the order that the field belongs to, e.g. certificateInformation;
	// empty when CERTInext does not say.
	Section string
	// Type is CERTInext's word for the kind of value; no source lists the words.
	Type string
	// MaxLength is in characters; zero when not limited.
	MaxLength int
	// Mandatory is set for a field that an order is refused without.
	Mandatory bool
	// Values are the permitted ones; empty for free text.
	Values []string
}

// CustomFields returns the custom fields of a product.
func (c *Client) CustomFields(ctx context.Context, productCode string) ([]CustomFieldSpec, error) {
	return c.protocol().customFields(ctx, "listing custom fields", productCode)
}

func (c v2) customFields(
	ctx context.Context, operation, productCode string,
) ([]CustomFieldSpec, error) {
	code, err := segment("productCode", productCode)
	if err != nil {
		return nil, asError(operation, err)
	}
	return fetch(
		ctx, c.Client, c.read(operation, "/catalog/products/"+code+"/custom-fields", nil),
		decodeCustomFields,
	)
}
