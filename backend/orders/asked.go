// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
)

// How long ago CERTInext was asked for an order decides whether its records prove anything (ADR
// 0009), and whether an operator's word is believed. Times that were stored by a clock that was
// wrong, or was set since, say nothing of that. So it is told by what has passed in this process,
// on a clock that nobody sets.

// markSent records that CERTInext is about to be sent the order. now is [host.Options.Steady]'s.
func (r *registry) markSent(id string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[id]; t != nil {
		t.sent = now
	}
}

// lastAsked returns by when CERTInext was last asked for the order, as [host.Options.Steady] tells
// the time. That is known of what this process has sent. Of what it found in storage it knows that
// it was asked for before.
func (r *registry) lastAsked(id string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.orders[id]; t != nil && !t.sent.IsZero() {
		return t.sent
	}
	return r.since
}

// sinceAsked returns for how long, at least, CERTInext has known of the order if it took it.
func (d *driver) sinceAsked() time.Duration {
	return d.journal.Steady().Sub(d.journal.registry.lastAsked(d.order.ID))
}

// caTime returns what CERTInext's clock told at a time of the clock that nobody sets; the zero time
// when CERTInext has not told its time yet.
func caTime(on *host.Host, acct *account.Account, at time.Time) time.Time {
	skew, known := acct.ClockSkew()
	if !known {
		return time.Time{}
	}
	return on.Now().Add(skew).Add(-on.Steady().Sub(at))
}

// stillWorking returns how much longer CERTInext may be working on the order, which it does for
// timeout at most.
func (h *heldOrder) stillWorking(timeout time.Duration) time.Duration {
	return timeout - h.journal.Steady().Sub(h.registry.lastAsked(h.id))
}
