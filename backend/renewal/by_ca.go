// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package renewal

import "time"

// defaultBeforeDays is how many days before its end CERTInext renews a certificate whose order does
// not say it (documented).
const defaultBeforeDays = 30

// mostBeforeDays are more than any certificate lives for, and fit in a duration.
const mostBeforeDays = 100 * 366

// A ByCA is when CERTInext renews a certificate by itself, since its order was placed with
// auto_renew (ADR 0042).
type ByCA struct {
	// At is when CERTInext is to begin, as far as is documented: so many days before the
	// certificate ends. One that is shorter than twice that is taken to be renewed in the middle of
	// its life, as otherwise it would be at once.
	At time.Time
	// Over is from when on nobody counts on it any more: half of the time from At to the end of the
	// certificate is left to get another one.
	Over time.Time
}

// RenewedByCA returns when a certificate is renewed whose order says so many days before its end;
// zero days are CERTInext's default.
func RenewedByCA(l Life, beforeDays int) ByCA {
	if beforeDays <= 0 {
		beforeDays = defaultBeforeDays
	}
	before := time.Duration(min(beforeDays, mostBeforeDays)) * 24 * time.Hour
	return ByCAFrom(l, l.NotAfter.Add(-min(before, l.NotAfter.Sub(l.NotBefore)/2)))
}

// ByCAFrom returns what follows for a certificate that CERTInext begins to renew at a time.
func ByCAFrom(l Life, at time.Time) ByCA {
	return ByCA{At: at, Over: at.Add(l.NotAfter.Sub(at) / 2)}
}

// Last returns from when on nobody waits even for what may be under way: half of the time from Over
// to the end of the certificate is left to get another one.
func (b ByCA) Last(l Life) time.Time { return b.Over.Add(l.NotAfter.Sub(b.Over) / 2) }

// partsOfPatience divide the time from At to Over: after the first of them, CERTInext has renewed
// the certificate if it does.
const partsOfPatience = 5

// Later returns by how much later than [After] a client is to renew the certificate, so that it
// finds it renewed.
func (b ByCA) Later(serial string, l Life) time.Duration {
	ask := b.At.Add(b.Over.Sub(b.At) / partsOfPatience)
	return max(0, ask.Sub(After(serial, l))).Truncate(time.Second)
}

// A Stage is how far the CA's own renewal of a certificate is, by the clock alone.
type Stage int

// The stages, in the order in which they come.
const (
	NotDue  Stage = iota // nobody renews the certificate yet
	Awaited              // a client may, and CERTInext has not begun
	Begun                // CERTInext may have renewed it by now
	Missed               // it should have, and nobody waits for it any more
)

// Stage returns how far it is at a time by CERTInext's clock.
func (b ByCA) Stage(l Life, now time.Time) Stage {
	switch {
	case !now.Before(b.Over):
		return Missed
	case !now.Before(b.At):
		return Begun
	case IsDue(l, now):
		return Awaited
	}
	return NotDue
}
