// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package ahead

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/renewal"
)

// Start returns from when on the successor of a certificate is made whose renewal is due at a time:
// as long before that as the role says, and not before the role's renewal_window.
func Start(role *issuing.Role, due time.Time, life renewal.Life) time.Time {
	length := role.RenewAhead.Of(life.NotAfter.Sub(life.NotBefore))
	start := due.Add(-length)
	if role.RenewalWindow == 0 {
		return start
	}
	if opens := life.NotAfter.Add(-role.RenewalWindow); opens.After(start) {
		return opens
	}
	return start
}

// Bounds of how long it takes until something that has failed is tried again.
const (
	soonest = 10 * time.Minute
	latest  = 6 * time.Hour
	parts   = 8 // of the time that is left
)

// Again returns when a certificate is looked at again whose successor is under way, or could not be
// made now: more often the less time is left until it expires.
func Again(now time.Time, life renewal.Life) time.Time {
	wait := life.NotAfter.Sub(now) / parts
	return now.Add(max(soonest, min(wait, latest)))
}

// Facts are what is known of a certificate whose successor is due.
type Facts struct {
	Now      time.Time
	NotAfter time.Time
	// LastAsked is when the latest answer held the certificate; zero when none has.
	LastAsked time.Time
	Revoked   bool // or to be revoked, since its last lease has ended
	Held      bool // by a judgement of the engine
	Succeeded bool // by any other certificate
	// RenewedByCA is set when its order was placed with auto_renew, so that CERTInext renews it.
	RenewedByCA bool
	// Replaced is set when it is to be replaced before its time (ADR 0049), whatever its role says
	// of renewals, and ThoughRevoked when that is so although it is revoked.
	Replaced, ThoughRevoked bool
}

// Over says why no successor is made ahead, now or later; empty when one is. The role is nil when
// it is no more.
func Over(role *issuing.Role, f Facts) string {
	switch {
	case role == nil:
		return "its role is no more"
	case f.Replaced:
		return f.overReplaced()
	case !role.RenewAhead.IsOn():
		return "its role does not renew ahead any more"
	case f.LastAsked.IsZero():
		return "it was handed to nobody"
	case f.Revoked:
		return "it is revoked, or its last lease has ended"
	case f.Held:
		return "it is held"
	case f.Succeeded:
		return "it has a successor"
	case f.RenewedByCA:
		return "its order was placed with auto_renew: CERTInext renews it by itself, and both " +
			"would be paid for"
	case !f.NotAfter.After(f.Now):
		return "it has expired"
	case role.RenewAheadFor > 0 && f.Now.After(f.LastAsked.Add(role.RenewAheadFor)):
		return "nobody has asked for it within renew_ahead_for"
	}
	return ""
}

// overReplaced is [Over] for a certificate that is to be replaced before its time.
func (f Facts) overReplaced() string {
	switch {
	case f.Succeeded:
		return "it has a successor"
	case f.Revoked && !f.ThoughRevoked:
		return "it is revoked, or its last lease has ended"
	case f.Held:
		return "it is held"
	case !f.NotAfter.After(f.Now):
		return "it has expired"
	}
	return ""
}
