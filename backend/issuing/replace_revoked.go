// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
)

// validateRevoked looks at the field of what is made in the place of a revoked certificate.
func (r *Role) validateRevoked() error {
	if r.ReplaceRevoked && r.Shape().Personal() {
		return fault.BadField("replace_revoked", "is for certificates of host names: a %s "+
			"certificate is ordered when it is asked for. Set replace_revoked=false", r.Variant)
	}
	return nil
}

// revokedWarnings are the [Role.Warnings] about replace_revoked. cfg is nil while the mount has no
// account.
func (r *Role) revokedWarnings(cfg *account.Config) []string {
	if !r.ReplaceRevoked {
		return nil
	}
	out := []string{"replace_revoked is on: an order is placed, and paid for, for each " +
		"certificate that CERTInext revokes by itself, before anybody asks for it. A budget " +
		"bounds what that may cost"}
	if cfg != nil && cfg.SyncInterval == 0 {
		out = append(out, "replace_revoked: what CERTInext revokes is seen by a synchronization "+
			"only, and sync_interval of the config is 0: set it, such as to 1h")
	}
	return out
}
