// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package reuse

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
)

// A Candidate is a certificate that was handed over, and may be handed over again.
type Candidate struct {
	Serial    string // with dashes
	Requester string
	// Terms stand for what was ordered, beside the names and the key, see [issuing.TermsOf]; empty
	// when the role did not reuse then, or the request had a name of its own.
	Terms    string
	Life     renewal.Life
	Received time.Time // when the mount received it

	Revoked    bool // at CERTInext, as far as the mount knows
	Ending     bool // its revocation has begun, or is queued
	Held       bool
	Superseded bool // it was renewed or reissued, or is to be revoked since it was replaced

	// RenewsAt is when CERTInext is to renew it by itself, for the same key, which the mount has
	// (ADR 0042); zero for most. Until then there is no better one.
	RenewsAt time.Time
}

// A Wish is what is asked for, under the role as it is now.
type Wish struct {
	Requester string
	Terms     string
	// For is for how long after it was received a certificate is reused; as long as it need not be
	// renewed when zero.
	For time.Duration
}

// A Clock tells the time: by this server's clock, and as far as that is known to be behind
// CERTInext's, by that. In doubt, it decides nothing that cannot be undone, as a purchase.
type Clock struct {
	Now, Corrected time.Time
	InDoubt        bool
}

// Until returns until when a certificate is reused: until it is to be renewed, or the role's
// reuse_for is over. [renewal.After] is the earliest time at which a client renews that goes by a
// share of the life, or by the answer's renew_after: whoever would renew the certificate at once is
// not answered with it. One that was made ahead is reused no longer for that, although its
// renew_after is later: its successor is begun by then, and a client that goes by a share of the
// life would come back at once with the certificate that it has (ADR 0041). One that CERTInext
// renews is reused until it does.
func Until(c Candidate, w Wish) time.Time {
	until := renewal.After(c.Serial, c.Life)
	if c.RenewsAt.After(until) {
		until = c.RenewsAt
	}
	return atMost(until, c, w)
}

// KeyUntil returns until when the key of a certificate is kept: as long as it is reused, or valid,
// if CERTInext is to renew it for that key.
func KeyUntil(c Candidate, w Wish) time.Time {
	if c.RenewsAt.IsZero() {
		return Until(c, w)
	}
	return atMost(c.Life.NotAfter, c, w)
}

// KeepsKey reports whether the key of a certificate stays although no request is answered with the
// certificate any more: CERTInext renews it for that key.
func KeepsKey(c Candidate, w Wish, at Clock) bool {
	if c.RenewsAt.IsZero() || c.Revoked || c.Ending || c.Held || c.Requester != w.Requester ||
		c.Terms == "" || c.Terms != w.Terms {
		return false
	}
	until := KeyUntil(c, w)
	return at.InDoubt || at.Now.Before(until) || at.Corrected.Before(until)
}

// atMost returns until, or when the role's reuse_for is over if that is earlier.
func atMost(until time.Time, c Candidate, w Wish) time.Time {
	if end := c.Received.Add(w.For); w.For > 0 && end.Before(until) {
		return end
	}
	return until
}

// Why says why a request is not answered with a certificate; empty when it is. A certificate that
// was refused once is refused for good, but for the requester's sake: its key need not be kept.
func Why(c Candidate, w Wish, at Clock) string {
	switch {
	case c.Requester != w.Requester:
		return "it is another requester's"
	case c.Terms == "" || c.Terms != w.Terms:
		return "the role orders something else now"
	case c.Revoked:
		return "it is revoked"
	case c.Ending:
		return "it is to be revoked"
	case c.Held:
		return "it is held"
	case c.Superseded:
		return "it was replaced"
	case !c.Life.NotAfter.After(at.Now):
		return "it has expired"
	}
	if until := Until(c, w); !at.InDoubt && !at.Now.Before(until) && !at.Corrected.Before(until) {
		return "it is to be renewed since " + until.UTC().Format(time.RFC3339)
	}
	return ""
}
