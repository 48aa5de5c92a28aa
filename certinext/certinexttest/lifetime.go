// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/terms"
)

const (
	// otherLifetime is the life of a certificate of the vendor's sandbox.
	otherLifetime = 30 * 24 * time.Hour
	// longestOther is half the life of the CAs that sign.
	longestOther = 5 * 365 * 24 * time.Hour
)

// lifetime is how long a certificate of o lives that begins then: as set, as the rules allow, and
// no longer than the subscription. It is cut where the setting is more than the rules allow.
func (s *Server) lifetime(o *order, begins time.Time) (life time.Duration, cut bool) {
	life = orDefault(s.OtherLifetime, otherLifetime)
	switch o.family {
	case FamilySSL:
		set := orDefault(s.CertificateLifetime, terms.UsualPublic(begins))
		life, cut = terms.CutPublic(begins, set)
	case FamilySMIME:
		life, cut = terms.CutMail(life)
	}
	if !s.Subscriptions.Outlived {
		life = s.terms(o).Life(begins, life)
	}
	return life, cut
}

// wrongLifetime looks at CertificateLifetime. What is allowed now may be too long later on.
func (s *Server) wrongLifetime() string {
	limit := terms.PublicLimit(s.now())
	if s.CertificateLifetime >= 0 && s.CertificateLifetime <= limit {
		return ""
	}
	return fmt.Sprintf("must be at most %dh, %d days, which is the most that a public CA may "+
		"issue for, and not negative (other products have otherLifetime)",
		limit/time.Hour, limit/(24*time.Hour))
}
