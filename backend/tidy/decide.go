// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package tidy

import (
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/certificates"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/orders"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/reuse"
)

// A Reason is why an entry stays. Reasons are counted and shown, so their spelling stays.
type Reason string

// The reasons.
const (
	goes Reason = "" // the entry does not stay

	ReasonNotExpired   Reason = "not_expired"       // the certificate is valid
	ReasonBuffer       Reason = "safety_buffer"     // it is over, and not for long enough
	ReasonNotAsked     Reason = "not_asked"         // nobody wants such entries tidied
	ReasonLease        Reason = "lease"             // a lease on it runs
	ReasonRevoking     Reason = "revocation_queued" // CERTInext is yet to revoke it
	ReasonOpen         Reason = "order_open"        // its order, or that of its reissue, is open
	ReasonSubscription Reason = "subscription"      // its term runs: it may be reissued
	ReasonLinked       Reason = "linked"            // another one says what has become of it
	ReasonReused       Reason = "reused"            // requests are answered with it
	ReasonSpending     Reason = "spending"          // reports/spend tells of it
	ReasonNamed        Reason = "request_id"        // its name keeps a request from buying again
	ReasonCertificate  Reason = "certificate"       // a certificate of it is stored
	ReasonUnreadable   Reason = "unreadable"        // it cannot be decoded
	ReasonFault        Reason = "storage_failed"    // storage did not read or erase it
)

// A decider decides what stays, under a request and at a time. It is pure.
type decider struct {
	request Request
	now     time.Time
}

// isPast reports whether a buffer has passed since a time.
func (d decider) isPast(t time.Time, buffer time.Duration) bool {
	return !t.Add(buffer).After(d.now)
}

// certificate says why a certificate stays. What is not known before a further look is not asked.
func (d decider) certificate(f certificates.ErasureFacts) Reason {
	wanted := d.request.CertStore
	if f.Revoked {
		wanted = d.request.RevokedCerts
	}
	switch {
	case !wanted:
		return ReasonNotAsked
	case f.NotAfter.After(d.now):
		return ReasonNotExpired
	case !d.isPast(f.NotAfter, d.request.SafetyBuffer):
		return ReasonBuffer
	case f.LastLease.After(d.now):
		return ReasonLease
	case !f.Looked:
		return goes
	case f.Queued:
		return ReasonRevoking
	case f.OrderOpen:
		return ReasonOpen
	case f.Linked:
		return ReasonLinked
	case !f.Revoked && !f.Superseded && f.SubscriptionEnds.After(d.now):
		return ReasonSubscription
	case f.Reused:
		return ReasonReused
	}
	return goes
}

// record says why the record of a closed order stays. What is not known before a further look is
// not asked.
func (d decider) record(f orders.ErasureFacts) Reason {
	wanted, buffer := d.request.Orders, d.request.OrderBuffer
	if f.NeverTaken {
		wanted, buffer = d.request.RefusedOrders, d.request.RefusedBuffer
	}
	switch {
	case f.Open:
		return ReasonOpen
	case !wanted:
		return ReasonNotAsked
	case f.Named && !d.request.NamedOrders:
		return ReasonNamed
	case f.MayCost && !d.request.LoseSpending && !d.isPast(f.AskedAt, spendHistory):
		return ReasonSpending
	case !d.isPast(f.AskedAt, buffer), !d.isPast(f.EndedAt, buffer):
		return ReasonBuffer
	case !f.Looked:
		return goes
	case f.Unrevoked && f.SubscriptionEnds.After(d.now):
		return ReasonSubscription
	case f.Certificates:
		return ReasonCertificate
	case f.Linked:
		return ReasonLinked
	}
	return goes
}

// personal says why personal data stay in the record of a closed order.
func (d decider) personal(f orders.ErasureFacts) Reason {
	switch {
	case f.Open:
		return ReasonOpen
	case !d.request.PersonalData:
		return ReasonNotAsked
	case !d.isPast(f.AskedAt, d.request.PersonalBuffer),
		!d.isPast(f.EndedAt, d.request.PersonalBuffer):
		return ReasonBuffer
	case !f.Looked:
		return goes
	case f.Unrevoked && f.SubscriptionEnds.After(d.now):
		return ReasonSubscription
	case f.Unrevoked && f.LiveUntil.After(d.now):
		return ReasonNotExpired
	}
	return goes
}

// kept says why what is kept for reuse stays.
func (d decider) kept(k *reuse.Kept) Reason {
	if k.Until.After(d.now) {
		return ReasonReused
	}
	return goes
}
