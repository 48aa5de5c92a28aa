// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

const (
	// catalogLifetime is how long an answer of the catalog is cached (ADR 0014).
	catalogLifetime = 5 * time.Minute
	// CatalogTimeout bounds the catalog's calls while a role is written: Vault's clients give up
	// after 60 s, and when the catalog does not answer the role may still be stored.
	CatalogTimeout = 30 * time.Second
)

// A catalog caches what the account may order, and for which domains. It belongs to one [Session],
// so a new config begins with an empty one.
type catalog struct {
	products     keyed.Cache[[]certinext.Product]         // by billing group
	customFields keyed.Cache[[]certinext.CustomFieldSpec] // by product code
	domains      keyed.Cache[DomainList]                  // there is one
	details      keyed.Cache[certinext.Domain]            // of domains, by their ids
}

func (acct *Account) newCatalog() *catalog {
	c := new(catalog)
	c.products.Life = catalogLifetime
	c.products.Now = acct.Now
	c.products.Run = acct.Work.Go
	c.customFields.Life = catalogLifetime
	c.customFields.Now = acct.Now
	c.customFields.Run = acct.Work.Go
	c.domains.Life, c.domains.Now, c.domains.Run = catalogLifetime, acct.Now, acct.Work.Go
	c.details.Life, c.details.Now, c.details.Run = catalogLifetime, acct.Now, acct.Work.Go
	return c
}

// CatalogProducts returns what a billing group, or the account if group is empty, may order. With
// refresh, it asks CERTInext whatever is cached; cached tells that the answer came from the cache.
func (acct *Account) CatalogProducts(
	ctx context.Context, a *Session, group string, refresh bool,
) (_ []certinext.Product, cached bool, err error) {
	return a.catalog.products.Get(ctx, group, refresh, func() ([]certinext.Product, error) {
		ctx, cancel := context.WithTimeout(acct.Alive, CatalogTimeout)
		defer cancel()
		return a.Client.Products(ctx, group)
	})
}

// CatalogFields returns the custom fields of a product. With refresh, it asks CERTInext whatever is
// cached; cached tells that the answer came from the cache.
func (acct *Account) CatalogFields(
	ctx context.Context, a *Session, code string, refresh bool,
) (_ []certinext.CustomFieldSpec, cached bool, err error) {
	ask := func() ([]certinext.CustomFieldSpec, error) {
		ctx, cancel := context.WithTimeout(acct.Alive, CatalogTimeout)
		defer cancel()
		return a.Client.CustomFields(ctx, code)
	}
	return a.catalog.customFields.Get(ctx, code, refresh, ask)
}

// An UnansweredError is returned by [Decide] when CERTInext could not be asked, so that nothing was
// decided.
type UnansweredError struct{ err error }

// Error says why CERTInext could not be asked.
func (e *UnansweredError) Error() string { return e.err.Error() }

// Unwrap returns the error of the question.
func (e *UnansweredError) Unwrap() error { return e.err }

// Decide calls decide with an answer, which may be a cached one. When decide refuses a cached
// answer, Decide asks again and calls it once more: the account may have acquired the product
// meanwhile (ADR 0014). It returns decide's error, or an [*UnansweredError].
func Decide[V any](
	ask func(refresh bool) (_ V, cached bool, err error), decide func(V) error,
) error {
	v, cached, err := ask(false)
	if err != nil {
		return &UnansweredError{err}
	}
	if err = decide(v); err == nil || !cached {
		return err
	}
	if v, _, failed := ask(true); failed == nil {
		return decide(v)
	}
	return err
}
