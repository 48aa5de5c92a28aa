// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import "github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"

// The names under which the paths know what the rooms declare.
type (
	// A FieldError is a field of a request that has to be changed.
	FieldError = fault.FieldError
	// A NotFoundError names something that the mount does not have.
	NotFoundError = fault.NotFoundError
	// A RefusedError is what CERTInext has refused.
	RefusedError = fault.RefusedError
)

// ErrNotConfigured is returned while the mount has no CERTInext account.
var ErrNotConfigured = fault.ErrNotConfigured
