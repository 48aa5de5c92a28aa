// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// What CERTInext tells of the account, for the Vault paths, which need not know the client.
type (
	// An Identity is whom the credentials belong to.
	Identity = certinext.Account
	// A CustomFieldSpec is a field that a product's orders may or must fill in.
	CustomFieldSpec = certinext.CustomFieldSpec
	// A Group is a billing group.
	Group = certinext.Group
	// An Organization is one that CERTInext vetted, or is vetting.
	Organization = certinext.Organization
	// A Domain is one that the account registered.
	Domain = certinext.Domain
	// A Status is the state of an order, in CERTInext's terms.
	Status = certinext.Status
	// A DomainFilter selects domains.
	DomainFilter = certinext.DomainFilter
)

// askPatience bounds what one request asks CERTInext for: its reason is to arrive before Vault's clients give up after 60s.
const askPatience = 45 * time.Second

// ask puts one question to CERTInext, in the name of the mount's account.
func ask[T any](ctx context.Context, e *Engine, s logical.Storage, question func(context.Context, *account) (T, error)) (T, error) {
	var none T
	a, err := e.account(ctx, s)
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	answer, err := question(ctx, a)
	var field *fault.FieldError
	switch {
	case errors.As(err, &field):
		return none, err
	case err != nil:
		return none, fault.Refused(err)
	}
	return answer, nil
}

// A ProductFilter selects products of the catalog. The zero value selects all that the config's group may order.
type ProductFilter struct {
	GroupNumber string // the config's when empty
	Family      Family
	Category    string // its number, or its name or a part of it, in any case
	// Anew asks CERTInext, whatever is remembered, and forgets the products' custom fields.
	Anew bool
}

func (f ProductFilter) fits(p Product) bool {
	return (f.Family == "" || f.Family == p.Family) &&
		(f.Category == "" || f.Category == p.Category.ID || strings.Contains(strings.ToLower(p.Category.Name), strings.ToLower(f.Category)))
}

// Products returns what may be ordered. What CERTInext said in the last minutes is not asked again.
func (e *Engine) Products(ctx context.Context, s logical.Storage, f ProductFilter, w Window) (Page[Product], error) {
	switch f.Family {
	case "", certinext.FamilySSL, certinext.FamilyPrivatePKI, certinext.FamilySignature, certinext.FamilySMIME:
	default:
		return Page[Product]{}, fault.BadField("family", "%q is not ssl, private-pki, signature or smime", sanitize.Short(string(f.Family)))
	}
	products, err := ask(ctx, e, s, func(ctx context.Context, a *account) ([]Product, error) {
		if f.Anew {
			a.catalog.customFields.Forget()
		}
		products, _, err := e.products(ctx, a, a.group(f.GroupNumber), f.Anew)
		return products, err
	})
	if err != nil {
		return Page[Product]{}, err
	}
	return turnAll(choose(products, f.fits), func(p Product) string { return p.Code }, w)
}

// group is the billing group that counts when number is given.
func (a *account) group(number string) string {
	if number == "" {
		return a.config.GroupNumber
	}
	return number
}

// Product returns a product of the catalog, or nil when there is none of that code.
func (e *Engine) Product(ctx context.Context, s logical.Storage, code, group string) (*Product, error) {
	return ask(ctx, e, s, func(ctx context.Context, a *account) (found *Product, err error) {
		errNone := &fault.NotFoundError{Kind: "product", Name: sanitize.Short(code)}
		err = settled(func(anew bool) ([]Product, bool, error) {
			return e.products(ctx, a, a.group(group), anew)
		}, func(products []Product) error {
			i := slices.IndexFunc(products, func(p Product) bool { return p.Code == code })
			if i < 0 {
				return errNone
			}
			found = &products[i]
			return nil
		})
		if errors.Is(err, errNone) {
			return nil, nil
		}
		return found, err
	})
}

// CustomFields returns the custom fields of a product.
func (e *Engine) CustomFields(ctx context.Context, s logical.Storage, code string) ([]CustomFieldSpec, error) {
	return ask(ctx, e, s, func(ctx context.Context, a *account) ([]CustomFieldSpec, error) {
		fields, _, err := e.customFields(ctx, a, code, false)
		return fields, err
	})
}

// Identity returns whom CERTInext takes the mount for.
func (e *Engine) Identity(ctx context.Context, s logical.Storage) (*Identity, error) {
	return ask(ctx, e, s, func(ctx context.Context, a *account) (*Identity, error) { return a.client.Me(ctx) })
}

// Groups returns the account's billing groups.
func (e *Engine) Groups(ctx context.Context, s logical.Storage, w Window) (Page[Group], error) {
	groups, err := ask(ctx, e, s, func(ctx context.Context, a *account) ([]Group, error) { return a.client.Groups(ctx) })
	if err != nil {
		return Page[Group]{}, err
	}
	return turnAll(groups, func(g Group) string { return g.Number }, w)
}

// Organizations returns the account's organizations, with what a list says of each.
func (e *Engine) Organizations(ctx context.Context, s logical.Storage, w Window) (Page[Organization], error) {
	all, err := ask(ctx, e, s, func(ctx context.Context, a *account) ([]Organization, error) { return a.client.Organizations(ctx) })
	if err != nil {
		return Page[Organization]{}, err
	}
	return turnAll(all, func(o Organization) string { return o.Number }, w)
}

// Organization returns all that CERTInext says of an organization, or nil when it does not know the number.
func (e *Engine) Organization(ctx context.Context, s logical.Storage, number string) (*Organization, error) {
	return ask(ctx, e, s, func(ctx context.Context, a *account) (*Organization, error) {
		o, err := a.client.Organization(ctx, number)
		if certinext.HasStatus(err, http.StatusNotFound) {
			return nil, nil
		}
		return o, err
	})
}

// Domains returns the domains that the account registered.
func (e *Engine) Domains(ctx context.Context, s logical.Storage, f DomainFilter, w Window) (Page[Domain], error) {
	if f.Exact && f.Search == "" {
		return Page[Domain]{}, fault.BadField("exact", "needs search, the name to look for")
	}
	if err := oneOf("status", f.Status, "ACTIVE", "INACTIVE", "EXPIRED"); err != nil {
		return Page[Domain]{}, err
	}
	if err := oneOf("dcv_status", f.DCVStatus, "PENDING", "VERIFIED", "REJECTED", "EXPIRED"); err != nil {
		return Page[Domain]{}, err
	}
	if err := w.validate(); err != nil {
		return Page[Domain]{}, err
	}
	return ask(ctx, e, s, func(ctx context.Context, a *account) (Page[Domain], error) {
		return turn(a.client.Domains(ctx, f), func(d Domain) string { return rowID(cmp.Or(d.ID, d.Name), d.OrganizationID) }, w)
	})
}

// oneOf refuses a value that a filter of that name does not take, in any case; an empty one is no filter.
func oneOf(field, value string, values ...string) error {
	if value == "" || slices.ContainsFunc(values, func(v string) bool { return strings.EqualFold(v, value) }) {
		return nil
	}
	return fault.BadField(field, "%q is none of %s", sanitize.Short(value), strings.Join(values, ", "))
}
