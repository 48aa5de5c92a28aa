// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

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
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
	"github.com/hashicorp/vault/sdk/logical"
)

// The client's types for what CERTInext knows about the account, so that the Vault paths need not
// import the client.
type (
	// An Identity is the account and user that the credentials belong to.
	Identity = certinext.Account
	// A CustomFieldSpec is a field that a product's orders may or must fill in.
	CustomFieldSpec = certinext.CustomFieldSpec
	// A Group is a billing group.
	Group = certinext.Group
	// An Organization is one that CERTInext has vetted, or is vetting.
	Organization = certinext.Organization
	// A Domain is a domain that is registered in the account.
	Domain = certinext.Domain
	// A Status is the state of an order, in CERTInext's terms.
	Status = certinext.Status
	// A DomainFilter selects domains.
	DomainFilter = certinext.DomainFilter
)

// AskPatience bounds [Ask]: an error has to reach Vault's clients before they give up after 60 s.
const AskPatience = 45 * time.Second

// Ask runs question with the session of the mount's account, within [AskPatience]. An error of
// CERTInext's becomes a [fault.RefusedError]; one that names a field, and a fault of storage, are
// returned as they are.
func Ask[T any](
	ctx context.Context, acct *Account, s logical.Storage,
	question func(context.Context, *Session) (T, error),
) (T, error) {
	var none T
	a, err := acct.Session(ctx, s)
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, AskPatience)
	defer cancel()
	answer, err := question(ctx, a)
	var field *fault.FieldError
	switch {
	case errors.As(err, &field), store.IsFault(err):
		return none, err
	case err != nil:
		return none, fault.Refused(err)
	}
	return answer, nil
}

// A ProductFilter selects products of the catalog. The zero value selects all that the config's
// group may order.
type ProductFilter struct {
	GroupNumber string // the config's when empty
	Family      Family
	Category    string // its number, or its name or a part of it, in any case
	// Refresh asks CERTInext whatever is cached, and drops the cached custom fields of all
	// products.
	Refresh bool
}

func (f ProductFilter) matches(p Product) bool {
	if f.Family != "" && f.Family != p.Family {
		return false
	}
	return f.Category == "" || f.Category == p.Category.ID ||
		strings.Contains(strings.ToLower(p.Category.Name), strings.ToLower(f.Category))
}

// Products returns the products that may be ordered, possibly from the cache.
func (acct *Account) Products(
	ctx context.Context, s logical.Storage, f ProductFilter, w Window,
) (Page[Product], error) {
	switch f.Family {
	case "", certinext.FamilySSL, certinext.FamilyPrivatePKI,
		certinext.FamilySignature, certinext.FamilySMIME:
	default:
		return Page[Product]{}, fault.BadField("family",
			"%q is not ssl, private-pki, signature or smime", sanitize.Short(string(f.Family)))
	}
	products, err := Ask(ctx, acct, s, func(ctx context.Context, a *Session) ([]Product, error) {
		if f.Refresh {
			a.catalog.customFields.Forget()
		}
		products, _, err := acct.CatalogProducts(ctx, a, a.group(f.GroupNumber), f.Refresh)
		return products, err
	})
	if err != nil {
		return Page[Product]{}, err
	}
	return pageAll(selectProducts(products, f.matches), func(p Product) string { return p.Code }, w)
}

// group returns the billing group of a request that names number: the config's when that is empty.
func (a *Session) group(number string) string {
	if number == "" {
		return a.Config.GroupNumber
	}
	return number
}

