// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// An answer whose client has hung up, or whose lease Vault could not store, is undone: nobody has
// received the certificate by it (ADR 0010). Its lease is stored by then, and Vault never ends it.
// So that no fault of storage leaves the certificate with a lease of nobody's, and without a
// revocation, the undoing is noted before anything else is changed: the note is a watch, which the
// background pass carries out if the request could not.

// An Undo says which answer did not reach its client, and how the certificate's entry was before.
type Undo struct {
	// Lease is the id of the answer's lease; empty when it had none. Answers is then how many
	// answers there were with this one, by which it is told from a later one.
	Lease   string `json:"lease,omitempty"`
	Answers int    `json:"answers"`
	// TookOver is set when the answer ended the delay of the certificate's revocation (ADR 0028).
	TookOver bool `json:"took_over,omitempty"`
	// Earlier is set when there was an answer before this one, whatever their number says.
	Earlier bool `json:"earlier,omitempty"`
	// Unleased, Delay and Fingerprint are those of the entry before the answer.
	Unleased    bool          `json:"unleased,omitempty"`
	Delay       time.Duration `json:"delay,omitempty"` // nanoseconds
	Fingerprint string        `json:"fingerprint,omitempty"`
}

// appliesTo reports whether the answer still counts in the entry.
func (u *Undo) appliesTo(c *Entry) bool {
	if u.Lease == "" {
		return c.Delivery != nil && c.Delivery.Answers() == u.Answers
	}
	_, there := c.Leases[u.Lease]
	return there
}

// apply undoes the answer in the entry. When a lease of an earlier answer has ended, the entry
// counts as delivered at now, whatever the number of answers says.
func (u *Undo) apply(c *Entry, now Moment) {
	delete(c.Leases, u.Lease)
	c.RevocationDelay, c.Fingerprint = u.Delay, u.Fingerprint
	c.Delivery = c.Delivery.WithoutAnswer()
	if c.Delivery == nil && u.Earlier {
		c.Delivery = FirstDelivery(now)
	}
	if c.Delivery != nil {
		c.Delivery.Unleased = u.Unleased
	}
}

// UndoAnswer undoes an answer in c and in storage, even when ctx is cancelled, and queues the
// revocation that follows when nobody has the certificate. On an error, the background pass does
// it, unless even that could not be stored. The caller holds the certificate's lock.
func (keeper *Keeper) UndoAnswer(
	ctx context.Context, s logical.Storage, c *Entry, u Undo,
) error {
	ctx = context.WithoutCancel(ctx)
	key, err := noteUndo(ctx, keeper, s, c.Serial, u)
	if err != nil {
		keeper.Log.Warn("that an answer has not reached its client could not be noted",
			"serial", c.View().Serial, "error", err)
	}
	if err := undo(ctx, keeper, s, c, u); err != nil {
		return err
	}
	if err := store.Delete(ctx, s, key); err != nil {
		keeper.Log.Warn("the note of an answer that is undone could not be removed; "+
			"the background pass does that", "serial", c.View().Serial, "error", err)
	}
	return nil
}

// UndoLater has the background pass undo an answer, since the certificate's entry cannot be read
// now.
func UndoLater(
	ctx context.Context, keeper *Keeper, s logical.Storage, serial string, u Undo,
) error {
	_, err := noteUndo(context.WithoutCancel(ctx), keeper, s, serial, u)
	return err
}

// noteUndo stores the note of an answer that is to be undone, and returns its key.
func noteUndo(
	ctx context.Context, keeper *Keeper, s logical.Storage, serial string, u Undo,
) (key string, err error) {
	key = watchKey(serial, keeper.Now()) + undoMark + u.Lease
	return key, store.Put(ctx, s, key, &LeaseWatch{Version: 1, Undo: &u})
}

// undo is the work of UndoAnswer. The entry is stored last: until then, it shows that the answer is
// yet to be undone.
func undo(ctx context.Context, keeper *Keeper, s logical.Storage, c *Entry, u Undo) error {
	u.apply(c, momentOf(keeper))
	if err := queueUndone(ctx, keeper, s, c, u.TookOver); err != nil {
		return err
	}
	return keeper.Put(ctx, s, c)
}

// momentOf returns the present by this server's clock, and by CERTInext's.
func momentOf(keeper *Keeper) Moment {
	return Moment{Now: keeper.Now(), Corrected: keeper.Account.Corrected()}
}

// queueUndone queues the revocation of a certificate after an answer was undone: again, when the
// answer tookOver the certificate, for the leases before it have ended, and when no lease is left
// of the answers that remain. A revocation that waits for the end of leases waits for those that
// are left.
func queueUndone(
	ctx context.Context, keeper *Keeper, s logical.Storage, c *Entry, tookOver bool,
) error {
	if c.Revocation != nil || !c.RevocationEnded.IsZero() {
		return nil
	}
	queued, err := store.Get[Queued](ctx, s, RevocationPrefix+c.Serial)
	if err != nil {
		return err
	}
	now := keeper.Account.Corrected()
	last := c.LastLease(now)
	switch nobody := c.Delivery != nil && len(c.Leases) == 0 && !c.LeaseEnded; {
	case queued.waitsBeyond(last):
		queued.Next = last
		if last.IsZero() {
			queued.Next = now
		}
	case queued.isHeldBack():
		return mark(ctx, s, c, queued) // it may be missing after a fault of storage
	case queued != nil, !tookOver && !nobody, c.deliveredWithoutLease():
		return nil
	case last.IsZero():
		queued = afterLastLease(keeper.Account, c, time.Time{})
	default:
		queued = afterLeases(keeper.Account, c)
	}
	if err := keeper.Enqueue(ctx, s, queued); err != nil {
		return err
	}
	return mark(ctx, s, c, queued)
}

// waitsBeyond reports whether a queued revocation waits for the end of a lease that is not there
// any more. last is when the longest of those that are ends; zero when there is none.
func (q *Queued) waitsBeyond(last time.Time) bool {
	return q != nil && !q.Due && !q.isHeldBack() && !q.Next.Equal(last)
}
