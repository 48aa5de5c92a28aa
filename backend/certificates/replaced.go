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
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/serials"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// A role's revoke_replaced_after has a certificate revoked some time after its replacement, which a
// new order has bought, was handed over (ADR 0041). The time is stored with the certificate, and a
// watch has the background pass look at it then. What the pass finds decides: only then does the
// revocation enter the queue, which nothing loses.

// ScheduleReplaced stores when the certificate with a serial number (with dashes) is to be revoked
// since by has replaced it, which was handed over, and returns that. It returns the zero time when
// the certificate is not to be revoked for that. The caller may hold the lock of by, which is
// always the newer one of the two.
func ScheduleReplaced(
	ctx context.Context, keeper *Keeper, s logical.Storage,
	serial string, by *Entry, after time.Duration,
) (time.Time, error) {
	unlock, err := keeper.Lock(ctx, serial)
	if err != nil {
		return time.Time{}, err
	}
	defer unlock()
	ctx = context.WithoutCancel(ctx)
	c, err := Read(ctx, s, serial)
	if err != nil || c == nil {
		return time.Time{}, err
	}
	why, err := keptBecause(ctx, keeper, s, c, by)
	if err != nil || why != "" {
		return time.Time{}, err
	}
	at := by.Delivery.At.Add(by.Delivery.AtBehind).Add(after)
	isKnown := !c.RevokeAt.IsZero() && c.RenewedBy == by.Serial
	if isKnown && (by.Delivery.Answers() > 1 || c.RevokeAt.Equal(at)) {
		return c.RevokeAt, nil // counted from its first answer, which was not undone
	}
	// The watch comes first: one for a certificate that is not to be revoked means nothing.
	watch := &LeaseWatch{Version: 1}
	if err := store.Put(ctx, s, watchKey(c.Serial, at), watch); err != nil {
		return time.Time{}, err
	}
	c.RevokeAt, c.RenewedBy = at, by.Serial
	return at, keeper.Put(ctx, s, c)
}

// keptBecause says why a certificate that another one has replaced is not revoked for that; empty
// when it is. by is nil when the mount does not have the replacement.
func keptBecause(
	ctx context.Context, keeper *Keeper, s logical.Storage, c, by *Entry,
) (string, error) {
	reissue, err := keeper.Origin.ReissueOf(ctx, s, c)
	if err != nil {
		return "", err
	}
	now := replacedState{now: keeper.Now(), isReissued: reissue != nil || c.ReissuedAs != ""}
	if by != nil {
		if now.isDue, err = keeper.RevocationDue(ctx, s, by); err != nil {
			return "", err
		}
	}
	return now.keeps(c, by), nil
}

// A replacedState is what decides, beside the two entries, whether a replaced certificate is
// revoked.
type replacedState struct {
	now        time.Time
	isReissued bool // another certificate of the same order is newer
	isDue      bool // the replacement is to be revoked
}

// keeps says why c, which by has replaced, is not revoked for that; empty when it is. Its leases
// are not looked at: they only put the revocation off.
func (r replacedState) keeps(c, by *Entry) string {
	switch {
	case c.Kept:
		return "it is kept"
	case c.Revocation != nil, !c.RevocationEnded.IsZero():
		return "it is revoked, or an operator has ended its revocation"
	case !c.NotAfter.After(r.now):
		return "it has expired"
	case r.isReissued:
		return "its order, which CERTInext would revoke, has a newer certificate"
	case by == nil:
		return "its replacement is not known"
	case c.isAnothers(by):
		return "it belongs to another role or requester than its replacement"
	case by.Serial == c.Serial || isOneOrder(c, by):
		return "its replacement is of the same order, which CERTInext would revoke"
	case by.Delivery == nil:
		return "its replacement was not handed over"
	case by.Revocation != nil, r.isDue, !by.RevocationEnded.IsZero():
		return "its replacement is revoked, or to be revoked"
	case len(by.Held) > 0:
		return "its replacement is held"
	case !by.NotAfter.After(r.now):
		return "its replacement has expired"
	}
	return ""
}

// isAnothers reports whether a certificate belongs to another role than the one that renews it, or,
// if it was adopted for a requester, to another one: its adoption was undone since, and then
// another role or requester adopted it. Those whom order_access=role gives all of a role's orders
// renew other requesters' certificates, but of adopted ones only those that are nobody's are
// revoked for it.
func (c *Entry) isAnothers(by *Entry) bool {
	isAdopted := !c.AdoptedAt.IsZero() && c.Requester != ""
	return c.Role != by.Role || (isAdopted && c.Requester != by.Requester)
}

