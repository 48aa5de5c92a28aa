// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"slices"

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
			if !patch {
				before = issuing.NewRole(name)
			}
			if before == nil {
				return nil, roles.NotFound(name)
			}
			after, warnings, err = e.changedRole(ctx, s, before, change)
			return after, err
		},
		func(after *issuing.Role, put func() error) error {
			return e.Publisher.WhileNamed(ctx, s, after.DNS.Solver, put)
		})
	if err != nil {
		return nil, err
	}
	return warnings, nil
}

// changedRole returns a validated copy of before with change applied, and what is to be said about
// it.
func (e *Engine) changedRole(
	ctx context.Context, s logical.Storage, before *issuing.Role,
	change func(*issuing.Role) error,
) (after *issuing.Role, warnings []string, err error) {
	r := before.ForChange()
	if err := change(r); err != nil {
		return nil, nil, err
	}
	cfg, err := e.Account.Config(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	r.Normalize(before, cfg)
	if warnings, err = e.checkProduct(ctx, s, r); err != nil {
		return nil, nil, err
	}
	if err := r.Validate(); err != nil {
		return nil, nil, err
	}
	if err := e.Publisher.CheckNamed(ctx, s, r.DNS.Solver); err != nil {
		return nil, nil, err
	}
	dropped, err := r.BindConsent(before, cfg)
	if err != nil {
		return nil, nil, err
	}
	r.Family = r.Shape().Family
	return r, slices.Concat(warnings, dropped, r.Warnings(cfg)), nil
}

// DeleteRole removes a role. Its orders and certificates stay.
func (e *Engine) DeleteRole(ctx context.Context, s logical.Storage, name string) error {
	return roles.Delete(ctx, s, &e.roleWrites, name)
}
