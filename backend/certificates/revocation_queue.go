// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// RevocationPrefix is where the revocations are stored that CERTInext has not taken yet, by serial number.
const RevocationPrefix = "revocation/"

// Queued is a stored revocation that CERTInext has not taken yet.
type Queued struct {
	Version   int              `json:"version"`
	Serial    string           `json:"serial"`
	Reason    certinext.Reason `json:"reason"`
	Note      string           `json:"note,omitempty"`
	QueuedAt  time.Time        `json:"queued_at"`
	Due       bool             `json:"due"` // false: only when no lease is left at Next
	Attempts  int              `json:"attempts,omitempty"`
	Next      time.Time        `json:"next"`
	LastError string           `json:"last_error,omitempty"`
	// SentAt is when CERTInext last answered that it has revoked the certificate, which its order does not show yet.
	SentAt time.Time `json:"sent_at,omitzero"`
	// Asked is set when somebody asked for it, and not the end of a lease.
	Asked bool `json:"asked,omitempty"`
	// Askers is how many have asked and not been refused. LeaseOver is set when it follows from the end of the last lease, or from nobody having
	// fetched the certificate, too: a refusal of those who asked leaves that.
	Askers    int  `json:"askers,omitempty"`
	LeaseOver bool `json:"lease_over,omitempty"`
	// Waiting is set when one lease has ended, and the certificate goes with the last one.
	Waiting bool `json:"waiting,omitempty"`
	// Held is set while a certificate that this one has replaced is in use: CERTInext would revoke both.
	Held bool `json:"held,omitempty"`

	asked bool // somebody waits for the answer
}

// A QueuedRevocation is a revocation that waits for CERTInext, or for the last lease on its certificate.
type QueuedRevocation struct {
	Serial    string // colon-separated hexadecimal
	Described bool   // the rest is set
	Reason    certinext.Reason
	QueuedAt  time.Time
	Attempts  int       // that failed because of this certificate, as far as can be told
	Next      time.Time // when CERTInext is asked next
	LastError string
}

// maxDescribed is how many queued revocations are described at once; each costs a read.
const maxDescribed = 1000

// Queue lists the queued revocations by serial number. Of those beyond the first thousand, nothing but the serial
// number is told.
func (keeper *Keeper) Queue(ctx context.Context, s logical.Storage) ([]QueuedRevocation, error) {
	serials, err := store.List(ctx, s, RevocationPrefix)
	if err != nil {
		return nil, err
	}
	out := make([]QueuedRevocation, len(serials))
	for i, serial := range serials {
		out[i].Serial = strings.ReplaceAll(serial, "-", ":")
		if i >= maxDescribed {
			continue
		}
		q, err := store.Get[Queued](ctx, s, RevocationPrefix+serial)
		if err != nil {
			return nil, err
		}
		if q != nil {
			out[i].Described, out[i].Reason, out[i].QueuedAt = true, q.Reason, q.QueuedAt
			out[i].Attempts, out[i].Next, out[i].LastError = q.Attempts, q.Next, q.LastError
		}
	}
	return out, nil
}

// Enqueue stores a revocation. The caller holds the certificate's lock.
func (keeper *Keeper) Enqueue(ctx context.Context, s logical.Storage, q *Queued) error {
	return store.Put(context.WithoutCancel(ctx), s, RevocationPrefix+q.Serial, q)
}

func (keeper *Keeper) dequeue(ctx context.Context, s logical.Storage, serial string) error {
	return store.Delete(context.WithoutCancel(ctx), s, RevocationPrefix+serial)
}

// longestRefusal is how long a revocation that CERTInext refuses waits for its next turn. It waits on, since CERTInext may
// think otherwise one day and nobody else remembers it, until the certificate has expired.
const longestRefusal = 24 * time.Hour

