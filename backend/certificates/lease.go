// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/roles"
	"github.com/hashicorp/vault/sdk/logical"
)

// A Lease ties a certificate to Vault's lease of the answer that held it: the lease's end revokes the certificate.
type Lease struct {
	ID         string // tells the leases of one certificate apart
	AnsweredAt time.Time
	TTL        time.Duration
	MaxTTL     time.Duration // by renewal; never beyond the certificate's own end
}

// LeaseFor works out the lease of a certificate. wanted is the request's, 0 when it names none; mountMax is the longest
// that the mount grants. warning is not empty when the lease ends, and so revokes the certificate, before that expires: a client
// that asked for it knows, and one that never renews leases, such as a pkiCert template or Terraform, finds out too late.
func LeaseFor(role *issuing.Role, wanted, remaining, mountMax time.Duration, now time.Time) (l Lease, warning string) {
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
	if mountMax > 0 && mountMax < l.MaxTTL {
		warning = fmt.Sprintf(
			"this mount ends leases after %s at the latest, so the certificate will be revoked at %s, before it expires at %s; "+
				"to change that: vault secrets tune -max-lease-ttl=%dh <mount>, or use a role with generate_lease=false",
			mountMax, now.Add(mountMax).UTC().Format(time.RFC3339), now.Add(remaining).UTC().Format(time.RFC3339),
			int(remaining/time.Hour)+1)
		l.MaxTTL = mountMax
	}
	if l.TTL = min(l.TTL, l.MaxTTL); warning == "" && l.TTL < remaining {
		warning = fmt.Sprintf(
			"the certificate will be revoked at %s, when its lease ends, unless the lease is renewed: it expires at %s. "+
				"Clients that never renew leases, such as pkiCert templates and Terraform, want a role with generate_lease=false",
			now.Add(l.TTL).UTC().Format(time.RFC3339), now.Add(remaining).UTC().Format(time.RFC3339))
	}
	return l, warning
}

// MaxLeaseTTL is the longest lease that the mount grants; 0 when that is not known.
func (keeper *Keeper) MaxLeaseTTL() time.Duration {
	if keeper.System == nil {
		return 0
	}
	return keeper.System().MaxLeaseTTL()
}

// RenewLease extends a lease by increment, or by the role's ttl when that is 0, and returns how long it now lives. A lease on
// a certificate that is revoked or expired cannot be renewed.
func (keeper *Keeper) RenewLease(ctx context.Context, s logical.Storage, serial, leaseID string, increment time.Duration) (time.Duration, error) {
	unlock, err := keeper.Lock(ctx, serial)
	if err != nil {
		return 0, err
	}
	defer unlock()
	c, err := Read(ctx, s, serial)
	if err != nil {
		return 0, err
	}
	now := keeper.Now()
	switch {
	case c == nil:
		return 0, &fault.NotFoundError{Kind: "certificate", Name: serial}
	case c.Revocation != nil:
		return 0, fault.BadField("lease", "its certificate %s is revoked", c.View().Serial)
	case !c.NotAfter.After(now):
		return 0, fault.BadField("lease", "its certificate %s has expired", c.View().Serial)
	}
	due, err := keeper.RevocationDue(ctx, s, c)
	switch {
	case err != nil:
		return 0, err
	case due:
		return 0, fault.BadField("lease", "its certificate %s is to be revoked", c.View().Serial)
	}
	role, err := roles.Read(ctx, s, c.Role)
	if err != nil {
		return 0, err
	}
	if role == nil {
		role = issuing.NewRole(c.Role)
	}
	lease, _ := LeaseFor(role, increment, c.NotAfter.Sub(now), 0, now)
	if c.Leases == nil {
		c.Leases = make(map[string]time.Time)
	}
	if end := now.Add(lease.TTL); end.After(c.Leases[leaseID]) { // Vault says when a lease that was cut short ends
		c.Leases[leaseID] = end
	}
	return lease.TTL, store.Put(ctx, s, c.Key(), c)
}

// A LeaseEnd is a lease that Vault has ended.
type LeaseEnd struct {
	Serial string // of its certificate, with dashes
	ID     string
}

// ReleaseLease ends a lease. The last one to go revokes the certificate at CERTInext; what CERTInext cannot take now stays in
// the durable queue. An error means that storage failed: a lease never becomes irrevocable because of the CA.
func (keeper *Keeper) ReleaseLease(ctx context.Context, s logical.Storage, l LeaseEnd) error {
	v, err := keeper.queueLeaseEnd(ctx, s, l)
	if err != nil || v == nil || v.q.Next.After(keeper.Now()) {
		return err
	}
	return keeper.endOfLastLease(ctx, s, v)
}

