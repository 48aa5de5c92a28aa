// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// CERTInext revokes whole orders, and so all certificates that were issued within one.

// RecordSerial stores that the certificate of a serial number, and no other, was revoked at CERTInext.
func (keeper *Keeper) RecordSerial(ctx context.Context, s logical.Storage, serial string, at time.Time, reason certinext.Reason) error {
	unlock, err := keeper.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := Read(ctx, s, serial)
	if err != nil || c == nil || c.Revocation != nil || !c.NotAfter.After(at) {
		return err
	}
	return keeper.recordOne(ctx, s, c, at, reason)
}

// keepReissued ends the care for a certificate that was reissued: CERTInext revokes whole orders, and the new certificate must not go
// with the old one. It reports false when the certificate is to be revoked like any other, which ends a reissue that is still open.
func (keeper *Keeper) keepReissued(ctx context.Context, s logical.Storage, c *Entry, q *Queued, out *Revoked) (bool, error) {
	newer, err := keeper.Origin.ReissueOf(ctx, s, c)
	switch {
	case err != nil:
		return true, err
	case newer == nil && c.ReissuedAs == "" && !q.Asked:
		return keeper.keepForPrevious(ctx, s, c, q, out)
	case newer == nil && c.ReissuedAs == "":
		return false, nil
	case newer != nil && newer.Serial == "" && q.Asked:
		return false, nil // there is no other certificate yet, and the key of this one may be stolen
	case newer != nil && newer.Serial == "":
		q.Next, q.LastError = keeper.Now().Add(host.PassDelay(1)), "it is being reissued, as order "+newer.OrderID
		out.Queued, out.Reason = true, q.Reason
		return true, keeper.Enqueue(ctx, s, q)
	case newer != nil && newer.RevokePrevious:
		out.At, out.Reason = newer.CreatedAt, newer.RevokeReason
		return true, keeper.recordOne(ctx, s, c, out.At, out.Reason)
	case q.asked:
		return true, fault.BadField("serial_number", "%s was reissued, and CERTInext revokes whole orders: revoking the newest certificate of its order revokes this one, too", out.Serial)
	case q.Asked:
		return false, nil // somebody was told that it will be revoked
	}
	keeper.Log.Info("a lease on a reissued certificate ended; CERTInext cannot revoke that one alone", "serial", out.Serial)
	out.Reissued, c.LeaseEnded = true, true
	if err := store.Put(ctx, s, c.Key(), c); err != nil {
		return true, err
	}
	return true, keeper.dequeue(ctx, s, c.Serial)
}

// recordForNewer queues the certificates by which c was replaced, since CERTInext has revoked them with it: each is looked at under its
// own lock.
func (keeper *Keeper) recordForNewer(ctx context.Context, s logical.Storage, c *Entry, reason certinext.Reason) error {
	serials := []string{c.ReissuedAs}
	newer, err := keeper.Origin.ReissueOf(ctx, s, c)
	if err != nil {
		return err
	}
	if newer != nil {
		serials = append(serials, newer.Serial)
	}
	for _, serial := range issuing.NonEmpty(serials...) {
		n, err := Read(ctx, s, serial)
		if err != nil {
			return err
		}
		if n == nil || n.Revocation != nil {
			continue
		}
		q := &Queued{
			Version: 1, Serial: serial, Reason: reason, Note: "its order is revoked", QueuedAt: keeper.Now(), Due: true, Asked: true, Next: keeper.Now(),
		}
		if err := keeper.Enqueue(ctx, s, q); err != nil {
			return err
		}
	}
	return nil
}

// recordForPrevious stores that the certificates which c has replaced were revoked with it.
func (keeper *Keeper) recordForPrevious(ctx context.Context, s logical.Storage, c *Entry, at time.Time, reason certinext.Reason) error {
	for serial := c.Replaces; serial != ""; {
		if err := keeper.RecordSerial(ctx, s, serial, at, reason); err != nil {
			return err
		}
		previous, err := Read(ctx, s, serial)
		if err != nil || previous == nil || previous.Replaces == serial {
			return err
		}
		serial = previous.Replaces
	}
	return nil
}

// keepForPrevious puts off that a certificate which nobody asked to revoke is revoked, while one that it has replaced is in use.
func (keeper *Keeper) keepForPrevious(ctx context.Context, s logical.Storage, c *Entry, q *Queued, out *Revoked) (bool, error) {
	used, err := keeper.anyInUse(ctx, s, c.Replaces)
	switch {
	case err != nil:
		return true, err
	case !used && q.Held: // nobody is handed one of them from now on
		q.Held = false
		return false, keeper.Enqueue(ctx, s, q)
	case !used:
		return false, nil
	}
	q.Held, q.Next, q.LastError = true, keeper.Now().Add(time.Hour), "a certificate that it has replaced is in use"
	out.Queued, out.Reason = true, q.Reason
	return true, keeper.Enqueue(ctx, s, q)
}

// anyInUse reports whether somebody may still use a certificate, or one of those that it has replaced.
func (keeper *Keeper) anyInUse(ctx context.Context, s logical.Storage, serial string) (bool, error) {
	for serial != "" {
		c, err := Read(ctx, s, serial)
		if err != nil || c == nil || c.Replaces == serial {
			return false, err
		}
		if keeper.inUse(c) {
			return true, nil
		}
		serial = c.Replaces
	}
	return false, nil
}

// inUse reports whether a certificate that was reissued was handed over, with a lease that lives or with none.
func (keeper *Keeper) inUse(c *Entry) bool {
	return c.Delivery != nil && c.Revocation == nil && !keeper.expired(c) && (!c.LeaseEnded || !keeper.leasesOver(c))
}
