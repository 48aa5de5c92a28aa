// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
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

// leaseFor works out the lease of a certificate. wanted is the request's, 0 when it names none; mountMax is the longest
// that the mount grants. warning is not empty when the lease ends, and so revokes the certificate, before that expires: a client
// that asked for it knows, and one that never renews leases, such as a pkiCert template or Terraform, finds out too late.
func leaseFor(role *issuing.Role, wanted, remaining, mountMax time.Duration, now time.Time) (l Lease, warning string) {
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

// addLease counts one more lease on c, for roles that generate them, and puts it into the answer. now is when the certificate was found fit to be
// handed over: by a clock that jumps in between it may have expired, and nobody is to have it without a lease for that.
func (e *Engine) addLease(c *certEntry, w *caller, issued *Issued, now time.Time) error {
	remaining := c.NotAfter.Sub(now)
	if !w.role.GenerateLease || remaining <= 0 {
		c.Delivery.Unleased = true
	}
	if !w.role.GenerateLease {
		if w.ttl > 0 {
			issued.Warnings = append(issued.Warnings, fmt.Sprintf(
				"ttl has no effect: CERTInext sets the certificate's end, %s, and the role generates no lease",
				c.NotAfter.UTC().Format(time.RFC3339)))
		}
		return nil
	}
	if remaining <= 0 {
		return nil
	}
	id, err := e.NewID()
	if err != nil {
		return err
	}
	lease, warning := leaseFor(w.role, w.ttl, remaining, e.maxLeaseTTL(), now)
	lease.ID, lease.AnsweredAt = id, now
	if c.Leases == nil {
		c.Leases = make(map[string]time.Time)
	}
	if !e.Account.ClockInDoubt() { // those that are over say nothing beside one that lives
		maps.DeleteFunc(c.Leases, func(_ string, end time.Time) bool { return end.Add(leaseMargin).Before(now) })
	}
	c.Leases[id] = now.Add(lease.TTL)
	issued.Lease = &lease
	if warning != "" {
		issued.Warnings = append(issued.Warnings, warning)
	}
	return nil
}

func (e *Engine) maxLeaseTTL() time.Duration {
	if e.System == nil {
		return 0
	}
	return e.System().MaxLeaseTTL()
}

// RenewLease extends a lease by increment, or by the role's ttl when that is 0, and returns how long it now lives. A lease on
// a certificate that is revoked or expired cannot be renewed.
func (e *Engine) RenewLease(ctx context.Context, s logical.Storage, serial, leaseID string, increment time.Duration) (time.Duration, error) {
	unlock, err := e.lockCert(ctx, serial)
	if err != nil {
		return 0, err
	}
	defer unlock()
	c, err := readCert(ctx, s, serial)
	if err != nil {
		return 0, err
	}
	now := e.Now()
	switch {
	case c == nil:
		return 0, &fault.NotFoundError{Kind: "certificate", Name: serial}
	case c.Revocation != nil:
		return 0, fault.BadField("lease", "its certificate %s is revoked", c.view().Serial)
	case !c.NotAfter.After(now):
		return 0, fault.BadField("lease", "its certificate %s has expired", c.view().Serial)
	}
	due, err := e.revocationDue(ctx, s, serial)
	switch {
	case err != nil:
		return 0, err
	case due:
		return 0, fault.BadField("lease", "its certificate %s is to be revoked", c.view().Serial)
	}
	role, err := roles.Read(ctx, s, c.Role)
	if err != nil {
		return 0, err
	}
	if role == nil {
		role = issuing.NewRole(c.Role)
	}
	lease, _ := leaseFor(role, increment, c.NotAfter.Sub(now), 0, now)
	if c.Leases == nil {
		c.Leases = make(map[string]time.Time)
	}
	if end := now.Add(lease.TTL); end.After(c.Leases[leaseID]) { // Vault says when a lease that was cut short ends
		c.Leases[leaseID] = end
	}
	return lease.TTL, store.Put(ctx, s, c.key(), c)
}

// A LeaseEnd is a lease that Vault has ended.
type LeaseEnd struct {
	Serial string // of its certificate, with dashes
	ID     string
	// DueAt is when it was to end; zero when that is not known.
	DueAt time.Time
}

// ReleaseLease ends a lease. The last one to go revokes the certificate at CERTInext; what CERTInext cannot take now stays in
// the durable queue. An error means that storage failed: a lease never becomes irrevocable because of the CA.
func (e *Engine) ReleaseLease(ctx context.Context, s logical.Storage, l LeaseEnd) error {
	v, err := e.queueLeaseEnd(ctx, s, l)
	if err != nil || v == nil || v.q.Next.After(e.Now()) {
		return err
	}
	return e.endOfLastLease(ctx, s, v)
}

// queueLeaseEnd stores that a lease has ended, and queues the revocation that follows from it. It returns nil when CERTInext need not be asked
// now.
func (e *Engine) queueLeaseEnd(ctx context.Context, s logical.Storage, l LeaseEnd) (*revoking, error) {
	unlock, err := e.lockCert(ctx, l.Serial)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := readCert(ctx, s, l.Serial)
	if err != nil || c == nil {
		return nil, err // a certificate whose record is gone cannot be revoked by it
	}
	if c.Revocation != nil || e.expired(c) {
		return nil, nil
	}
	_, known := c.Leases[l.ID]
	if !known && c.Delivery == nil {
		return nil, nil // it was taken back, and Vault could not delete what it had stored of it
	}
	before, err := store.Get[queuedRevocation](ctx, s, revocationPrefix+l.Serial)
	if err != nil {
		return nil, err
	}
	_, seen := e.Account.ClockSkew()
	byClockAlone := (!seen || e.Account.ClockInDoubt()) && !l.DueAt.IsZero() && !e.Now().Before(l.DueAt)
	if !byClockAlone && known { // else it counts until a clock that can be believed says that it is over
		delete(c.Leases, l.ID)
		if err := store.Put(context.WithoutCancel(ctx), s, c.key(), c); err != nil {
			return nil, err
		}
	}
	now := e.Now()
	if before != nil && before.Due { // it is to be revoked already, for whatever reason was given
		over := !byClockAlone && e.leasesOver(c)
		if before.Waiting && (before.LeaseOver || !over) {
			return nil, nil
		}
		before.Waiting, before.LeaseOver = true, before.LeaseOver || over
		return nil, e.enqueue(ctx, s, before)
	}
	if c.heldWithoutLease() {
		return nil, nil // somebody has it for as long as it is valid
	}
	q := &queuedRevocation{Version: 1, Serial: l.Serial, Reason: defaultReason, Note: "Vault lease ended", QueuedAt: now}
	switch {
	case byClockAlone:
		return nil, e.enqueue(ctx, s, q) // looked at by every pass until the clock can be believed
	case !e.leasesOver(c):
		// A lease whose answer was lost is never released, so the certificate goes when the last one known
		// would have ended, by a clock that can be believed.
		if last := lastLease(c.Leases, now); !last.IsZero() {
			q.Next = last
		}
		return nil, e.enqueue(ctx, s, q)
	}
	q.Due, q.LeaseOver, q.Next = true, true, now
	if p := e.Account.Breaker.Now(); p.Until.After(now) {
		q.Next, q.LastError = p.Until, "not asked yet: "+p.Why
	}
	if err := e.enqueue(ctx, s, q); err != nil {
		return nil, err
	}
	v := &revoking{cert: c, q: q}
	if done, err := e.needless(ctx, s, v); err != nil || done != nil {
		return nil, err
	}
	return v, nil
}

// JustAnswered reports whether an answer that was given then may still be on its way through Vault.
// By a clock that is in doubt, nobody can tell that it is not.
func (e *Engine) JustAnswered(at time.Time) bool {
	return e.Now().Before(at.Add(2*time.Minute)) || e.Account.ClockInDoubt()
}

// TakeBack undoes an answer that never left Vault, since its lease could not be stored. When nobody else has got the
// certificate, the next request like it does, and nothing is revoked.
func (e *Engine) TakeBack(ctx context.Context, s logical.Storage, serial, leaseID string) error {
	unlock, err := e.lockCert(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := readCert(ctx, s, serial)
	if err != nil || c == nil || c.Revocation != nil {
		return err
	}
	if _, ok := c.Leases[leaseID]; !ok {
		return nil
	}
	delete(c.Leases, leaseID)
	queued, err := store.Get[queuedRevocation](ctx, s, revocationPrefix+serial)
	if err != nil {
		return err
	}
	alone := len(c.Leases) == 0 && queued == nil && c.Delivery.times() < 2
	if c.Delivery = c.Delivery.less(); !alone && c.Delivery == nil {
		c.Delivery = &delivery{At: e.Now(), Last: e.Now(), Times: 1} // a lease on it has ended before
	}
	err = store.Put(context.WithoutCancel(ctx), s, c.key(), c)
	if alone { // whether or not it was stored: whoever looks next goes by what storage has
		e.orders.unmarkHanded(c.OrderID, e.Now().Add(host.PassDelay(0)))
	}
	if err != nil {
		return err
	}
	if queued != nil && !queued.Due { // it waited for the end of the lease that is none
		if queued.Next = lastLease(c.Leases, e.Now()); queued.Next.IsZero() {
			queued.Next = e.Now()
		}
		return e.enqueue(ctx, s, queued)
	}
	return nil
}

// endOfLastLease asks CERTInext for the revocation, or leaves that to the background pass. Vault ends up to 200 leases at a time, each with a
// worker of its own, so only a few of them ask CERTInext.
func (e *Engine) endOfLastLease(ctx context.Context, s logical.Storage, v *revoking) error {
	select {
	case e.leaseEnds <- struct{}{}:
		defer func() { <-e.leaseEnds }()
	default:
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, leaseEndPatience)
	defer cancel()
	_, err := e.carryOut(ctx, s, v)
	return err
}

// heldWithoutLease reports whether an answer without a lease held the certificate: whoever got that one has it until it expires, and no
// lease's end takes it away.
func (c *certEntry) heldWithoutLease() bool { return c.Delivery != nil && c.Delivery.Unleased }

// latestLease returns the end of the longest lease, whether that is over or not, and zero when there is none.
func latestLease(leases map[string]time.Time) time.Time {
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
func (e *Engine) leasesOver(c *certEntry) bool {
	if len(c.Leases) == 0 {
		return true
	}
	_, known := e.Account.ClockSkew()
	return known && !e.Account.ClockInDoubt() && lastLease(c.Leases, e.Now()).IsZero()
}

// lastLease returns the end of the longest lease that has not ended, and zero when there is none.
func lastLease(leases map[string]time.Time, now time.Time) time.Time {
	var last time.Time
	for _, end := range leases {
		if end.After(now) && end.After(last) {
			last = end
		}
	}
	return last
}
