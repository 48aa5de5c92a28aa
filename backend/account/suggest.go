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

// knownCodes maps product codes to the kinds that they stand for in the environments we know: the
// vendor's sandbox and API collection, its production in India, and a tenant's in the US with
// products for the full term, 30 and 90 days (documented and observed 2026). The same code is a DV
// product in one and an OV product in another, so the table serves for hints and never for orders
// (ADR 0014).
var knownCodes = kindsByCode(map[string]string{
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

// kindPrivatePKI is the kind of both the intranet-ssl and the igtf-host products: the catalog does
// not distinguish them.
const kindPrivatePKI = "private-pki"

// kindsByCode inverts a table of space-separated codes by kind.
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

// unknownProductError returns an error that says that the catalog has no product with the given
// code, and suggests those that may be meant.
func unknownProductError(products []certinext.Product, code, variant string) error {
	if len(products) == 0 {
		return fault.BadField(
			"product_code",
			"the account's catalog is empty, so no product can be ordered; "+
				"some accounts need a group_number",
		)
	}
	if strings.ContainsFunc(code, unicode.IsLetter) {
		if matches := findByName(products, code); len(matches) > 0 {
			return fault.BadField("product_code", "%q is not a product code; %s",
				sanitize.Short(code), describeProducts("code", matches))
		}
	}
	kinds := knownCodes[code]
	if variant != "" {
		kinds = []string{kindOfVariant(variant)}
	}
	text := fmt.Sprintf("%q is not in this account's catalog", sanitize.Short(code))
	for _, kind := range kinds {
		if matches := ofKind(products, kind); len(matches) > 0 {
			text += "; " + describeProducts(kind+" product", matches)
		} else {
			text += "; it has no " + kind + " product"
		}
	}
	return fault.BadField("product_code", "%s; vault read <mount>/catalog/products says "+
		"what it has", text)
}

// kindOfVariant returns the catalog's kind for a variant.
func kindOfVariant(variant string) string {
	if Shapes[variant].Family == certinext.FamilyPrivatePKI {
		return kindPrivatePKI
	}
	return variant
}

// kindOf returns a product's kind, or "" when this mount cannot order products of that kind.
func kindOf(p certinext.Product) string {
	if p.Family == certinext.FamilyPrivatePKI {
		return kindPrivatePKI
	}
	if _, ok := Shapes[p.Variant]; ok {
		return p.Variant
	}
	return ""
}

// ofKind returns the products of a kind.
func ofKind(products []certinext.Product, kind string) []certinext.Product {
	return selectProducts(products, func(p certinext.Product) bool { return kindOf(p) == kind })
}

// selectProducts returns the products that match.
func selectProducts(
	products []certinext.Product, matches func(certinext.Product) bool,
) []certinext.Product {
	var out []certinext.Product
	for _, p := range products {
		if matches(p) {
			out = append(out, p)
		}
	}
	return out
}

// findByName returns the products that text may mean: those whose kind it names, else those whose
// name consists of exactly its words in any order, else those whose name contains all of its words.
func findByName(products []certinext.Product, text string) []certinext.Product {
	words := nameWords(text)
	products = selectProducts(products, func(p certinext.Product) bool { return kindOf(p) != "" })
	if matches := ofKind(products, strings.Join(words, "-")); len(matches) > 0 {
		return matches
	}
	containsAll := func(p certinext.Product) bool {
		name := nameWords(p.Name)
		return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(name, w) })
	}
	matches := selectProducts(products, containsAll)
	exact := selectProducts(matches, func(p certinext.Product) bool {
		return len(nameWords(p.Name)) == len(words)
	})
	if len(exact) > 0 {
		return exact
	}
	return matches
}

// nameWords returns the words of a name in lower case, without punctuation.
func nameWords(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s),
		func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

// describeProducts lists products for a message. With the singular noun "ov product", it returns
// "the ov product here is 974 (InCommon OV SSL)".
func describeProducts(what string, products []certinext.Product) string {
	list := make([]string, len(products))
	for i, p := range products {
		list[i] = fmt.Sprintf("%s (%s)", p.Code, p.Name)
	}
	if len(list) == 1 {
		return fmt.Sprintf("the %s here is %s", what, list[0])
	}
	return fmt.Sprintf("the %ss here are %s", what, sanitize.Enumerate(list))
}
