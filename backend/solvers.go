// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/hashicorp/vault/sdk/logical"
)

// DeleteSolver removes a solver that no role and no domain names. It refuses to while the solver
// has records to remove. With force they are forgotten, and an operator has to remove them (ADR
// 0015).
func (e *Engine) DeleteSolver(
	ctx context.Context, s logical.Storage, name string, force bool,
) error {
	unused := func() error {
		users, err := e.solverUsers(ctx, s, name)
		if err == nil && len(users) > 0 {
			err = fault.BadField("name",
				"the solver %s is used by %s: name another one there first",
				name, strings.Join(users, ", "))
		}
		return err
	}
	return e.Publisher.RemoveSolver(ctx, s, name, force, unused)
}

// solverUsers names the roles and registered domains that a solver publishes for, in words for a
// message.
func (e *Engine) solverUsers(
	ctx context.Context, s logical.Storage, name string,
) ([]string, error) {
	all, err := roles.List(ctx, s)
	if err != nil {
		return nil, err
	}
	var users []string
	for _, role := range all {
		r, err := roles.Read(ctx, s, role)
		if err != nil {
			return nil, err
		}
		if r != nil && r.DNS.Solver == name {
			users = append(users, "the role "+role)
		}
	}
	domains, err := e.Domains.ValidatedBy(ctx, s, name)
	for _, domain := range domains {
		users = append(users, "the domain "+domain)
	}
	return users, err
}
