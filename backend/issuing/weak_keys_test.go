// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/stretchr/testify/require"
)

// infineonKey is a key that a chip of Infineon has made: the first of the test vectors of
// github.com/titanous/rocacheck.
const infineonKey = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAlze9c7qGdjDLVR/ntk+4
ZkfMcYsAnmfTFHfe3Xv7jRQqPCXCULtr0y0jG3aRJmEenoXO9uDveqr43gFB9yvA
dLEhu0aJqpB7lNZ+yXsvfVp/96dkSN8oWYL/dd9Z7GQOvVniHUY3Xsd7zdw2eYOy
HSXhhA2Ttwnj3c1jEYfC0y9q1cU99aL0ogGDqolcOvlkJu+mGb+6+WyboFa1gwRu
kYxBHZWKiHCt/eihvXsPTzTlXmTXWdGJtA1xZDnCBWuZ90b5R0agXVIESTl0cCyH
aQM/tLZmktJIU+Eu7ALBXemPg9kh3SCnYd3/YvDGCtYSXOWthHwlP5CImRBcQaNn
cQIDAQAB
-----END PUBLIC KEY-----
`

func TestKeysWhosePrivateKeyIsAnyones(t *testing.T) {
	sound := rsaKey(t, 2048)
	even := &rsa.PublicKey{N: new(big.Int).Sub(sound.N, one), E: sound.E}
	exponent := func(e int) *rsa.PublicKey { return &rsa.PublicKey{N: sound.N, E: e} }
	times := func(p int64) *rsa.PublicKey { return key(big.NewInt(p), probablePrime(t, 2040)) }
	p, q := rocaPrime(t), rocaPrime(t)

	for says, c := range map[string]struct {
		key     crypto.PublicKey
		problem string
	}{
		"a sound RSA key":                      {sound, ""},
		"an ECDSA key":                         {&ecdsa.PublicKey{Curve: elliptic.P256()}, ""},
		"an Ed25519 key":                       {ed25519.PublicKey{}, ""},
		"the exponent 3, as section 6.1.6 has": {exponent(3), ""},
		"the exponent 1":                       {exponent(1), "exponent of its RSA key is 1,"},
		"an even exponent":                     {exponent(65536), "exponent of its RSA key is 65536,"},
		"no exponent":                          {exponent(0), "exponent of its RSA key is 0,"},
		"an even modulus":                      {even, "modulus of its RSA key is even"},
		"a factor of 3":                        {times(3), "is divisible by 3,"},
		"the largest small factor":             {times(751), "is divisible by 751,"},
		"a factor that is not small":           {times(757), ""},
		"a key of an Infineon chip":            {infineon(t), "ROCA (CVE-2017-15361)"},
		"a key of the chip's form":             {key(p, q), "ROCA (CVE-2017-15361)"},
		"half a key of the chip's form":        {key(p, probablePrime(t, 1024)), ""},
		"twin primes":                          {key(apart(t, 1)), "close to each other"},
		"the square of a prime":                {key(p, p), "ROCA (CVE-2017-15361)"},
		"the square of another prime":          {squared(t), "close to each other"},
		"primes that take 100 rounds":          {key(apart(t, 100)), "close to each other"},
		"primes that take 101 rounds":          {key(apart(t, 101)), ""},
	} {
		t.Run(says, func(t *testing.T) {
			problem := parameterProblem(c.key)
			if problem == "" {
				problem = secretProblem(c.key)
			}
			if c.problem == "" {
				require.Empty(t, problem)
				return
			}
			require.Contains(t, problem, c.problem)
			require.Contains(t, problem, "make a new key", "no remedy is named")
		})
	}
}

func TestCSRsOfSuchKeysAreNotAdmitted(t *testing.T) {
	role := NewRole("any")
	role.Variant, role.Key = "dv", KeySpec{Type: "any"}

	weak := privateKey(t, rocaPrime(t), rocaPrime(t))
	_, err := AdmitCSR(role, nil, csrOf(t, weak))
	requireField(t, err, "csr", "ROCA")

	sound, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_, err = AdmitCSR(role, nil, csrOf(t, sound))
	require.NoError(t, err)

	exponent := []byte{2, 3, 1, 0, 1} // the DER of 65537
	_, err = AdmitCSR(role, nil, replaced(t, csrOf(t, sound), exponent, []byte{2, 3, 1, 0, 0}))
	requireField(t, err, "csr", "exponent of its RSA key is 65536")
}

// TestPointsOffTheirCurveAreNoKeys holds the standard library to what the check of keys leaves to
// it.
func TestPointsOffTheirCurveAreNoKeys(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		point, err := key.PublicKey.Bytes()
		require.NoError(t, err)
		off := bytes.Clone(point)
		off[len(off)-1] ^= 1
		_, err = parseCSR(replaced(t, csrOf(t, key), point, off))
		requireField(t, err, "csr", "cannot be parsed")
	}
}

// BenchmarkSecretProblem is the longest that a key can take: nothing is against it, and it is of
// the greatest size.
func BenchmarkSecretProblem(b *testing.B) {
	k := rsaKey(b, 4096)
	for b.Loop() {
		if problem := secretProblem(k); problem != "" {
			b.Fatal(problem)
		}
	}
}

func FuzzClosePrimes(f *testing.F) {
	f.Add([]byte{200}, uint16(2))
	f.Add([]byte{1}, uint16(0))
	f.Fuzz(func(t *testing.T, bytes []byte, distance uint16) {
		p := new(big.Int).SetBytes(bytes)
		q := new(big.Int).Add(p, big.NewInt(int64(distance)))
		if p.BitLen() < 32 || p.BitLen() > 2048 || distance%2 == 1 {
			return
		}
		require.True(t, closePrimes(new(big.Int).Mul(p, q)), "%v · %v", p, q)
	})
}

func requireField(t *testing.T, err error, field, problem string) {
	t.Helper()
	var bad *fault.FieldError
	require.ErrorAs(t, err, &bad)
	require.Equal(t, field, bad.Field)
	require.Contains(t, bad.Problem, problem)
}

func rsaKey(t testing.TB, bits int) *rsa.PublicKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	return &k.PublicKey
}

func key(p, q *big.Int) *rsa.PublicKey {
	return &rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}
}

func privateKey(t *testing.T, p, q *big.Int) *rsa.PrivateKey {
	t.Helper()
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	k := &rsa.PrivateKey{PublicKey: *key(p, q), Primes: []*big.Int{p, q}}
	k.D = new(big.Int).ModInverse(big.NewInt(int64(k.E)), phi)
	require.NotNil(t, k.D)
	k.Precompute()
	require.NoError(t, k.Validate())
	return k
}

func probablePrime(t *testing.T, bits int) *big.Int {
	t.Helper()
	p, err := rand.Prime(rand.Reader, bits)
	require.NoError(t, err)
	return p
}

func squared(t *testing.T) *rsa.PublicKey {
	t.Helper()
	p := probablePrime(t, 1024)
	return key(p, p)
}

func infineon(t *testing.T) *rsa.PublicKey {
	t.Helper()
	block, _ := pem.Decode([]byte(infineonKey))
	k, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	return k.(*rsa.PublicKey)
}

// rocaPrime returns a prime of the form that CVE-2017-15361 is about: k·M + (65537^a mod M), where
// M is the product of the first 126 primes, as in keys of 2048 bits (Nemec and others, The Return
// of Coppersmith's Attack, 2017).
func rocaPrime(t *testing.T) *big.Int {
	t.Helper()
	m := big.NewInt(1)
	for _, p := range primesBelow(702) { // 701 is the 126th
		m.Mul(m, big.NewInt(p))
	}
	for {
		k, err := rand.Int(rand.Reader, new(big.Int).Lsh(one, uint(1022-m.BitLen())))
		require.NoError(t, err)
		k.SetBit(k, 1022-m.BitLen(), 1).SetBit(k, 1023-m.BitLen(), 1)
		a, err := rand.Int(rand.Reader, m)
		require.NoError(t, err)
		p := new(big.Int).Exp(big.NewInt(65537), a, m)
		if p.Add(p, k.Mul(k, m)); p.BitLen() == 1024 && p.ProbablyPrime(20) {
			return p
		}
	}
}

// apart returns two primes of 1024 bits whose product takes Fermat's method so many rounds.
func apart(t *testing.T, rounds int64) (p, q *big.Int) {
	t.Helper()
	p = probablePrime(t, 1024)
	// The method begins at √(p·q), which is (q-p)²/8p below its goal (p+q)/2.
	q = new(big.Int).Mul(p, big.NewInt(4*(2*rounds-1)))
	q.Add(p, q.Sqrt(q)).SetBit(q, 0, 1)
	for !q.ProbablyPrime(20) { // the next prime is near: it does not take another round
		q.Add(q, big.NewInt(2))
	}
	return p, q
}

func csrOf(t *testing.T, key crypto.Signer) string {
	t.Helper()
	text, err := NewCSR(key, &Plan{DNSNames: []string{"www.example.com"}})
	require.NoError(t, err)
	return text
}

// replaced returns a CSR with other bytes in one place.
func replaced(t *testing.T, text string, before, after []byte) string {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	require.Equal(t, 1, bytes.Count(block.Bytes, before))
	block.Bytes = bytes.Replace(block.Bytes, before, after, 1)
	return string(pem.EncodeToMemory(block))
}
