// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package reuse

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// Storage prefixes.
const (
	// KeyPrefix is followed by the role and the fingerprint of the request. Its entries hold
	// private keys.
	KeyPrefix = "reuse/key/"
	// endPrefix is followed by the hour in which an entry is over, the role and the fingerprint.
	endPrefix = "reuse/end/"
	// sweepPrefix is followed by a role whose entries are to be looked at, since it has changed.
	sweepPrefix = "reuse/sweep/"
)

// Kept is the entry of a certificate that its request is answered with again.
type Kept struct {
	Version   int    `json:"version"`
	Serial    string `json:"serial"` // with dashes
	OrderID   string `json:"order_id"`
	Requester string `json:"requester"`
	Terms     string `json:"terms"` // see [Candidate]
	// PrivateKey is PKCS#8 PEM; empty when the requester has the key.
	PrivateKey string    `json:"private_key,omitempty"`
	Received   time.Time `json:"received"` // when the mount received the certificate
	// Until is when nobody gets the certificate any more.
	Until time.Time `json:"until"`
}

// IsBehind reports whether k need not be stored, since other, which is nil when there is none, is:
// of a newer certificate, as after force_new, whose order may be closed first, or the same one, as
// when the order was opened again.
func (k Kept) IsBehind(other *Kept) bool {
	switch {
	case other == nil:
		return false
	case other.Serial != k.Serial:
		return other.Received.After(k.Received)
	}
	return other.PrivateKey == k.PrivateKey && other.Until.Equal(k.Until)
}

// An end is the entry by which a kept one is found when it is over. Its key holds all information.
type end struct {
	Version int `json:"version"`
}

// A sweep is the stored note that the entries of a role are to be looked at.
type sweep struct {
	Version int    `json:"version"`
	After   string `json:"after,omitempty"` // the last fingerprint that was looked at
}

// endHour is the layout of an hour. It sorts by time.
const endHour = "2006010215"

func keyOf(role, fingerprint string) string { return KeyPrefix + role + "/" + fingerprint }

// endKey returns the key of an end, at the first full hour at which the entry is over.
func endKey(role, fingerprint string, until time.Time) string {
	hour := until.UTC().Add(time.Hour - time.Nanosecond).Truncate(time.Hour)
	return endPrefix + hour.Format(endHour) + "/" + role + "/" + fingerprint
}

// held does something while no other change is made to what is kept for a fingerprint. locks are
// those of all that is kept in a mount.
func held[T any](
	ctx context.Context, locks store.Locker, role, fingerprint string, do func() (T, error),
) (T, error) {
	unlock, err := locks.Lock(ctx, keyOf(role, fingerprint))
	if err != nil {
		var none T
		return none, err
	}
	defer unlock()
	return do()
}

// Keep stores a certificate for the requests of a fingerprint, in the place of an earlier one,
// unless k is behind what is kept by then.
func Keep(
	ctx context.Context, s logical.Storage, locks store.Locker, role, fingerprint string, k Kept,
) error {
	ctx = context.WithoutCancel(ctx)
	_, err := held(ctx, locks, role, fingerprint, func() (struct{}, error) {
		other, err := Find(ctx, s, role, fingerprint)
		if err != nil || k.IsBehind(other) {
			return struct{}{}, err
		}
		return struct{}{}, put(ctx, s, role, fingerprint, k)
	})
	return err
}

// Shorten has what is kept of the certificate with a serial number (with dashes) end at until,
// where it would later. What was erased meanwhile does not come back, and a newer one stays as it
// is.
func Shorten(
	ctx context.Context, s logical.Storage, locks store.Locker,
	role, fingerprint, serial string, until time.Time,
) error {
	ctx = context.WithoutCancel(ctx)
	_, err := held(ctx, locks, role, fingerprint, func() (struct{}, error) {
		k, err := Find(ctx, s, role, fingerprint)
		if err != nil || k == nil || k.Serial != serial || !until.Before(k.Until) {
			return struct{}{}, err
		}
		k.Until = until
		return struct{}{}, put(ctx, s, role, fingerprint, *k)
	})
	return err
}

// put stores an entry. The end is stored first: one without its entry means nothing. The caller
// holds the lock.
func put(ctx context.Context, s logical.Storage, role, fingerprint string, k Kept) error {
	k.Version = 1
	if err := store.Put(ctx, s, endKey(role, fingerprint, k.Until), &end{Version: 1}); err != nil {
		return err
	}
	return store.Put(ctx, s, keyOf(role, fingerprint), &k)
}

// Find returns what is kept for the requests of a fingerprint; nil when nothing is.
func Find(ctx context.Context, s logical.Storage, role, fingerprint string) (*Kept, error) {
	return store.Get[Kept](ctx, s, keyOf(role, fingerprint))
}

// Erase removes what is kept of the certificate with a serial number (with dashes), even when ctx
// is cancelled. What is kept of a newer one stays.
func Erase(
	ctx context.Context, s logical.Storage, locks store.Locker, role, fingerprint, serial string,
) error {
	_, err := EraseIf(context.WithoutCancel(ctx), s, locks, role, fingerprint, false,
		func(k *Kept) bool { return k.Serial == serial })
	return err
}

// most is the largest number of entries that one call of [EraseOver] or [Sweep] looks at.
const most = 200