// isOneOrder reports whether two certificates are, or may be, of one order at CERTInext, which
// revokes orders (ADR 0013).
func isOneOrder(a, b *Entry) bool {
	if a.CAOrderID == "" || b.CAOrderID == "" {
		return true
	}
	return a.CAOrderID == b.CAOrderID && account.SameAccount(a.Account, b.Account)
}

// revokeReplaced queues the revocation of a replaced certificate when its time has come. While a
// lease on it runs, it is looked at again at the end of the last one, which mostly revokes it by
// itself. What became of the replacement meanwhile keeps it. The caller holds the certificate's
// lock, and the clock is right.
func revokeReplaced(ctx context.Context, keeper *Keeper, s logical.Storage, c *Entry) error {
	now := keeper.Now()
	if c.RevokeAt.IsZero() || c.RevokeAt.After(now) {
		return nil // the watch of that time looks
	}
	by, err := Read(ctx, s, c.RenewedBy)
	if err != nil {
		return err
	}
	why, err := keptBecause(ctx, keeper, s, c, by)
	if err != nil {
		return err
	}
	if why != "" {
		keeper.Log.Info("a certificate that was replaced is not revoked",
			"serial", c.View().Serial, "why", why)
		c.RevokeAt = time.Time{}
		return keeper.Put(ctx, s, c)
	}
	if last := c.LastLease(now); !last.IsZero() {
		return store.Put(ctx, s, watchKey(c.Serial, last.Add(LeaseMargin)),
			&LeaseWatch{Version: 1})
	}
	before, err := store.Get[Queued](ctx, s, RevocationPrefix+c.Serial)
	if err != nil || (before != nil && before.Due) {
		return err
	}
	q := &Queued{
		Version: 1, Serial: c.Serial, Reason: certinext.ReasonSuperseded,
		Note:     "replaced by " + by.View().Serial,
		QueuedAt: now, Due: true, LeaseOver: true, Next: now,
	}
	q.merge(before)
	keeper.Log.Info("a certificate is revoked since it was replaced",
		"serial", c.View().Serial, "replaced_by", by.View().Serial)
	return keeper.Enqueue(ctx, s, q)
}

// KeepReplaced has a certificate stay valid although it was replaced, or is going to be. The
// request names it as for a revocation. It returns the certificate's serial number, with colons.
func KeepReplaced(
	ctx context.Context, keeper *Keeper, s logical.Storage, r RevokeRequest,
) (string, error) {
	serial, err := r.SerialKey()
	if err != nil {
		return "", err
	}
	unlock, err := keeper.Lock(ctx, serial)
	if err != nil {
		return "", err
	}
	defer unlock()
	c, err := Read(ctx, s, serial)
	if err != nil {
		return "", err
	}
	if c == nil || (r.Role != "" && c.Role != r.Role) ||
		(r.Certificate != "" && !c.matches(r.Certificate)) {
		return "", fault.NoCertificate(strings.ReplaceAll(serial, "-", ":"),
			serials.Mistaken(r.Serial))
	}
	if r.Admit != nil {
		if err := r.Admit(c); err != nil {
			return "", err
		}
	}
	if err := mayKeep(ctx, s, c); err != nil {
		return "", err
	}
	c.Kept, c.RevokeAt = true, time.Time{}
	if err := keeper.Put(ctx, s, c); err != nil {
		return "", fmt.Errorf("certificate %s: %w", c.View().Serial, err)
	}
	return c.View().Serial, nil
}

// mayKeep returns an error when a certificate's revocation cannot be kept from happening any more.
func mayKeep(ctx context.Context, s logical.Storage, c *Entry) error {
	q, err := store.Get[Queued](ctx, s, RevocationPrefix+c.Serial)
	switch {
	case err != nil:
		return err
	case c.Revocation != nil:
		return fault.BadField("keep", "certificate %s is revoked", c.View().Serial)
	case q != nil && q.Due:
		return fault.BadField("keep", "the revocation of certificate %s has begun: "+
			"<mount>/certs/revocation-queue shows it", c.View().Serial)
	}
	return nil
}
