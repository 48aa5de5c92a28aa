// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"context"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/account"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
	"github.com/hashicorp/vault/sdk/logical"
)

// A handover is whether a stored certificate is handed over to a request.
type handover int

const (
	// isDeliverable: the request gets the certificate.
	isDeliverable handover = iota
	// passOver: the request gets another one, and the order stays open for the requests it serves.
	passOver
	// keepBack: no request gets the certificate now, and none buys another one in its place.
	keepBack

	// In these cases no request gets the certificate any more: the order is to be closed, and its
	// key erased.

	isRevoked     // at CERTInext
	isToBeRevoked // its revocation is queued
	hasExpired    // by a clock that may decide that
	isUnclaimed   // nobody has fetched it within the order's pickup window
	wasDelivered  // and its key was kept for long enough
)

// An ending is what the queue of revocations has for a certificate.
type ending int

const (
	endNone     ending = iota
	endHeldBack        // its last lease has ended, and revocation_delay is not over (ADR 0028)
	endDue             // it is to be revoked, whoever asks for it
)

// endingOf returns what is queued for a certificate. The caller holds its lock.
func endingOf(
	ctx context.Context, keeper *certificates.Keeper, s logical.Storage, c *certificates.Entry,
) (ending, error) {
	if due, err := keeper.RevocationDue(ctx, s, c); due || err != nil {
		return endDue, err
	}
	until, err := keeper.HeldUntil(ctx, s, c)
	if err != nil || until.IsZero() {
		return endNone, err
	}
	return endHeldBack, nil
}

// isOver reports whether no request gets the certificate any more.
func (h handover) isOver() bool { return h >= isRevoked }

// endings are what an order is that nobody gets the certificate of any more, and the line in its
// history that says so.
var endings = map[handover]struct {
	state State
	note  string
}{
	isRevoked:     {StateRevoked, "revoked before it was fetched; key erased"},
	isToBeRevoked: {StateRevoked, "to be revoked; key erased"},
	hasExpired:    {StateExpired, "expired before it was fetched; key erased"},
	isUnclaimed:   {StateUnclaimed, "not fetched in time; key erased"},
	wasDelivered:  {StateIssued, "delivered; key erased"},
}

// ended returns how a closed order has ended. Earlier versions left orders whose certificate nobody
// was handed in the state issued; their history says why.
func (o *orderEntry) ended() State {
	if o.State != StateIssued || o.Delivered {
		return o.State
	}
	for _, end := range endings {
		if o.told(end.note) {
			return end.state
		}
	}
	return StateUnclaimed
}

// A clock is what this server's clock says at a moment.
type clock struct {
	certificates.Moment
	// inDoubt is set when it differs too much from CERTInext's to decide anything that cannot be
	// undone (ADR 0022).
	inDoubt bool
}

// clockOf returns what this server's clock says. With blind, it is in doubt while CERTInext's is
// unknown.
func clockOf(acct *account.Account, blind bool) clock {
	_, seen := acct.ClockSkew()
	now, certain := acct.Time()
	return clock{
		Moment:  certificates.Moment{Now: now, Corrected: acct.Corrected()},
		inDoubt: !certain && (seen || blind),
	}
}

// handoverTo decides whether c, the certificate of order o, is handed over to w, which is nil for
// the background pass. ends is what is queued for c. why tells a request the reason when it does
// not get the certificate.
func handoverTo(
	c *certificates.Entry, o *orderEntry, w *caller, ends ending, at clock,
) (h handover, why string) {
	switch {
	case c.Revocation != nil:
		return isRevoked, "it is revoked"
	case ends == endDue:
		return isToBeRevoked, "it is to be revoked"
	}
	now := at.Now
	if !c.NotAfter.After(now) {
		return handoverExpired(c, now, at.inDoubt, o.Pickup)
	}
	switch {
	case len(c.Held) > 0:
		return keepBack, heldBecause(c)
	case w != nil && !w.named() && (c.IsReplaced() || hasBetter(w, o, c)):
		return passOver, "it is replaced: " + c.Replacement.Why
	case c.Delivery == nil && now.After(c.FetchableSince(now).Add(o.Pickup)) && !at.inDoubt:
		return isUnclaimed, "nobody has fetched it within " + o.Pickup.String()
	case c.Delivery == nil:
		return isDeliverable, ""
	case w != nil && w.wasWaiting(c.Delivery):
		return isDeliverable, ""
	case w != nil && ends == endHeldBack && !w.forced():
		return isDeliverable, "" // it is taken over
	case w == nil && ends == endHeldBack && o.Reopened:
		return isDeliverable, "" // whoever had it opened again may collect it
	case w != nil && whyNotReused(w, c, o.Terms, ends, at) == "":
		return isDeliverable, ""
	case isMadeFor(w, o) && !renewal.IsDue(c.Life(), now):
		return isDeliverable, ""
	case c.Delivery.IsOver(o.keyLife(), at.Moment) && !at.inDoubt:
		return wasDelivered, "it was handed over before"
	case w != nil && !w.named() && !w.mayReuse(c.Delivery, at):
		return passOver, "it was handed over before"
	}
	return isDeliverable, ""
}

// handoverExpired is handoverTo for a certificate that has expired by our clock. While our clock
// is in doubt, the certificate is kept back. One that had already expired when it came is kept
// back for the pickup window, since the same request would otherwise buy another one like it
// again and again (ADR 0022).
func handoverExpired(
	c *certificates.Entry, now time.Time, inDoubt bool, pickup time.Duration,
) (h handover, why string) {
	why = fmt.Sprintf("it expired at %s, by this server's clock, which says %s",
		c.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	switch {
	case inDoubt:
		return keepBack, why +
			" and differs from CERTInext's by more than an hour: set the server's clock right"
	case c.Delivery == nil && !c.NotAfter.After(c.ReceivedAt(now)) &&
		now.Before(c.ReceivedAt(now).Add(pickup)):
		return keepBack, why +
			", and had already expired when it came: check the server's clock, or delete the order"
	}
	return hasExpired, why
}

// wasWaiting reports whether the request came before the first answer that held the certificate,
// which this process gave. It then shares the certificate, however late it found the order.
func (w *caller) wasWaiting(d *certificates.Delivery) bool {
	return d.FirstAnswer() > w.answersBefore
}

// mayReuse reports whether an unnamed request may get a certificate that was handed over before: it
// waited for the order while that was in flight, or came within the present reuse window of its
// role (ADR 0020).
func (w *caller) mayReuse(d *certificates.Delivery, at clock) bool {
	if w.wasWaiting(d) {
		return true
	}
	window := w.role.EffectiveReuseWindow()
	if !d.LatestIsOurs() && d.Latest().Add(d.LastBehind).Before(w.processStart) {
		// A process that has died since gave the latest answer, which may not have left Vault.
		window = max(window, w.role.DeliveryGrace)
	}
	return !w.forced() && window > 0 && (at.inDoubt || !d.IsOver(window, at.Moment))
}

// keyLife returns how long after an answer the order keeps its key (ADR 0003).
func (o *orderEntry) keyLife() time.Duration {
	if o.Reuse == nil {
		return o.Grace
	}
	return max(o.Grace, *o.Reuse)
}
