// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// A queued revocation is blocked when it cannot be tried: config does not hold the certificate's
// account, or nothing at all, or the mount is held. It waits, and an operator can end it.

// A blockade knows why the revocations of a mount cannot be tried.
type blockade struct {
	held   error
	config *account.Config // nil when there is none
}

// newBlockade reads what blocks revocations now.
func (keeper *Keeper) newBlockade(ctx context.Context, s logical.Storage) (*blockade, error) {
	cfg, err := keeper.Account.Config(ctx, s)
	return &blockade{held: keeper.Account.MayChange(), config: cfg}, err
}

// why says why the revocation of a certificate cannot be tried; empty when it can be.
func (b *blockade) why(c *Entry) string {
	switch {
	case b.held != nil:
		return b.held.Error()
	case b.config == nil:
		return "config holds no account, and the certificate is of " + account.Describe(c.Account)
	case c.Account != "" && !account.SameAccount(c.Account, b.config.Account()):
		return "the certificate is of " + account.Describe(c.Account) + ", and config holds " +
			account.Describe(b.config.Account())
	}
	return ""
}

// describe adds to a queued revocation whose certificate it is, and why it cannot be tried.
func (b *blockade) describe(
	ctx context.Context, s logical.Storage, serial string, q *QueuedRevocation,
) error {
	c, err := Read(ctx, s, serial)
	if err != nil || c == nil {
		return err
	}
	q.Account, q.CAOrderID = c.Account, c.CAOrderID
	q.Role, q.OrderID = c.Role, c.OrderID
	q.Blocked = b.why(c)
	return nil
}

// QueuedFor returns the queued revocation of a certificate, and nil when there is none.
func (keeper *Keeper) QueuedFor(
	ctx context.Context, s logical.Storage, serial string,
) (*QueuedRevocation, error) {
	key, err := serials.Parse("serial", serial)
	if err != nil {
		return nil, err
	}
	q, err := store.Get[Queued](ctx, s, RevocationPrefix+key)
	if err != nil || q == nil {
		return nil, err
	}
	b, err := keeper.newBlockade(ctx, s)
	if err != nil {
		return nil, err
	}
	out := q.view(key)
	return &out, b.describe(ctx, s, key, &out)
}

// view describes q, the queued revocation of the certificate with the given serial number (with
// dashes), to the Vault paths, without what the certificate's entry says.
func (q *Queued) view(serial string) QueuedRevocation {
	v := QueuedRevocation{
		Serial: strings.ReplaceAll(serial, "-", ":"), Described: true, Reason: q.Reason,
		Note: q.Note, QueuedAt: q.QueuedAt, Attempts: q.Attempts, Next: q.Next,
		LastError: q.LastError,
	}
	if q.isHeldBack() {
		v.HeldUntil = q.HeldUntil
	}
	return v
}

// EndQueued takes a blocked revocation out of the queue because an operator says so, and returns it
// with what stays at CERTInext. The certificate is handed to nobody from then on. A revocation that
// can be tried is not ended: whoever asked for it was told that it is going to happen.
func (keeper *Keeper) EndQueued(
	ctx context.Context, s logical.Storage, serial, reason string,
) (ended *QueuedRevocation, left string, err error) {
	key, err := serials.Parse("serial", serial)
	if err != nil {
		return nil, "", err
	}
	b, err := keeper.newBlockade(ctx, s)
	if err != nil {
		return nil, "", err
	}
	unlock, err := keeper.Lock(ctx, key)
	if err != nil {
		return nil, "", err
	}
	defer unlock()
	q, err := store.Get[Queued](ctx, s, RevocationPrefix+key)
	if err == nil && q == nil {
		err = &fault.NotFoundError{
			Kind: "queued revocation", Name: sanitize.Short(serial),
			Command:  "list <mount>/certs/revocation-queue",
			Mistaken: serials.Mistaken(serial),
		}
	}
	if err != nil {
		return nil, "", err
	}
	out := q.view(key)
	if err := b.describe(ctx, s, key, &out); err != nil {
		return nil, "", err
	}
	c, err := Read(ctx, s, key)
	switch {
	case err != nil:
		return nil, "", err
	case c == nil: // there is no number to revoke it by
		return &out, "", keeper.dequeue(ctx, s, key)
	case out.Blocked == "":
		return nil, "", fault.BadField("end", "the revocation of %s can be tried, next at %s: "+
			"only one that cannot be is ended", out.Serial, q.Next.UTC().Format(time.RFC3339))
	}
	left = fmt.Sprintf("certificate %s, of CERTInext's order %s, in %s, stays valid until %s "+
		"unless it is revoked in CERTInext's portal, or by whoever owns it", out.Serial,
		sanitize.Short(c.CAOrderID), account.Describe(c.Account),
		c.NotAfter.UTC().Format(time.RFC3339))
	c.Leases = nil
	c.RevocationEnded = keeper.Now()
	c.Remarks = append(c.Remarks, "an operator ended its queued revocation: "+
		sanitize.Short(reason))
	// The certificate's entry comes first: after a crash in between, the revocation is still
	// queued, and can be ended again.
	if err := keeper.Put(context.WithoutCancel(ctx), s, c); err != nil {
		return nil, "", err
	}
	if err := keeper.dequeue(ctx, s, key); err != nil {
		return nil, "", err
	}
	keeper.Log.Warn("an operator has ended a queued revocation that cannot be tried",
		"serial", out.Serial, "account", account.Describe(c.Account), "ca_order_id", c.CAOrderID,
		"why", out.Blocked, "reason", sanitize.Short(reason), "left", left)
	return &out, left, nil
}

// maxCounted bounds the entries that QueuedOf and LeasedOf read.
const maxCounted = 1000

// QueuedOf returns the serial numbers, with colons, of the certificates of an account whose
// revocation is queued. whole is false when there are more entries than it reads.
func QueuedOf(
	ctx context.Context, s logical.Storage, of string,
) (queued []string, whole bool, err error) {
	return namedBelow(ctx, s, RevocationPrefix, func(c *Entry) bool {
		return c.Revocation == nil && account.SameAccount(c.Account, of)
	})
}

// LeasedOf is QueuedOf for certificates that a lease still hangs on.
// While this server's clock is in doubt, every lease may still run.
func LeasedOf(
	ctx context.Context, s logical.Storage, acct *account.Account, of string,
) (leased []string, whole bool, err error) {
	now, certain := acct.Time()
	if !certain {
		now = time.Time{}
	}
	return namedBelow(ctx, s, Prefix, func(c *Entry) bool {
		return c.Revocation == nil && account.SameAccount(c.Account, of) &&
			c.NotAfter.After(now) && !c.LastLease(now).IsZero()
	})
}

// namedBelow returns those of the certificates named below a prefix that are wanted.
func namedBelow(
	ctx context.Context, s logical.Storage, prefix string, wanted func(*Entry) bool,
) (found []string, whole bool, err error) {
	names, err := store.List(ctx, s, prefix)
	if err != nil {
		return nil, false, err
	}
	for _, serial := range names[:min(len(names), maxCounted)] {
		c, err := Read(ctx, s, serial)
		if store.IsFault(err) {
			return nil, false, err
		}
		if err == nil && c != nil && wanted(c) {
			found = append(found, c.View().Serial)
		}
	}
	return found, len(names) <= maxCounted, nil
}
