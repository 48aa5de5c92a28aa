// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"context"
	"fmt"
	"time"

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
func leaseFor(role *Role, wanted, remaining, mountMax time.Duration, now time.Time) (l Lease, warning string) {
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

// addLease counts one more lease on c, for roles that generate them, and puts it into the answer.
func (e *Engine) addLease(c *certEntry, a *attendance, issued *Issued) error {
	now := e.now()
	remaining := c.NotAfter.Sub(now)
	if !a.role.GenerateLease {
		if a.ttl > 0 {
			issued.Warnings = append(issued.Warnings, fmt.Sprintf(
				"ttl has no effect: CERTInext sets the certificate's end, %s, and the role generates no lease",
				c.NotAfter.UTC().Format(time.RFC3339)))
		}
		return nil
	}
	if remaining <= 0 {
		return nil
	}
	id, err := e.newID()
	if err != nil {
		return err
	}
	lease, warning := leaseFor(a.role, a.ttl, remaining, e.maxLeaseTTL(), now)
	lease.ID, lease.AnsweredAt = id, now
	if c.Leases == nil {
		c.Leases = make(map[string]time.Time)
	}
	c.Leases[id] = now.Add(lease.TTL)
	issued.Lease = &lease
	if warning != "" {
		issued.Warnings = append(issued.Warnings, warning)
	}
	return nil
}

func (e *Engine) maxLeaseTTL() time.Duration {
	if e.system == nil {
		return 0
	}
	return e.system().MaxLeaseTTL()
}

// RenewLease extends a lease by increment, or by the role's ttl when that is 0, and returns how long it now lives. A lease on
// a certificate that is revoked or expired cannot be renewed.
func (e *Engine) RenewLease(ctx context.Context, s logical.Storage, serial, leaseID string, increment time.Duration) (time.Duration, error) {
	unlock, err := e.certLocks.lock(ctx, serial)
	if err != nil {
		return 0, err
	}
	defer unlock()
	c, err := get[certEntry](ctx, s, certPrefix+serial)
	if err != nil {
		return 0, err
	}
	now := e.now()
	switch {
	case c == nil:
		return 0, &NotFoundError{Kind: "certificate", Name: serial}
	case c.Revocation != nil:
		return 0, badField("lease", "its certificate %s is revoked", c.view().Serial)
	case !c.NotAfter.After(now):
		return 0, badField("lease", "its certificate %s has expired", c.view().Serial)
	}
	role, err := e.Role(ctx, s, c.Role)
	if err != nil {
		return 0, err
	}
	if role == nil {
		role = NewRole(c.Role)
	}
	lease, _ := leaseFor(role, increment, c.NotAfter.Sub(now), 0, now)
	if c.Leases == nil {
		c.Leases = make(map[string]time.Time)
	}
	c.Leases[leaseID] = now.Add(lease.TTL)
	return lease.TTL, put(ctx, s, c.key(), c)
}

// ReleaseLease ends a lease. The last one to go revokes the certificate at CERTInext; what CERTInext cannot take now goes to
// the durable queue. An error means that storage failed: a lease never becomes irrevocable because of the CA.
func (e *Engine) ReleaseLease(ctx context.Context, s logical.Storage, serial, leaseID string) error {
	unlock, err := e.certLocks.lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := get[certEntry](ctx, s, certPrefix+serial)
	if err != nil || c == nil {
		return err // a certificate whose record is gone cannot be revoked by it
	}
	now := e.now()
	if c.Revocation != nil || !c.NotAfter.After(now) {
		return nil
	}
	if _, ok := c.Leases[leaseID]; !ok && c.Delivery == nil {
		return nil // it was taken back, and Vault could not delete what it had stored of it
	}
	delete(c.Leases, leaseID)
	queued, err := get[queuedRevocation](ctx, s, revocationPrefix+serial)
	if err != nil {
		return err
	}
	if queued != nil && queued.Due {
		return put(ctx, s, c.key(), c) // it is to be revoked already, for whatever reason was given
	}
	q := &queuedRevocation{Version: 1, Serial: serial, Reason: defaultReason, Note: "Vault lease ended", QueuedAt: now}
	if last := lastLease(c.Leases, now); !last.IsZero() {
		// A lease whose answer was lost is never released, so the certificate goes when the last one known
		// would have ended.
		q.Next = last
		if err := put(ctx, s, c.key(), c); err != nil {
			return err
		}
		return e.enqueue(ctx, s, q)
	}
	q.Due = true
	return e.endOfLastLease(ctx, s, c, q)
}

// JustAnswered reports whether an answer that was given then may still be on its way through Vault.
func (e *Engine) JustAnswered(at time.Time) bool { return e.now().Before(at.Add(2 * time.Minute)) }

// TakeBack undoes an answer that never left Vault, since its lease could not be stored. When nobody else has got the
// certificate, the next request like it does, and nothing is revoked.
func (e *Engine) TakeBack(ctx context.Context, s logical.Storage, serial, leaseID string) error {
	unlock, err := e.certLocks.lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := get[certEntry](ctx, s, certPrefix+serial)
	if err != nil || c == nil || c.Revocation != nil {
		return err
	}
	if _, ok := c.Leases[leaseID]; !ok {
		return nil
	}
	delete(c.Leases, leaseID)
	queued, err := get[queuedRevocation](ctx, s, revocationPrefix+serial)
	if err != nil {
		return err
	}
	alone := len(c.Leases) == 0 && queued == nil
	if alone {
		c.Delivery = nil
	}
	if err := put(context.WithoutCancel(ctx), s, c.key(), c); err != nil {
		return err
	}
	if alone {
		e.orders.unanswer(c.OrderID, e.now().Add(passDelay(0)))
	}
	return nil
}

// endOfLastLease revokes c, or leaves that to the background pass. Vault ends up to 200 leases at a time, each with a worker
// of its own, so only a few of them ask CERTInext and none does while it wants to be left alone.
func (e *Engine) endOfLastLease(ctx context.Context, s logical.Storage, c *certEntry, q *queuedRevocation) error {
	if p := e.guard.now(); p.until.After(q.QueuedAt) {
		q.Next, q.LastError = p.until, "not asked yet: "+p.why
		return e.enqueue(ctx, s, q)
	}
	select {
	case e.leaseEnds <- struct{}{}:
		defer func() { <-e.leaseEnds }()
	default:
		q.Next = q.QueuedAt
		return e.enqueue(ctx, s, q)
	}
	ctx, cancel := context.WithTimeout(ctx, leaseEndPatience)
	defer cancel()
	_, err := e.revokeOrQueue(ctx, s, c, q)
	return err
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
