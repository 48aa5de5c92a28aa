// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Lease describes the Vault lease on an answer that holds a certificate. When the last lease on a
// certificate ends, the certificate is revoked (ADR 0004).
type Lease struct {
	ID         string // tells the leases of one certificate apart
	AnsweredAt time.Time
	TTL        time.Duration
	MaxTTL     time.Duration // the longest that renewals reach; never beyond the certificate's end
}

// LeaseFor returns the lease for a certificate that expires after remaining. wanted is the TTL that
// the request names, or 0; mountMax is the longest that the mount still grants, or 0 when that is
// unknown. warning is not empty when the lease ends, and so revokes the certificate, before the
// certificate expires: clients that never renew leases, such as pkiCert templates and Terraform,
// need to know that.
func LeaseFor(
	role *issuing.Role, wanted, remaining, mountMax time.Duration, now time.Time,
) (l Lease, warning string) {
	l.TTL = remaining
	for _, ttl := range []time.Duration{wanted, role.TTL} {
		if ttl > 0 {
			l.TTL = ttl
			break
		}
	}
	l.MaxTTL = remaining
	if role.MaxTTL > 0 {
		l.MaxTTL = min(l.MaxTTL, role.MaxTTL)
	}
	expiry := now.Add(remaining).UTC().Format(time.RFC3339)
	if mountMax > 0 && mountMax < l.MaxTTL {
		warning = fmt.Sprintf(
			"this mount ends the lease in %s at the latest, so the certificate will be revoked "+
				"at %s, before it expires at %s; to change that: "+
				"vault secrets tune -max-lease-ttl=%dh <mount>/, "+
				"or use a role with generate_lease=false",
			phrase.Duration(mountMax), now.Add(mountMax).UTC().Format(time.RFC3339),
			expiry, int(remaining/time.Hour)+1,
		)
		l.MaxTTL = mountMax
	}
	l.TTL = min(l.TTL, l.MaxTTL)
	if l.TTL < l.MaxTTL || (warning == "" && l.TTL < remaining) {
		if warning != "" {
			warning += ". And "
		}
		warning += fmt.Sprintf(
			"the certificate will be revoked at %s, when its lease ends, unless the lease is "+
				"renewed: it expires at %s. Clients that never renew leases, such as pkiCert "+
				"templates and Terraform, need a role with generate_lease=false",
			now.Add(l.TTL).UTC().Format(time.RFC3339), expiry,
		)
	}
	return l, warning
}

// MaxLeaseTTL returns the longest lease that the mount grants, or 0 when that is unknown.
func (keeper *Keeper) MaxLeaseTTL() time.Duration {
	if keeper.System == nil {
		return 0
	}
	return keeper.System().MaxLeaseTTL()
}

// A Renewal asks for a longer life of a lease.
type Renewal struct {
	LeaseEnd                // which lease
	Increment time.Duration // that the client wants; the role's ttl when 0
	IssuedAt  time.Time     // when Vault stored the lease; zero when it does not say
	MaxTTL    time.Duration // that the lease was given then; 0 for none
}

// left returns for how long Vault lets renewals extend the lease; 0 when that is unknown.
func (r *Renewal) left(mountMax time.Duration, now time.Time) time.Duration {
	if r.MaxTTL > 0 && (mountMax == 0 || r.MaxTTL < mountMax) {
		mountMax = r.MaxTTL
	}
	if r.IssuedAt.IsZero() || mountMax == 0 {
		return 0
	}
	return max(r.IssuedAt.Add(mountMax).Sub(now), 0)
}

// RenewLease extends a lease and returns its new TTL. A lease cannot be renewed when its
// certificate has expired, or is revoked or queued for revocation: that is an error about the field
// lease. warning is that of [LeaseFor].
func (keeper *Keeper) RenewLease(
	ctx context.Context, s logical.Storage, r Renewal,
) (ttl time.Duration, warning string, err error) {
	serial, leaseID := r.Serial, r.ID
	learnClockToRenew(ctx, s, keeper.Account)
	clock := unsetClock(keeper)
	unlock, err := keeper.Lock(ctx, serial)
	if err != nil {
		return 0, "", err
	}
	defer unlock()
	c, err := keeper.renewable(ctx, s, serial, clock())
	if err != nil {
		return 0, "", err
	}
	role, err := roles.Read(ctx, s, c.Role)
	if err != nil {
		return 0, "", err
	}
	if role == nil {
		role = issuing.NewRole(c.Role)
	}
	now := clock()
	left := r.left(keeper.MaxLeaseTTL(), now)
	lease, warning := LeaseFor(role, r.Increment, c.NotAfter.Sub(now), left, now)
	if end := now.Add(lease.TTL); end.Add(keeper.Account.Behind()).After(c.leaseEnds(leaseID)) {
		keeper.SetLease(c, leaseID, end) // an earlier end is Vault's to tell, by ending the lease
	}
	return lease.TTL, warning, keeper.Put(ctx, s, c)
}