// failed puts off a revocation that CERTInext did not take. Only what is held against it makes it wait ever longer.
func (q *Queued) failed(err error, against bool, now time.Time, p account.Pause) {
	q.LastError = sanitize.Short(err.Error())
	if !against {
		q.Next = now.Add(max(host.PassDelay(0), account.Hint(err), p.Until.Sub(now)))
		return
	}
	q.Attempts++
	delay := host.PassDelay(q.Attempts)
	if refusedForGood(err) {
		delay = host.Backoff(q.Attempts, longestRefusal)
	}
	q.Next = now.Add(max(delay, account.Hint(err)))
}

// join adds one more cause to a queued revocation, or makes it the first one. Whoever asks has the word on the reason.
func (q *Queued) join(before *Queued) {
	if before == nil {
		return
	}
	if q.Waiting = before.Waiting || !before.Due; !before.Due {
		return
	}
	q.Askers += before.Askers
	q.LeaseOver = q.LeaseOver || before.LeaseOver || !before.Asked
	q.SentAt, q.Attempts, q.Held = before.SentAt, before.Attempts, before.Held && !q.Asked
	if before.Asked && !q.Asked {
		q.Asked, q.Reason, q.Note, q.QueuedAt = true, before.Reason, before.Note, before.QueuedAt
	}
}

// ripe reports whether the revocation has its turn. A turn that is further away than any failure puts it was set by a clock that has been set
// right since.
func (q *Queued) ripe(now time.Time) bool {
	return !q.Next.After(now) || q.Due && q.Next.After(now.Add(longestRefusal+account.LongestHint))
}

// passReads is how many queued revocations one pass looks at, to find those whose time has come.
const passReads = 2000

// Due lists the work on queued revocations whose time has come: on no more than limit of them, each of which may take as long as
// patience. It begins behind where the last pass ended, so that many
// that have to wait never keep the others from their turn.
func (keeper *Keeper) Due(ctx context.Context, s logical.Storage, limit int, patience time.Duration) ([]host.Job, error) {
	serials, err := store.List(ctx, s, RevocationPrefix)
	if err != nil {
		return nil, err
	}
	slices.Sort(serials)
	behind, _ := slices.BinarySearch(serials, keeper.cursor+"\x00")
	serials = slices.Concat(serials[behind:], serials[:behind])
	var (
		jobs []host.Job
		errs []error
	)
	for _, serial := range serials[:min(passReads, len(serials))] {
		if len(jobs) == limit || ctx.Err() != nil {
			break
		}
		q, err := store.Get[Queued](ctx, s, RevocationPrefix+serial)
		if err != nil {
			errs = append(errs, err)
		}
		if q != nil && q.ripe(keeper.Now()) {
			jobs = append(jobs, func(ctx context.Context) error { return keeper.drainQueued(ctx, s, serial, patience) })
		}
		keeper.cursor = serial
	}
	return jobs, errors.Join(errs...)
}

// drainQueued tries one queued revocation again, if its time has come.
func (keeper *Keeper) drainQueued(ctx context.Context, s logical.Storage, serial string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	v, err := keeper.dueRevocation(ctx, s, serial)
	if errors.Is(err, account.ErrClockUnknown) {
		keeper.Account.LearnClock(ctx, s)
		v, err = keeper.dueRevocation(ctx, s, serial)
	}
	if errors.Is(err, account.ErrClockUnknown) {
		return nil // CERTInext has not answered; the next pass asks again
	}
	if err != nil || v == nil {
		return err
	}
	_, err = keeper.carryOut(ctx, s, v)
	return err
}

