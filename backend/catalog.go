// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

const (
	// catalogLife is how long an answer of the catalog is remembered.
	catalogLife = 5 * time.Minute
	// catalogPatience bounds what a role's check asks: Vault's clients give up after 60s, and the role may still be written.
	catalogPatience = 30 * time.Second
)

// A catalog is what the account may order, as it was last told. It belongs to one client, so another config has another one.
type catalog struct {
	products     keyed.Cache[[]certinext.Product]         // by billing group
	customFields keyed.Cache[[]certinext.CustomFieldSpec] // by product code
}

func (e *Engine) newCatalog() *catalog {
	c := new(catalog)
	c.products.Life, c.products.Now, c.products.Run = catalogLife, e.Now, e.Work.Go
	c.customFields.Life, c.customFields.Now, c.customFields.Run = catalogLife, e.Now, e.Work.Go
	return c
}

// products returns what a billing group, or the account if group is empty, may order.
func (e *Engine) products(ctx context.Context, a *account, group string, anew bool) (_ []certinext.Product, old bool, err error) {
	return a.catalog.products.Get(ctx, group, anew, func() ([]certinext.Product, error) {
		ctx, cancel := context.WithTimeout(e.Alive, catalogPatience)
		defer cancel()
		return a.client.Products(ctx, group)
	})
}

// customFields returns the custom fields of a product.
func (e *Engine) customFields(ctx context.Context, a *account, code string, anew bool) (_ []certinext.CustomFieldSpec, old bool, err error) {
	return a.catalog.customFields.Get(ctx, code, anew, func() ([]certinext.CustomFieldSpec, error) {
		ctx, cancel := context.WithTimeout(e.Alive, catalogPatience)
		defer cancel()
		return a.client.CustomFields(ctx, code)
	})
}

// unaskedError is a question that CERTInext did not answer, so that nothing was decided.
type unaskedError struct{ err error }

func (e *unaskedError) Error() string { return e.err.Error() }

func (e *unaskedError) Unwrap() error { return e.err }

// settled decides on an answer. A refusal never rests on a remembered answer alone: the account may have got the product
// meanwhile. It returns decide's error, or an unaskedError.
func settled[V any](ask func(anew bool) (_ V, old bool, err error), decide func(V) error) error {
	v, old, err := ask(false)
	if err != nil {
		return &unaskedError{err}
	}
	if err = decide(v); err == nil || !old {
		return err
	}
	if v, _, failed := ask(true); failed == nil {
		return decide(v)
	}
	return err
}

// checkProduct finds out whether the account may order what the role describes, and fills in the variant that the role leaves
// open. Where the catalog cannot be asked, a role that names its variant is not refused; the warnings say what was not checked.
func (e *Engine) checkProduct(ctx context.Context, s logical.Storage, r *Role) (warnings []string, err error) {
	if _, known := shapes[r.Variant]; r.ProductCode == "" || r.Variant != "" && !known {
		return nil, nil // which validate refuses
	}
	ctx, cancel := context.WithTimeout(ctx, catalogPatience)
	defer cancel()
	a, err := e.account(ctx, s)
	switch {
	case errors.Is(err, fault.ErrNotConfigured):
		return r.unchecked(err)
	case err != nil:
		return nil, err
	}
	group := r.OrderDefaults.or(a.config.OrderDefaults).GroupNumber
	err = settled(func(anew bool) ([]certinext.Product, bool, error) {
		return e.products(ctx, a, group, anew)
	}, func(products []certinext.Product) error {
		variant, err := resolveVariant(products, r.ProductCode, r.Variant)
		if err == nil {
			r.Variant = variant
		}
		return err
	})
	var unasked *unaskedError
	switch {
	case errors.As(err, &unasked):
		return r.unchecked(err)
	case err != nil:
		return nil, err
	}
	return e.checkCustomFields(ctx, a, r)
}

// unchecked is the outcome of a check that the catalog was needed for and could not be asked.
func (r *Role) unchecked(why error) (warnings []string, err error) {
	if r.Variant == "" {
		return nil, fault.BadField("product_variant", "is required while the catalog cannot be asked (%v)", why)
	}
	return []string{fmt.Sprintf("product_code: %s was not checked, since the catalog cannot be asked (%v); an order may be refused", sanitize.Short(r.ProductCode), why)}, nil
}

// checkCustomFields holds the role's custom fields against the product's. Where CERTInext tells none, there is nothing to check.
func (e *Engine) checkCustomFields(ctx context.Context, a *account, r *Role) (warnings []string, err error) {
	err = settled(func(anew bool) ([]certinext.CustomFieldSpec, bool, error) {
		return e.customFields(ctx, a, r.ProductCode, anew)
	}, func(specs []certinext.CustomFieldSpec) error {
		warnings = unknownCustomFields(specs, r.CustomFields)
		return fitCustomFields(specs, r.CustomFields)
	})
	var unasked *unaskedError
	switch {
	case certinext.HasStatus(err, http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusNotImplemented):
		return nil, nil
	case errors.As(err, &unasked):
		return []string{fmt.Sprintf("custom_fields: they were not checked, since the product's cannot be asked (%v); an order may be refused", err)}, nil
	}
	return warnings, err
}

// fitCustomFields says which of a product's custom fields values by field id do not fill in as they must.
func fitCustomFields(specs []certinext.CustomFieldSpec, values map[string]string) error {
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

// unknownCustomFields warns of values for fields that the product does not have. Every list that was seen live was empty
// (observed 2026), whatever orders took, so an empty one says nothing.
func unknownCustomFields(specs []certinext.CustomFieldSpec, values map[string]string) []string {
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