// queueLeaseEnd stores that a lease has ended, and queues the revocation that follows from it. It returns nil when CERTInext need not be asked
// now.
func (keeper *Keeper) queueLeaseEnd(ctx context.Context, s logical.Storage, l LeaseEnd) (*revoking, error) {
	unlock, err := keeper.Lock(ctx, l.Serial)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := Read(ctx, s, l.Serial)
	if err != nil || c == nil {
		return nil, err // a certificate whose record is gone cannot be revoked by it
	}
	if c.Revocation != nil || keeper.expired(c) {
		return nil, nil
	}
	due, known := c.Leases[l.ID]
	if !known && c.Delivery == nil {
		return nil, nil // it was taken back, and Vault could not delete what it had stored of it
	}
	before, err := store.Get[Queued](ctx, s, RevocationPrefix+l.Serial)
	if err != nil {
		return nil, err
	}
	_, seen := keeper.Account.ClockSkew()
	byClockAlone := known && (!seen || keeper.Account.ClockInDoubt()) && !keeper.Now().Before(due)
	if !byClockAlone && known { // else it counts until a clock that can be believed says that it is over
		delete(c.Leases, l.ID)
		if err := store.Put(context.WithoutCancel(ctx), s, c.Key(), c); err != nil {
			return nil, err
		}
	}
	now := keeper.Now()
	if before != nil && before.Due { // it is to be revoked already, for whatever reason was given
		over := !byClockAlone && keeper.leasesOver(c)
		if before.Waiting && (before.LeaseOver || !over) {
			return nil, nil
		}
		before.Waiting, before.LeaseOver = true, before.LeaseOver || over
		return nil, keeper.Enqueue(ctx, s, before)
	}
	if c.heldWithoutLease() {
		return nil, nil // somebody has it for as long as it is valid
	}
	q := &Queued{Version: 1, Serial: l.Serial, Reason: DefaultReason, Note: "Vault lease ended", QueuedAt: now}
	switch {
	case byClockAlone:
		return nil, keeper.Enqueue(ctx, s, q) // looked at by every pass until the clock can be believed
	case !keeper.leasesOver(c):
		// A lease whose answer was lost is never released, so the certificate goes when the last one known
		// would have ended, by a clock that can be believed.
		if last := LastLease(c.Leases, now); !last.IsZero() {
			q.Next = last
		}
		return nil, keeper.Enqueue(ctx, s, q)
	}
	q.Due, q.LeaseOver, q.Next = true, true, now
	if p := keeper.Account.Breaker.Now(); p.Until.After(now) {
		q.Next, q.LastError = p.Until, "not asked yet: "+p.Why
	}
	if err := keeper.Enqueue(ctx, s, q); err != nil {
		return nil, err
	}
	v := &revoking{cert: c, q: q}
	if done, err := keeper.needless(ctx, s, v); err != nil || done != nil {
		return nil, err
	}
	return v, nil
}

// endOfLastLease asks CERTInext for the revocation, or leaves that to the background pass. Vault ends up to 200 leases at a time, each with a
// worker of its own, so only a few of them ask CERTInext.
func (keeper *Keeper) endOfLastLease(ctx context.Context, s logical.Storage, v *revoking) error {
	select {
	case keeper.leaseEnds <- struct{}{}:
		defer func() { <-keeper.leaseEnds }()
	default:
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, leaseEndPatience)
	defer cancel()
	_, err := keeper.carryOut(ctx, s, v)
	return err
}

// heldWithoutLease reports whether an answer without a lease held the certificate: whoever got that one has it until it expires, and no
// lease's end takes it away.
func (c *Entry) heldWithoutLease() bool { return c.Delivery != nil && c.Delivery.Unleased }

// LatestLease returns the end of the longest lease, whether that is over or not, and zero when there is none.
func LatestLease(leases map[string]time.Time) time.Time {
	var last time.Time
	for _, end := range leases {
		if end.After(last) {
			last = end
		}
	}
	return last
}

// leasesOver reports whether no lease on a certificate lives, for certain: one that was not released, and that only a clock in doubt has ended,
// may live.
func (keeper *Keeper) leasesOver(c *Entry) bool {
	if len(c.Leases) == 0 {
		return true
	}
	_, known := keeper.Account.ClockSkew()
	return known && !keeper.Account.ClockInDoubt() && LastLease(c.Leases, keeper.Now()).IsZero()
}

// LastLease returns the end of the longest lease that has not ended, and zero when there is none.
func LastLease(leases map[string]time.Time, now time.Time) time.Time {
	var last time.Time
	for _, end := range leases {
		if end.After(now) && end.After(last) {
			last = end
		}
	}
	return last
}
