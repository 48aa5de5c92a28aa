// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/store"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/logical"
)

// RevocationPrefix is the storage prefix of the queued revocations, followed by the serial number
// of the certificate (with dashes).
const RevocationPrefix = "revocation/"

// leaseEndedNote is the note of a revocation that follows from the end of the last lease.
const leaseEndedNote = "Vault lease ended"

// Queued is the entry of a revocation that CERTInext has not confirmed yet. A revocation stays
// queued until its order's status shows it (ADR 0021).
type Queued struct {
	Version  int              `json:"version"`
	Serial   string           `json:"serial"`
	Reason   certinext.Reason `json:"reason"`
	Note     string           `json:"note,omitempty"`
	QueuedAt time.Time        `json:"queued_at"`
	// Due is set when the certificate is to be revoked at any rate. Otherwise it is revoked only if
	// no lease is left at Next.
	Due bool `json:"due"`
	// Attempts counts the failures that were the certificate's own fault: see
	// [account.Account.Observe].
	Attempts  int       `json:"attempts,omitempty"`
	Next      time.Time `json:"next"` // when the background pass looks at it next
	LastError string    `json:"last_error,omitempty"`
	// SentAt is when CERTInext last answered that it has revoked the certificate, while its order's
	// status does not show that yet; zero when it has not.
	SentAt time.Time `json:"sent_at,omitzero"`
	// ByRequest is set when a client requested the revocation, and not set when it follows only
	// from the end of a lease.
	ByRequest bool `json:"asked,omitempty"`
	// Requests is the number of requests for this revocation that were not refused.
	Requests int `json:"askers,omitempty"`
	// LeaseOver is set when the revocation also follows from the end of the last lease, or from no
	// client having received the certificate. When all requests are refused, that reason remains.
	LeaseOver bool `json:"lease_over,omitempty"`
	// Waiting is set when a lease has ended, so that the end of the last one is to revoke the
	// certificate.
	Waiting bool `json:"waiting,omitempty"`
	// Held is set while a certificate that this one has replaced is in use: CERTInext would revoke
	// both (ADR 0013).
	Held bool `json:"held,omitempty"`
	// HeldUntil is until when the role's revocation_delay holds back a revocation that is not due;
	// zero when it does not.
	HeldUntil time.Time `json:"held_until,omitzero"`
	// Unchecked is set while the times of a revocation that is not due are those of a clock that
	// was not compared with CERTInext's yet.
	Unchecked bool `json:"unchecked,omitempty"`

	interactive bool // a client waits for CERTInext's answer
}

// A QueuedRevocation describes a revocation that waits for CERTInext, or for the end of the last
// lease on its certificate.
type QueuedRevocation struct {
	Serial    string // colon-separated hexadecimal
	Described bool   // the fields below are set
	Reason    certinext.Reason
	QueuedAt  time.Time
	Attempts  int       // failures that were this certificate's own fault
	Next      time.Time // when CERTInext is asked next
	HeldUntil time.Time // see [Certificate.RevocationHeldUntil]
	LastError string
	Note      string

	// What the certificate's entry says; empty when there is none.
	Account   string // in which it was ordered, as [account.Config.Account] returns it
	CAOrderID string
	Role      string
	OrderID   string
	// Blocked is why the revocation cannot be tried; empty when it can be.
	Blocked string
}

// maxDescribed is how many queued revocations Queue describes; each costs two reads.
const maxDescribed = 1000

