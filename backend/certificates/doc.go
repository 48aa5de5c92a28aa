// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package certificates knows what was issued, which leases hang on it, and its revocation, queued or taken.
//
// It promises that a certificate whose last lease is over is revoked at CERTInext, however often that fails, that nobody is handed one
// that is to be revoked, and that nothing is revoked because of a clock that CERTInext's contradicts. It knows nothing of
// requests and roles, and asks [Orders] what only those can tell.
//
// A certificate is locked by its serial number while its entry is changed, and never while CERTInext is asked.
package certificates

import (
	"sync"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
)

// A Keeper keeps the certificates of a mount. Its methods may be called concurrently.
type Keeper struct {
	*host.Host
	Account *account.Account
	Origin  Orders // asked of; set before use

	certLocks   keyed.Mutex
	revocations keyed.TryMutex // serial numbers that CERTInext is being asked to revoke
	caMu        sync.Mutex
	newest      []string      // PEM chain of the newest certificate, issuing CA first
	cursor      string        // the queued revocation that the last pass ended with; the pass's own
	leaseEnds   chan struct{} // holds one element for each lease's end that is asking CERTInext
}

// New returns the keeper of a mount's certificates, of which so many ends of leases may ask CERTInext at a time. It touches
// neither storage nor network.
func New(h *host.Host, acct *account.Account, leaseEnds int) *Keeper {
	return &Keeper{Host: h, Account: acct, leaseEnds: make(chan struct{}, leaseEnds)}
}
