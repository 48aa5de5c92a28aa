// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package tidy erases what a mount stores and nobody needs any more: certificates that have
// expired, records of revocations and of closed orders, keys that were kept for reuse, and personal
// data in records of orders (ADR 0045).
//
// It promises four things. Nothing goes that a lease, a running subscription, a queued revocation,
// an open order, a budget, the report of what was spent, a named request or another certificate
// still needs: [decider] decides that, is pure, and gives a reason for each entry. Nothing goes
// because of this server's clock alone (ADR 0022). A run that was cut short goes on where it was,
// and leaves nothing behind. And it holds up nobody: it holds one entry at a time, and an entry
// that stays not at all. A dry run is the same run without its deeds.
//
// It keeps in memory the names of one folder of storage, some 100 bytes each, and one entry.
//
// The package knows no requests and asks CERTInext nothing but its time.
package tidy

import (
	"context"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/keyed"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
)

// A Tidier tidies a mount. Its methods may be called concurrently.
type Tidier struct {
	*host.Host
	account *account.Account
	certs   *certificates.Keeper
	orders  *orders.Journal

	begun time.Time // when this process began, by the clock that nobody sets

	configs keyed.Mutex // of the config, by its key

	mu  sync.Mutex
	run *run // the one under way in this process, or else the latest dry run; nil when none was
}

// New returns the tidier of a mount. It touches neither storage nor network.
func New(
	h *host.Host, acct *account.Account, certs *certificates.Keeper, journal *orders.Journal,
) *Tidier {
	return &Tidier{Host: h, account: acct, certs: certs, orders: journal, begun: h.Steady()}
}

// current returns the run of this process, and whether it is under way.
func (t *Tidier) current() (r *run, active bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.run, t.run != nil && t.run.active
}

// ended notes that a run of this process is over. What was stored of it tells of it from now on; a
// dry run stores nothing, and is remembered.
func (t *Tidier) ended(r *run) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.active = false
	if !r.request.DryRun && t.run == r {
		t.run = nil
	}
}

// take makes a run the one of this process. It reports false when one is under way already.
func (t *Tidier) take(ctx context.Context, r *run) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if ctx.Err() != nil || (t.run != nil && t.run.active) {
		return false
	}
	r.active, t.run = true, r
	return true
}
