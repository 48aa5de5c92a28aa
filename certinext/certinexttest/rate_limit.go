// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"math"
	"time"
)

// An allowance is what is left of the rate limit, as a bucket that fills with
// time and holds a second's worth of calls. What limit the service really has
// is unknown; that it has one, and answers 429, is documented.
type allowance struct {
	left float64
	at   time.Time // when left was true
}

// take uses up one call of limit per second, if there is one.
func (a *allowance) take(limit float64, now time.Time) bool {
	most := math.Max(limit, 1)
	if a.at.IsZero() {
		a.left = most
	} else {
		a.left = math.Min(a.left+now.Sub(a.at).Seconds()*limit, most)
	}
	a.at = now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}

// tooMany is the rule of calls beyond the limit.
var tooMany = reason{Name: "rate-limit", Source: sourceVendor + ", never seen"}

// rateLimited returns the refusal of a call that is one too many.
func (s *Server) rateLimited() (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.RateLimit <= 0 || s.allowed.take(s.RateLimit, s.now()) {
		return Fault{}, false
	}
	wait := time.Duration(math.Ceil(1/s.RateLimit)) * time.Second
	return Fault{Kind: FaultRateLimit, RetryAfter: wait}, true
}
