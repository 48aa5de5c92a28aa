// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package orders

import (
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
)

// A handover is what becomes of a request for a certificate that is stored.
type handover int

const (
	handOver handover = iota // the request gets it
	passOver                 // the request gets another one; the order stays open for those whom it serves
	keepBack                 // nobody gets it now, and nobody buys another one for that
	isOver                   // nobody gets it any more: the order is to be closed, and its key erased
)

// handoverTo decides whether c, of order o, is handed over to w. w is nil when nobody asks. in doubt tells that our clock and
// CERTInext's differ too much for ours to decide anything that cannot be undone. why is for whoever does not get it.
func handoverTo(c *certificates.Entry, o *orderEntry, w *caller, toBeRevoked bool, now time.Time, inDoubt bool) (h handover, why string) {
	switch {
	case c.Revocation != nil:
		return isOver, "it is revoked"
	case toBeRevoked:
		return isOver, "it is to be revoked"
	}
	if !c.NotAfter.After(now) {
		return handoverExpired(c, now, inDoubt, o.Pickup)
	}
	switch {
	case c.Delivery == nil && now.After(c.CameAt(now).Add(o.Pickup)) && !inDoubt:
		return isOver, "nobody has fetched it within " + o.Pickup.String()
	case c.Delivery == nil:
		return handOver, ""
	case w != nil && w.wasWaiting(c.Delivery):
		return handOver, ""
	case now.After(c.Delivery.Until(o.keyLife())) && !inDoubt:
		return isOver, "it was handed over before"
	case w != nil && !w.named() && !w.mayReuse(c.Delivery, now, inDoubt):
		return passOver, "it was handed over before"
	}
	return handOver, ""
}

// handoverExpired is handoverTo for a certificate that has expired by our clock. One that had when it came, or whose clock is in doubt, is
// kept as long as one that nobody fetches: were it over, the same request would buy another one like it, again and again.
func handoverExpired(c *certificates.Entry, now time.Time, inDoubt bool, pickup time.Duration) (h handover, why string) {
	why = fmt.Sprintf("it expired at %s, by this server's clock, which says %s",
		c.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	switch {
	case inDoubt:
		return keepBack, why + " and differs from CERTInext's by more than an hour: set the server's clock right"
	case c.Delivery == nil && !c.NotAfter.After(c.CameAt(now)) && now.Before(c.CameAt(now).Add(pickup)):
		return keepBack, why + ", and had when it came: look at the clock; deleting the order ends it"
	}
	return isOver, why
}

// wasWaiting reports whether the request began while its order was in flight, and this process gave the first answer: it shares that, however
// late it was to find the order.
func (w *caller) wasWaiting(d *certificates.Delivery) bool { return d.FirstAnswer() > w.answersBefore }

// mayReuse reports whether an unnamed request may get the certificate of an order that was handed over: it waited for the order
// while that was in flight, or asks within the reuse window of its role, as that is today.
func (w *caller) mayReuse(d *certificates.Delivery, now time.Time, inDoubt bool) bool {
	if w.wasWaiting(d) {
		return true
	}
	window := w.role.EffectiveReuseWindow()
	if !d.IsHere() && d.Latest().Before(w.processStart) {
		window = max(window, w.role.DeliveryGrace) // who died may not have answered
	}
	return !w.forced() && window > 0 && (inDoubt || !now.After(d.Until(window)))
}

// keyLife is how long after an answer the order keeps its key.
func (o *orderEntry) keyLife() time.Duration {
	if o.Reuse == nil {
		return o.Grace
	}
	return max(o.Grace, *o.Reuse)
}
