// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"cmp"
	"context"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// CERTInext revokes whole orders, and with an order all certificates that were issued within it. So
// a certificate that was reissued cannot be revoked alone (ADR 0013).

// RecordSerial stores that CERTInext has revoked the certificate with the given serial number (with
// dashes), and no other. It does nothing when the certificate is unknown, revoked or expired.
func (keeper *Keeper) RecordSerial(
	ctx context.Context, s logical.Storage, serial string, at time.Time, reason certinext.Reason,
) error {
	unlock, err := keeper.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := Read(ctx, s, serial)
	if err != nil || c == nil || c.Revocation != nil || keeper.hasExpired(c) {
		return err
	}
	return keeper.recordOne(ctx, s, c, at, reason)
}

// settleReissued handles the queued revocation of a certificate that takes part in a reissue, so
// that the newer certificate is not revoked with the older one (ADR 0013). It returns true when
// CERTInext must not be asked now, and then has filled in out and stored what follows. It returns
// false when the certificate is to be revoked like any other, which also ends a reissue that is
// still open. The caller holds the certificate's lock.
func (keeper *Keeper) settleReissued(
	ctx context.Context, s logical.Storage, c *Entry, q *Queued, out *Revoked,
) (bool, error) {
	newer, err := keeper.Origin.ReissueOf(ctx, s, c)
	switch {
	case err != nil:
		return true, err
	case newer == nil && c.ReissuedAs == "" && !q.ByRequest:
		return keeper.waitForPrevious(ctx, s, c, q, out)
	case newer == nil && c.ReissuedAs == "":
		return false, nil
	case newer != nil && newer.Serial == "" && q.ByRequest:
		return false, nil // there is no newer certificate yet, and this one's key may be stolen
	}
	if newer != nil && newer.Uncollected {
		ends, err := endUncollected(ctx, keeper, s, newer.Serial, q)
		switch {
		case err != nil:
			return true, err
		case ends && !q.ByRequest && !q.interactive:
			return keeper.waitForPrevious(ctx, s, c, q, out) // nobody has a lease any more
		case ends:
			return false, nil
		}
	}
	switch {
	case newer != nil && newer.Serial == "":
		q.Next = keeper.Now().Add(host.PassDelay(1))
		q.LastError = "the certificate is being reissued by order " + newer.OrderID
		out.Queued, out.Reason = true, q.Reason
		return true, keeper.Enqueue(ctx, s, q)
	case newer != nil && newer.RevokePrevious:
		out.At, out.Reason = newer.CreatedAt, newer.RevokeReason
		return true, keeper.recordOne(ctx, s, c, out.At, out.Reason)
	case q.interactive:
		return true, fault.BadField("serial_number",
			"%s was reissued, and CERTInext revokes whole orders: "+
				"revoke the newest certificate of its order, which revokes this one, too",
			out.Serial)
	case q.ByRequest:
		return false, nil // a client was told that it will be revoked
	}
	keeper.Log.Info("the last lease on a reissued certificate has ended, and CERTInext cannot "+
		"revoke the certificate alone: it stays valid", "serial", out.Serial)
	out.Reissued, c.LeaseEnded = true, true
	if err := keeper.Put(ctx, s, c); err != nil {
		return true, err
	}
	return true, keeper.leaveQueue(ctx, s, c)
}

// newerPatience is how long the revocation of a certificate waits for whoever works on a newer one
// of the same order, and may wait for the older one.
const newerPatience = time.Second

// endUncollected queues the revocation of a newer certificate of the same order, with a serial
// number (empty while there is none yet), which was made ahead and which nobody was handed: from
// then on nobody is. It reports false when somebody was, or is at this moment. q is the revocation
// of the older one.
func endUncollected(
	ctx context.Context, keeper *Keeper, s logical.Storage, serial string, q *Queued,
) (bool, error) {
	if serial == "" {
		return true, nil
	}
	waiting, cancel := context.WithTimeout(ctx, newerPatience)
	defer cancel()
	unlock, err := keeper.Lock(waiting, serial)
	if err != nil {
		return false, ctx.Err()
	}
	defer unlock()
	newer, err := Read(ctx, s, serial)
	switch {
	case err != nil:
		return false, err
	case newer == nil || newer.Revocation != nil:
		return true, nil
	case newer.Delivery != nil:
		return false, nil
	}
	return true, keeper.Enqueue(ctx, s, &Queued{
		Version: 1, Serial: serial, Reason: cmp.Or(q.Reason, DefaultReason),
		Note:     "its order is revoked",
		QueuedAt: keeper.Now(), Due: true, ByRequest: q.ByRequest || q.interactive,
		Next: keeper.Now().Add(host.PassDelay(1)),
	})
}

// queueNewer queues the revocation of the certificates that have replaced c, which CERTInext has
// revoked together with c. The background pass then records that for each, under that certificate's
// lock.
func (keeper *Keeper) queueNewer(
	ctx context.Context, s logical.Storage, c *Entry, reason certinext.Reason,
) error {
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
			Version: 1, Serial: serial, Reason: cmp.Or(reason, DefaultReason),
			Note:     "its order is revoked",
			QueuedAt: keeper.Now(), Due: true, ByRequest: true, Next: keeper.Now(),
		}
		if err := keeper.Enqueue(ctx, s, q); err != nil {
			return err
		}
	}
	return nil
}

// recordPrevious stores that CERTInext has revoked the certificates that c has replaced, together
// with c.
func (keeper *Keeper) recordPrevious(
	ctx context.Context, s logical.Storage, c *Entry, at time.Time, reason certinext.Reason,
) error {
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

// waitForPrevious postpones the revocation of a certificate while one that it has replaced is in
// use, since CERTInext would revoke both. It applies to revocations that follow from the end of a
// lease, not to requested ones. Its results are those of settleReissued.
func (keeper *Keeper) waitForPrevious(
	ctx context.Context, s logical.Storage, c *Entry, q *Queued, out *Revoked,
) (bool, error) {
	used, err := keeper.anyInUse(ctx, s, c.Replaces)
	switch {
	case err != nil:
		return true, err
	case !used && q.Held: // stored first, so that no client receives one of them from now on
		q.Held = false
		return false, keeper.Enqueue(ctx, s, q)
	case !used:
		return false, nil
	}
	q.Held = true
	q.Next = keeper.Now().Add(time.Hour)
	q.LastError = "a certificate that this one has replaced is in use"
	out.Queued, out.Reason = true, q.Reason
	return true, keeper.Enqueue(ctx, s, q)
}

// anyInUse reports whether a client may still use a certificate, or one of those that it has
// replaced.
func (keeper *Keeper) anyInUse(
	ctx context.Context, s logical.Storage, serial string,
) (bool, error) {
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

// inUse reports whether a client may still use a certificate that was reissued: it has received the
// certificate, which is neither revoked nor expired, with a lease that still runs or with none.
func (keeper *Keeper) inUse(c *Entry) bool {
	if c.Delivery == nil || c.Revocation != nil || keeper.hasExpired(c) {
		return false
	}
	return !c.LeaseEnded || !keeper.leasesOver(c)
}
