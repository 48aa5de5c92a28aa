// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// An order is stranded when config does not hold its account, or nothing at all. CERTInext cannot
// be asked about it then, and no other account's credentials are ever used for it. What needs no
// CERTInext goes on: its key is erased in time, and operators can end it.

// isStranded reports whether config does not hold the order's account.
func (h *heldOrder) isStranded(ctx context.Context) (bool, error) {
	needs, err := h.strandedNeeds(ctx)
	return needs != nil, err
}

// strandedNeeds returns what a stranded order waits for, and nil for any other.
func (h *heldOrder) strandedNeeds(ctx context.Context) ([]string, error) {
	_, cfg, err := h.journal.Account.Client(ctx, h.storage)
	switch {
	case errors.Is(err, fault.ErrNotConfigured):
		return unconfiguredNeeds, nil
	case err != nil:
		return nil, err
	case account.SameAccount(h.entry.Account, cfg.Account()):
		return nil, nil
	}
	return foreignNeeds, nil
}

// tendStranded is the background pass's work on a stranded order, whose needs are given. When its
// certificate is stored, it takes care of its key; otherwise it stores what the order waits for.
func (h *heldOrder) tendStranded(ctx context.Context, needs []string) error {
	o := h.entry
	attempts := h.journal.registry.attempt(o.ID, false)
	h.lookAgain(h.journal.Now().Add(host.PassDelay(attempts)))
	// A process that has died may have handed its certificate over without a word in the order's
	// own entry (ADR 0005).
	c, err := h.journal.Certificates.Numbers.OfOrder(ctx, h.storage, o.CAOrderID, o.ID)
	if err != nil {
		return err
	}
	if c == nil {
		if slices.Equal(o.Needs, needs) {
			return nil
		}
		o.Needs = needs
		return h.journal.saveOrder(ctx, h.storage, o)
	}
	if len(c.Held) > 0 {
		return h.holdBack(ctx, c, heldBecause(c))
	}
	o.State, o.Serial, o.Delivered, o.Needs = StateIssued, c.Serial, c.Delivery != nil, nil
	o.note(h.journal.Now(), "issued as %s", c.View().Serial)
	if err := h.journal.saveOrder(ctx, h.storage, o); err != nil {
		return err
	}
	return h.tendIssued(ctx, c.Serial)
}

// endStranded ends a stranded order in the mount's books, and erases its key, because an operator
// says so. The order's Left says what stays at CERTInext. It returns nil when the order is not
// stranded, or when its certificate is stored, which is to be revoked.
func endStranded(
	ctx context.Context, journal *Journal, s logical.Storage, role, id, reason string,
) (*Order, error) {
	h, err := journal.holdOrder(ctx, s, role, id)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	o := h.entry
	stranded, err := h.isStranded(ctx)
	if err != nil || !stranded || o.State == StateIssued {
		return nil, err
	}
	if t, _ := journal.registry.status(id); t.handed != nil || o.Delivered {
		return nil, alreadyDelivered(id)
	}
	left := o.left()
	o.State, o.Abandoned = StateFailed, true
	o.note(journal.Now(), "ended by an operator (%s): %s", sanitize.Short(reason), left)
	journal.Log.Warn("an operator has ended an order whose account config does not hold",
		"order_id", o.ID, "account", account.Describe(o.Account), "ca_order_id", o.CAOrderID,
		"ca_request_id", o.CARequestID, "left", left)
	if err := h.closeOrder(ctx); err != nil {
		return nil, err
	}
	ended := o.view()
	ended.Left = left
	return ended, nil
}