// EraseOver removes entries that are over at now, the oldest first, [most] at the most. The
// background pass calls it. It removes nothing unless the clock is certain, which it asks only when
// something is over.
func EraseOver(
	ctx context.Context, s logical.Storage, locks store.Locker, now time.Time,
	certain func() bool,
) error {
	hours, err := store.List(ctx, s, endPrefix)
	if err != nil {
		return err
	}
	slices.Sort(hours) // not every storage lists in order
	if len(hours) == 0 || hours[0] > now.UTC().Format(endHour)+"/" || !certain() {
		return nil
	}
	left := most
	var errs []error
	for _, hour := range hours {
		if hour > now.UTC().Format(endHour)+"/" || left <= 0 || ctx.Err() != nil {
			break
		}
		var erased int
		erased, err = eraseHour(ctx, s, locks, hour, left, now)
		left -= erased
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// eraseHour is EraseOver for the ends of one hour, limit at the most. It returns how many it has
// looked at.
func eraseHour(
	ctx context.Context, s logical.Storage, locks store.Locker,
	hour string, limit int, now time.Time,
) (looked int, err error) {
	roles, err := store.List(ctx, s, endPrefix+hour)
	errs := []error{err}
	for _, role := range roles {
		fingerprints, err := store.List(ctx, s, endPrefix+hour+role)
		errs = append(errs, err)
		for _, fingerprint := range fingerprints[:min(limit-looked, len(fingerprints))] {
			looked++
			errs = append(errs, eraseOver(ctx, s, locks, hour+role, fingerprint, now))
		}
	}
	return looked, errors.Join(errs...)
}

// eraseOver removes one entry if it is over, and its end. folder is the hour and the role of the
// end, each with a slash. The entry may have been replaced since by one that ends later, which has
// an end of its own.
func eraseOver(
	ctx context.Context, s logical.Storage, locks store.Locker,
	folder, fingerprint string, now time.Time,
) error {
	_, role, _ := strings.Cut(strings.TrimSuffix(folder, "/"), "/")
	_, err := held(ctx, locks, role, fingerprint, func() (struct{}, error) {
		k, err := Find(ctx, s, role, fingerprint)
		var later *store.FutureError
		switch {
		case store.IsFault(err), errors.As(err, &later):
			return struct{}{}, err
		case err != nil: // nobody can read it, and it is of no use by now
			k = new(Kept)
		}
		if k != nil && !k.Until.After(now) {
			if err := store.Delete(ctx, s, keyOf(role, fingerprint)); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, store.Delete(ctx, s, endPrefix+folder+fingerprint)
	})
	return err
}

// EraseIf removes what is kept for a role's fingerprint if goes says so, and reports whether it
// goes. With dryRun, it stays.
func EraseIf(
	ctx context.Context, s logical.Storage, locks store.Locker,
	role, fingerprint string, dryRun bool, goes func(*Kept) bool,
) (bool, error) {
	return held(ctx, locks, role, fingerprint, func() (bool, error) {
		k, err := Find(ctx, s, role, fingerprint)
		switch {
		case err != nil:
			return false, err
		case k == nil:
			return true, nil
		case !goes(k):
			return false, nil
		case dryRun:
			return true, nil
		}
		return true, store.Delete(context.WithoutCancel(ctx), s, keyOf(role, fingerprint))
	})
}

// SweepLater notes that the entries of a role are to be looked at, since it is about to change.
func SweepLater(ctx context.Context, s logical.Storage, role string) error {
	return store.Put(ctx, s, sweepPrefix+role, &sweep{Version: 1})
}

// SweepAllLater is [SweepLater] for each role that has entries.
func SweepAllLater(ctx context.Context, s logical.Storage) error {
	roles, err := store.List(ctx, s, KeyPrefix)
	if err != nil {
		return err
	}
	for _, role := range roles {
		if err := SweepLater(ctx, s, strings.TrimSuffix(role, "/")); err != nil {
			return err
		}
	}
	return nil
}

// Sweep looks at the entries of roles that have changed, [most] of each role, and removes those
// that fits says no to. It goes on where the last call ended. lock keeps the role from being
// changed meanwhile.
func Sweep(
	ctx context.Context, s logical.Storage, locks store.Locker,
	lock func(ctx context.Context, role string) (unlock func(), err error),
	fits func(ctx context.Context, role, fingerprint string, k *Kept) (bool, error),
) error {
	roles, err := store.List(ctx, s, sweepPrefix)
	errs := []error{err}
	for _, role := range roles {
		if ctx.Err() != nil {
			break
		}
		errs = append(errs, sweepRole(ctx, s, locks, role, lock, fits))
	}
	return errors.Join(errs...)
}

func sweepRole(
	ctx context.Context, s logical.Storage, locks store.Locker, role string,
	lock func(ctx context.Context, role string) (unlock func(), err error),
	fits func(ctx context.Context, role, fingerprint string, k *Kept) (bool, error),
) error {
	unlock, err := lock(ctx, role)
	if err != nil {
		return err
	}
	defer unlock()
	note, err := store.Get[sweep](ctx, s, sweepPrefix+role)
	if err != nil || note == nil {
		return err
	}
	all, err := store.List(ctx, s, KeyPrefix+role+"/")
	if err != nil {
		return err
	}
	slices.Sort(all)
	behind, _ := slices.BinarySearch(all, note.After+"\x00")
	next := all[behind:][:min(most, len(all)-behind)]
	var unread []error
	for _, fingerprint := range next {
		k, err := Find(ctx, s, role, fingerprint)
		if store.IsFault(err) {
			return err
		}
		if err != nil { // it keeps no other one
			unread = append(unread, err)
			continue
		}
		stays := k == nil
		if k != nil {
			if stays, err = fits(ctx, role, fingerprint, k); err != nil {
				return err
			}
		}
		if !stays && k != nil {
			if err := Erase(ctx, s, locks, role, fingerprint, k.Serial); err != nil {
				return err
			}
		}
	}
	if behind+len(next) == len(all) {
		return errors.Join(append(unread, store.Delete(ctx, s, sweepPrefix+role))...)
	}
	note.After = next[len(next)-1]
	return errors.Join(append(unread, store.Put(ctx, s, sweepPrefix+role, note))...)
}