// unsetClock returns the clock as it goes on from this moment, in which it is known, whatever it is
// set to meanwhile: a lease is not to last until an end that only such a clock has given it.
func unsetClock(keeper *Keeper) func() time.Time {
	known, since := keeper.Now(), keeper.Steady()
	return func() time.Time { return known.Add(keeper.Steady().Sub(since)) }
}

// renewable returns the certificate with the given serial number (with dashes). The error says why
// its leases cannot be renewed at now. The caller holds the certificate's lock.
func (keeper *Keeper) renewable(
	ctx context.Context, s logical.Storage, serial string, now time.Time,
) (*Entry, error) {
	c, err := Read(ctx, s, serial)
	switch {
	case err != nil:
		return nil, err
	case c == nil:
		return nil, fault.NoCertificate(serial, "")
	case c.Revocation != nil:
		return nil, fault.BadField("lease", "its certificate %s is revoked", c.View().Serial)
	case !c.NotAfter.After(now):
		return nil, fault.BadField("lease", "its certificate %s has expired", c.View().Serial)
	}
	due, err := keeper.RevocationDue(ctx, s, c)
	switch {
	case err != nil:
		return nil, err
	case due:
		return nil, fault.BadField("lease", "its certificate %s is to be revoked", c.View().Serial)
	}
	return c, nil
}

// A LeaseEnd names a lease that Vault has ended.
type LeaseEnd struct {
	Serial string // of its certificate, with dashes
	ID     string
}

// ReleaseLease ends a lease. When it was the certificate's last one, the certificate is revoked at
// CERTInext; while that fails, the revocation stays in the stored queue. An error means that
// storage failed before the end was stored; the revocation may be queued even then. Nothing that
// follows makes a lease irrevocable for Vault (ADR 0004).
func (keeper *Keeper) ReleaseLease(ctx context.Context, s logical.Storage, l LeaseEnd) error {
	v, err := keeper.queueLeaseEnd(ctx, s, l)
	if err != nil || v == nil {
		return err
	}
	if err := keeper.revokeAfterLastLease(ctx, s, v); err != nil {
		keeper.Log.Warn("the revocation after the end of a lease could not be tried at once; "+
			"it is queued", "serial", v.cert.View().Serial, "error", err)
	}
	return nil
}

// queueLeaseEnd stores that a lease has ended, after it has queued the revocation that follows from
// it. It returns nil when CERTInext need not be asked now.
func (keeper *Keeper) queueLeaseEnd(
	ctx context.Context, s logical.Storage, l LeaseEnd,
) (*pendingRevocation, error) {
	unlock, err := keeper.Lock(ctx, l.Serial)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := Read(ctx, s, l.Serial)
	if err != nil || c == nil {
		return nil, err // without an entry there is no order number to revoke the certificate by
	}
	if c.Revocation != nil || keeper.hasExpired(c) || !c.RevocationEnded.IsZero() {
		return nil, keeper.unmark(ctx, s, c)
	}
	due, known := c.Leases[l.ID]
	if !known && c.Delivery == nil {
		// The answer was taken back (ADR 0010), and Vault could not delete its lease.
		return nil, nil
	}
	before, err := store.Get[Queued](ctx, s, RevocationPrefix+l.Serial)
	if err != nil {
		return nil, err
	}
	now, certain := keeper.Account.Time()
	e := leaseEnd{known: known, byClockAlone: known && !certain && !now.Before(due)}
	switch {
	case e.byClockAlone: // it counts until the clock is known to be right
		c.doubt(l.ID)
	case known:
		delete(c.Leases, l.ID)
	}
	e.last = keeper.leasesOver(c)
	q := e.queue(keeper, c, before)
	if q != nil {
		if err := keeper.enqueue(ctx, s, c, q); err != nil {
			return nil, err
		}
	}
	if known {
		if err := keeper.Put(context.WithoutCancel(ctx), s, c); err != nil {
			return nil, err
		}
	}
	if q == nil || !q.Due || (before != nil && before.Due) || q.Next.After(keeper.Now()) {
		return nil, nil
	}
	return &pendingRevocation{cert: c, q: q}, nil
}

// A leaseEnd is what Vault has told of the end of a lease.
type leaseEnd struct {
	known bool // the certificate had the lease
	// byClockAlone is set when the lease is over by a clock that is unknown or in doubt.
	byClockAlone bool
	last         bool // no other lease is left
}