// left says what stays at CERTInext of a stranded order that is ended in the mount's books.
func (o *orderEntry) left() string {
	where := account.Describe(o.Account)
	name := sanitize.Short(o.Placement.names()[0])
	switch {
	case o.CAOrderID != "":
		return fmt.Sprintf("CERTInext still has its order %s for %s, in %s, and may issue it: "+
			"cancel or revoke it in CERTInext's portal", sanitize.Short(o.CAOrderID), name, where)
	case o.CARequestID != "":
		return fmt.Sprintf("CERTInext still has its draft %s for %s, in %s: "+
			"discard it in CERTInext's portal", sanitize.Short(o.CARequestID), name, where)
	}
	return fmt.Sprintf("CERTInext may have taken an order for %s, in %s, with the remark or tag "+
		"%s: look for it in CERTInext's portal, and cancel it there", name, where, o.marker())
}

// leftQueued says what stays at CERTInext of a stranded order whose certificate is to be revoked.
func leftQueued(o *Order, of string) string {
	return fmt.Sprintf("certificate %s, of CERTInext's order %s, in %s, stays valid: its "+
		"revocation is queued, and cannot be tried while config does not hold that account. "+
		"vault write <mount>/operator/revocations/%s end=true ends it", o.Serial,
		sanitize.Short(o.CAOrderID), account.Describe(of), strings.ReplaceAll(o.Serial, ":", "-"))
}

// An OpenOrder names an open order, for those who have to know that there is one.
type OpenOrder struct {
	Role, ID string
}

// maxCounted bounds the entries that OpenOf reads.
const maxCounted = 1000

// OpenOf returns the open orders of an account that wait for CERTInext. whole is false when there
// are more entries than it reads.
func OpenOf(
	ctx context.Context, journal *Journal, s logical.Storage, of string,
) (open []OpenOrder, whole bool, err error) {
	keys, err := store.Collect(ctx, s, OpenPrefix)
	if err != nil {
		return nil, false, err
	}
	whole = len(keys) <= maxCounted
	for _, key := range keys[:min(len(keys), maxCounted)] {
		o, err := store.Get[orderEntry](ctx, s, key)
		if store.IsFault(err) {
			return nil, false, err
		}
		if err != nil || o == nil || !account.SameAccount(o.Account, of) {
			continue // of an order that cannot be read, config is no remedy
		}
		t, _ := journal.registry.status(o.ID)
		if o.State == StateIssued || t.handed != nil {
			continue // CERTInext has nothing left to do for it
		}
		open = append(open, OpenOrder{Role: o.Role, ID: o.ID})
	}
	return open, whole, nil
}

// LookAgain has the next background passes look at the open orders of an account at once: config
// holds it again, and they were looked at ever more rarely while it did not.
func LookAgain(journal *Journal, acct string) {
	journal.registry.lookAgain(acct, journal.Now())
}

// A lull is what the time of a stranded certificate's key counts from, as it is stored: the latest
// answer that held the certificate, or else that it can be fetched. Of two answers, the second need
// not be later by a clock that was set back.
type lull struct {
	from    time.Time
	answers int
}

// A quiet is since when this process has known of the same lull, by the clock that nobody sets.
type quiet struct {
	lull
	since time.Time
}

// quietFor returns how long an order's certificate was certainly not handed over: as long as this
// process has known the same lull. now is [host.Options.Steady]'s.
func (r *registry) quietFor(id string, l lull, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.orders[id]
	if t == nil {
		return 0
	}
	q := &t.quiet
	if q.since.IsZero() || !q.from.Equal(l.from) || q.answers != l.answers {
		*q = quiet{lull: l, since: now}
	}
	return now.Sub(q.since)
}

// strandedEnd reports whether the key of a stranded order has been kept for long enough, and how
// the order ends then. CERTInext may never tell its time: what has passed in this process needs no
// clock that could be wrong (ADR 0022).
func (h *heldOrder) strandedEnd(c *certificates.Entry) (over bool, how handover) {
	l, life, how := lull{from: c.ReleasedAt}, h.entry.Pickup, isUnclaimed
	switch {
	case c.Delivery != nil:
		l = lull{c.Delivery.Latest(), c.Delivery.Answers()}
		life, how = h.entry.keyLife(), wasDelivered
	case len(c.Held) > 0:
		return false, keepBack
	}
	return h.journal.registry.quietFor(h.id, l, h.journal.Steady()) > life, how
}
