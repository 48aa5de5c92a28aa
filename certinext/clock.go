// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinext

import (
	"net/http"
	"time"
)

// maxSkew is the largest difference of two clocks that is told: a century either way, which keeps whatever is computed from it
// within a time.Duration.
const maxSkew = 100 * 365 * 24 * time.Hour

// A clockSighting is what an answer has told of CERTInext's clock.
type clockSighting struct {
	skew time.Duration // of CERTInext's clock, at the receipt
	wall time.Time     // the Client's clock then, without a monotonic reading
	mono time.Time     // the same moment, with one: what has passed since, whatever happens to the clock
}

// ClockSkew returns how far CERTInext's clock is ahead of the Client's at this moment, by the latest answer that was CERTInext's own: a
// usable success, or a refusal in a shape of its own. It is negative when CERTInext's is behind, exact to about a second, and
// not known before the first such answer, or as long as none bears a Date. A jump of the Client's clock since that answer shows at once.
// At most a century is told.
func (c *Client) ClockSkew() (skew time.Duration, known bool) {
	s := c.clock.Load()
	if s == nil {
		return 0, false
	}
	jumped := c.now().Round(0).Sub(s.wall) - time.Since(s.mono)
	return bounded(s.skew - bounded(jumped)), true
}

func bounded(skew time.Duration) time.Duration { return min(max(skew, -maxSkew), maxSkew) }

// sightClock reads the Date that the answer bears, at the moment of its receipt. nil means that it bears none, or the one of an
// answer that lay in a cache for a while (RFC 9111, section 5.1: Age).
func (c *Client) sightClock(h http.Header) *clockSighting {
	at, err := http.ParseTime(h.Get("Date"))
	if age := h.Get("Age"); err != nil || age != "" && age != "0" {
		return nil
	}
	now := c.now().Round(0)
	return &clockSighting{skew: bounded(at.Sub(now)), wall: now, mono: time.Now()} // Sub saturates
}

// learn keeps what an answer of CERTInext's own says of its clock.
func (c *Client) learn(s *clockSighting) {
	if s != nil {
		c.clock.Store(s)
	}
}
