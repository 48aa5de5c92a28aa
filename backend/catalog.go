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
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A productCheck is what came of looking a role's product up in the catalog.
type productCheck struct {
	warnings []string
	// unasked is why the catalog could not be asked for the product, and fields why it could not be
	// for the product's custom fields; nil when it was, and when there is nothing to ask.
	unasked, fields error
}

// isWhole reports whether everything was looked up.
func (c productCheck) isWhole() bool { return c.unasked == nil && c.fields == nil }

// checkProduct checks that the account may order the role's product, and fills in the variant that
// the role leaves open (ADR 0014). While the catalog cannot be asked, a role that names its variant
// is accepted, and the warnings say what was not checked.
func (e *Engine) checkProduct(
	ctx context.Context, s logical.Storage, r *issuing.Role,
) (c productCheck, err error) {
	_, known := account.Shapes[r.Variant]
	if r.ProductCode == "" || (r.Variant != "" && !known) {
		return productCheck{}, nil // Role.Validate refuses the role
	}
	ctx, cancel := context.WithTimeout(ctx, account.CatalogTimeout)
	defer cancel()
	a, err := e.Account.Session(ctx, s)
	switch {
	case errors.Is(err, fault.ErrNotConfigured):
		return uncheckedRole(r, err)
	case err != nil:
		return productCheck{}, err
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
		return productCheck{}, err
	}
	return e.checkCustomFields(ctx, a, r)
}

// uncheckedRole is the result of a check while the catalog cannot be asked: a warning, or an error
// for a role without a variant, which only the catalog can tell.
func uncheckedRole(r *issuing.Role, why error) (productCheck, error) {
	if r.Variant == "" {
		return productCheck{}, fault.BadField("product_variant",
			"is required while the catalog cannot be asked (%v)", why)
	}
	return productCheck{unasked: why, warnings: []string{fmt.Sprintf(
		"product_code: %s was not checked, since the catalog cannot be asked (%v): that is done "+
			"before the first order", sanitize.Short(r.ProductCode), why)}}, nil
}

// checkCustomFields checks the role's custom fields against those of its product. A product for
// which CERTInext shows no fields is not checked.
func (e *Engine) checkCustomFields(
	ctx context.Context, a *account.Session, r *issuing.Role,
) (productCheck, error) {
	err := account.Decide(func(anew bool) ([]certinext.CustomFieldSpec, bool, error) {
		return e.Account.CatalogFields(ctx, a, r.ProductCode, anew)
	}, func(specs []certinext.CustomFieldSpec) error {
		return issuing.CheckCustomFields(specs, r.FieldsAsSent())
	})
	var unasked *account.UnansweredError
	switch {
	case certinext.HasStatus(err, http.StatusNotFound, http.StatusUnprocessableEntity,
		http.StatusNotImplemented):
		return productCheck{}, nil
	case errors.As(err, &unasked):
		return productCheck{fields: err, warnings: []string{fmt.Sprintf(
			"custom_fields: they were not checked, since CERTInext cannot be asked for those of "+
				"the product (%v); an order may be refused", err)}}, nil
	}
	return productCheck{}, err
}

// checkBeforeOrder looks a role's product up before anything is ordered under it, where that could
// not be done when the role was written, or was done for another account (ADR 0014). What was found
// is stored with the role, so that no later order asks. Nothing is ordered until the catalog says
// what the product is, unless CERTInext does not let the account ask.
func (e *Engine) checkBeforeOrder(
	ctx context.Context, s logical.Storage, role *issuing.Role,
) error {
	a, err := e.Account.Session(ctx, s) // which has the config in memory: an order reads it no more
	switch {
	case errors.Is(err, fault.ErrNotConfigured):
		return nil // placing the order says so
	case err != nil || !role.NeedsCatalog(a.Config):
		return err
	}
	mayAsk := e.Account.MayAsk(s) == nil
	if !mayAsk {
		return nil // by this request, nothing is ordered
	}
	checked, err := e.checkProduct(ctx, s, role.ForChange())
	var field *fault.FieldError
	switch {
	case errors.As(err, &field):
		return fault.BadField(field.Field, "%s. That is role %s, which was not compared with this "+
			"account's catalog when it was written, and nothing is ordered: correct it with "+
			"vault patch <mount>/roles/%s %s=<value>", field.Problem, role.Name, role.Name,
			field.Field)
	case err != nil:
		return err
	case mayNotAsk(checked.unasked):
		return nil // it may order all the same: what the product is, only the role says then
	case checked.unasked != nil:
		return &fault.RefusedError{Err: fmt.Errorf("product_code: role %s was written while the "+
			"catalog could not be asked what product %s is, and it cannot be asked now (%w): "+
			"nothing is ordered until it can be; send the request again", role.Name,
			sanitize.Short(role.ProductCode), checked.unasked)}
	case checked.isWhole() && !store.IsReading(s):
		e.storeChecked(ctx, s, role, a.Config)
	}
	return nil
}

// mayNotAsk reports whether CERTInext itself does not let the account ask for its catalog, or has
// none, so that asking again does not help.
func mayNotAsk(err error) bool {
	return certinext.IsRefusal(err, http.StatusForbidden, http.StatusNotFound) ||
		certinext.HasStatus(err, http.StatusNotImplemented)
}

// storeChecked stores that a role's product was found in the catalog, unless the role orders
// something else by now.
func (e *Engine) storeChecked(
	ctx context.Context, s logical.Storage, checked *issuing.Role, cfg *account.Config,
) {
	err := roles.Write(ctx, s, &e.roleWrites, checked.Name,
		func(now *issuing.Role) (*issuing.Role, error) {
			if now == nil {
				return nil, roles.NotFound(checked.Name)
			}
			after := *now
			if now.OrdersTheSame(checked) {
				after.Unchecked, after.CheckedFor = false, cfg.Account()
			}
			return &after, nil
		},
		func(_ *issuing.Role, put func() error) error { return put() })
	if err != nil {
		e.Log.Warn("that the product of a role was found in the catalog could not be stored: "+
			"the next order looks again", "role", checked.Name, "error", err)
	}
}
