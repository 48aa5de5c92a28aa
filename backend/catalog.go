// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// checkProduct checks that the account may order the role's product, and fills in the variant that
// the role leaves open (ADR 0014). While the catalog cannot be asked, a role that names its variant
// is accepted, and the warnings say what was not checked.
func (e *Engine) checkProduct(
	ctx context.Context, s logical.Storage, r *issuing.Role,
) (warnings []string, err error) {
	_, known := account.Shapes[r.Variant]
	if r.ProductCode == "" || (r.Variant != "" && !known) {
		return nil, nil // Role.Validate refuses the role
	}
	ctx, cancel := context.WithTimeout(ctx, account.CatalogTimeout)
	defer cancel()
	a, err := e.Account.Session(ctx, s)
	switch {
	case errors.Is(err, fault.ErrNotConfigured):
		return uncheckedRole(r, err)
	case err != nil:
		return nil, err
	}
	group := r.OrderDefaults.Or(a.Config.OrderDefaults).GroupNumber
	err = account.Decide(func(anew bool) ([]certinext.Product, bool, error) {
		return e.Account.CatalogProducts(ctx, a, group, anew)
	}, func(products []certinext.Product) error {
		variant, err := account.ResolveVariant(products, r.ProductCode, r.Variant)
		if err == nil {
			r.Variant = variant
		}
		return err
	})
	var unasked *account.UnansweredError
	switch {
	case errors.As(err, &unasked):
		return uncheckedRole(r, err)
	case err != nil:
		return nil, err
	}
	return e.checkCustomFields(ctx, a, r)
}

// uncheckedRole is the result of a check while the catalog cannot be asked: a warning, or an error
// for a role without a variant, which only the catalog can tell.
func uncheckedRole(r *issuing.Role, why error) (warnings []string, err error) {
	if r.Variant == "" {
		return nil, fault.BadField("product_variant",
			"is required while the catalog cannot be asked (%v)", why)
	}
	return []string{fmt.Sprintf("product_code: %s was not checked, since the catalog cannot be "+
		"asked (%v); an order may be refused", sanitize.Short(r.ProductCode), why)}, nil
}

// checkCustomFields checks the role's custom fields against those of its product. A product for
// which CERTInext shows no fields is not checked.
func (e *Engine) checkCustomFields(
	ctx context.Context, a *account.Session, r *issuing.Role,
) (warnings []string, err error) {
	err = account.Decide(func(anew bool) ([]certinext.CustomFieldSpec, bool, error) {
		return e.Account.CatalogFields(ctx, a, r.ProductCode, anew)
	}, func(specs []certinext.CustomFieldSpec) error {
		return issuing.CheckCustomFields(specs, r.CustomFields)
	})
	var unasked *account.UnansweredError
	switch {
	case certinext.HasStatus(err, http.StatusNotFound, http.StatusUnprocessableEntity,
		http.StatusNotImplemented):
		return nil, nil
	case errors.As(err, &unasked):
		return []string{fmt.Sprintf("custom_fields: they were not checked, since CERTInext cannot "+
			"be asked for those of the product (%v); an order may be refused", err)}, nil
	}
	return warnings, err
}
