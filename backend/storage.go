// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
)

// Where things rest in the mount's storage. An order's entry is below one of two prefixes, so that finding the open
// ones never costs a walk over the finished ones.
const (
	openOrderPrefix = "order/open/" // + role + "/" + order id; may hold a private key

	closedOrderPrefix = "order/closed/" // + role + "/" + order id; never holds a key

	certPrefix = "cert/" // + serial number, with dashes

	revokedPrefix = "revoked/" // + serial number: the index behind certs/revoked

	revocationPrefix = "revocation/" // + serial number: revocations that CERTInext has not taken yet

	leaseWatchPrefix = "lease/" // + hour + minute + serial number: when a certificate's last lease is over

	domainPrefix = "dcv/domain/" // + name: domains that the mount looks after

	syncKey = "sync" // how far the last synchronization has got

	caKey = "ca" // the chain of the newest certificate

)

// SealWrapPrefixes are the storage paths whose entries hold secrets.
func SealWrapPrefixes() []string {
	return []string{account.ConfigKey, roles.Prefix, openOrderPrefix, validation.SolverPrefix}
}
