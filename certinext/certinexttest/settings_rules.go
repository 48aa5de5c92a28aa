// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/money"
)

// The rules of settings that are lists of structures: with what breaks one, the server would start
// and be of no use. Each function says what is wrong, and returns "" for nothing.

var (
	isDigits  = regexp.MustCompile(`^[0-9]+$`)
	isCountry = regexp.MustCompile(`^[A-Z]{2}$`)
	// isTerm is how the catalog writes a term.
	isTerm = regexp.MustCompile(`^(1 Year|[2-9] Years)$`)
)

// wrongNumbers looks at what a list has to name in calls: digits, each once.
func wrongNumbers(what string, numbers []string) string {
	seen := make(map[string]bool)
	for _, number := range numbers {
		switch {
		case !isDigits.MatchString(number):
			return fmt.Sprintf("the %s %q must be digits", what, cutTo(number, 40))
		case seen[number]:
			return fmt.Sprintf("the %s %s is there twice", what, cutTo(number, 40))
		}
		seen[number] = true
	}
	return ""
}

func (s *Server) wrongOrganizations() string {
	var numbers []string
	for _, o := range s.Organizations {
		numbers = append(numbers, o.Number)
		switch {
		case o.Name == "":
			return fmt.Sprintf("organization %s must have a name", cutTo(o.Number, 40))
		case !slices.Contains([]string{"", "1", "2"}, o.ValidationFor):
			return fmt.Sprintf("validationFor of organization %s must be 1 (OV) or 2 (EV and OV)",
				cutTo(o.Number, 40))
		case o.CountryCode != "" && !isCountry.MatchString(o.CountryCode):
			return fmt.Sprintf("countryCode of organization %s must be two capital letters, "+
				"such as US", cutTo(o.Number, 40))
		}
	}
	return wrongNumbers("number of an organization", numbers)
}

// wrongSum looks at money that the account has or keeps.
func wrongSum(a Amount) string {
	if a.IsDebt() {
		return "must not be negative"
	}
	return ""
}

func (s *Server) wrongGroups() string {
	var numbers []string
	defaults := 0
	for _, g := range s.Groups {
		numbers = append(numbers, g.Number)
		if problem := wrongSum(orZero(g.Balance)); problem != "" {
			return fmt.Sprintf("balance of group %s %s", cutTo(g.Number, 40), problem)
		}
		if g.Default {
			defaults++
		}
		for _, code := range g.Products {
			if _, known := s.product(code); !known {
				return fmt.Sprintf("group %s has the product %q, which the catalog has not",
					cutTo(g.Number, 40), cutTo(code, 40))
			}
		}
	}
	if defaults > 1 {
		return "only one group can be the default"
	}
	return wrongNumbers("number of a group", numbers)
}

func (s *Server) wrongCatalog() string {
	var codes []string
	for _, p := range s.Catalog {
		codes = append(codes, p.Code)
		if problem := p.wrong(); problem != "" {
			return fmt.Sprintf("product %s: %s", cutTo(p.Code, 40), problem)
		}
	}
	return wrongNumbers("code of a product", codes)
}

func (p Product) wrong() string {
	if _, known := productTypes[p.Type]; !known {
		return fmt.Sprintf("type %q must be one of %s", cutTo(p.Type, 40),
			strings.Join(slices.Sorted(maps.Keys(productTypes)), ", "))
	}
	for term, price := range p.Years {
		if !isTerm.MatchString(term) {
			return fmt.Sprintf(`years has %q, which must be like "1 Year" or "2 Years"`,
				cutTo(term, 40))
		}
		_, err := money.Parse(price)
		if err != nil && strings.ContainsAny(price, "0123456789") {
			return fmt.Sprintf(`the price %q must be an amount such as 1500.00, or words such as `+
				`"on request"`, cutTo(price, 40))
		}
	}
	if p.Term < 0 {
		return "term must not be negative"
	}
	for _, f := range p.CustomFields {
		if f.ID == "" || f.MaxLength < 0 {
			return "a custom field must have an id, and a maxLength that is not negative"
		}
	}
	return ""
}
