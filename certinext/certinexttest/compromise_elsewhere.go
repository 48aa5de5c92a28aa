// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// lostElsewhere is the note of an order that the CA has revoked of itself.
const lostElsewhere = "Its key was reported as compromised elsewhere"

// learnBlocked notes the keys of the policy that were not in it before: their certificates are to
// be revoked.
func (s *Server) learnBlocked(before []string, now time.Time) {
	for _, hash := range s.Keys.Blocked {
		known := func(k string) bool { return strings.EqualFold(k, hash) }
		raw, err := hex.DecodeString(hash)
		if err == nil && len(raw) == sha256.Size && !slices.ContainsFunc(before, known) {
			s.lost.Add(now.Add(s.Keys.compromiseDelay()), [sha256.Size]byte(raw))
		}
	}
}

// revokeKey revokes the certificates of a key that became known as compromised a while ago, unless
// that was taken back. What the service says of such an order was never seen.
func (s *Server) revokeKey(key [sha256.Size]byte, at time.Time) {
	if !s.blocks(key) {
		return
	}
	for _, o := range s.book.sequence {
		s.revokeKeyOf(o, key, at)
	}
}

// revokeKeyOf revokes what is certified for a key in an order. An order whose newest certificate is
// among it is revoked, with its older certificates as far as they go with it; any other goes on, be
// it with another key or with a reissue for one.
func (s *Server) revokeKeyOf(o *order, key [sha256.Size]byte, at time.Time) {
	lost := slices.DeleteFunc(slices.Clone(o.signings), func(sg *signing) bool {
		return sg.cert == nil || sg.fingerprint() != key || at.After(sg.cert.NotAfter)
	})
	for _, sg := range lost {
		s.hierarchy(o.family).Revoke(sg.cert, at, reasonKeyCompromise)
	}
	if o.revoked != nil || !slices.Contains(lost, o.current()) {
		return
	}
	reason := s.reasonCalled(reasonKeyCompromise)
	o.revoked = &ending{reason: reason, note: lostElsewhere, at: at}
	s.cashier().giveBack(o, at)
	superseded := revokeReasons[Live]["superseded"].code
	s.revokeCertificates(o, s.Unknowns.revokedWith(o), at, superseded)
}
