// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
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

// firstAnswer is the number of the first answer among all of this process; 0 when another process gave it.
func (d *delivery) firstAnswer() int64 { return d.first }

// isHere reports whether this process gave the latest answer.
func (d *delivery) isHere() bool { return d.lastHere }

// cameAt is when the certificate came. One that came by a clock which was ahead, and has been set right since, did so after its life began,
// which is CERTInext's word.
func (c *certEntry) cameAt(now time.Time) time.Time {
	if c.IssuedAt.After(now) {
		return host.Earlier(c.IssuedAt, c.NotBefore)
	}
	return c.IssuedAt
}
