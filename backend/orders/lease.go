// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/hashicorp/vault/sdk/logical"
)

// addLease adds a lease to c and to the answer if the role generates leases. It notes on the
// delivery when the answer has none. now is when handoverTo found the certificate fit to be
// handed over: a later reading of a clock that jumps could find it expired, and the answer would
// have no lease.
func (w *caller) addLease(c *certificates.Entry, issued *Issued, now time.Time) error {
	remaining := c.NotAfter.Sub(now)
	if !w.role.GenerateLease || remaining <= 0 {
		c.Delivery.Unleased = true
	}
	if !w.role.GenerateLease {
		if w.ttl > 0 {
			issued.Warnings = append(issued.Warnings, fmt.Sprintf(
				"ttl has no effect: CERTInext sets the certificate's end, %s, "+
					"and the role generates no lease",
				c.NotAfter.UTC().Format(time.RFC3339)))
		}
		return nil
	}
	if remaining <= 0 {
		return nil
	}
	id, err := w.journal.NewID()
	if err != nil {
		return err
	}
	lease, warning := certificates.LeaseFor(
		w.role, w.ttl, remaining, w.journal.Certificates.MaxLeaseTTL(), now)
	lease.ID, lease.AnsweredAt = id, now
	// Beside a new lease, those that are over are not needed.
	if _, certain := w.journal.Account.Time(); certain {
		c.Prune(now)
	}
	w.journal.Certificates.SetLease(c, id, now.Add(lease.TTL))
	issued.Lease = &lease
	w.journal.leases.add(id, w.journal.Steady())
	if warning != "" {
		issued.Warnings = append(issued.Warnings, warning)
	}
	return nil
}

// handBackPatience is how long after an answer Vault may hand back a lease that it could not store
// (ADR 0010).
const handBackPatience = 2 * time.Minute

// JustAnswered reports whether the answer with a lease, which was given at a time, may still be on
// its way through Vault: by our clock, or by what has passed in this process since, which no jump
// of the clock changes. While our clock is in doubt, every answer may.
func (journal *Journal) JustAnswered(lease string, at time.Time) bool {
	return journal.Now().Before(at.Add(handBackPatience)) ||
		journal.leases.isRecent(lease, journal.Steady()) || journal.Account.ClockInDoubt()
}

// recentLeases are the leases of this process's latest answers, by their ids, and when those were
// given, by [host.Options.Steady].
type recentLeases struct {
	mu    sync.Mutex
	given map[string]time.Time
	prune int // how many there may be before those that are too old are forgotten
}

// add remembers a lease that is about to be answered. Now and then it forgets those that are too
// old to be handed back.
func (r *recentLeases) add(id string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.given) >= r.prune {
		maps.DeleteFunc(r.given, func(_ string, at time.Time) bool {
			return now.Sub(at) >= handBackPatience
		})
		r.prune = max(64, 2*len(r.given))
	}
	if r.given == nil {
		r.given = make(map[string]time.Time)
	}
	r.given[id] = now
}

func (r *recentLeases) isRecent(id string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, known := r.given[id]
	return known && now.Sub(at) < handBackPatience
}

// TakeBack undoes an answer that never left Vault because Vault could not store its lease (ADR
// 0010). Nothing is revoked. When no other answer held the certificate, the next request like it
// gets the certificate. serial is the certificate's serial number with dashes. A certificate or
// lease that is not known, and a certificate that is revoked, are left alone without an error.
func (journal *Journal) TakeBack(
	ctx context.Context, s logical.Storage, serial, leaseID string,
) error {
	unlock, err := journal.Certificates.Lock(ctx, serial)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := certificates.Read(ctx, s, serial)
	if err != nil || c == nil || c.Revocation != nil {
		return err
	}
	if _, ok := c.Leases[leaseID]; !ok {
		return nil
	}
	queued, err := store.Get[certificates.Queued](ctx, s, certificates.RevocationPrefix+serial)
	if err != nil {
		return err
	}
	alone := len(c.Leases) == 1 && queued == nil && c.Delivery.Answers() < 2
	err = journal.Certificates.UndoAnswer(ctx, s, c, certificates.Undo{
		Lease: leaseID, Answers: c.Delivery.Answers(), TookOver: c.TakenOver == leaseID,
		Earlier:  !alone, // a lease of an earlier answer has ended
		Unleased: c.Delivery != nil && c.Delivery.Unleased,
		Delay:    c.RevocationDelay, Fingerprint: c.Fingerprint,
	})
	if alone { // whether or not it was stored: the next look goes by what storage has
		journal.registry.unmarkDelivered(c.OrderID, journal.Now().Add(host.PassDelay(0)))
		doubt(journal, c.Role, c.OrderID)
	}
	return err
}
