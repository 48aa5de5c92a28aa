// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/sha256"
	"encoding/hex"
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
	// their SubjectPublicKeyInfo. The CA learns of them at the start or when they are set.
	Blocked []string
	// CompromiseDelay passes from when the CA learns that a key is compromised, by a revocation as
	// key-compromise or by Blocked, until it revokes all certificates of that key, of other orders
	// too. Zero means the 24 hours that a CA has at most (Baseline Requirements §4.9.1.1).
	CompromiseDelay time.Duration
}

// mostCompromised is how long a compromised certificate may stay valid.
const mostCompromised = 24 * time.Hour

func (k *KeyPolicy) compromiseDelay() time.Duration {
	return orDefault(k.CompromiseDelay, mostCompromised)
}

// tooLate says what is wrong with the delay.
func (k *KeyPolicy) tooLate() string {
	if k.CompromiseDelay >= 0 && k.CompromiseDelay <= mostCompromised {
		return ""
	}
	return "must be more than 0 and at most 24h, in which a CA must have revoked"
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

// keyRules are the rules that keys break.
var keyRules = map[keys.Problem]reason{
	keys.Size:        {Name: "key-size", Source: sourceLive},
	keys.Exponent:    {Name: "rsa-exponent", Source: sourceRules + ", 6.1.6"},
	keys.Modulus:     {Name: "rsa-modulus", Source: sourceRules + ", 6.1.6"},
	keys.ROCA:        {Name: "weak-key", Source: sourceRules + ", 6.1.1.3"},
	keys.ClosePrimes: {Name: "weak-key", Source: sourceRules + ", 6.1.1.3"},
}

// checkKey refuses a CSR's key that must not be certified.
func (s *Server) checkKey(csr *submittedCSR) *problem {
	problem := keys.Check(csr.request.PublicKey, orDefault(s.Keys.LargestRSA, keys.LargestRSA))
	if problem != keys.None {
		// Observed in version 1, for the size: the words alone.
		return s.csrRefusal("EMS-921", wordsOnly, string(problem)).because(keyRules[problem])
	}
	return s.checkCompromise(csr)
}
