// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// E164 matches a telephone number as ITU-T E.164 has it, with its plus sign.
var E164 = regexp.MustCompile(`^\+[1-9][0-9]{5,14}$`)

// IsWildcard reports whether a DNS name begins with a wildcard label.
func IsWildcard(name string) bool { return strings.HasPrefix(name, "*.") }

// A Shape is what a product's kind says about the names in its certificates.
type Shape struct {
	Family   certinext.Family
	Base     string // what the order calls the variant: dv, ov, ev, intranet-ssl, igtf-host, or the subject's type
	wildcard bool   // takes wildcard names, and for a product that is not multi must have one
	Multi    bool   // takes more than one name
}

// Public reports whether the certificates are publicly trusted, so that only DNS names of the public tree can be in them.
func (s Shape) Public() bool { return s.Family == certinext.FamilySSL }

// Personal reports whether the certificates are made out to a person or an organization instead of to host names.
func (s Shape) Personal() bool {
	return s.Family == certinext.FamilySignature || s.Family == certinext.FamilySMIME
}

// Vetted reports whether the CA asks for a vetted organization.
func (s Shape) Vetted() bool { return s.Base == "ov" || s.Base == "ev" }

// Shapes are the product variants that a role may name. An EV certificate never holds a wildcard.
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
	"intranet-ssl":    {Family: certinext.FamilyPrivatePKI, Base: "intranet-ssl", wildcard: true, Multi: true},
	"igtf-host":       {Family: certinext.FamilyPrivatePKI, Base: "igtf-host", wildcard: true, Multi: true},
	"natural-person":  {Family: certinext.FamilySignature, Base: "natural-person"},
	"legal-person":    {Family: certinext.FamilySignature, Base: "legal-person"},
	"legal-entity":    {Family: certinext.FamilySignature, Base: "legal-entity"},
	"smime":           {Family: certinext.FamilySMIME, Base: "smime"},
}

// Variants lists the names of shapes, for messages.
func Variants() string {
	names := make([]string, 0, len(Shapes))
	for n := range Shapes {
		names = append(names, n)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// ResolveVariant finds the variant that a product code stands for in the account's catalog, where variant, if not empty, is what
// the role says it is. The same code names different products in different environments, so there is no built-in table.
func ResolveVariant(products []certinext.Product, code, variant string) (string, error) {
	i := slices.IndexFunc(products, func(p certinext.Product) bool { return p.Code == code })
	if i < 0 {
		return "", unknownProduct(products, code, variant)
	}
	p, kind := products[i], kindOf(products[i])
	switch {
	case variant == "" && kind == kindPrivatePKI:
		return "", fault.BadField("product_variant", "product %s (%s) may be intranet-ssl or igtf-host: name one", code, p.Name)
	case variant == "" && kind == "":
		return "", fault.BadField("product_code", "product %s (%s) is not a kind that this mount can order", code, p.Name)
	case variant == "":
		return kind, nil
	case !couldBe(p, variant):
		return "", contradiction(products, p, variant)
	}
	return variant, nil
}

// couldBe reports whether the catalog allows for p being of a variant. A type that is not known says nothing but its family.
func couldBe(p certinext.Product, variant string) bool {
	family := Shapes[variant].Family
	if p.Variant == "" || p.Family == certinext.FamilyPrivatePKI {
		return p.Family == "" || p.Family == family
	}
	return p.Variant == variant
}

// contradiction says what p is, and which product is of the variant that the role says.
func contradiction(products []certinext.Product, p certinext.Product, variant string) error {
	is := p.Variant
	if is == "" {
		is = string(p.Family)
	}
	text := fmt.Sprintf("product %s (%s) is %s, not %s", p.Code, p.Name, is, variant)
	if matches := ofKind(products, kindOfVariant(variant)); len(matches) > 0 {
		text += "; " + codesOf(kindOfVariant(variant)+" product", matches)
	}
	return fault.BadField("product_variant", "%s", text)
}

// Fits says whether names suit the shape. The first name is the common name.
func (s Shape) Fits(dns []string, ips int) error {
	if ips > 0 && s.Public() {
		return fault.BadField("ip_sans", "a publicly trusted %s certificate cannot hold IP addresses", s.Base)
	}
	if !s.Multi && len(dns)+ips > 1 {
		return fault.BadField("alt_names", "the role's product takes one name, not %d; a UCC product takes several", len(dns)+ips)
	}
	for _, n := range dns {
		if IsWildcard(n) && !s.wildcard {
			return fault.BadField("common_name", "the role's product takes no wildcard name such as %q", n)
		}
	}
	if s.wildcard && !s.Multi && len(dns) == 1 && !IsWildcard(dns[0]) {
		return fault.BadField("common_name", "the role's product is for wildcard names: ask for *.%s", dns[0])
	}
	return nil
}
