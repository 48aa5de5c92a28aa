// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func product(p, q *big.Int) *rsa.PublicKey {
	return &rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}
}

// after is the first prime above n that is at least distance away.
func after(n *big.Int, distance int64) *big.Int {
	p := new(big.Int).Add(n, big.NewInt(distance))
	for !p.ProbablyPrime(20) {
		p.Add(p, big.NewInt(1))
	}
	return p
}

// prime has its two highest bits set, so that a product of two has all its bits.
func prime(bits int) *big.Int {
	return must(rand.Prime(rand.Reader, bits))
}

func TestCheck(t *testing.T) {
	rsaKey := func(bits int) *rsa.PublicKey { return &must(rsa.GenerateKey(rand.Reader, bits)).PublicKey }
	curve := func(c elliptic.Curve) crypto.PublicKey { return must(ecdsa.GenerateKey(c, rand.Reader)).Public() }
	good := rsaKey(2048)
	exponent := func(e int) *rsa.PublicKey { return &rsa.PublicKey{N: good.N, E: e} }
	p, long := prime(1024), product(prime(2560), prime(2560))
	divisible := func(by int64) *rsa.PublicKey {
		n := new(big.Int).Mul(big.NewInt(by), new(big.Int).Rsh(good.N, uint(big.NewInt(by).BitLen())))
		for n.BitLen() < 2048 {
			n.Lsh(n, 1)
		}
		return &rsa.PublicKey{N: n, E: 65537}
	}
	cases := map[string]struct {
		key     crypto.PublicKey
		largest int
		want    Problem
	}{
		"RSA 2048":                       {good, LargestRSA, None},
		"RSA 3072":                       {rsaKey(3072), LargestRSA, None},
		"RSA 1024":                       {rsaKey(1024), LargestRSA, Size},
		"RSA 2040":                       {rsaKey(2040), LargestRSA, Size},
		"RSA 2560":                       {rsaKey(2560), LargestRSA, Size},
		"RSA 5120":                       {long, LargestRSA, Size},
		"RSA 5120, where 8192 is taken":  {long, 8192, None},
		"RSA 3072, where 2048 is most":   {rsaKey(3072), 2048, Size},
		"RSA 2048, where 2048 is most":   {good, 2048, None},
		"P-256":                          {curve(elliptic.P256()), LargestRSA, None},
		"P-384":                          {curve(elliptic.P384()), LargestRSA, None},
		"P-224":                          {curve(elliptic.P224()), LargestRSA, Size},
		"P-521":                          {curve(elliptic.P521()), LargestRSA, Size},
		"Ed25519":                        {ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)), LargestRSA, Size},
		"no key":                         {nil, LargestRSA, Size},
		"the exponent 3":                 {exponent(3), LargestRSA, None},
		"the exponent 1":                 {exponent(1), LargestRSA, Exponent},
		"an even exponent":               {exponent(65536), LargestRSA, Exponent},
		"an even modulus":                {divisible(2), LargestRSA, Modulus},
		"a factor of 751":                {divisible(751), LargestRSA, Modulus},
		"the square of a prime":          {product(p, p), LargestRSA, ClosePrimes},
		"primes next to each other":      {product(p, after(p, 2)), LargestRSA, ClosePrimes},
		"primes 2^512 from each other":   {product(p, after(new(big.Int).Add(p, new(big.Int).Lsh(big.NewInt(1), 512)), 1)), LargestRSA, ClosePrimes},
		"primes 2^600 from each other":   {product(p, after(new(big.Int).Add(p, new(big.Int).Lsh(big.NewInt(1), 600)), 1)), LargestRSA, None},
		"the mark of the Infineon chips": {product(infineon(1024), infineon(1024)), LargestRSA, ROCA},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, Check(c.key, c.largest)) })
	}
}

// infineon makes a prime as the chips of CVE-2017-15361 do: k*M + (65537^a mod M), with the product
// M of the first 126 primes.
func infineon(bits int) *big.Int {
	m, count := big.NewInt(1), 0
	for n := int64(2); count < 126; n++ {
		if p := big.NewInt(n); p.ProbablyPrime(0) {
			m.Mul(m, p)
			count++
		}
	}
	for {
		a := must(rand.Int(rand.Reader, m))
		k := must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits-m.BitLen()))))
		p := new(big.Int).Exp(big.NewInt(65537), a, m)
		p.Add(p, k.Mul(k, m))
		if p.BitLen() == bits && p.Bit(bits-2) == 1 && p.ProbablyPrime(10) {
			return p
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	key := must(rsa.GenerateKey(rand.Reader, 4096)).Public()
	for b.Loop() {
		Check(key, LargestRSA)
	}
}
