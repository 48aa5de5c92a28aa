// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package renewal

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/subscriptions"
)

// gain is by how much a certificate has to outlive the one that it succeeds for a reissue to be
// worth its while.
const gain = 24 * time.Hour

// leastLeft is what has to be left of a subscription for a certificate that is lost, and not near
// its end.
const leastLeft = 24 * time.Hour

// A Life is from when to when a certificate is valid.
type Life struct{ NotBefore, NotAfter time.Time }

// Why says why a certificate's successor is a new order although the role reissues; it is empty
// when a reissue within the subscription serves the request. now is the time by CERTInext's clock.
//
// CERTInext's certificates end with their subscription at the latest. So one that is due for its
// renewal is reissued as long as the subscription outlives it, and one that is not due, whose key
// the requester has lost or wants to change, as long as some of the subscription is left.
func Why(newest Life, term subscriptions.Subscription, now time.Time) string {
	switch {
	case term.EndsAt.IsZero():
		return "it is not known when the subscription ends"
	case !term.EndsAt.After(now):
		return "the subscription ended at " + term.EndsAt.Format(time.RFC3339)
	case isEnded(term.Status):
		return "CERTInext calls the subscription " + term.Status
	case !newest.NotAfter.After(now):
		return "the newest certificate expired at " + newest.NotAfter.UTC().Format(time.RFC3339)
	case IsDue(newest, now) && !term.EndsAt.After(newest.NotAfter.Add(gain)):
		return fmt.Sprintf("the certificate already lasts until the end of the subscription, %s",
			term.EndsAt.Format(time.RFC3339))
	case !term.EndsAt.After(now.Add(leastLeft)):
		return "the subscription ends at " + term.EndsAt.Format(time.RFC3339)
	}
	return ""
}

// isEnded reports whether CERTInext's word for a subscription is one with which it is over
// (documented: active, expired, cancelled).
func isEnded(status string) bool { return status == "expired" || status == "cancelled" }

// Clients renew when two thirds of a certificate's life are over, as cert-manager and Vault Agent
// do by default; the last spread of that time is divided among a fleet.
const (
	renewAtNumerator, renewAtDenominator = 2, 3
	spread                               = 20 // a twentieth of the life
)

// IsDue reports whether it is time to renew a certificate.
func IsDue(l Life, now time.Time) bool { return !now.Before(earliest(l)) }

// earliest is the earliest [After] of any certificate of the same life.
func earliest(l Life) time.Time {
	return latest(l).Add(-l.NotAfter.Sub(l.NotBefore) / spread)
}

func latest(l Life) time.Time {
	life := l.NotAfter.Sub(l.NotBefore)
	return l.NotBefore.Add(life / renewAtDenominator * renewAtNumerator)
}

// Later returns by how much later than [After] a certificate is to be renewed that has lived for
// age when it was handed over, since it was made ahead (ADR 0040): for as long, so that its
// requester comes no sooner for the next one, but not in the last sixth of its life.
func Later(l Life, age time.Duration) time.Duration {
	room := latestOf(l).Sub(latest(l))
	return max(0, min(age, room))
}

// latestOf is when the last sixth of a certificate's life begins.
func latestOf(l Life) time.Time {
	const sixths = 6
	return l.NotAfter.Add(-l.NotAfter.Sub(l.NotBefore) / sixths)
}

// After returns when a certificate is to be renewed: when two thirds of its life are over, or up to
// a twentieth of its life earlier. How much earlier follows from the serial number, so that a fleet
// whose certificates were issued together does not renew them together, and every answer says the
// same.
func After(serial string, l Life) time.Time {
	room := l.NotAfter.Sub(l.NotBefore) / spread
	if room <= 0 {
		return l.NotAfter
	}
	sum := sha256.Sum256([]byte(serial))
	share := float64(binary.BigEndian.Uint32(sum[:4])) / (1 << 32) // of the room
	return latest(l).Add(-time.Duration(share * float64(room))).Truncate(time.Second)
}
