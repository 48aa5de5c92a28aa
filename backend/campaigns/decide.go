// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package campaigns

import (
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// Facts are what is found of a certificate of a campaign.
type Facts struct {
	// Now is the time by this server's clock or by CERTInext's, whichever is behind; zero while
	// CERTInext's is not known.
	Now      time.Time
	Stored   bool // the mount has the certificate
	Ours     bool // it belongs to a role
	Revoked  bool
	Expired  bool // by both clocks
	Revoking bool // its revocation is queued, or was ended by an operator

	Filed     bool   // it is filed for replacement
	ByRequest bool   // only its requester's next request can replace it
	Over      string // why none is made any more
	Gone      string // why nobody comes for one
	Refused   string // why it could not be made when that was last tried
	Order     string // what there is to say of its order; empty while there is none

	// Newest is the serial number of the newest certificate of the same order at CERTInext, which
	// revokes orders; empty when that is this one.
	Newest string
	Heir   *Heir // what takes its place; nil for nothing
}

// An Heir is the certificate that takes another one's place.
type Heir struct {
	Serial string
	Since  time.Time // it is there
	Handed time.Time // it was handed over; zero when it was not
	Bad    string    // why it is no replacement; empty for most
	Held   bool      // that is why, and an operator may release it
}

// A Deed is what is done for an item.
type Deed int

// The deeds.
const (
	Nothing Deed = iota
	File         // it is filed for replacement
	Take         // Newest becomes part of the campaign, too
	Revoke       // its revocation is queued
)

// A Step is what comes next for an item: a deed, and the stage at which it is, with the reason.
type Step struct {
	Do    Deed
	Stage Stage
	Why   string
}

func colons(serial string) string { return strings.ReplaceAll(serial, "-", ":") }

// next decides what comes next for an item of a campaign that runs.
func next(p *Plan, it *Item, f Facts) Step {
	switch {
	case !f.Stored:
		return Step{Stage: Left, Why: "this mount has it no more"}
	case f.Revoked:
		return nextRevoked(p, it, f)
	case f.Expired:
		return Step{Stage: Left, Why: "it has expired"}
	case f.Revoking && p.Revoke:
		return Step{Stage: Revoking, Why: "its revocation is queued"}
	case f.Revoking && isHanded(it, f):
		return Step{Stage: Replaced, Why: "its revocation is queued"}
	case f.Revoking:
		return Step{Stage: Left, Why: "it is to be revoked, and was not replaced before"}
	case !f.Ours:
		return nextOutside(p, it, f)
	case p.Revoke && f.Newest != "":
		return Step{Do: Take, Stage: Asked, Why: "CERTInext revokes its order as a whole: " +
			"certificate " + colons(f.Newest) + " of the same order is replaced first"}
	case f.Heir != nil && (f.Filed || !f.Heir.Handed.IsZero()):
		return nextReplaced(p, it, f)
	case !f.Filed && f.Over == "":
		return Step{Do: File, Stage: Asked}
	}
	return nextMissing(p, it, f)
}

// nextRevoked is next for a certificate that is revoked: by the campaign, or by others before
// there was a replacement, which is not to be taken for the success of the campaign.
func nextRevoked(p *Plan, it *Item, f Facts) Step {
	if isHanded(it, f) || (p.RevokeUnclaimed && !it.FiledAt.IsZero()) {
		return Step{Stage: Replaced, Why: "it is revoked"}
	}
	return Step{Stage: Left, Why: "it was revoked before a replacement was handed over"}
}

// isHanded reports whether a certificate's replacement was handed over.
func isHanded(it *Item, f Facts) bool {
	return !it.HandedAt.IsZero() || (f.Heir != nil && !f.Heir.Handed.IsZero())
}

// nextOutside is next for a certificate that was ordered outside of the mount, and is nobody's.
func nextOutside(p *Plan, it *Item, f Facts) Step {
	const nobodys = "it was ordered outside of this mount: operator/adopt gives it to a role, or " +
		"whoever has ordered it replaces it"
	if p.RevokeUnclaimed {
		return unclaimed(p, it, f, Stuck, nobodys)
	}
	return Step{Stage: Left, Why: nobodys}
}

// nextReplaced is next for a certificate that has a replacement.
func nextReplaced(p *Plan, it *Item, f Facts) Step {
	h := f.Heir
	switch {
	case h.Bad != "":
		step := unclaimed(p, it, f, Stuck, "its replacement "+colons(h.Serial)+" "+h.Bad)
		if step.Do == Nothing && !h.Held && !p.RevokeUnclaimed {
			step.Stage = Left
		}
		return step
	case h.Handed.IsZero():
		step := Step{Stage: Made, Why: "its replacement waits for its requester's next request"}
		if p.RevokeUnclaimed && isPast(f, h.Since, it.FiledAt, p.RevokeAfter) {
			step.Do, step.Stage, step.Why = Revoke, Revoking, "nobody has collected its replacement"
		}
		return step
	case !p.Revoke:
		return Step{Stage: Replaced}
	case isPast(f, h.Handed, it.FiledAt, p.RevokeAfter):
		return Step{Do: Revoke, Stage: Revoking, Why: "its revocation is queued"}
	}
	return Step{Stage: Handed, Why: "it is revoked " + phrase.Duration(p.RevokeAfter) +
		" after its replacement was handed over"}
}

// nextMissing is next for a certificate that was filed and has no replacement.
func nextMissing(p *Plan, it *Item, f Facts) Step {
	switch {
	case f.Over != "" && !p.RevokeUnclaimed:
		return Step{Stage: Left, Why: f.Over}
	case f.Over != "":
		return unclaimed(p, it, f, Stuck, f.Over)
	case f.Gone != "":
		return unclaimed(p, it, f, Stuck, f.Gone)
	case f.ByRequest:
		return unclaimed(p, it, f, Requester, "only its requester's next request can replace it")
	case f.Refused != "":
		return unclaimed(p, it, f, Stuck, f.Refused)
	}
	return unclaimed(p, it, f, Asked, f.Order)
}

// unclaimed is the step for a certificate that nobody may come for: it is revoked all the same when
// the campaign says so, and the delay is over since its turn had come.
func unclaimed(p *Plan, it *Item, f Facts, g Stage, why string) Step {
	if p.RevokeUnclaimed && isPast(f, it.FiledAt, it.FiledAt, p.RevokeAfter) {
		return Step{Do: Revoke, Stage: Revoking, Why: "it is revoked without a replacement: " + why}
	}
	return Step{Stage: g, Why: why}
}

// isPast reports whether a delay is over since the later one of two times, by both clocks.
func isPast(f Facts, a, b time.Time, delay time.Duration) bool {
	if b.After(a) {
		a = b
	}
	return !f.Now.IsZero() && !a.IsZero() && !f.Now.Before(a.Add(delay))
}

// turns returns how many replacements may be filed now, of so many that wait, and when the next one
// may be after that. A clock that was set back does not hold a campaign up.
func turns(p *Plan, at, now time.Time, waiting, most int) (n int, after time.Time) {
	n = min(waiting, most)
	if p.PerHour == 0 || n == 0 {
		return n, at
	}
	every := time.Hour / time.Duration(p.PerHour)
	if at.After(now.Add(every)) || at.IsZero() {
		at = now
	}
	if earliest := now.Add(-2 * time.Minute); at.Before(earliest) {
		at = earliest // what a pause has left over is not made up for
	}
	if now.Before(at) {
		return 0, at
	}
	n = min(n, 1+int(now.Sub(at)/every))
	return n, at.Add(time.Duration(n) * every)
}
