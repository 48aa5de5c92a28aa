// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"crypto"
	"crypto/rsa"
	"fmt"
	"math/big"

	"github.com/titanous/rocacheck"
)

// What follows is what the CA/Browser Forum's Baseline Requirements for TLS (version 2.2.6) have a
// CA refuse, or advise against, in sections 6.1.1.3 and 6.1.6. CERTInext can only refuse such a key
// once the order is placed, and an order costs money. Private PKI is held to the same: a key that
// anyone can compute protects nothing.
//
// The Debian keys of 2008, which section 6.1.1.3 names as well, are left to CERTInext: no Go
// package is known that brings their lists with it, and this package reads no files.
//
// Elliptic curves need no check: crypto/x509 takes no point that is not on its curve.

// parameterProblem says which parameter of an RSA key no signature can be verified with; it is
// empty when there is none, and for other keys. The exponent 3 is allowed, as section 6.1.6 allows
// it.
func parameterProblem(pub crypto.PublicKey) string {
	k, ok := pub.(*rsa.PublicKey)
	switch {
	case !ok:
		return ""
	case k.E < 3 || k.E%2 == 0:
		return fmt.Sprintf("the exponent of its RSA key is %d, and has to be odd and at least 3: "+
			"make a new key, with the usual 65537", k.E)
	case k.N.Bit(0) == 0:
		return "the modulus of its RSA key is even: make a new key"
	}
	return ""
}

// secretProblem says why anyone can compute the private key of a public key; it is empty when
// nothing is known against it. Its work is bounded by the size of the key, which is checked before.
func secretProblem(pub crypto.PublicKey) string {
	k, ok := pub.(*rsa.PublicKey)
	if !ok {
		return ""
	}
	if p := smallFactor(k.N); p != 0 {
		return fmt.Sprintf("the modulus of its RSA key is divisible by %d, so that anyone can "+
			"compute the private key: make a new key with other software", p)
	}
	if rocacheck.IsWeak(k) {
		return "its RSA key has the mark of chips with the flaw ROCA (CVE-2017-15361), so that " +
			"others can compute the private key: make a new key with other hardware or software"
	}
	if closePrimes(k.N) {
		return "the primes of its RSA key are so close to each other that anyone can compute the " +
			"private key (https://fermatattack.secvuln.info/): make a new key with other software"
	}
	return ""
}

// leastFactor is what no factor of a modulus may be smaller than (Baseline Requirements 6.1.6, from
// NIST SP 800-89, section 5.3.3).
const leastFactor = 752

// smallPrimes are the primes below leastFactor.
var smallPrimes = primesBelow(leastFactor)

func primesBelow(end int64) []int64 {
	var out []int64
	for n := int64(2); n < end; n++ {
		if big.NewInt(n).ProbablyPrime(0) { // certain below 2⁶⁴
			out = append(out, n)
		}
	}
	return out
}

// smallFactor returns the least of smallPrimes that divides n, or 0.
func smallFactor(n *big.Int) int64 {
	rest := new(big.Int)
	for _, p := range smallPrimes {
		if rest.Mod(n, big.NewInt(p)).Sign() == 0 {
			return p
		}
	}
	return 0
}

// fermatRounds is how long Fermat's method is tried (Baseline Requirements 6.1.1.3, item 5.3).
const fermatRounds = 100

// closePrimes reports whether Fermat's method factors n within fermatRounds: whether n is a² − b²
// for one of the first whole numbers a from √n on.
func closePrimes(n *big.Int) bool {
	a := new(big.Int).Sqrt(n)
	if new(big.Int).Mul(a, a).Cmp(n) < 0 {
		a.Add(a, one)
	}
	rest := new(big.Int)
	for range fermatRounds {
		if isSquare(rest.Sub(rest.Mul(a, a), n)) {
			return true
		}
		a.Add(a, one)
	}
	return false
}

var one = big.NewInt(1)

// isSquare reports whether n, which is not negative, is the square of a whole number.
func isSquare(n *big.Int) bool {
	root := new(big.Int).Sqrt(n)
	return root.Mul(root, root).Cmp(n) == 0
}
