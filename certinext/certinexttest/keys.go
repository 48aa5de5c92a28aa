// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/keys"
)

// A KeyPolicy is which keys the CA certifies, beyond what any CA must refuse: weak ones, and those
// whose certificate was revoked as key-compromise, which are blocked for good, in both versions and
// all families ("blocked in all channels since September 2024", Mozilla's bug 1931683).
type KeyPolicy struct {
	// LargestRSA is the longest RSA modulus in bits; zero means 4096, which was observed. In June
	// 2025 the practice statement knew 2048 only, and what was longer was revoked (bug 1974435).
	LargestRSA int
	// Blocked are keys that are known to be compromised elsewhere, as the hexadecimal SHA-256 of
	// their SubjectPublicKeyInfo.
	Blocked []string
}

// wrong says what is wrong with the policy's hashes.
func (k *KeyPolicy) wrong() string {
	for _, hash := range k.Blocked {
		if raw, err := hex.DecodeString(hash); err != nil || len(raw) != sha256.Size {
			return "must be SHA-256 hashes of 64 hexadecimal digits"
		}
	}
	return ""
}

// reasonKeyCompromise is the code of RFC 5280.
const reasonKeyCompromise = 1

// checkKey refuses a CSR's key that must not be certified.
func (s *Server) checkKey(csr *submittedCSR) *problem {
	problem := keys.Check(csr.request.PublicKey, orDefault(s.Keys.LargestRSA, keys.LargestRSA))
	if problem != keys.None {
		// Observed in version 1, for the size: the words alone.
		return s.csrRefusal("EMS-921", wordsOnly, string(problem))
	}
	return s.checkCompromise(csr)
}

// checkCompromise: what the service answers for a key that it blocks was never captured.
func (s *Server) checkCompromise(csr *submittedCSR) *problem {
	fingerprint := csr.fingerprint()
	if s.book.compromised[fingerprint] || slices.ContainsFunc(s.Keys.Blocked, func(k string) bool {
		return strings.EqualFold(k, hex.EncodeToString(fingerprint[:]))
	}) {
		return s.csrRefusal("EMS-922", wordsOnly, "CSR key is known to be compromised")
	}
	return nil
}

// compromise blocks the keys of o's certificates, and rejects what is open for one of them.
func (s *Server) compromise(o *order, at time.Time) {
	for _, sg := range o.signings {
		if sg.cert != nil {
			s.book.compromised[sha256.Sum256(sg.cert.RawSubjectPublicKeyInfo)] = true
		}
	}
	for _, other := range s.book.sequence {
		csr := other.current().csr
		if csr == nil || other.current().cert != nil || other.cancelled != nil ||
			other.rejected != nil || other.revoked != nil {
			continue
		}
		if s.book.compromised[csr.fingerprint()] {
			other.rejected = &ending{reason: "CSR key is known to be compromised", at: at}
		}
	}
}
