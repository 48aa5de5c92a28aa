// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reuse"
	"github.com/hashicorp/vault/sdk/logical"
)

// Tidying erases certificates that nobody needs any more (ADR 0045). What it has to know of one is
// read here, what decides is told by the caller, and what is erased with a certificate is in one
// place, [erase]. The hashes of compromised keys stay for good, and so do the few chains.

// ErasureFacts are what decides whether a stored certificate is still needed. The first fields are
// those of its entry. The others cost readings of storage, and are known only with Looked.
type ErasureFacts struct {
	NotAfter time.Time
	Revoked  bool
	// LastLease is when the last lease on it ends that still runs; zero when none does.
	LastLease time.Time
	// SubscriptionEnds is when the term ends that its order has bought; zero when that is unknown.
	// With Looked, it is by the other certificates of the order, when its own entry does not tell.
	SubscriptionEnds time.Time

	Looked     bool
	Queued     bool // a revocation of it is queued
	OrderOpen  bool // its order is open, or one that reissues it
	Superseded bool // a newer certificate of its CERTInext order is stored, and stays: see [termOf]
	// Linked is set when a certificate that has not expired was replaced, or renewed, by it.
	Linked bool
	Reused bool // its requests are answered with it, and its key may be kept for that
}

// An Erasure says how certificates are erased.
type Erasure struct {
	// Now is the time by which everything is judged, of which this server's clock may be ahead.
	Now time.Time
	// Goes decides, of what is known so far, whether the certificate goes. It is pure.
	Goes func(ErasureFacts) bool
	// IsOpen reports whether an order of the mount is open.
	IsOpen func(orderID string) bool
	// Before is called before the certificate is erased, with its lock held, to erase what only
	// others know of. A crash after it leaves the certificate, which is erased the next time.
	Before func(ctx context.Context, c *Entry) error
	DryRun bool // nothing is erased
}

// EraseUnneeded erases the certificate with a serial number (with dashes), unless it is needed, and
// reports what Goes has said last. It looks first without the certificate's lock, so that one that
// stays keeps nobody waiting. An entry that cannot be decoded stays, and is the error.
func EraseUnneeded(
	ctx context.Context, keeper *Keeper, s logical.Storage, serial string, e Erasure,
) (erased bool, err error) {
	_, goes, err := e.look(ctx, keeper, s, serial)
	if err != nil || !goes || e.DryRun {
		return goes, err
	}
	unlock, err := keeper.Lock(ctx, serial)
	if err != nil {
		return false, err
	}
	defer unlock()
	c, goes, err := e.look(ctx, keeper, s, serial)
	if err != nil || !goes {
		return false, err
	}
	if err := e.Before(ctx, c); err != nil {
		return false, err
	}
	return true, erase(ctx, keeper, s, c)
}

// look reads a certificate and asks whether it goes.
func (e Erasure) look(
	ctx context.Context, keeper *Keeper, s logical.Storage, serial string,
) (c *Entry, goes bool, err error) {
	c, err = Read(ctx, s, serial)
	if err != nil || c == nil {
		return nil, false, err
	}
	f := ErasureFacts{
		NotAfter: c.NotAfter, Revoked: c.Revocation != nil, LastLease: c.LastLease(e.Now),
		SubscriptionEnds: c.Subscription.EndsAt,
	}
	if !e.Goes(f) {
		return c, false, nil
	}
	if err := e.lookFurther(ctx, keeper, s, c, &f); err != nil {
		return nil, false, err
	}
	return c, e.Goes(f), nil
}

// lookFurther adds to the facts what is not in the certificate's own entry.
func (e Erasure) lookFurther(
	ctx context.Context, keeper *Keeper, s logical.Storage, c *Entry, f *ErasureFacts,
) error {
	f.Looked = true
	q, err := store.Get[Queued](ctx, s, RevocationPrefix+c.Serial)
	if err != nil {
		return err
	}
	f.Queued = q != nil
	reissue, err := keeper.Origin.ReissueOf(ctx, s, c)
	if err != nil {
		return err
	}
	f.OrderOpen = (c.OrderID != "" && e.IsOpen(c.OrderID)) ||
		(reissue != nil && (reissue.Serial == "" || e.IsOpen(reissue.OrderID)))
	f.SubscriptionEnds, f.Superseded, err = termOf(ctx, s, c, e.Now)
	if err != nil {
		return err
	}
	if f.Linked, err = isLinked(ctx, s, c, e.Now); err != nil {
		return err
	}
	if c.ReusedFor != "" {
		kept, err := reuse.Find(ctx, s, c.Role, c.ReusedFor)
		if err != nil {
			return err
		}
		f.Reused = kept != nil && kept.Serial == c.Serial
	}
	return nil
}

