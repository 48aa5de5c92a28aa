// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// IsWildcard reports whether a DNS name begins with a wildcard label.
func IsWildcard(name string) bool { return strings.HasPrefix(name, "*.") }

// A Shape describes a product variant: its family, and the names that its certificates may hold.
type Shape struct {
	Family certinext.Family
	// Base is the variant's name in an order: dv, ov, ev, intranet-ssl, igtf-host, or the type of
	// the subject.
	Base     string
	wildcard bool // takes wildcard names; a product without Multi requires one
	Multi    bool // takes more than one name
}

// Public reports whether the certificates are publicly trusted, so that they can only hold DNS
// names under public suffixes.
func (s Shape) Public() bool { return s.Family == certinext.FamilySSL }

// Personal reports whether the certificates are made out to a person or an organization instead of
// to host names.
func (s Shape) Personal() bool {
	return s.Family == certinext.FamilySignature || s.Family == certinext.FamilySMIME
}

// Wildcards reports whether the product takes wildcard names.
func (s Shape) Wildcards() bool { return s.wildcard }

// OnlyWildcards reports whether the product takes no other names.
func (s Shape) OnlyWildcards() bool { return s.wildcard && !s.Multi }

// Vetted reports whether the CA requires a vetted organization.
func (s Shape) Vetted() bool { return s.Base == "ov" || s.Base == "ev" }

// Shapes maps the product variants that a role may name to their shapes. An EV certificate never
// holds a wildcard.
var Shapes = map[string]Shape{
	"dv":              {Family: certinext.FamilySSL, Base: "dv"},
	"dv-wildcard":     {Family: certinext.FamilySSL, Base: "dv", wildcard: true},
	"dv-ucc":          {Family: certinext.FamilySSL, Base: "dv", Multi: true},
	"dv-wildcard-ucc": {Family: certinext.FamilySSL, Base: "dv", wildcard: true, Multi: true},
	"ov":              {Family: certinext.FamilySSL, Base: "ov"},
	"ov-wildcard":     {Family: certinext.FamilySSL, Base: "ov", wildcard: true},
	"ov-ucc":          {Family: certinext.FamilySSL, Base: "ov", Multi: true},
	"ov-wildcard-ucc": {Family: certinext.FamilySSL, Base: "ov", wildcard: true, Multi: true},
	"ev":              {Family: certinext.FamilySSL, Base: "ev"},
	"ev-ucc":          {Family: certinext.FamilySSL, Base: "ev", Multi: true},
	"intranet-ssl": {
		Family: certinext.FamilyPrivatePKI, Base: "intranet-ssl", wildcard: true, Multi: true,
	},
	"igtf-host": {
		Family: certinext.FamilyPrivatePKI, Base: "igtf-host", wildcard: true, Multi: true,
	},
	"natural-person": {Family: certinext.FamilySignature, Base: "natural-person"},
	"legal-person":   {Family: certinext.FamilySignature, Base: "legal-person"},
	"legal-entity":   {Family: certinext.FamilySignature, Base: "legal-entity"},
	"smime":          {Family: certinext.FamilySMIME, Base: "smime"},
}

// Variants returns the names of all [Shapes], sorted and separated by commas, for messages.
func Variants() string {
	names := make([]string, 0, len(Shapes))
	for n := range Shapes {
		names = append(names, n)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// ResolveVariant returns the variant that a product code stands for in the account's catalog. When
// the role names a variant, the catalog has to agree with it. The same code means different
// products in different environments, so the catalog decides and not a built-in table (ADR 0014).
func ResolveVariant(products []certinext.Product, code, variant string) (string, error) {
	i := slices.IndexFunc(products, func(p certinext.Product) bool { return p.Code == code })
	if i < 0 {
		return "", unknownProductError(products, code, variant)
	}
	p, kind := products[i], kindOf(products[i])
	switch {
	case variant == "" && kind == kindPrivatePKI:
		return "", fault.BadField("product_variant",
			"product %s (%s) may be intranet-ssl or igtf-host: name one", code, p.Name)
	case variant == "" && kind == "":
		return "", fault.BadField("product_code",
			"product %s (%s) is not a kind of product that this mount can order", code, p.Name)
	case variant == "":
		return kind, nil
	case !couldBe(p, variant):
		return "", contradictionError(products, p, variant)
	}
	return variant, nil
}

// couldBe reports whether p may be of the variant, as far as the catalog tells. Of a product whose
// type is unknown to us, it tells only the family.
func couldBe(p certinext.Product, variant string) bool {
	family := Shapes[variant].Family
	if p.Variant == "" || p.Family == certinext.FamilyPrivatePKI {
		return p.Family == "" || p.Family == family
	}
	return p.Variant == variant
}

// contradictionError returns an error that says what p is, and suggests products of the variant
// that the role names.
func contradictionError(products []certinext.Product, p certinext.Product, variant string) error {
	is := p.Variant
	if is == "" {
		is = string(p.Family)
	}
	text := fmt.Sprintf("product %s (%s) is %s, not %s", p.Code, p.Name, is, variant)
	if matches := ofKind(products, kindOfVariant(variant)); len(matches) > 0 {
		text += "; " + describeProducts(kindOfVariant(variant)+" product", matches)
	}
	return fault.BadField("product_variant", "%s", text)
}

// Fits returns an error about the field of a name that the shape does not allow. dns begins with
// the common name; ips is the number of IP addresses.
func (s Shape) Fits(dns []string, ips int) error {
	if ips > 0 && s.Public() {
		return fault.BadField("ip_sans",
			"a publicly trusted %s certificate cannot hold IP addresses", s.Base)
	}
	if !s.Multi && len(dns)+ips > 1 {
		return fault.BadField("alt_names",
			"the role's product takes one name, not %d; a UCC product takes several", len(dns)+ips)
	}
	for _, n := range dns {
		if IsWildcard(n) && !s.wildcard {
			return fault.BadField("common_name",
				"the role's product takes no wildcard name such as %q", n)
		}
	}
	if s.wildcard && !s.Multi && len(dns) == 1 && !IsWildcard(dns[0]) {
		return fault.BadField("common_name",
			"the role's product is for wildcard names: ask for *.%s", dns[0])
	}
	return nil
}
