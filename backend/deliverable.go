// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
)

// delivery is what is known of the answers that held a certificate.
type delivery struct {
	At    time.Time `json:"at"`              // of the first one
	Last  time.Time `json:"last,omitzero"`   // of the latest; entries of earlier versions know the first one only
	Times int       `json:"times,omitempty"` // how many there were; likewise
	// Unleased is set when one of them had no lease.
	Unleased bool `json:"unleased,omitempty"`

	// first is the number of the first answer among all of this process, 0 when another process gave it, and lastHere tells that this one
	// gave the latest. Times do not tell: clocks are set right, and a standby begins long before it takes over.
	first    int64
	lastHere bool
}

// recall takes over what this process knows better than storage of its own answers: that they are its own, and when they went out.
func (d *delivery) recall(known delivery) {
	if !d.At.Equal(known.At) {
		return // it was taken back, and another process has given it anew
	}
	d.first = known.first
	if !d.latest().After(known.latest()) {
		d.Last, d.lastHere = known.latest(), known.lastHere
	}
}

// answered notes when an answer went out, and its number. Storage was told before that, and may have been slow; the window counts from here.
func (d *delivery) answered(now time.Time, number int64) {
	if now.After(d.latest()) {
		d.Last = now
	}
	if d.times() == 1 {
		d.first = number
	}
}

// latest is when the certificate was handed over last.
func (d *delivery) latest() time.Time {
	if d.Last.IsZero() {
		return d.At
	}
	return d.Last
}

// times is how many answers held the certificate.
func (d *delivery) times() int {
	if d == nil {
		return 0
	}
	return max(d.Times, 1)
}

// again is d after one more answer of this process; d is nil before the first.
func (d *delivery) again(now time.Time) *delivery {
	if d == nil {
		return &delivery{At: now, Last: now, Times: 1, lastHere: true}
	}
	if now.Before(d.latest()) {
		now = d.latest() // the clock was set back: what it said before may have been right
	}
	return &delivery{At: d.At, Last: now, Times: d.times() + 1, Unleased: d.Unleased, first: d.first, lastHere: true}
}

// less is d after one answer that did not reach anybody; nil when that was the only one.
func (d *delivery) less() *delivery {
	if d.times() < 2 {
		return nil
	}
	fewer := *d
	fewer.Times, fewer.lastHere = d.times()-1, false
	return &fewer
}

// until is the end of a window that begins anew with every answer.
func (d *delivery) until(window time.Duration) time.Time {
	end, last := d.latest().Add(window), d.At.Add(issuing.LongestReuse)
	if end.After(last) {
		return last
	}
	return end
}

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
func (c *certEntry) handoverTo(o *orderEntry, w *caller, toBeRevoked bool, now time.Time, inDoubt bool) (h handover, why string) {
	switch {
	case c.Revocation != nil:
		return isOver, "it is revoked"
	case toBeRevoked:
		return isOver, "it is to be revoked"
	}
	if !c.NotAfter.After(now) {
		return c.handoverExpired(o, now, inDoubt)
	}
	switch {
	case c.Delivery == nil && now.After(c.cameAt(now).Add(o.Pickup)) && !inDoubt:
		return isOver, "nobody has fetched it within " + o.Pickup.String()
	case c.Delivery == nil:
		return handOver, ""
	case w != nil && w.wasWaiting(c.Delivery):
		return handOver, ""
	case now.After(c.Delivery.until(o.keyLife())) && !inDoubt:
		return isOver, "it was handed over before"
	case w != nil && !w.named() && !w.mayReuse(c.Delivery, now, inDoubt):
		return passOver, "it was handed over before"
	}
	return handOver, ""
}

// cameAt is when the certificate came. One that came by a clock which was ahead, and has been set right since, did so after its life began,
// which is CERTInext's word.
func (c *certEntry) cameAt(now time.Time) time.Time {
	if c.IssuedAt.After(now) {
		return earlier(c.IssuedAt, c.NotBefore)
	}
	return c.IssuedAt
}

// handoverExpired is handoverTo for a certificate that has expired by our clock. One that had when it came, or whose clock is in doubt, is
// kept as long as one that nobody fetches: were it over, the same request would buy another one like it, again and again.
func (c *certEntry) handoverExpired(o *orderEntry, now time.Time, inDoubt bool) (h handover, why string) {
	why = fmt.Sprintf("it expired at %s, by this server's clock, which says %s",
		c.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	switch {
	case inDoubt:
		return keepBack, why + " and differs from CERTInext's by more than an hour: set the server's clock right"
	case c.Delivery == nil && !c.NotAfter.After(c.cameAt(now)) && now.Before(c.cameAt(now).Add(o.Pickup)):
		return keepBack, why + ", and had when it came: look at the clock; deleting the order ends it"
	}
	return isOver, why
}

// wasWaiting reports whether the request began while its order was in flight, and this process gave the first answer: it shares that, however
// late it was to find the order.
func (w *caller) wasWaiting(d *delivery) bool { return d.first > w.answers }

// mayReuse reports whether an unnamed request may get the certificate of an order that was handed over: it waited for the order
// while that was in flight, or asks within the reuse window of its role, as that is today.
func (w *caller) mayReuse(d *delivery, now time.Time, inDoubt bool) bool {
	if w.wasWaiting(d) {
		return true
	}
	window := w.role.EffectiveReuseWindow()
	if !d.lastHere && d.latest().Before(w.process) {
		window = max(window, w.role.DeliveryGrace) // who died may not have answered
	}
	return !w.forced() && window > 0 && (inDoubt || !now.After(d.until(window)))
}

// keyLife is how long after an answer the order keeps its key.
func (o *orderEntry) keyLife() time.Duration {
	if o.Reuse == nil {
		return o.Grace
	}
	return max(o.Grace, *o.Reuse)
}
