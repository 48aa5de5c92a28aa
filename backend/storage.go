// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reuse"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
)

// SealWrapPrefixes returns the storage paths whose entries hold secrets. Vault wraps these entries
// with its seal where it can.
func SealWrapPrefixes() []string {
	return []string{
		account.ConfigKey, roles.Prefix, orders.OpenPrefix, validation.SolverPrefix,
		reuse.KeyPrefix,
	}
}
