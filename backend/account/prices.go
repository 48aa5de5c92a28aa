// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/money"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// A Price is what an order of a product costs.
type Price struct {
	Amount   money.Amount
	Currency string // empty when it is not known: that of the account
	// Unknown says why the price is not known; empty when it is.
	Unknown string
}

// mostPrices bounds [Config.ProductPrices] and [Config.AllowedProducts].
const mostPrices = 500

// productCode matches the code of a product: CERTInext's are numbers.
var productCode = regexp.MustCompile(`^[\w.-]{1,64}$`)

// validatePrices returns an error about a field that says which products may be ordered, or what
// they cost.
func (c *Config) validatePrices() error {
	if len(c.ProductPrices) > mostPrices || len(c.AllowedProducts) > mostPrices {
		return fault.BadField("product_prices", "and allowed_products may have %d products each",
			mostPrices)
	}
	for _, product := range slices.Sorted(maps.Keys(c.ProductPrices)) {
		code, years, hasYears := strings.Cut(product, "/")
		if n, err := strconv.Atoi(years); !productCode.MatchString(code) ||
			(hasYears && (err != nil || n < 1 || n > 3 || strconv.Itoa(n) != years)) {
			return fault.BadField("product_prices", "%q is neither a product code, whose price is "+
				"for each year, nor a code with the years of the order, as 842/2",
				phrase.Shown(product))
		}
		if _, err := money.Parse(c.ProductPrices[product]); err != nil {
			return fault.BadField("product_prices", "%s: %q %v",
				product, phrase.Shown(c.ProductPrices[product]), err)
		}
	}
	for _, code := range c.AllowedProducts {
		if !productCode.MatchString(code) {
			return fault.BadField("allowed_products", "%q is no product code such as 842: vault "+
				"read <mount>/catalog/products says what there is", phrase.Shown(code))
		}
	}
	if c.DefaultProductCode != "" && c.AllowsProduct(c.DefaultProductCode) != nil {
		return fault.BadField("default_product_code", "%s is not among allowed_products (%s)",
			sanitize.Short(c.DefaultProductCode), sanitize.Enumerate(c.AllowedProducts))
	}
	return nil
}

// AllowsProduct returns an error about the field product_code when the mount may not order a
// product.
func (c *Config) AllowsProduct(code string) error {
	if len(c.AllowedProducts) == 0 || slices.Contains(c.AllowedProducts, code) {
		return nil
	}
	return fault.BadField("product_code", "%s may not be ordered by this mount: allowed_products "+
		"at <mount>/config allows %s", sanitize.Short(code), sanitize.Enumerate(c.AllowedProducts))
}

// PriceOf returns what an order of a product costs that is for some years, by the config; it
// reports false when the config does not say.
func (c *Config) PriceOf(code string, years int) (money.Amount, bool) {
	if text, ok := c.ProductPrices[fmt.Sprintf("%s/%d", code, years)]; ok {
		amount, err := money.Parse(text)
		return amount, err == nil
	}
	text, ok := c.ProductPrices[code]
	if !ok {
		return 0, false
	}
	amount, err := money.Parse(text)
	return amount.Times(years), err == nil
}

// CatalogPrice returns what an order of a product costs that is for some years, by the account's
// catalog. Accounts were observed whose catalog says 0.0 of everything, and whose products are not
// free: that is no price. Neither is one in an account with several currencies: what is paid in
// which cannot be told.
func CatalogPrice(products []certinext.Product, code string, years int) Price {
	var found *certinext.Product
	currencies := make(map[string]bool)
	for i, p := range products {
		if p.Currency != "" {
			currencies[p.Currency] = true
		}
		if p.Code == code {
			found = &products[i]
		}
	}
	shown := sanitize.Short(code)
	switch {
	case found == nil:
		return Price{Unknown: "the catalog does not have product " + shown}
	case len(currencies) > 1:
		return Price{Unknown: "the catalog has prices in several currencies"}
	}
	term := phrase.Count(years, "Year")
	text, ok := found.Prices[term]
	if !ok {
		text, ok = found.Prices[""] // of a product that has one price
	}
	amount, err := money.Parse(text)
	switch {
	case !ok:
		return Price{Unknown: fmt.Sprintf("the catalog has no price of product %s for %s",
			shown, term)}
	case err != nil:
		return Price{Unknown: fmt.Sprintf("the catalog's price of product %s, %q, %v",
			shown, sanitize.Short(text), err)}
	case amount == 0:
		return Price{Unknown: fmt.Sprintf("the catalog says %s of product %s, as it does in "+
			"accounts that are billed otherwise", sanitize.Short(text), shown)}
	}
	return Price{Amount: amount, Currency: sanitize.Short(found.Currency)}
}
