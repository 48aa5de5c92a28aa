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

// ClockSkew returns how far CERTInext's clock is ahead of the Client's, as of the latest answer that was CERTInext's own: a
// usable success, or a refusal in a shape of its own. It is negative when CERTInext's is behind, exact to about a second, and
// not known before the first such answer, or as long as none bears a Date. At most a century is told.
func (c *Client) ClockSkew() (skew time.Duration, known bool) {
	if s := c.skew.Load(); s != nil {
		return *s, true
	}
	return 0, false
}

// skewOf reads the Date that the answer bears, at the moment of its receipt. nil means that it bears none, or the one of an
// answer that lay in a cache for a while (RFC 9111, section 5.1: Age).
func (c *Client) skewOf(h http.Header) *time.Duration {
	at, err := http.ParseTime(h.Get("Date"))
	if age := h.Get("Age"); err != nil || age != "" && age != "0" {
		return nil
	}
	skew := min(max(at.Sub(c.now()), -maxSkew), maxSkew) // Sub saturates
	return &skew
}

// learn keeps what an answer of CERTInext's own says of its clock.
func (c *Client) learn(skew *time.Duration) {
	if skew != nil {
		c.skew.Store(skew)
	}
}
