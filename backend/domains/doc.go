// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package domains keeps the account's domains validated ahead of orders.
//
// A domain that is registered here is added to the CERTInext account, validated by a solver or by people, and validated anew
// before that runs out, so that an order for it need not wait. It promises that a domain is validated for the account that it
// was registered for, and that its records are taken away again. It knows neither roles nor orders.
package domains

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
)

// A Keeper looks after the domains of a mount. Its methods may be called concurrently.
type Keeper struct {
	*host.Host
	Account   *account.Account
	Publisher *validation.Publisher

	domainLocks keyed.Mutex
}

// New returns the keeper of a mount's domains. It touches neither storage nor network.
func New(h *host.Host, acct *account.Account, p *validation.Publisher) *Keeper {
	return &Keeper{Host: h, Account: acct, Publisher: p}
}
