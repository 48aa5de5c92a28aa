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

// compromisedKey is what a key is refused with that is known to be compromised, in words.
const compromisedKey = "CSR key is known to be compromised"

// checkCompromise: what the service answers for a key that it blocks was never captured.
func (s *Server) checkCompromise(csr *submittedCSR) *problem {
	if s.isBlocked(csr) {
		return s.compromisedRefusal()
	}
	return nil
}

func (s *Server) compromisedRefusal() *problem {
	return s.csrRefusal("EMS-922", wordsOnly, compromisedKey).because(
		reason{Name: "compromised-key", Source: sourceRules + ", 6.1.1.3"},
	)
}

// isBlocked reports whether the key of csr, which may be nil, must never be certified again.
func (s *Server) isBlocked(csr *submittedCSR) bool {
	return csr != nil && s.blocks(csr.fingerprint())
}

func (s *Server) blocks(key [sha256.Size]byte) bool {
	return s.book.compromised[key] || slices.ContainsFunc(
		s.Keys.Blocked,
		func(k string) bool { return strings.EqualFold(k, hex.EncodeToString(key[:])) },
	)
}

// fingerprint identifies the public key that was certified.
func (sg *signing) fingerprint() [sha256.Size]byte {
	return sha256.Sum256(sg.cert.RawSubjectPublicKeyInfo)
}

// checkReissueKey refuses the key of another order, where that is a rule, and a key that the
// reissue itself is to block.
func (s version2) checkReissueKey(
	c *call, o *order, req wireReissue, csr *submittedCSR,
) *problem {
	blocks := s.Unknowns.ReissueRevokes.revokes(req) &&
		revokeReasons[Live][req.RevokeReason].code == reasonKeyCompromise
	if blocks && slices.ContainsFunc(o.signings, func(sg *signing) bool {
		return sg.cert != nil && sg.fingerprint() == csr.fingerprint()
	}) {
		return s.compromisedRefusal()
	}
	return s.checkNewKey(c, csr, o.requestID)
}

// compromise blocks the keys of certificates, and turns down what is open for one of them. Other
// certificates of the keys are revoked later on.
func (s *Server) compromise(of []*signing, at time.Time) {
	for _, sg := range of {
		if sg.cert == nil {
			continue
		}
		key := sg.fingerprint()
		if !s.book.compromised[key] {
			s.lost.Add(at.Add(s.Keys.compromiseDelay()), key)
		}
		s.book.compromised[key] = true
	}
	for _, other := range s.book.sequence {
		if other.isOpen() && s.isBlocked(other.current().csr) {
			s.turnDown(other, at)
		}
	}
}

// isOpen reports whether a certificate of o is in the making, or may be.
func (o *order) isOpen() bool {
	return o.current().cert == nil && o.cancelled == nil && o.rejected == nil && o.revoked == nil
}

// turnDown ends what is open for a key that must not be certified: an order is rejected, and a
// reissue of one waits for another CSR. What was issued before is for another key, and stays.
func (s *Server) turnDown(o *order, at time.Time) {
	if o.certificate() != nil {
		o.current().csr = nil
		return
	}
	o.rejected = &ending{reason: compromisedKey, at: at}
	s.cashier().giveBack(o, at)
}
