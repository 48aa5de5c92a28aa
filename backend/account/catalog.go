// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package account

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

const (
	// catalogLife is how long an answer of the catalog is remembered.
	catalogLife = 5 * time.Minute
	// CatalogPatience bounds what a role's check asks: Vault's clients give up after 60s, and the role may still be written.
	CatalogPatience = 30 * time.Second
)

// A catalog is what the account may order, as it was last told. It belongs to one client, so another config has another one.
type catalog struct {
	products     keyed.Cache[[]certinext.Product]         // by billing group
	customFields keyed.Cache[[]certinext.CustomFieldSpec] // by product code
}

func (acct *Account) newCatalog() *catalog {
	c := new(catalog)
	c.products.Life, c.products.Now, c.products.Run = catalogLife, acct.Now, acct.Work.Go
	c.customFields.Life, c.customFields.Now, c.customFields.Run = catalogLife, acct.Now, acct.Work.Go
	return c
}

// CatalogProducts returns what a billing group, or the account if group is empty, may order.
func (acct *Account) CatalogProducts(ctx context.Context, a *Session, group string, anew bool) (_ []certinext.Product, old bool, err error) {
	return a.catalog.products.Get(ctx, group, anew, func() ([]certinext.Product, error) {
		ctx, cancel := context.WithTimeout(acct.Alive, CatalogPatience)
		defer cancel()
		return a.Client.Products(ctx, group)
	})
}

// CatalogFields returns the custom fields of a product.
func (acct *Account) CatalogFields(ctx context.Context, a *Session, code string, anew bool) (_ []certinext.CustomFieldSpec, old bool, err error) {
	return a.catalog.customFields.Get(ctx, code, anew, func() ([]certinext.CustomFieldSpec, error) {
		ctx, cancel := context.WithTimeout(acct.Alive, CatalogPatience)
		defer cancel()
		return a.Client.CustomFields(ctx, code)
	})
}

// UnaskedError is a question that CERTInext did not answer, so that nothing was decided.
type UnaskedError struct{ err error }

// Error is the reason.
func (e *UnaskedError) Error() string { return e.err.Error() }

// Unwrap returns the reason.
func (e *UnaskedError) Unwrap() error { return e.err }

// Settled decides on an answer. A refusal never rests on a remembered answer alone: the account may have got the product
// meanwhile. It returns decide's error, or an unaskedError.
func Settled[V any](ask func(anew bool) (_ V, old bool, err error), decide func(V) error) error {
	v, old, err := ask(false)
	if err != nil {
		return &UnaskedError{err}
	}
	if err = decide(v); err == nil || !old {
		return err
	}
	if v, _, failed := ask(true); failed == nil {
		return decide(v)
	}
	return err
}

// FitCustomFields says which of a product's custom fields values by field id do not fill in as they must.
func FitCustomFields(specs []certinext.CustomFieldSpec, values map[string]string) error {
	var missing []string
	for _, f := range specs {
		v := values[f.ID]
		switch {
		case v == "" && f.Mandatory:
			missing = append(missing, customFieldName(f))
		case v == "":
		case len(f.Values) > 0 && !slices.Contains(f.Values, v):
			return fault.BadField("custom_fields", "%q is not a value of %s, which takes %s", sanitize.Short(v), customFieldName(f), enumerate(f.Values))
		case f.MaxLength > 0 && utf8.RuneCountInString(v) > f.MaxLength:
			return fault.BadField("custom_fields", "the value of %s is longer than %d characters", customFieldName(f), f.MaxLength)
		}
	}
	if len(missing) > 0 {
		return fault.BadField("custom_fields", "the product cannot be ordered without %s", strings.Join(missing, ", "))
	}
	return nil
}

func customFieldName(f certinext.CustomFieldSpec) string {
	if f.Name == "" {
		return f.ID
	}
	return fmt.Sprintf("%s (%s)", f.ID, f.Name)
}

// UnknownCustomFields warns of values for fields that the product does not have. Every list that was seen live was empty
// (observed 2026), whatever orders took, so an empty one says nothing.
func UnknownCustomFields(specs []certinext.CustomFieldSpec, values map[string]string) []string {
	if len(specs) == 0 {
		return nil
	}
	var unknown []string
	for id := range values {
		if !slices.ContainsFunc(specs, func(f certinext.CustomFieldSpec) bool { return f.ID == id }) {
			unknown = append(unknown, sanitize.Short(id))
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	return []string{fmt.Sprintf("custom_fields: the product has no field %s; an order may be refused", strings.Join(unknown, ", "))}
}
