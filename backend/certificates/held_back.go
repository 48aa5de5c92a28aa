// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// A role's revocation_delay holds the revocation back that follows from the end of a certificate's
// last lease (ADR 0028). Its entry is in the queue all the same, but it is not due, and a request
// like the one that the certificate was issued for takes the certificate over: it gets a lease of
// its own, and the entry leaves the queue. What protects the certificate is the lease: an entry
// that is not due revokes nothing while a lease runs.

// heldBackPrefix is the storage prefix of the index of such certificates, followed by the
// fingerprint of their request and by their serial number (with dashes). An entry of the index
// that the queue does not confirm means nothing.
const heldBackPrefix = "held-back/"

// HeldBackMark is the entry of the index. Its key holds all information.
type HeldBackMark struct {
	Version int `json:"version"`
}

func (c *Entry) heldBackKey() string { return heldBackPrefix + c.Fingerprint + "/" + c.Serial }

// isHeldBack reports whether the revocation waits until a role's revocation_delay is over.
func (q *Queued) isHeldBack() bool { return q != nil && !q.Due && !q.HeldUntil.IsZero() }

// newLeaseEnd returns a revocation that follows from the end of leases, without when it is due.
func newLeaseEnd(acct *account.Account, c *Entry) *Queued {
	_, known := acct.ClockSkew()
	return &Queued{
		Version: 1, Serial: c.Serial, Reason: DefaultReason, Note: leaseEndedNote,
		QueuedAt: acct.Corrected(), Unchecked: !known,
	}
}

// afterLastLease returns the revocation that follows from the end of the certificate's last lease
// at the given time; now when that is zero.
func afterLastLease(acct *account.Account, c *Entry, ended time.Time) *Queued {
	q := newLeaseEnd(acct, c)
	if ended.IsZero() {
		ended = q.QueuedAt
	}
	if until := ended.Add(c.RevocationDelay); until.After(q.QueuedAt) {
		q.HeldUntil, q.Next = until, until
		return q
	}
	q.Due, q.LeaseOver, q.Next = true, true, acct.Now()
	return q
}

// afterLeases returns the revocation that follows from the end of the leases that still count.
// While the clock is in doubt, every pass looks at it.
func afterLeases(acct *account.Account, c *Entry) *Queued {
	q := newLeaseEnd(acct, c)
	c.awaitLeases(q, q.QueuedAt)
	return q
}

// awaitLeases has a queued revocation wait for the end of the leases that still count. Where Vault
// has ended all of them, nobody has the certificate, and its request takes it over meanwhile.
func (c *Entry) awaitLeases(q *Queued, now time.Time) {
	last := c.LastLease(now)
	q.Next, q.HeldUntil = last, time.Time{}
	switch {
	case c.RevocationDelay == 0 || !c.onlyDoubted(now):
	case last.IsZero():
		q.HeldUntil = now.Add(c.RevocationDelay)
	default:
		q.HeldUntil = last.Add(c.RevocationDelay)
	}
}

// doubt remembers that Vault has ended a lease which is over only by a clock that is in doubt.
func (c *Entry) doubt(lease string) {
	if c.Doubted == nil {
		c.Doubted = make(map[string]bool)
	}
	c.Doubted[lease] = true
	c.forgetDoubts()
}

// forgetDoubts forgets the doubted leases that do not count any more.
func (c *Entry) forgetDoubts() {
	maps.DeleteFunc(c.Doubted, func(id string, _ bool) bool {
		_, there := c.Leases[id]
		return !there
	})
}

// onlyDoubted reports whether Vault has ended all leases that still run.
func (c *Entry) onlyDoubted(now time.Time) bool {
	for id := range c.Leases {
		if !c.Doubted[id] && c.leaseEnds(id).After(now) {
			return false
		}
	}
	return true
}

