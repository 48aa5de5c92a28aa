// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A shape is what a product's kind says about the names in its certificates.
type shape struct {
	family   certinext.Family
	base     string // what the order calls the variant: dv, ov, ev, intranet-ssl, igtf-host, or the subject's type
	wildcard bool   // takes wildcard names, and for a product that is not multi must have one
	multi    bool   // takes more than one name
}

// public reports whether the certificates are publicly trusted, so that only DNS names of the public tree can be in them.
func (s shape) public() bool { return s.family == certinext.FamilySSL }

// personal reports whether the certificates are made out to a person or an organization instead of to host names.
func (s shape) personal() bool {
	return s.family == certinext.FamilySignature || s.family == certinext.FamilySMIME
}

// vetted reports whether the CA asks for a vetted organization.
func (s shape) vetted() bool { return s.base == "ov" || s.base == "ev" }

// shapes are the product variants that a role may name. An EV certificate never holds a wildcard.
var shapes = map[string]shape{
	"dv":              {family: certinext.FamilySSL, base: "dv"},
	"dv-wildcard":     {family: certinext.FamilySSL, base: "dv", wildcard: true},
	"dv-ucc":          {family: certinext.FamilySSL, base: "dv", multi: true},
	"dv-wildcard-ucc": {family: certinext.FamilySSL, base: "dv", wildcard: true, multi: true},
	"ov":              {family: certinext.FamilySSL, base: "ov"},
	"ov-wildcard":     {family: certinext.FamilySSL, base: "ov", wildcard: true},
	"ov-ucc":          {family: certinext.FamilySSL, base: "ov", multi: true},
	"ov-wildcard-ucc": {family: certinext.FamilySSL, base: "ov", wildcard: true, multi: true},
	"ev":              {family: certinext.FamilySSL, base: "ev"},
	"ev-ucc":          {family: certinext.FamilySSL, base: "ev", multi: true},
	"intranet-ssl":    {family: certinext.FamilyPrivatePKI, base: "intranet-ssl", wildcard: true, multi: true},
	"igtf-host":       {family: certinext.FamilyPrivatePKI, base: "igtf-host", wildcard: true, multi: true},
	"natural-person":  {family: certinext.FamilySignature, base: "natural-person"},
	"legal-person":    {family: certinext.FamilySignature, base: "legal-person"},
	"legal-entity":    {family: certinext.FamilySignature, base: "legal-entity"},
	"smime":           {family: certinext.FamilySMIME, base: "smime"},
}

// variants lists the names of shapes, for messages.
func variants() string {
	names := make([]string, 0, len(shapes))
	for n := range shapes {
		names = append(names, n)
	}
	sort.Strings(names)
	return strings.Join(names, ", ")
}

// resolveVariant finds the variant that a product code stands for in the account's catalog, where variant, if not empty, is what
// the role says it is. The same code names different products in different environments, so there is no built-in table.
func resolveVariant(products []certinext.Product, code, variant string) (string, error) {
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
	family := shapes[variant].family
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

// fits says whether names suit the shape. The first name is the common name.
func (s shape) fits(dns []string, ips int) error {
	if ips > 0 && s.public() {
		return fault.BadField("ip_sans", "a publicly trusted %s certificate cannot hold IP addresses", s.base)
	}
	if !s.multi && len(dns)+ips > 1 {
		return fault.BadField("alt_names", "the role's product takes one name, not %d; a UCC product takes several", len(dns)+ips)
	}
	for _, n := range dns {
		if isWildcard(n) && !s.wildcard {
			return fault.BadField("common_name", "the role's product takes no wildcard name such as %q", n)
		}
	}
	if s.wildcard && !s.multi && len(dns) == 1 && !isWildcard(dns[0]) {
		return fault.BadField("common_name", "the role's product is for wildcard names: ask for *.%s", dns[0])
	}
	return nil
}
