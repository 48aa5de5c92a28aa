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
// CERTInext is asked. An order number of CERTInext's is locked after it, while the index of numbers
// is read and changed. Nothing here reads all certificates, but for lists that a client asks for,
// and for entries of earlier versions until they are indexed (ADR 0030).
package certificates

import (
	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/index"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/notices"
)

// A Keeper keeps the certificates of a mount. Its methods may be called concurrently, except Due,
// which only the background pass calls.
type Keeper struct {
	*host.Host
	Account *account.Account
	Origin  Orders // to be set before the first call
	Numbers Numbers
	Chains  Chains
	// Notices are told what was revoked outside of the mount; nobody is when nil.
	Notices *notices.Teller
	// Succession has what CERTInext revokes by itself replaced; nothing is when nil.
	Succession Succession
	// Index is what is listed of the certificates.
	Index *index.Index
	// Kept locks what is kept for later requests, see package reuse. Nothing else is locked while
	// one of these is held.
	Kept keyed.Mutex

	certLocks   keyed.Mutex
	revocations keyed.TryMutex // serial numbers that CERTInext is being asked to revoke
	cursor      string         // where Due ended in the queue of revocations
	queue       queueMemory    // of what Due has read
	leaseEnds   chan struct{}  // semaphore of the ends of leases that may ask CERTInext
}

// New returns the keeper of a mount's certificates. Of the leases that end at the same time, as
// many as leaseEnds ask CERTInext at once; the others leave that to the background pass. New
// touches neither storage nor network.
func New(h *host.Host, acct *account.Account, leaseEnds int) *Keeper {
	keeper := &Keeper{Host: h, Account: acct, leaseEnds: make(chan struct{}, leaseEnds)}
	keeper.Index = index.New(h, "cert", rows{})
	keeper.Numbers.host, keeper.Numbers.chains = h, &keeper.Chains
	return keeper
}
