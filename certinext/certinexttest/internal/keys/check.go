// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"

	"github.com/titanous/rocacheck"
)

// A Problem is why a key is not certified. The zero value is none.
type Problem string

// What can be wrong with a key.
const (
	None Problem = ""
	// Size stands for another algorithm, curve or length than those that are taken: the words that
	// CERTInext was seen to have for all three.
	Size Problem = "Invalid key size"
	// Exponent is an RSA exponent that is even or below 3: "the CA SHALL confirm that the value of
	// the public exponent is an odd number equal to 3 or more".
	Exponent Problem = "CSR key has an invalid public exponent"
	// Modulus is an RSA modulus that is even or has a factor below 752, which "SHOULD" not be.
	Modulus Problem = "CSR key has a modulus with small factors"
	// ROCA is the mark of CVE-2017-15361.
	ROCA Problem = "CSR key is weak (ROCA)"
	// ClosePrimes can be factored "within 100 rounds using Fermat's factorization method".
	ClosePrimes Problem = "CSR key is weak (close primes)"
)

// LargestRSA is the longest modulus that CERTInext was seen to take.
const LargestRSA = 4096

// Check looks at a public key; largest is the longest RSA modulus that is taken.
func Check(pub crypto.PublicKey, largest int) Problem {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return checkRSA(k, largest)
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() {
			return None
		}
	}
	return Size
}

// checkRSA: a length is a multiple of 1024 from 2048 on (observed: 2048, 3072 and 4096). It is
// looked at first, since all else takes longer the longer the key is.
func checkRSA(k *rsa.PublicKey, largest int) Problem {
	length := k.N.BitLen()
	switch {
	case length < 2048 || length > largest || length%1024 != 0:
		return Size
	case k.E < 3 || k.E&1 == 0:
		return Exponent
	case new(big.Int).GCD(nil, nil, k.N, smallPrimes).Cmp(big.NewInt(1)) != 0:
		return Modulus
	case rocacheck.IsWeak(k):
		return ROCA
	case fermat(k.N, 100):
		return ClosePrimes
	}
	return None
}

// smallPrimes is the product of all primes below 752.
var smallPrimes = func() *big.Int {
	product := big.NewInt(1)
	for n := int64(2); n < 752; n++ {
		if p := big.NewInt(n); p.ProbablyPrime(0) { // exact below 2^64
			product.Mul(product, p)
		}
	}
	return product
}()

// fermat reports whether n falls apart in that many rounds: whether for one of as many numbers a
// from the root of n upwards, a*a - n is a square b*b. Then n is (a-b)(a+b).
func fermat(n *big.Int, rounds int) bool {
	a := new(big.Int).Sqrt(n)
	if new(big.Int).Mul(a, a).Cmp(n) == 0 {
		return true
	}
	rest := new(big.Int)
	for range rounds {
		a.Add(a, big.NewInt(1))
		rest.Sub(rest.Mul(a, a), n)
		if isSquare(rest) {
			return true
		}
	}
	return false
}

// sieve has, for some moduli, which remainders a square can leave. One number in a hundred passes
// them all, so that a root is seldom taken.
var sieve = func() map[int64][]bool {
	all := make(map[int64][]bool)
	for _, m := range []int64{63, 64, 65, 11} {
		all[m] = make([]bool, m)
		for n := range m {
			all[m][n*n%m] = true
		}
	}
	return all
}()

func isSquare(n *big.Int) bool {
	remainder := new(big.Int).Mod(n, big.NewInt(63*64*65*11)).Int64()
	for m, squares := range sieve {
		if !squares[remainder%m] {
			return false
		}
	}
	root := new(big.Int).Sqrt(n)
	return root.Mul(root, root).Cmp(n) == 0
}