// Queue returns the queued revocations, in the order of storage. Those beyond the first thousand
// have nothing but the serial number.
func (keeper *Keeper) Queue(ctx context.Context, s logical.Storage) ([]QueuedRevocation, error) {
	serials, err := store.List(ctx, s, RevocationPrefix)
	if err != nil {
		return nil, err
	}
	blocked, err := keeper.newBlockade(ctx, s)
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
		if q == nil {
			continue
		}
		out[i] = q.view(serial)
		if err := blocked.describe(ctx, s, serial, &out[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Enqueue stores a revocation in the queue, even when ctx is cancelled. It replaces the
// certificate's earlier entry. The caller holds the certificate's lock.
func (keeper *Keeper) Enqueue(ctx context.Context, s logical.Storage, q *Queued) error {
	return store.Put(context.WithoutCancel(ctx), s, RevocationPrefix+q.Serial, q)
}

// dequeue removes a revocation from the queue, even when ctx is cancelled. The caller holds the
// certificate's lock.
func (keeper *Keeper) dequeue(ctx context.Context, s logical.Storage, serial string) error {
	return store.Delete(context.WithoutCancel(ctx), s, RevocationPrefix+serial)
}

// longestRefusalDelay is the longest wait between two attempts of a revocation that CERTInext
// refuses. It is tried until the certificate has expired: CERTInext may accept it one day, and the
// queue is the only place that remembers it.
const longestRefusalDelay = 24 * time.Hour

// recordFailure sets when to try again after a failed attempt. Only failures that are the
// certificate's own fault count as attempts and make the next wait longer.
func (q *Queued) recordFailure(ca caAnswer, now time.Time) {
	q.LastError = sanitize.Short(ca.err.Error())
	hint := account.Hint(ca.err)
	if !ca.ownFault {
		q.Next = now.Add(max(host.PassDelay(0), hint, ca.pause.Until.Sub(now)))
		return
	}
	q.Attempts++
	delay := host.PassDelay(q.Attempts)
	if fault.IsPermanent(ca.err) {
		delay = host.Backoff(q.Attempts, longestRefusalDelay)
	}
	q.Next = now.Add(max(delay, hint))
}

// merge takes over what an already queued revocation of the same certificate knows; before is nil
// when there is none. The reason of a requested revocation takes precedence over that of a lease's
// end.
func (q *Queued) merge(before *Queued) {
	if before == nil {
		return
	}
	q.Waiting = before.Waiting || !before.Due
	q.HeldUntil, q.Unchecked = before.HeldUntil, before.Unchecked
	if !before.Due {
		return
	}
	q.Requests += before.Requests
	q.LeaseOver = q.LeaseOver || before.LeaseOver || !before.ByRequest
	q.SentAt = before.SentAt
	q.Attempts = before.Attempts
	q.Held = before.Held && !q.ByRequest
	if before.ByRequest && !q.ByRequest {
		q.ByRequest = true
		q.Reason = before.Reason
		q.Note = before.Note
		q.QueuedAt = before.QueuedAt
	}
}

// isDue reports whether it is time for the next attempt. A time that is further away than any
// failure could have set it was set by a clock that was ahead and has been corrected since, and one
// that was never compared says nothing. What waits for a lease, or is held back, does so by
// [account.Account.Corrected].
func (q *Queued) isDue(acct *account.Account) bool {
	if !q.Due {
		now := acct.Corrected()
		return !q.Next.After(now) || q.Unchecked || (q.isHeldBack() && q.QueuedAt.After(now))
	}
	now := acct.Now()
	return !q.Next.After(now) || q.Next.After(now.Add(longestRefusalDelay+account.LongestHint))
}

// maxPassReads is how many queued revocations one pass reads to find those that are due.
const maxPassReads = 2000

// Due returns jobs for queued revocations whose time has come: those that CERTInext has yet to
// take, and those of which only the order's status has to be seen. Each list has at most limit
// jobs; each job ends after patience. It begins behind the revocation at which its last call ended,
// so that many revocations that have to wait never keep the others from being tried. Only the
// background pass calls it.
func (keeper *Keeper) Due(
	ctx context.Context, s logical.Storage, limit int, patience time.Duration,
) (unsent, unseen []host.Job, err error) {
	serials, err := store.List(ctx, s, RevocationPrefix)
	if err != nil {
		return nil, nil, err
	}
	keeper.queue.keep(serials)
	slices.Sort(serials)
	behind, _ := slices.BinarySearch(serials, keeper.cursor+"\x00")
	serials = slices.Concat(serials[behind:], serials[:behind])
	var errs []error
	for _, serial := range serials[:min(maxPassReads, len(serials))] {
		if len(unsent) == limit || ctx.Err() != nil {
			break
		}
		q, err := store.Get[Queued](ctx, s, RevocationPrefix+serial)
		if err != nil {
			errs = append(errs, err)
		}
		keeper.cursor = serial
		if err == nil {
			keeper.queue.note(serial, q)
		}
		if q == nil || !q.isDue(keeper.Account) {
			continue
		}
		job := func(ctx context.Context) error {
			return keeper.retryQueued(ctx, s, serial, patience)
		}
		switch {
		case q.SentAt.IsZero():
			unsent = append(unsent, job)
		case len(unseen) < limit:
			unseen = append(unseen, job)
		}
	}
	return unsent, unseen, errors.Join(errs...)
}

// retryQueued makes the next attempt of a queued revocation, if it is due. While this server's
// clock cannot be compared with CERTInext's, a revocation that only time makes due waits for the
// next pass.
func (keeper *Keeper) retryQueued(
	ctx context.Context, s logical.Storage, serial string, patience time.Duration,
) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	v, err := keeper.takeDue(ctx, s, serial)
	if errors.Is(err, account.ErrClockUnknown) {
		keeper.Account.LearnClock(ctx, s)
		v, err = keeper.takeDue(ctx, s, serial)
	}
	if errors.Is(err, account.ErrClockUnknown) {
		return nil // CERTInext has not answered; the next pass asks again
	}
	if err != nil || v == nil {
		return err
	}
	_, err = keeper.attempt(ctx, s, v)
	return err
}

// takeDue returns the queued revocation of a certificate if CERTInext is to be asked for it now,
// and nil otherwise. On the way it settles what can be decided without CERTInext, and stores that
// in the queue. The error is [account.ErrClockUnknown] when CERTInext's clock has to be learned
// first.
func (keeper *Keeper) takeDue(
	ctx context.Context, s logical.Storage, serial string,
) (*pendingRevocation, error) {
	unlock, err := keeper.Lock(ctx, serial)
	if err != nil {
		return nil, err
	}
	defer unlock()
	q, err := store.Get[Queued](ctx, s, RevocationPrefix+serial)
	if err != nil || q == nil || !q.isDue(keeper.Account) {
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
		if _, certain := keeper.Account.Time(); !certain {
			return nil, nil // only the clock says that the last lease is over, and it may be wrong
		}
		now := keeper.Account.Corrected()
		if last := c.LastLease(now); !last.IsZero() { // renewed, or taken over, meanwhile
			q.QueuedAt, q.Unchecked = host.Earlier(q.QueuedAt, now), false
			c.awaitLeases(q, now)
			return nil, keeper.enqueue(ctx, s, c, q)
		}
		if c.deliveredWithoutLease() {
			return nil, keeper.leaveQueue(ctx, s, c) // a client may use it until it expires
		}
		if c.holdBack(q, now) {
			return nil, keeper.enqueue(ctx, s, c, q)
		}
		q.Due, q.LeaseOver, q.HeldUntil = true, true, time.Time{}
	}
	v := &pendingRevocation{cert: c, q: q}
	if done, err := keeper.settleLocally(ctx, s, v); err != nil || done != nil {
		return nil, err
	}
	if due {
		return v, nil
	}
	return v, keeper.Enqueue(ctx, s, q) // from now on, no client receives the certificate
}

// postpone stores the outcome of a failed attempt in the present entry, to which a request may have
// been added since the attempt began. The caller holds the certificate's lock.
func (keeper *Keeper) postpone(ctx context.Context, s logical.Storage, tried *Queued) error {
	q, err := store.Get[Queued](ctx, s, RevocationPrefix+tried.Serial)
	if err != nil || q == nil {
		return err
	}
	q.Attempts = tried.Attempts
	q.Next = tried.Next
	q.LastError = tried.LastError
	q.SentAt = tried.SentAt
	return keeper.Enqueue(ctx, s, q)
}

// withdrawRequest takes back one request for a revocation, which was refused. The revocation stays
// queued when others have requested it, or when it also follows from a lease. The caller holds the
// certificate's lock.
func (keeper *Keeper) withdrawRequest(ctx context.Context, s logical.Storage, c *Entry) error {
	q, err := store.Get[Queued](ctx, s, RevocationPrefix+c.Serial)
	if err != nil || q == nil {
		return err
	}
	q.Requests--
	if q.Requests > 0 {
		return keeper.Enqueue(ctx, s, q)
	}
	now := keeper.Now()
	last := c.LastLease(now)
	switch {
	case !q.HeldUntil.IsZero(): // as it was before anybody asked
		q.Due, q.Next = false, q.HeldUntil
	case q.LeaseOver, q.Waiting && keeper.leasesOver(c):
		q.LeaseOver = true
		q.Next = now.Add(host.PassDelay(0))
	case q.Waiting:
		q.Due = false
		q.Next = last
	default:
		return keeper.leaveQueue(ctx, s, c)
	}
	q.Reason, q.Note = DefaultReason, leaseEndedNote
	q.ByRequest, q.Requests = false, 0
	q.Attempts, q.LastError = 0, ""
	return keeper.Enqueue(ctx, s, q)
}

// RevocationDue reports whether a certificate is to be revoked whatever its leases: it is queued
// for revocation itself, or a certificate that reissues it is, which CERTInext revokes together
// with it.
func (keeper *Keeper) RevocationDue(
	ctx context.Context, s logical.Storage, c *Entry,
) (bool, error) {
	if !c.RevocationEnded.IsZero() {
		return true, nil // an operator ended it, and it stays out of use here
	}
	if due, err := keeper.previousDue(ctx, s, c); due || err != nil {
		return due, err
	}
	for depth := range maxReissues {
		q, err := store.Get[Queued](ctx, s, RevocationPrefix+c.Serial)
		if err != nil || (q != nil && q.Due && (depth == 0 || !q.Held)) {
			return err == nil, err
		}
		newer := c.ReissuedAs
		reissue, err := keeper.Origin.ReissueOf(ctx, s, c)
		switch {
		case err != nil:
			return false, err
		case reissue != nil && reissue.Serial == "" && reissue.RevokePrevious:
			return true, nil // CERTInext may have been told, and revoked this one
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
	return false, fmt.Errorf("certificate %s was reissued more than %d times",
		c.Serial, maxReissues)
}

// previousDue reports whether somebody has asked for the revocation of a certificate that c has
// replaced: CERTInext revokes their order, and c with it.
func (keeper *Keeper) previousDue(ctx context.Context, s logical.Storage, c *Entry) (bool, error) {
	serial := c.Replaces
	for depth := 0; serial != "" && depth < maxReissues; depth++ {
		q, err := store.Get[Queued](ctx, s, RevocationPrefix+serial)
		if err != nil || (q != nil && q.Due && q.ByRequest) {
			return err == nil, err
		}
		previous, err := Read(ctx, s, serial)
		if err != nil || previous == nil || previous.Replaces == serial {
			return false, err
		}
		serial = previous.Replaces
	}
	return false, nil
}

// maxReissues bounds the certificates of one order that RevocationDue looks through.
const maxReissues = 100
