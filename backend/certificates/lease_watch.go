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

// Vault ends a lease by telling the engine. One that Vault has never stored, since it died between the engine's answer and that, nobody
// ends: the engine does so itself a little after the lease was due. As long as the order of the certificate is open, the background pass
// sees its leases there. When the order is closed, a certificate whose last lease ends before it expires gets an entry here, named by when that
// has to be looked at: the pass lists what is due, and never walks what is not.

// leaseWatchPrefix is where it is stored when a certificate's last lease is over: by hour, minute and serial number.
const leaseWatchPrefix = "lease/"

// LeaseWatch is the entry: its name says all.
type LeaseWatch struct {
	Version int `json:"version"`
}

const (
	// LeaseMargin is how long after its due a lease may be on its way to the engine.
	LeaseMargin = time.Minute
	// watchHour is the layout of the folder of an hour, and watchMinute that of the beginning of a name in it. Both sort by time.
	watchHour   = "2006010215"
	watchMinute = "04"
	// passLeases is how many overdue leases one pass looks at.
	passLeases = 200
)

// watchKey is where a certificate is to be found from a time on.
func watchKey(serial string, at time.Time) string {
	at = at.UTC().Add(time.Minute).Truncate(time.Minute)
	return leaseWatchPrefix + at.Format(watchHour) + "/" + at.Format(watchMinute) + "-" + serial
}

// WatchLeases has the background pass look at a certificate when its last lease is over, unless it has expired by then.
func (keeper *Keeper) WatchLeases(ctx context.Context, s logical.Storage, c *Entry) error {
	last := LatestLease(c.Leases)
	if last.IsZero() || !last.Before(c.NotAfter) || c.Revocation != nil {
		return nil
	}
	return store.Put(context.WithoutCancel(ctx), s, watchKey(c.Serial, last.Add(LeaseMargin)), &LeaseWatch{Version: 1})
}

// EndOverdue ends the leases that Vault has not ended in time. Nothing is revoked because of a clock that nobody has compared with CERTInext's.
func (keeper *Keeper) EndOverdue(ctx context.Context, s logical.Storage) error {
	due, err := keeper.dueWatches(ctx, s)
	if err != nil || len(due) == 0 || !keeper.Account.ConfirmClock(ctx, s) {
		return err
	}
	var errs []error
	for _, key := range due {
		if ctx.Err() != nil {
			break
		}
		_, serial, _ := strings.Cut(path.Base(key), "-")
		errs = append(errs, keeper.endWatched(ctx, s, serial, key))
	}
	return errors.Join(errs...)
}

// dueWatches lists the watches whose time has come, oldest first, as many as a pass looks at.
func (keeper *Keeper) dueWatches(ctx context.Context, s logical.Storage) (keys []string, err error) {
	hours, err := store.List(ctx, s, leaseWatchPrefix)
	if err != nil {
		return nil, err
	}
	slices.Sort(hours) // not every storage lists in order
	for _, hour := range hours {
		if hour > keeper.Now().UTC().Format(watchHour)+"/" {
			break
		}
		names, err := store.List(ctx, s, leaseWatchPrefix+hour)
		if err != nil {
			return nil, err
		}
		slices.Sort(names)
		for _, name := range names {
			minute, _, _ := strings.Cut(name, "-")
			due, err := time.Parse(watchHour+watchMinute, strings.TrimSuffix(hour, "/")+minute)
			if err == nil && due.After(keeper.Now()) || len(keys) == passLeases {
				return keys, nil
			}
			keys = append(keys, leaseWatchPrefix+hour+name)
		}
	}
	return keys, nil
}

// endWatched looks at one certificate whose last lease was due, and strikes it from the list.
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
	if c != nil {
		if err := keeper.EndUnstored(ctx, s, c); err != nil {
			return err
		}
		if last := LatestLease(c.Leases).Add(LeaseMargin); last.After(keeper.Now()) { // renewed meanwhile
			if err := keeper.WatchLeases(ctx, s, c); err != nil {
				return err
			}
		}
	}
	return store.Delete(ctx, s, key)
}

// EndUnstored queues the revocation of a certificate whose last lease is over, when Vault has not told so. The caller holds the certificate's
// lock.
func (keeper *Keeper) EndUnstored(ctx context.Context, s logical.Storage, c *Entry) error {
	now, last := keeper.Now(), LatestLease(c.Leases)
	if last.IsZero() || now.Before(last.Add(LeaseMargin)) || c.Revocation != nil || !c.NotAfter.After(now) || c.heldWithoutLease() || keeper.Account.ClockInDoubt() {
		return nil
	}
	queued, err := store.Get[Queued](ctx, s, RevocationPrefix+c.Serial)
	if err != nil || queued != nil {
		return err
	}
	if _, known := keeper.Account.ClockSkew(); !known {
		return account.ErrClockUnknown
	}
	keeper.Log.Warn("a lease is over, and Vault has not ended it: its certificate is to be revoked", "serial", c.View().Serial, "due", last)
	return keeper.Enqueue(ctx, s, &Queued{
		Version: 1, Serial: c.Serial, Reason: DefaultReason, Note: "Vault lease ended", QueuedAt: now, Due: true, LeaseOver: true, Next: now,
	})
}