// Product returns the product with the given code, or nil when the catalog has none. The config's
// billing group counts when group is empty.
func (acct *Account) Product(
	ctx context.Context, s logical.Storage, code, group string,
) (*Product, error) {
	return Ask(ctx, acct, s, func(ctx context.Context, a *Session) (found *Product, err error) {
		errNone := &fault.NotFoundError{
			Kind: "product", Name: sanitize.Short(code), Command: "read <mount>/catalog/products",
		}
		err = Decide(func(refresh bool) ([]Product, bool, error) {
			return acct.CatalogProducts(ctx, a, a.group(group), refresh)
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

// CustomFields returns the custom fields of the product with the given code, possibly from the
// cache.
func (acct *Account) CustomFields(
	ctx context.Context, s logical.Storage, code string,
) ([]CustomFieldSpec, error) {
	return Ask(ctx, acct, s, func(ctx context.Context, a *Session) ([]CustomFieldSpec, error) {
		fields, _, err := acct.CatalogFields(ctx, a, code, false)
		return fields, err
	})
}

// Identity returns the account and user that CERTInext takes the mount's credentials for.
func (acct *Account) Identity(ctx context.Context, s logical.Storage) (*Identity, error) {
	return Ask(ctx, acct, s,
		func(ctx context.Context, a *Session) (*Identity, error) { return a.Client.Me(ctx) })
}

// Groups returns the account's billing groups.
func (acct *Account) Groups(ctx context.Context, s logical.Storage, w Window) (Page[Group], error) {
	groups, err := Ask(ctx, acct, s,
		func(ctx context.Context, a *Session) ([]Group, error) { return a.Client.Groups(ctx) })
	if err != nil {
		return Page[Group]{}, err
	}
	return pageAll(groups, func(g Group) string { return g.Number }, w)
}

// Organizations returns the account's organizations. Their entries have fewer fields than
// [Account.Organization] returns.
func (acct *Account) Organizations(
	ctx context.Context, s logical.Storage, w Window,
) (Page[Organization], error) {
	all, err := Ask(ctx, acct, s, func(ctx context.Context, a *Session) ([]Organization, error) {
		return a.Client.Organizations(ctx)
	})
	if err != nil {
		return Page[Organization]{}, err
	}
	return pageAll(all, func(o Organization) string { return o.Number }, w)
}

// Organization returns the details of an organization, or nil when CERTInext does not know the
// number.
func (acct *Account) Organization(
	ctx context.Context, s logical.Storage, number string,
) (*Organization, error) {
	return Ask(ctx, acct, s, func(ctx context.Context, a *Session) (*Organization, error) {
		o, err := a.Client.Organization(ctx, number)
		if certinext.HasStatus(err, http.StatusNotFound) {
			return nil, nil
		}
		return o, err
	})
}

// Domains returns the domains that are registered in the account. CERTInext's list is read only as
// far as the page goes, so its Total is unknown.
func (acct *Account) Domains(
	ctx context.Context, s logical.Storage, f DomainFilter, w Window,
) (Page[Domain], error) {
	if f.Exact && f.Search == "" {
		return Page[Domain]{}, fault.BadField("exact",
			"requires search, the domain name to look for")
	}
	if err := oneOf("status", f.Status, "ACTIVE", "INACTIVE", "EXPIRED"); err != nil {
		return Page[Domain]{}, err
	}
	err := oneOf("dcv_status", f.DCVStatus, "PENDING", "VERIFIED", "REJECTED", "EXPIRED")
	if err != nil {
		return Page[Domain]{}, err
	}
	if err := w.Validate(); err != nil {
		return Page[Domain]{}, err
	}
	return Ask(ctx, acct, s, func(ctx context.Context, a *Session) (Page[Domain], error) {
		return ReadPage(a.Client.Domains(ctx, f),
			func(d Domain) string { return RowID(cmp.Or(d.ID, d.Name), d.OrganizationID) }, w)
	})
}

// oneOf returns an error about the field unless its value is empty or, in any case, one of values.
func oneOf(field, value string, values ...string) error {
	isValue := func(v string) bool { return strings.EqualFold(v, value) }
	if value == "" || slices.ContainsFunc(values, isValue) {
		return nil
	}
	return fault.BadField(field, "%q is not %s", sanitize.Short(value), phrase.Or(values...))
}
