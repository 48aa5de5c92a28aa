// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package inventory synchronizes the mount with all certificates of the account, and not only those
// of its own orders: it imports certificates that were ordered outside of the mount, records
// revocations that did not go through it, and selects certificates that an operator has a role
// adopt (ADR 0044).
//
// It promises that a synchronization ends, that it goes on after a restart from where it was, that
// what is known and unchanged costs neither a call nor a write, and that it never imports a
// certificate that CERTInext's records do not name. What those leave out is noted, and nothing
// follows from it.
package inventory

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/lineage"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
)

// An Inventory synchronizes a mount with its account. Its methods may be called concurrently.
type Inventory struct {
	*host.Host
	Account      *account.Account
	Certificates *certificates.Keeper
	Lineage      *lineage.Keeper

	orders *orders.Journal // whose certificates are not imported
	sync   syncState
}

// New returns the inventory of a mount. It touches neither storage nor network.
func New(
	h *host.Host, acct *account.Account, certs *certificates.Keeper, own *orders.Journal,
	above *lineage.Keeper,
) *Inventory {
	return &Inventory{Host: h, Account: acct, Certificates: certs, Lineage: above, orders: own}
}
