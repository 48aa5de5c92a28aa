// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package inventory is what the mount knows of all the account's certificates, and not of its own orders only: it takes in those that were
// issued beside it, and notices what was revoked beside it.
//
// It promises to end, to go on after a restart, and never to take in what CERTInext's records do not name.
package inventory

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
)

// An Inventory compares the mount with the account. Its methods may be called concurrently.
type Inventory struct {
	*host.Host
	Account      *account.Account
	Certificates *certificates.Keeper

	orders *orders.Journal // those that the engine looks after by itself
	sync   synchronizing
}

// New returns the inventory of a mount. It touches neither storage nor network.
func New(h *host.Host, acct *account.Account, certs *certificates.Keeper, own *orders.Journal) *Inventory {
	return &Inventory{Host: h, Account: acct, Certificates: certs, orders: own}
}
