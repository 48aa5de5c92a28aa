// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"errors"
	"slices"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/hashicorp/vault/sdk/logical"
)

// Role returns a role, or nil and no error when there is none of that name.
func (e *Engine) Role(ctx context.Context, s logical.Storage, name string) (*issuing.Role, error) {
	return roles.Read(ctx, s, name)
}

// Roles returns the names of the roles.
func (e *Engine) Roles(ctx context.Context, s logical.Storage) ([]string, error) {
	return roles.List(ctx, s)
}

// WriteRole applies change to a role, validates the result and stores it. With patch, the role has
// to exist, and keeps what change does not set; otherwise it starts from the defaults. The product
// is looked up in the account's catalog (ADR 0014). While CERTInext cannot be asked, the role has
// to name its variant, and the warnings say what was not checked. No lock is held while it is
// asked: a role that another request changes meanwhile is changed anew.
func (e *Engine) WriteRole(
	ctx context.Context, s logical.Storage, name string, patch bool,
	change func(*issuing.Role) error,
) (warnings []string, err error) {
	err = roles.Write(ctx, s, &e.roleWrites, name,
		func(before *issuing.Role) (after *issuing.Role, err error) {
			if before == nil && patch {
				return nil, roles.NotFound(name)
			}
			if !patch {
				before = nil
			}
			after, warnings, err = e.changedRole(ctx, s, name, before, change)
			return after, err
		},
		func(after *issuing.Role, put func() error) error {
			return whileSwept(ctx, s, name, func() error {
				return e.Publisher.WhileNamed(ctx, s, after.DNS.Solver, put)
			})
		})
	if err != nil {
		return nil, err
	}
	return warnings, nil
}

// changedRole returns a validated copy of before with change applied, and what is to be said about
// it. before is nil for a role that is written from the defaults. What is wrong in before already
// is a warning instead of an error: an old role stays open to changes of something else.
func (e *Engine) changedRole(
	ctx context.Context, s logical.Storage, name string, before *issuing.Role,
	change func(*issuing.Role) error,
) (after *issuing.Role, warnings []string, err error) {
	var had fault.Fields
	if before == nil {
		before = issuing.NewRole(name)
	} else {
		had = roles.Problems(before)
	}
	r := before.ForChange()
	if err := change(r); err != nil {
		return nil, nil, err
	}
	cfg, err := e.Account.Config(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	r.Normalize(before, cfg)
	if err := mayOrderProduct(cfg, r, before); err != nil {
		return nil, nil, err
	}
	if warnings, err = e.checkChangedProduct(ctx, s, before, r, cfg); err != nil {
		return nil, nil, err
	}
	brought, left := roles.Problems(r).Since(had)
	if err := brought.First(); err != nil {
		return nil, nil, err
	}
	if r.Renewal != before.Renewal {
		if err := r.CheckRenewal(cfg); err != nil {
			return nil, nil, err
		}
	}
	if err := e.Publisher.CheckNamed(ctx, s, r.DNS.Solver); err != nil {
		return nil, nil, err
	}
	dropped, err := r.BindConsent(before, cfg)
	if err != nil {
		return nil, nil, err
	}
	r.Family = r.Shape().Family
	for _, old := range left {
		warnings = append(warnings, "was stored by an earlier write, and is wrong: "+old.Error())
	}
	unpriced, err := unpricedWarning(ctx, e, s, r, cfg)
	if err != nil {
		return nil, nil, err
	}
	return r, slices.Concat(warnings, dropped, unpriced, r.Warnings(cfg)), nil
}

// checkChangedProduct is checkProduct for a role that a write has changed from before. What the
// catalog says against a product that the write does not touch is a warning: the account may have
// lost the product since.
func (e *Engine) checkChangedProduct(
	ctx context.Context, s logical.Storage, before, r *issuing.Role, cfg *account.Config,
) (warnings []string, err error) {
	isUntouched := before.Variant != "" && r.OrdersTheSame(before)
	checked, err := e.checkProduct(ctx, s, r)
	var field *fault.FieldError
	switch {
	case isUntouched && errors.As(err, &field):
		return []string{"was stored by an earlier write, and is wrong: " + err.Error()}, nil
	case err != nil:
		return nil, err
	case checked.isWhole() && cfg != nil:
		r.Unchecked, r.CheckedFor = false, cfg.Account()
	case !isUntouched:
		r.Unchecked, r.CheckedFor = true, ""
	}
	return checked.warnings, nil
}

// DeleteRole removes a role. Its orders and certificates stay.
func (e *Engine) DeleteRole(ctx context.Context, s logical.Storage, name string) error {
	return whileSwept(ctx, s, name, func() error {
		return roles.Delete(ctx, s, &e.roleWrites, name)
	})
}