// termOf returns when the term ends that the order of a certificate has bought, and whether a newer
// certificate of the order makes this one superfluous. Of those whose own entries tell of a term
// that runs, and that are not revoked, the newest stays for the term's sake: it alone supersedes
// the older ones, and lends the term to one that a synchronization has brought without. What may go
// itself decides about no other one, so that it does not matter which of them is looked at first.
func termOf(
	ctx context.Context, s logical.Storage, c *Entry, now time.Time,
) (ends time.Time, superseded bool, err error) {
	ends = c.Subscription.EndsAt
	isOver := !ends.IsZero() && !ends.After(now)
	if c.CAOrderID == "" || c.Revocation != nil || isOver {
		return ends, false, nil
	}
	n, err := readNumber(ctx, s, c.CAOrderID)
	if err != nil {
		return ends, false, err
	}
	others := n.newestFirst(func(known NumberedCertificate) bool {
		return known.Serial != c.Serial && sameAccount(known.Account, c.Account)
	})
	newest, err := firstStored(ctx, s, others, func(other *Entry) bool {
		return other.Revocation == nil && other.Subscription.EndsAt.After(now)
	})
	if err != nil || newest == nil {
		return ends, false, err
	}
	if ends.IsZero() {
		ends = newest.Subscription.EndsAt
	}
	return ends, newest.NotBefore.After(c.NotBefore), nil
}

// isLinked reports whether a certificate that has not expired at now says that c has replaced or
// renewed it.
func isLinked(ctx context.Context, s logical.Storage, c *Entry, now time.Time) (bool, error) {
	for _, serial := range []string{c.Replaces, c.RenewalOf} {
		if serial == "" || serial == c.Serial {
			continue
		}
		before, err := Read(ctx, s, serial)
		if err != nil {
			return false, err
		}
		if before != nil && before.NotAfter.After(now) {
			return true, nil
		}
	}
	return false, nil
}

// erase removes a certificate and what only it needs, even when ctx is cancelled. Its own entry
// goes last: whatever a crash leaves of it is erased with it the next time. Nothing is looked for
// by its number meanwhile: it has expired, and its order is closed. The caller holds its lock.
func erase(ctx context.Context, keeper *Keeper, s logical.Storage, c *Entry) error {
	ctx = context.WithoutCancel(ctx)
	if c.Fingerprint != "" {
		if err := store.Delete(ctx, s, c.heldBackKey()); err != nil {
			return err
		}
	}
	if err := removeNumbered(ctx, &keeper.Numbers, s, c); err != nil {
		return err
	}
	if c.Revocation != nil {
		if err := store.Delete(ctx, s, revokedPrefix+c.Serial); err != nil {
			return err
		}
	}
	if err := store.Delete(ctx, s, c.Key()); err != nil {
		keeper.Index.Doubt(c.Serial) // it may be gone all the same
		return err
	}
	keeper.Index.Remove(c.Serial)
	return nil
}

// removeNumbered removes a certificate from the index of CERTInext's order numbers.
func removeNumbered(ctx context.Context, x *Numbers, s logical.Storage, c *Entry) error {
	if c.CAOrderID == "" {
		return nil
	}
	return shrinkNumber(ctx, x, s, c.CAOrderID, func(n *NumberEntry) {
		n.Certificates = slices.DeleteFunc(n.Certificates, func(known NumberedCertificate) bool {
			return known.Serial == c.Serial && sameAccount(known.Account, c.Account)
		})
	})
}

// RemoveOrder removes the purchase with a marker, which was closed without a certificate, from the
// index of CERTInext's order numbers, since its record is erased.
func RemoveOrder(
	ctx context.Context, x *Numbers, s logical.Storage, acct, number, marker string,
) error {
	return shrinkNumber(ctx, x, s, number, func(n *NumberEntry) {
		n.Orders = slices.DeleteFunc(n.Orders, func(known NumberedOrder) bool {
			return known.Marker == marker && sameAccount(known.Account, acct)
		})
	})
}

// shrinkNumber removes something from the entry of a number, under its lock, and the entry with
// what is left when that is nothing.
func shrinkNumber(
	ctx context.Context, x *Numbers, s logical.Storage, number string, remove func(*NumberEntry),
) error {
	unlock, err := x.locks.Lock(ctx, numberKey(number))
	if err != nil {
		return err
	}
	defer unlock()
	n, err := store.Get[NumberEntry](ctx, s, numberKey(number))
	if err != nil || n == nil {
		return err
	}
	before := len(n.Certificates) + len(n.Orders)
	remove(n)
	switch len(n.Certificates) + len(n.Orders) {
	case before:
		return nil
	case 0:
		return store.Delete(ctx, s, numberKey(number))
	}
	return store.Put(ctx, s, numberKey(number), n)
}

// RevokedPrefix is [revokedPrefix] for those that list revocation records.
const RevokedPrefix = revokedPrefix

// EraseRevoked erases the record of a revocation whose certificate is not stored, as a crash has
// left it or an earlier version, and reports whether it goes.
func EraseRevoked(
	ctx context.Context, keeper *Keeper, s logical.Storage, serial string, dryRun bool,
) (bool, error) {
	unlock, err := keeper.Lock(ctx, serial)
	if err != nil {
		return false, err
	}
	defer unlock()
	c, err := Read(ctx, s, serial)
	if err != nil || c != nil || dryRun {
		return err == nil && c == nil, err
	}
	return true, store.Delete(context.WithoutCancel(ctx), s, revokedPrefix+serial)
}