// holdBack reports whether a queued revocation of which only the leases were waited for, and those
// are over, is held back, and until when it is then. A delay that was set by a clock that was not
// compared with CERTInext's, or was ahead and has been corrected since, begins again.
func (c *Entry) holdBack(q *Queued, now time.Time) bool {
	switch ended := c.LatestLease(); {
	case q.QueuedAt.After(now), q.Unchecked && !q.HeldUntil.IsZero():
		q.QueuedAt, q.HeldUntil = now, now.Add(c.RevocationDelay)
	case q.HeldUntil.IsZero() && ended.IsZero():
		q.HeldUntil = now.Add(c.RevocationDelay)
	case q.HeldUntil.IsZero():
		q.HeldUntil = ended.Add(c.RevocationDelay)
	}
	q.Unchecked = false
	if !q.HeldUntil.After(now) {
		return false
	}
	q.Next = q.HeldUntil
	return true
}

// enqueue is Enqueue for the certificate of the entry. One that is held back is found by its
// request from then on, or is not when that cannot be stored: the lease has ended all the same.
func (keeper *Keeper) enqueue(ctx context.Context, s logical.Storage, c *Entry, q *Queued) error {
	if err := keeper.Enqueue(ctx, s, q); err != nil {
		return err
	}
	if err := mark(ctx, s, c, q); err != nil {
		keeper.Log.Warn("a certificate whose revocation is held back will not be found again",
			"serial", c.View().Serial, "error", err)
	}
	return nil
}

// mark enters a certificate whose revocation is held back into their index, even when ctx is
// cancelled.
func mark(ctx context.Context, s logical.Storage, c *Entry, q *Queued) error {
	if !q.isHeldBack() || c.Fingerprint == "" {
		return nil
	}
	mark := &HeldBackMark{Version: 1}
	return store.Put(context.WithoutCancel(ctx), s, c.heldBackKey(), mark)
}

// leaveQueue removes a certificate's revocation from the queue, and from the index of those that
// are held back, even when ctx is cancelled. The caller holds the certificate's lock.
func (keeper *Keeper) leaveQueue(ctx context.Context, s logical.Storage, c *Entry) error {
	if err := keeper.dequeue(ctx, s, c.Serial); err != nil {
		return err
	}
	return keeper.unmark(ctx, s, c)
}

// unmark removes a certificate from the index of those that are held back.
func (keeper *Keeper) unmark(ctx context.Context, s logical.Storage, c *Entry) error {
	if c.Fingerprint == "" {
		return nil
	}
	return store.Delete(context.WithoutCancel(ctx), s, c.heldBackKey())
}

// HeldUntil returns until when the revocation of a certificate is held back; the zero time when it
// is not.
func (keeper *Keeper) HeldUntil(
	ctx context.Context, s logical.Storage, c *Entry,
) (time.Time, error) {
	if c.RevocationDelay == 0 || c.Revocation != nil {
		return time.Time{}, nil
	}
	q, err := store.Get[Queued](ctx, s, RevocationPrefix+c.Serial)
	if err != nil || !q.isHeldBack() {
		return time.Time{}, err
	}
	return q.HeldUntil, nil
}

// HeldBackFor returns the certificates whose revocation is held back and which a request of a
// fingerprint may take over. None of them is locked.
func (keeper *Keeper) HeldBackFor(
	ctx context.Context, s logical.Storage, fingerprint string,
) (found []*Entry, err error) {
	serials, err := store.List(ctx, s, heldBackPrefix+fingerprint+"/")
	if err != nil {
		return nil, err
	}
	slices.Sort(serials)
	for _, serial := range serials {
		c, err := Read(ctx, s, serial)
		if err != nil {
			return nil, err
		}
		if c == nil || c.Fingerprint != fingerprint {
			continue
		}
		until, err := keeper.HeldUntil(ctx, s, c)
		if err != nil {
			return nil, err
		}
		if !until.IsZero() {
			found = append(found, c)
		}
	}
	return found, nil
}

// TakenOver removes the revocation of a certificate from the queue after the certificate was stored
// with a lease of the request that has taken it over. fingerprint is by which it was found until
// then. Should that fail, the entry revokes nothing while the lease runs. The caller holds the
// certificate's lock.
func (keeper *Keeper) TakenOver(
	ctx context.Context, s logical.Storage, c *Entry, fingerprint string,
) {
	found := *c
	found.Fingerprint = fingerprint
	if err := keeper.leaveQueue(ctx, s, &found); err != nil {
		keeper.Log.Warn("the revocation of a certificate that was taken over is still queued; "+
			"it waits for the end of its lease", "serial", c.View().Serial, "error", err)
	}
}
