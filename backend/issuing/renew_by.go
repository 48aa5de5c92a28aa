// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"fmt"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// A RenewBy says how a certificate is succeeded.
type RenewBy string

// How a certificate is succeeded (ADR 0035).
const (
	RenewalOrder   RenewBy = "order"   // by a new order
	RenewalReissue RenewBy = "reissue" // within its subscription, while that lasts
)

// CheckRenewal returns an error when the account of cfg has no reissue by which certificates of the
// role could be renewed. cfg is nil while the mount has no account.
func (r *Role) CheckRenewal(cfg *account.Config) error {
	if r.Renewal != RenewalReissue || cfg == nil || cfg.Version() != certinext.V1 {
		return nil
	}
	return fault.BadField("renewal", "cannot be %s with version 1 of the API (api_version of "+
		"config), which has no reissue: leave it at %s", RenewalReissue, RenewalOrder)
}

// renewalWarnings are the [Role.Warnings] about renewal=reissue.
func (r *Role) renewalWarnings() []string {
	if r.Renewal != RenewalReissue {
		return nil
	}
	out := []string{"renewal=reissue: what CERTInext charges for a reissue is not documented. " +
		"Its ledger is read after each one, and a charge ends the practice of this role until " +
		"an operator allows it again (<mount>/operator/renewal/<role>)"}
	if r.GenerateLease {
		out = append(out, "renewal=reissue and generate_lease: CERTInext revokes whole orders, so "+
			"the end of the last lease on the newest certificate ends the subscription that is "+
			"paid for. With generate_lease=false it lasts")
	}
	return out
}

// byCAWarnings are the [Role.Warnings] about what auto_renew keeps from being bought.
func (r *Role) byCAWarnings() []string {
	if r.Reuse {
		return nil
	}
	return []string{"auto_renew without reuse: once a certificate is due for its renewal, a " +
		"request for its names that has another key, as each one to issue, is refused, since " +
		"another order would be paid for beside CERTInext's renewal, which is for the same key. " +
		"Set reuse=true, have clients sign with the key that they have, or set auto_renew=false"}
}

// replacedWarnings are the [Role.Warnings] about revoke_replaced_after.
func (r *Role) replacedWarnings() []string {
	if r.RevokeReplacedAfter == 0 {
		return nil
	}
	out := []string{fmt.Sprintf("revoke_replaced_after is on: %s after a certificate was handed "+
		"over, the one that it has replaced is revoked, wherever that one is still in use. "+
		"A requester that keeps several certificates for the same names at a time needs a role "+
		"without", phrase.Duration(r.RevokeReplacedAfter))}
	if r.GenerateLease {
		out = append(out, "revoke_replaced_after and generate_lease: a replaced certificate is "+
			"not revoked while one of its leases runs. The end of its last lease revokes it")
	}
	return out
}

// reuseWarnings are the [Role.Warnings] about reuse.
func (r *Role) reuseWarnings() []string {
	switch {
	case r.Reuse && r.GenerateLease:
		return []string{"reuse and generate_lease: each answer has a lease of its own, and the " +
			"end of the last one revokes the certificate, which is reused no more then"}
	case r.ReuseFor > 0 && !r.Reuse:
		return []string{"reuse_for has no effect: the role does not say reuse=true"}
	}
	return nil
}
