// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package ahead

import "time"

// A RevokedOutside is what is known of a certificate that CERTInext shows as revoked although
// nobody here has asked for that.
type RevokedOutside struct {
	Personal  bool // the reason is one that only a person gives, who needs it no more
	Handed    bool // to a requester
	Ending    bool // its last lease has ended
	Succeeded bool // by any other certificate
	// Lived is how long it was stored for, and InPlace that it was made itself in the place of one
	// that CERTInext had revoked.
	Lived   time.Duration
	InPlace bool
}

// revokedTwice is how long a certificate that took the place of a revoked one has to live, so that
// it is replaced in its turn: CERTInext has a reason that another order does not change.
const revokedTwice = 7 * 24 * time.Hour

// NotReplaced says why no successor of a revoked certificate is made by itself although its role
// says replace_revoked; empty when one is.
func NotReplaced(r RevokedOutside) string {
	switch {
	case !r.Handed:
		return "it was handed to nobody"
	case r.Ending:
		return "its last lease has ended"
	case r.Succeeded:
		return "it has a successor"
	case r.Personal:
		return "the reason is one that a person gives"
	case r.InPlace && r.Lived < revokedTwice:
		return "it was made in the place of one that was revoked, too, and has lived for less " +
			"than a week"
	}
	return ""
}
