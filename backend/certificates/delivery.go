// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
)

// Delivery is what is known of the answers that held a certificate.
type Delivery struct {
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

// Recall takes over what this process knows better than storage of its own answers: that they are its own, and when they went out.
func (d *Delivery) Recall(known Delivery) {
	if !d.At.Equal(known.At) {
		return // it was taken back, and another process has given it anew
	}
	d.first = known.first
	if !d.Latest().After(known.Latest()) {
		d.Last, d.lastHere = known.Latest(), known.lastHere
	}
}

// Answered notes when an answer went out, and its number. Storage was told before that, and may have been slow; the window counts from here.
func (d *Delivery) Answered(now time.Time, number int64) {
	if now.After(d.Latest()) {
		d.Last = now
	}
	if d.Answers() == 1 {
		d.first = number
	}
}

// Latest is when the certificate was handed over last.
func (d *Delivery) Latest() time.Time {
	if d.Last.IsZero() {
		return d.At
	}
	return d.Last
}

// Answers is how many answers held the certificate.
func (d *Delivery) Answers() int {
	if d == nil {
		return 0
	}
	return max(d.Times, 1)
}

// Again is d after one more answer of this process; d is nil before the first.
func (d *Delivery) Again(now time.Time) *Delivery {
	if d == nil {
		return &Delivery{At: now, Last: now, Times: 1, lastHere: true}
	}
	if now.Before(d.Latest()) {
		now = d.Latest() // the clock was set back: what it said before may have been right
	}
	return &Delivery{At: d.At, Last: now, Times: d.Answers() + 1, Unleased: d.Unleased, first: d.first, lastHere: true}
}

// Less is d after one answer that did not reach anybody; nil when that was the only one.
func (d *Delivery) Less() *Delivery {
	if d.Answers() < 2 {
		return nil
	}
	fewer := *d
	fewer.Times, fewer.lastHere = d.Answers()-1, false
	return &fewer
}

// Until is the end of a window that begins anew with every answer.
func (d *Delivery) Until(window time.Duration) time.Time {
	end, last := d.Latest().Add(window), d.At.Add(issuing.LongestReuse)
	if end.After(last) {
		return last
	}
	return end
}

// FirstAnswer is the number of the first answer among all of this process; 0 when another process gave it.
func (d *Delivery) FirstAnswer() int64 { return d.first }

// IsHere reports whether this process gave the latest answer.
func (d *Delivery) IsHere() bool { return d.lastHere }

// CameAt is when the certificate came. One that came by a clock which was ahead, and has been set right since, did so after its life began,
// which is CERTInext's word.
func (c *Entry) CameAt(now time.Time) time.Time {
	if c.IssuedAt.After(now) {
		return host.Earlier(c.IssuedAt, c.NotBefore)
	}
	return c.IssuedAt
}
