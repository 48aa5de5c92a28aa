// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// elsewhere tells the kinds that a code is known to stand for in one environment or another: the vendor's sandbox and
// collection, its production in India, and a tenant's in the US with products for the full term, 30 and 90 days (documented
// and observed 2026). The same code is a DV product here and an OV product there, so it is good for a hint and never for
// an order.
var elsewhere = kindsByCode(map[string]string{
	"dv":              "842 838 970 959 947",
	"dv-wildcard":     "843 839 971 960 948",
	"dv-ucc":          "844 840 972 961 949",
	"dv-wildcard-ucc": "845 841 973 962 950",
	"ov":              "846 842 974 955 967 966 969 980", // the last three for IGTF hosts
	"ov-wildcard":     "847 843 975 956 968",
	"ov-ucc":          "848 844 976 957 945",
	"ov-wildcard-ucc": "849 845 977 958 963 946",
	"ev":              "850 846 978 964 952",
	"ev-ucc":          "851 847 979 965 953",
	kindPrivatePKI:    "149 104 100 108",
})

// kindPrivatePKI is the catalog's kind of the products for intranet-ssl and igtf-host, which it does not tell apart.
const kindPrivatePKI = "private-pki"

func kindsByCode(codes map[string]string) map[string][]string {
	kinds := make(map[string][]string)
	for kind, list := range codes {
		for _, code := range strings.Fields(list) {
			kinds[code] = append(kinds[code], kind)
		}
	}
	for _, k := range kinds {
		slices.Sort(k)
	}
	return kinds
}

// unknownProduct says that the catalog has no product of that code, and which one may be meant.
func unknownProduct(products []certinext.Product, code, variant string) error {
	if len(products) == 0 {
		return fault.BadField("product_code", "the account's catalog is empty, so no product can be ordered; some accounts need a group_number")
	}
	if strings.ContainsFunc(code, unicode.IsLetter) {
		if matches := named(products, code); len(matches) > 0 {
			return fault.BadField("product_code", "%q is not a product code; %s", sanitize.Short(code), codesOf("code", matches))
		}
	}
	kinds := elsewhere[code]
	if variant != "" {
		kinds = []string{kindOfVariant(variant)}
	}
	text := fmt.Sprintf("%q is not in this account's catalog", sanitize.Short(code))
	for _, kind := range kinds {
		if matches := ofKind(products, kind); len(matches) > 0 {
			text += "; " + codesOf(kind+" product", matches)
		} else {
			text += "; it has no " + kind + " product"
		}
	}
	return fault.BadField("product_code", "%s; read catalog/products for what it has", text)
}

// kindOfVariant is what the catalog calls the kind of a variant.
func kindOfVariant(variant string) string {
	if Shapes[variant].Family == certinext.FamilyPrivatePKI {
		return kindPrivatePKI
	}
	return variant
}

// kindOf is a product's kind, as far as this mount can order it, and else empty.
func kindOf(p certinext.Product) string {
	if p.Family == certinext.FamilyPrivatePKI {
		return kindPrivatePKI
	}
	if _, ok := Shapes[p.Variant]; ok {
		return p.Variant
	}
	return ""
}

func ofKind(products []certinext.Product, kind string) []certinext.Product {
	return choose(products, func(p certinext.Product) bool { return kindOf(p) == kind })
}

func choose(products []certinext.Product, fits func(certinext.Product) bool) []certinext.Product {
	var out []certinext.Product
	for _, p := range products {
		if fits(p) {
			out = append(out, p)
		}
	}
	return out
}

// named finds the products that text can mean: those of the kind of that name, else those whose name has just its words, in
// any order, else those whose name has them among others.
func named(products []certinext.Product, text string) []certinext.Product {
	words := nameWords(text)
	products = choose(products, func(p certinext.Product) bool { return kindOf(p) != "" })
	if matches := ofKind(products, strings.Join(words, "-")); len(matches) > 0 {
		return matches
	}
	has := func(p certinext.Product) bool {
		of := nameWords(p.Name)
		return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(of, w) })
	}
	matches := choose(products, has)
	if just := choose(matches, func(p certinext.Product) bool { return len(nameWords(p.Name)) == len(words) }); len(just) > 0 {
		return just
	}
	return matches
}

func nameWords(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// codesOf lists products as "the ov product here is 974 (InCommon OV SSL)", or several.
func codesOf(what string, products []certinext.Product) string {
	list := make([]string, len(products))
	for i, p := range products {
		list[i] = fmt.Sprintf("%s (%s)", p.Code, p.Name)
	}
	if len(list) == 1 {
		return fmt.Sprintf("the %s here is %s", what, list[0])
	}
	return fmt.Sprintf("the %ss here are %s", what, enumerate(list))
}

const maxEnumerated = 20

// enumerate joins the pieces of a message, and counts those that would make it too long.
func enumerate(list []string) string {
	if len(list) <= maxEnumerated {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:maxEnumerated], ", "), len(list)-maxEnumerated)
}
