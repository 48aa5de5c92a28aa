// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package certificates keeps the issued certificates of a mount, the leases on them, and their
// revocations, both those in the queue and those that CERTInext has confirmed.
//
// It promises three things. A certificate whose last lease has ended is revoked at CERTInext,
// however often that fails at first (ADR 0004). No client receives a certificate whose revocation
// is queued (ADR 0021). And nothing is revoked because of this server's clock alone (ADR 0022). The
// package knows nothing of requests, and asks [Orders] about the orders that certificates came
// from.
//
// A certificate is locked by its serial number while its entry is changed, and never while
// CERTInext is asked.
package certificates

import (
	"sync"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
)

// A Keeper keeps the certificates of a mount. Its methods may be called concurrently, except Due,
// which only the background pass calls.
type Keeper struct {
	*host.Host
	Account *account.Account
	Origin  Orders // to be set before the first call

	certLocks   keyed.Mutex
	revocations keyed.TryMutex // serial numbers that CERTInext is being asked to revoke
	caMu        sync.Mutex
	newest      []string      // PEM chain of the newest certificate, issuing CA first; under caMu
	cursor      string        // where Due ended in the queue of revocations
	leaseEnds   chan struct{} // semaphore of the ends of leases that may ask CERTInext
}

// New returns the keeper of a mount's certificates. Of the leases that end at the same time, as
// many as leaseEnds ask CERTInext at once; the others leave that to the background pass. New
// touches neither storage nor network.
func New(h *host.Host, acct *account.Account, leaseEnds int) *Keeper {
	return &Keeper{Host: h, Account: acct, leaseEnds: make(chan struct{}, leaseEnds)}
}
