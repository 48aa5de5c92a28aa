// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
)

// A Delivery describes the answers in which clients received a certificate.
type Delivery struct {
	At    time.Time `json:"at"`              // of the first answer
	Last  time.Time `json:"last,omitzero"`   // of the latest; zero in entries of earlier versions
	Times int       `json:"times,omitempty"` // number of answers; 0 in entries of earlier versions
	// AtBehind and LastBehind are by how much the clock that told At and Last was behind
	// CERTInext's, as far as that was known.
	AtBehind   time.Duration `json:"at_behind,omitempty"`   // nanoseconds
	LastBehind time.Duration `json:"last_behind,omitempty"` // nanoseconds
	// Unleased is set when one of the answers had no lease.
	Unleased bool `json:"unleased,omitempty"`

	// first is the number of the first answer among all answers of this process, or 0 when another
	// process gave it; lastHere is set when this process gave the latest. Times could not tell
	// that: clocks are corrected, and a standby begins long before it takes over.
	first    int64
	lastHere bool
}

// Recall adds to a delivery that was read from storage what this process remembers of its own
// answers: that it gave them, and when they went out. known is ignored when it is about another
// first answer.
func (d *Delivery) Recall(known Delivery) {
	if !d.At.Equal(known.At) {
		return // that answer was taken back, and another process has given one since
	}
	d.first = known.first
	if !d.Latest().After(known.Latest()) {
		d.Last, d.LastBehind, d.lastHere = known.Latest(), known.LastBehind, known.lastHere
	}
}

// Answered records when the latest answer went out, and its number among the answers of this
// process. The entry was stored before that, perhaps slowly, and the reuse window (ADR 0020) counts
// from here.
func (d *Delivery) Answered(now Moment, number int64) {
	d.setLast(now)
	if d.Answers() == 1 || d.first == notNumbered {
		d.first = number
	}
}

// Latest returns the time of the latest answer.
func (d *Delivery) Latest() time.Time {
	if d.Last.IsZero() {
		return d.At
	}
	return d.Last
}

// Answers returns the number of answers; 0 when d is nil.
func (d *Delivery) Answers() int {
	if d == nil {
		return 0
	}
	return max(d.Times, 1)
}

// A Moment is a time by this server's clock, and by CERTInext's as far as that is known to be ahead
// of it: see [account.Account.Corrected]. The one is right while this server's clock is not set,
// the other while CERTInext's is not.
type Moment struct {
	Now, Corrected time.Time
}

// FirstDelivery returns the delivery of a certificate whose first answer is given now.
func FirstDelivery(now Moment) *Delivery {
	behind := now.Corrected.Sub(now.Now)
	return &Delivery{
		At: now.Now, Last: now.Now, Times: 1, AtBehind: behind, LastBehind: behind, lastHere: true,
	}
}

// setLast sets the time of the latest answer. One that is before the one before shows that the
// clock was set back: its earlier time may have been right.
func (d *Delivery) setLast(now Moment) {
	d.Last = d.Latest()
	if now.Now.After(d.Last) {
		d.Last = now.Now
	}
	d.LastBehind = now.Corrected.Sub(d.Last)
}

// WithAnswer returns d with one more answer, given by this process. d is nil before the first
// answer.
func (d *Delivery) WithAnswer(now Moment) *Delivery {
	if d == nil {
		return FirstDelivery(now)
	}
	more := *d
	more.setLast(now)
	more.Times, more.lastHere = d.Answers()+1, true
	return &more
}

// notNumbered stands for the number of an answer that counts as a first one and is yet to go out.
const notNumbered = -1

// Anew returns d with one more answer, given by this process, from which the reuse window counts as
// from a first one (ADR 0028).
func (d *Delivery) Anew(now Moment) *Delivery {
	again := d.WithAnswer(now)
	anew := FirstDelivery(now)
	anew.Times, anew.Unleased, anew.first = again.Times, again.Unleased, notNumbered
	return anew
}

// WithoutAnswer returns d without one answer, which did not reach its client (ADR 0010). It returns
// nil when that was the only one.
func (d *Delivery) WithoutAnswer() *Delivery {
	if d.Answers() < 2 {
		return nil
	}
	fewer := *d
	fewer.Times = d.Answers() - 1
	fewer.lastHere = false
	return &fewer
}

// Until returns the end of the reuse window: it begins anew with every answer, and ends at the
// latest [issuing.LongestReuse] after the first one (ADR 0020).
func (d *Delivery) Until(window time.Duration) time.Time {
	end, last := d.Latest().Add(window), d.At.Add(issuing.LongestReuse)
	if end.After(last) {
		return last
	}
	return end
}

// IsOver reports whether a reuse window is over, by both clocks.
func (d *Delivery) IsOver(window time.Duration, now Moment) bool {
	corrected := *d
	corrected.At, corrected.Last = d.At.Add(d.AtBehind), d.Latest().Add(d.LastBehind)
	return now.Now.After(d.Until(window)) && now.Corrected.After(corrected.Until(window))
}

// FirstAnswer returns the number of the first answer among the answers of this process, or 0 when
// another process gave it.
func (d *Delivery) FirstAnswer() int64 { return d.first }

// LatestIsOurs reports whether this process gave the latest answer.
func (d *Delivery) LatestIsOurs() bool { return d.lastHere }

// ReceivedAt returns when the mount received the certificate. When that lies in the future, or
// before the certificate's validity, this server's clock was wrong at that time and has been
// corrected since: the beginning of the validity is then the better estimate.
func (c *Entry) ReceivedAt(now time.Time) time.Time {
	switch {
	case c.IssuedAt.After(now):
		return host.Earlier(c.IssuedAt, c.NotBefore)
	case c.IssuedAt.Before(c.NotBefore) && !c.NotBefore.After(now):
		return c.NotBefore
	}
	return c.IssuedAt
}

// FetchableSince returns since when the certificate can be fetched: since it was received or, if it
// was held, released.
func (c *Entry) FetchableSince(now time.Time) time.Time {
	received := c.ReceivedAt(now)
	if c.ReleasedAt.After(received) && !c.ReleasedAt.After(now) {
		return c.ReleasedAt
	}
	return received
}
