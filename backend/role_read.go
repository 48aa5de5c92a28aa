// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// Where the roles of a mount rest in storage: under its name, each.
const rolePrefix = "role/"

// readRole returns a role, or nil when there is none of that name.
func readRole(ctx context.Context, s logical.Storage, name string) (*Role, error) {
	stored, err := store.Get[storedRole](ctx, s, rolePrefix+name)
	if err != nil || stored == nil {
		return nil, err
	}
	return stored.role(name), nil
}

// mustRole is readRole for callers that cannot go on without one.
func mustRole(ctx context.Context, s logical.Storage, name string) (*Role, error) {
	r, err := readRole(ctx, s, name)
	if err == nil && r == nil {
		return nil, &fault.NotFoundError{Kind: "role", Name: name}
	}
	return r, err
}

// listRoles lists the names of the roles.
func listRoles(ctx context.Context, s logical.Storage) ([]string, error) {
	return store.List(ctx, s, rolePrefix)
}

// writeRole stores a role that is valid.
func writeRole(ctx context.Context, s logical.Storage, r *Role) error {
	return store.Put(ctx, s, rolePrefix+r.Name, newStoredRole(r))
}

// deleteRole forgets a role. Its orders and certificates stay.
func deleteRole(ctx context.Context, s logical.Storage, name string) error {
	return store.Delete(ctx, s, rolePrefix+name)
}