// queue returns what is in the queue of revocations after the end of a lease on c; nil when nothing
// changes there. before is what was there.
func (e leaseEnd) queue(keeper *Keeper, c *Entry, before *Queued) *Queued {
	over := e.last && !e.byClockAlone
	if before != nil && before.Due { // it is queued already, with a reason of its own
		if before.Waiting && (before.LeaseOver || !over) {
			return nil
		}
		q := *before
		q.Waiting, q.LeaseOver = true, before.LeaseOver || over
		return &q
	}
	switch {
	case c.deliveredWithoutLease():
		return nil // a client received it without a lease, and may use it until it expires
	case before.isHeldBack() && !e.known:
		return nil // Vault tells once more what it has told before
	}
	if e.byClockAlone || !over {
		// Vault never ends a lease whose answer was lost. So the certificate is revoked when the
		// last known lease would have ended, by a clock that is known to be right.
		return afterLeases(keeper.Account, c)
	}
	q := afterLastLease(keeper.Account, c, time.Time{})
	if p := keeper.Account.Revoking.Now(); q.Due && p.Until.After(keeper.Now()) {
		q.Next, q.LastError = p.Until, "not asked yet: "+p.Why
	}
	return q
}

// revokeAfterLastLease asks CERTInext for the revocation, or leaves that to the background pass
// when enough others are asking. Vault ends up to 200 leases at the same time, each in a worker of
// its own.
func (keeper *Keeper) revokeAfterLastLease(
	ctx context.Context, s logical.Storage, v *pendingRevocation,
) error {
	select {
	case keeper.leaseEnds <- struct{}{}:
		defer func() { <-keeper.leaseEnds }()
	default:
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, leaseEndTimeout)
	defer cancel()
	if settled, err := keeper.settleQueued(ctx, s, v); err != nil || settled {
		return err
	}
	_, err := keeper.attempt(ctx, s, v)
	return err
}

// settleQueued is settleLocally for a caller that does not hold the certificate's lock. What has
// become of certificate and revocation since goes into v.
func (keeper *Keeper) settleQueued(
	ctx context.Context, s logical.Storage, v *pendingRevocation,
) (settled bool, err error) {
	unlock, err := keeper.Lock(ctx, v.cert.Serial)
	if err != nil {
		return false, err
	}
	defer unlock()
	c, err := Read(ctx, s, v.cert.Serial)
	if err != nil || c == nil {
		return true, err
	}
	q, err := store.Get[Queued](ctx, s, RevocationPrefix+c.Serial)
	if err != nil || q == nil || !q.Due {
		return true, err
	}
	v.cert, v.q = c, q
	done, err := keeper.settleLocally(ctx, s, v)
	return done != nil, err
}

// deliveredWithoutLease reports whether one of the certificate's answers had no lease. The client
// that received it may use the certificate until it expires, so the end of other leases does not
// revoke it.
func (c *Entry) deliveredWithoutLease() bool { return c.Delivery != nil && c.Delivery.Unleased }

// SetLease enters a lease that ends at the given time by this server's clock, and by how much that
// is known to be behind.
func (keeper *Keeper) SetLease(c *Entry, id string, end time.Time) {
	if c.Leases == nil {
		c.Leases = make(map[string]time.Time)
	}
	c.Leases[id] = end
	maps.DeleteFunc(c.Behind, func(known string, _ time.Duration) bool {
		_, there := c.Leases[known]
		return !there || known == id
	})
	c.forgetDoubts()
	if behind := keeper.Account.Behind(); behind > 0 {
		if c.Behind == nil {
			c.Behind = make(map[string]time.Duration)
		}
		c.Behind[id] = behind
	}
}

// renewPatience is how long the renewal of a lease waits for CERTInext's clock.
const renewPatience = 3 * time.Second

// learnClockToRenew asks CERTInext for its clock once, in a process that has not seen it: a lease
// that is renewed by a clock that is behind would count as over when that is set right.
func learnClockToRenew(ctx context.Context, s logical.Storage, acct *account.Account) {
	ctx, cancel := context.WithTimeout(ctx, renewPatience)
	defer cancel()
	acct.ConfirmClock(ctx, s)
}

// leaseEnds returns when a lease ends by a clock that is right.
func (c *Entry) leaseEnds(id string) time.Time { return c.Leases[id].Add(c.Behind[id]) }

// Prune removes the leases that were over long before now.
func (c *Entry) Prune(now time.Time) {
	maps.DeleteFunc(c.Leases, func(id string, _ time.Time) bool {
		return c.leaseEnds(id).Add(LeaseMargin).Before(now)
	})
}

// LatestLease returns when the longest lease ends or has ended, and the zero time when there is
// none.
func (c *Entry) LatestLease() time.Time {
	var last time.Time
	for id := range c.Leases {
		if end := c.leaseEnds(id); end.After(last) {
			last = end
		}
	}
	return last
}

// leasesOver reports whether all leases on a certificate have certainly ended. A lease that Vault
// has not ended, and that is over only by a clock that is unknown or in doubt, may still run (ADR
// 0022).
func (keeper *Keeper) leasesOver(c *Entry) bool {
	if len(c.Leases) == 0 {
		return true
	}
	now, certain := keeper.Account.Time()
	return certain && c.LastLease(now).IsZero()
}

// LastLease returns when the longest of the leases that still run ends, and the zero time when none
// does.
func (c *Entry) LastLease(now time.Time) time.Time {
	if last := c.LatestLease(); last.After(now) {
		return last
	}
	return time.Time{}
}
