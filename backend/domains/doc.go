// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package domains keeps the account's domains validated ahead of orders.
//
// A domain that is registered here is added to the CERTInext account and validated, by a solver or
// by its owner, so that orders for it need not wait. With keep_validated, the background pass
// validates it again before the validation expires. A domain is only ever validated for the account
// that it was registered for, and its DNS records are removed afterwards. The package knows neither
// roles nor orders.
package domains

import (
	"sync/atomic"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/validation"
)

// A Keeper keeps the registered domains of a mount. Its methods may be called concurrently.
type Keeper struct {
	*host.Host
	Account   *account.Account
	Publisher *validation.Publisher

	domainLocks keyed.Mutex                // by name
	seen        atomic.Pointer[[]Validity] // what the latest Due has read
}

// New returns the keeper of a mount's domains. It touches neither storage nor network.
func New(h *host.Host, acct *account.Account, p *validation.Publisher) *Keeper {
	return &Keeper{Host: h, Account: acct, Publisher: p}
}
