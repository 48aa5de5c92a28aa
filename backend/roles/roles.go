// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package roles

import (
	"context"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/hashicorp/vault/sdk/logical"
)

// Prefix is where the roles of a mount are stored, each under its name.
const Prefix = "role/"

// Read returns a role, or nil and no error when there is none of that name.
func Read(ctx context.Context, s logical.Storage, name string) (*issuing.Role, error) {
	stored, err := store.Get[Stored](ctx, s, Prefix+name)
	if err != nil || stored == nil {
		return nil, err
	}
	return stored.Role(name), nil
}

// MustRead is [Read] with a [*fault.NotFoundError] when there is no role of that name.
func MustRead(ctx context.Context, s logical.Storage, name string) (*issuing.Role, error) {
	r, err := Read(ctx, s, name)
	if err == nil && r == nil {
		return nil, &fault.NotFoundError{Kind: "role", Name: name}
	}
	return r, err
}

// List returns the names of the roles.
func List(ctx context.Context, s logical.Storage) ([]string, error) {
	return store.List(ctx, s, Prefix)
}

// Write stores a role, which the caller has validated.
func Write(ctx context.Context, s logical.Storage, r *issuing.Role) error {
	return store.Put(ctx, s, Prefix+r.Name, NewStored(r))
}

// Delete removes a role. Its orders and certificates stay.
func Delete(ctx context.Context, s logical.Storage, name string) error {
	return store.Delete(ctx, s, Prefix+name)
}
