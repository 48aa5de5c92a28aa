// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// Vault ends a lease by telling the engine. But when Vault dies between the engine's answer and its
// own write, it never stores the lease and never ends it. The engine then ends the lease itself, a
// minute after it was due (ADR 0023). As long as the order of the certificate is open, the
// background pass sees its leases there. When the order is closed, a certificate whose last lease
// ends before it expires gets an entry here, a watch, named by when it has to be looked at. The
// pass lists the watches that are due and never walks the others.

// leaseWatchPrefix is the storage prefix of the watches, followed by hour, minute and serial
// number.
const leaseWatchPrefix = "lease/"

// LeaseWatch is the entry of a watch.
type LeaseWatch struct {
	Version int `json:"version"`
	// Undo is the answer that is to be undone, in a watch that is the note of one. The key of any
	// other watch holds all information.
	Undo *Undo `json:"undo,omitempty"`
}

const (
	// LeaseMargin is how long Vault has, after a lease was due, to tell the engine of its end.
	LeaseMargin = time.Minute
	// watchHour is the layout of the folder of an hour, and watchMinute that of the beginning of a
	// name in it. Both sort by time.
	watchHour   = "2006010215"
	watchMinute = "04"
	// undoMark ends the serial number in the name of a note of an answer that is to be undone.
	undoMark = "."
	// maxPassLeases is the largest number of watches that one pass looks at.
	maxPassLeases = 200
)

// watchKey returns the storage key of a watch that becomes due at the given time, rounded up to a
// minute.
func watchKey(serial string, at time.Time) string {
	at = at.UTC().Add(time.Minute).Truncate(time.Minute)
	return leaseWatchPrefix + at.Format(watchHour) + "/" + at.Format(watchMinute) + "-" + serial
}

// WatchLeases stores a watch, so that the background pass looks at a certificate a minute after its
// last lease was due. It does nothing when the certificate has no lease, is revoked, or expires
// before its last lease ends.
func (keeper *Keeper) WatchLeases(ctx context.Context, s logical.Storage, c *Entry) error {
	last := c.LatestLease()
	if last.IsZero() || !last.Before(c.NotAfter) || c.Revocation != nil {
		return nil
	}
	key := watchKey(c.Serial, last.Add(LeaseMargin))
	return store.Put(context.WithoutCancel(ctx), s, key, &LeaseWatch{Version: 1})
}

// EndOverdue ends the watched leases that Vault has not ended in time. The background pass calls
// it. It does nothing until this server's clock has been compared with CERTInext's (ADR 0022).
func (keeper *Keeper) EndOverdue(ctx context.Context, s logical.Storage) error {
	due, err := keeper.dueWatches(ctx, s)
	if len(due) == 0 || !keeper.Account.ConfirmClock(ctx, s) {
		return err
	}
	errs := []error{err}
	for _, key := range due {
		if ctx.Err() != nil {
			break
		}
		_, serial, _ := strings.Cut(path.Base(key), "-")
		serial, _, _ = strings.Cut(serial, undoMark)
		errs = append(errs, keeper.endWatched(ctx, s, serial, key))
	}
	return errors.Join(errs...)
}

// dueWatches returns the storage keys of the watches that are due, oldest first, [maxPassLeases] at
// most. An hour that cannot be listed holds up no other one, and is part of the error.
func (keeper *Keeper) dueWatches(
	ctx context.Context, s logical.Storage,
) (keys []string, err error) {
	hours, err := store.List(ctx, s, leaseWatchPrefix)
	if err != nil {
		return nil, err
	}
	slices.Sort(hours) // not every storage lists in order
	var errs []error
	for _, hour := range hours {
		if hour > keeper.Now().UTC().Format(watchHour)+"/" {
			break
		}
		names, err := store.List(ctx, s, leaseWatchPrefix+hour)
		errs = append(errs, err)
		slices.Sort(names)
		for _, name := range names {
			minute, _, _ := strings.Cut(name, "-")
			due, err := time.Parse(watchHour+watchMinute, strings.TrimSuffix(hour, "/")+minute)
			if (err == nil && due.After(keeper.Now())) || len(keys) == maxPassLeases {
				return keys, errors.Join(errs...)
			}
			keys = append(keys, leaseWatchPrefix+hour+name)
		}
	}
	return keys, errors.Join(errs...)
}

// endWatched handles one due watch, and deletes it. See [lookAtWatched].
func (keeper *Keeper) endWatched(ctx context.Context, s logical.Storage, serial, key string) error {
	unlock, err := keeper.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := Read(ctx, s, serial)
	if err != nil {
		return err
	}
	watch, err := store.Get[LeaseWatch](ctx, s, key)
	if err != nil {
		return err
	}
	if c != nil {
		if err := lookAtWatched(ctx, keeper, s, c, watch); err != nil {
			return err
		}
	}
	return store.Delete(ctx, s, key)
}

// lookAtWatched undoes the answer that a due watch is the note of. For any other watch it ends the
// certificate's leases if they are over, and stores a new watch if they were renewed. watch is nil
// when another pass has just handled it.
func lookAtWatched(
	ctx context.Context, keeper *Keeper, s logical.Storage, c *Entry, watch *LeaseWatch,
) error {
	if watch != nil && watch.Undo != nil {
		if !watch.Undo.appliesTo(c) {
			return nil // it is undone, and only the note is left
		}
		return undo(ctx, keeper, s, c, *watch.Undo)
	}
	if err := keeper.EndUnstored(ctx, s, c); err != nil {
		return err
	}
	if err := revokeReplaced(ctx, keeper, s, c); err != nil {
		return err
	}
	if c.LatestLease().Add(LeaseMargin).After(keeper.Now()) {
		return keeper.WatchLeases(ctx, s, c) // renewed meanwhile
	}
	return nil
}

// EndUnstored queues the revocation of a certificate whose last lease was due more than
// [LeaseMargin] ago and that Vault has not ended, mostly because Vault died before it stored the
// lease (ADR 0023). The error is [account.ErrClockUnknown] when CERTInext's clock has to be learned
// first. The caller holds the certificate's lock.
func (keeper *Keeper) EndUnstored(ctx context.Context, s logical.Storage, c *Entry) error {
	last := c.LatestLease()
	_, known := keeper.Account.ClockSkew()
	now, certain := keeper.Account.Time()
	switch {
	case last.IsZero(), now.Before(last.Add(LeaseMargin)):
		return nil
	case c.Revocation != nil, !c.NotAfter.After(now), c.deliveredWithoutLease(),
		!c.RevocationEnded.IsZero():
		return nil
	case known && !certain:
		return nil
	}
	queued, err := store.Get[Queued](ctx, s, RevocationPrefix+c.Serial)
	if err != nil || queued != nil {
		return err
	}
	if !known {
		return account.ErrClockUnknown
	}
	keeper.Log.Warn("a lease is over, and Vault has not ended it: its certificate will be revoked",
		"serial", c.View().Serial, "due", last)
	return keeper.enqueue(ctx, s, c, afterLastLease(keeper.Account, c, last))
}