// dueRevocation returns a queued revocation that CERTInext has to be asked for now; nil when there is nothing to ask.
func (keeper *Keeper) dueRevocation(ctx context.Context, s logical.Storage, serial string) (*revoking, error) {
	unlock, err := keeper.Lock(ctx, serial)
	if err != nil {
		return nil, err
	}
	defer unlock()
	q, err := store.Get[Queued](ctx, s, RevocationPrefix+serial)
	if err != nil || q == nil || !q.ripe(keeper.Now()) {
		return nil, err
	}
	c, err := Read(ctx, s, serial)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, keeper.dequeue(ctx, s, serial)
	}
	due := q.Due
	if !due {
		if _, known := keeper.Account.ClockSkew(); !known {
			return nil, account.ErrClockUnknown
		}
		if keeper.Account.ClockInDoubt() {
			return nil, nil // it is only the clock that says that the last lease is over
		}
		if last := LastLease(c.Leases, keeper.Now()); !last.IsZero() {
			q.Next = last // renewed meanwhile
			return nil, keeper.Enqueue(ctx, s, q)
		}
		if c.heldWithoutLease() {
			return nil, keeper.dequeue(ctx, s, serial) // somebody has it for as long as it is valid
		}
		q.Due, q.LeaseOver = true, true
	}
	v := &revoking{cert: c, q: q}
	if done, err := keeper.needless(ctx, s, v); err != nil || done != nil {
		return nil, err
	}
	if due {
		return v, nil
	}
	return v, keeper.Enqueue(ctx, s, q) // from now on, nobody is handed the certificate
}

// putOff stores that CERTInext did not take a revocation, in the entry as it is by now: somebody may have asked for it meanwhile. The caller
// holds the certificate's lock.
func (keeper *Keeper) putOff(ctx context.Context, s logical.Storage, tried *Queued) error {
	q, err := store.Get[Queued](ctx, s, RevocationPrefix+tried.Serial)
	if err != nil || q == nil {
		return err
	}
	q.Attempts, q.Next, q.LastError, q.SentAt = tried.Attempts, tried.Next, tried.LastError, tried.SentAt
	return keeper.Enqueue(ctx, s, q)
}

// withdrawAsker takes back what one asker has queued, who was refused. What follows from a lease, or was asked for by others, stays. The caller
// holds the certificate's lock.
func (keeper *Keeper) withdrawAsker(ctx context.Context, s logical.Storage, c *Entry) error {
	q, err := store.Get[Queued](ctx, s, RevocationPrefix+c.Serial)
	if err != nil || q == nil {
		return err
	}
	if q.Askers--; q.Askers > 0 {
		return keeper.Enqueue(ctx, s, q)
	}
	now := keeper.Now()
	last := LastLease(c.Leases, now)
	switch {
	case q.LeaseOver, q.Waiting && keeper.leasesOver(c):
		q.LeaseOver = true
		q.Reason, q.Note, q.Next = DefaultReason, "Vault lease ended", now.Add(host.PassDelay(0))
	case q.Waiting:
		q.Reason, q.Note, q.Due, q.Next = DefaultReason, "Vault lease ended", false, last
	default:
		return keeper.dequeue(ctx, s, c.Serial)
	}
	q.Asked, q.Askers, q.Attempts, q.LastError = false, 0, 0, ""
	return keeper.Enqueue(ctx, s, q)
}

// RevocationDue reports whether a certificate is to be revoked whatever its leases: by its own serial number, or with its order, by that of a
// certificate which reissues it.
func (keeper *Keeper) RevocationDue(ctx context.Context, s logical.Storage, c *Entry) (bool, error) {
	for depth := range maxReissues {
		q, err := store.Get[Queued](ctx, s, RevocationPrefix+c.Serial)
		if err != nil || q != nil && q.Due && (depth == 0 || !q.Held) {
			return err == nil, err
		}
		newer := c.ReissuedAs
		reissue, err := keeper.Origin.ReissueOf(ctx, s, c)
		switch {
		case err != nil:
			return false, err
		case reissue != nil:
			newer = reissue.Serial
		}
		if newer == "" || newer == c.Serial {
			return false, nil
		}
		if c, err = Read(ctx, s, newer); err != nil || c == nil {
			return false, err
		}
	}
	return false, nil
}

// maxReissues is how many certificates of one order are looked through, newest last.
const maxReissues = 100
