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
	r, err := store.Get[stored](ctx, s, Prefix+name)
	return r.role(name), err
}

// MustRead is [Read] with a [*fault.NotFoundError] when there is no role of that name.
func MustRead(ctx context.Context, s logical.Storage, name string) (*issuing.Role, error) {
	r, err := Read(ctx, s, name)
	if err == nil && r == nil {
		return nil, NotFound(name)
	}
	return r, err
}

// NotFound returns the error that there is no role of that name.
func NotFound(name string) error {
	return &fault.NotFoundError{Kind: "role", Name: name, Command: "list <mount>/roles"}
}

// List returns the names of the roles.
func List(ctx context.Context, s logical.Storage) ([]string, error) {
	return store.List(ctx, s, Prefix)
}

// Write stores what change makes of a role, which it has validated. before is nil when there is no
// role of that name. change may take its time: it is called again when another request changes or
// deletes the role meanwhile, so no change is lost (see [store.Update]). The role is stored within
// within, which may refuse it.
func Write(
	ctx context.Context, s logical.Storage, locks store.Locker, name string,
	change func(before *issuing.Role) (*issuing.Role, error),
	within func(after *issuing.Role, put func() error) error,
) error {
	return store.Update[stored]{
		Locks: locks,
		Make: func(before *stored) (*stored, error) {
			r, err := change(before.role(name))
			if err != nil {
				return nil, err
			}
			return newStored(r), nil
		},
		Within: func(after *stored, put func() error) error {
			return within(after.role(name), put)
		},
	}.Apply(ctx, s, Prefix+name)
}

// Delete removes a role. Its orders and certificates stay.
func Delete(ctx context.Context, s logical.Storage, locks store.Locker, name string) error {
	return store.DeleteLocked(ctx, s, locks, Prefix+name, func() error {
		return store.RefuseFuture(ctx, s, Prefix+name)
	})
}
