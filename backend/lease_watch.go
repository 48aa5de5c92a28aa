// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

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

// leaseWatch is the entry: its name says all.
type leaseWatch struct {
	Version int `json:"version"`
}

const (
	// leaseMargin is how long after its due a lease may be on its way to the engine.
	leaseMargin = time.Minute
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

// watchLeases has the background pass look at a certificate when its last lease is over, unless it has expired by then.
func (e *Engine) watchLeases(ctx context.Context, s logical.Storage, c *certEntry) error {
	last := latestLease(c.Leases)
	if last.IsZero() || !last.Before(c.NotAfter) || c.Revocation != nil {
		return nil
	}
	return store.Put(context.WithoutCancel(ctx), s, watchKey(c.Serial, last.Add(leaseMargin)), &leaseWatch{Version: 1})
}

// endOverdue ends the leases that Vault has not ended in time. Nothing is revoked because of a clock that nobody has compared with CERTInext's.
func (e *Engine) endOverdue(ctx context.Context, s logical.Storage) error {
	due, err := e.dueWatches(ctx, s)
	if err != nil || len(due) == 0 || !e.Account.ClockTold(ctx, s) {
		return err
	}
	var errs []error
	for _, key := range due {
		if ctx.Err() != nil {
			break
		}
		_, serial, _ := strings.Cut(path.Base(key), "-")
		errs = append(errs, e.endWatched(ctx, s, serial, key))
	}
	return errors.Join(errs...)
}

// dueWatches lists the watches whose time has come, oldest first, as many as a pass looks at.
func (e *Engine) dueWatches(ctx context.Context, s logical.Storage) (keys []string, err error) {
	hours, err := store.List(ctx, s, leaseWatchPrefix)
	if err != nil {
		return nil, err
	}
	slices.Sort(hours) // not every storage lists in order
	for _, hour := range hours {
		if hour > e.Now().UTC().Format(watchHour)+"/" {
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
			if err == nil && due.After(e.Now()) || len(keys) == passLeases {
				return keys, nil
			}
			keys = append(keys, leaseWatchPrefix+hour+name)
		}
	}
	return keys, nil
}

// endWatched looks at one certificate whose last lease was due, and strikes it from the list.
func (e *Engine) endWatched(ctx context.Context, s logical.Storage, serial, key string) error {
	unlock, err := e.lockCert(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := readCert(ctx, s, serial)
	if err != nil {
		return err
	}
	if c != nil {
		if err := e.endUnstored(ctx, s, c); err != nil {
			return err
		}
		if last := latestLease(c.Leases).Add(leaseMargin); last.After(e.Now()) { // renewed meanwhile
			if err := e.watchLeases(ctx, s, c); err != nil {
				return err
			}
		}
	}
	return store.Delete(ctx, s, key)
}

// endUnstored queues the revocation of a certificate whose last lease is over, when Vault has not told so. The caller holds the certificate's
// lock.
func (e *Engine) endUnstored(ctx context.Context, s logical.Storage, c *certEntry) error {
	now, last := e.Now(), latestLease(c.Leases)
	if last.IsZero() || now.Before(last.Add(leaseMargin)) || c.Revocation != nil || !c.NotAfter.After(now) || c.heldWithoutLease() || e.Account.ClockInDoubt() {
		return nil
	}
	queued, err := store.Get[queuedRevocation](ctx, s, revocationPrefix+c.Serial)
	if err != nil || queued != nil {
		return err
	}
	if _, known := e.Account.ClockSkew(); !known {
		return account.ErrClockUnknown
	}
	e.Log.Warn("a lease is over, and Vault has not ended it: its certificate is to be revoked", "serial", c.view().Serial, "due", last)
	return e.enqueue(ctx, s, &queuedRevocation{
		Version: 1, Serial: c.Serial, Reason: defaultReason, Note: "Vault lease ended", QueuedAt: now, Due: true, LeaseOver: true, Next: now,
	})
}
