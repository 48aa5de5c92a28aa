// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"maps"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// tooLong is one character longer than a common name may be.
var tooLong = strings.Repeat("a", 53) + ".example.com"

// anyName mounts the engine on ca with roles that leave names and keys to the request: dv and dv-ucc of the public CA, and private PKI.
func anyName(t *testing.T, ca *certinexttest.Server) *mount {
	t.Helper()
	m := newMount(t, ca)
	for name, own := range map[string]map[string]any{
		"dv":      {"product_code": "842", "product_variant": "dv"},
		"ucc":     {"product_code": "844", "product_variant": "dv-ucc"},
		"private": {"product_code": "149", "product_variant": "intranet-ssl", "ca_profile_id": "1", "master_product_id": "1"},
	} {
		maps.Copy(own, map[string]any{"allow_any_name": true, "key_type": "ec"})
		m.write("roles/"+name, own)
		own["key_type"] = "any"
		m.write("roles/"+name+"-sign", own)
	}
	return m
}

// nothingHappens runs refusals, and holds them to have called no CA and stored nothing.
func (m *mount) nothingHappens(refusals func()) {
	m.t.Helper()
	m.ca.ResetCalls()
	m.storage.reset()
	refusals()
	require.Empty(m.t, m.ca.Calls(), "the CA was called")
	require.Empty(m.t, m.storage.writes(), "something was stored")
}

func TestNamesThatNoPublicCACertifiesAreNeverOrdered(t *testing.T) {
	ca := validated(certinexttest.Live)
	m := anyName(t, ca)
	key := newKey(t, elliptic.P256())
	m.nothingHappens(func() {
		for name, problem := range map[string]string{
			"co.uk":                  "is the public suffix co.uk itself",
			"db.corp.internal":       "is under the special-use name internal",
			"printer.local":          "is under the special-use name local",
			"1.2.0.192.in-addr.arpa": "is under the special-use name arpa",
			"host.lan":               "is under no top-level domain",
			"localhost":              "is a single label",
			tooLong:                  "has 65 characters, and a common name has at most 64",
		} {
			asked, request := map[string]any{"common_name": name}, csr(t, key, name)
			signed := map[string]any{"csr": request}
			for _, path := range []string{"issue/dv", "orders/dv", "issue/ucc"} {
				require.Contains(t, m.refused(path, asked), `common_name: "`+name+`" `+problem)
			}
			for _, path := range []string{"sign/dv-sign", "orders/dv-sign", "sign/ucc-sign"} {
				require.Contains(t, m.refused(path, signed), `csr: "`+name+`" `+problem)
			}
			if name == tooLong {
				continue
			}
			beside := map[string]any{"common_name": "www.example.com", "alt_names": name}
			require.Contains(t, m.refused("issue/ucc", beside), `alt_names: "`+name+`" `+problem)
			signed = map[string]any{"csr": csr(t, key, "www.example.com", name)}
			require.Contains(t, m.refused("sign/ucc-sign", signed), `csr: "`+name+`" `+problem)
		}
	})
	for _, role := range []string{"dv", "ucc", "dv-sign", "ucc-sign"} {
		require.Empty(t, m.list("orders/"+role))
	}
}

func TestNamesThatOnlyAPublicCADoesNotCertifyAreOrderedFromPrivatePKI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := anyName(t, validated(certinexttest.Live))
		leaf := m.chainOK(m.write("issue/private", map[string]any{
			"common_name": "db.corp.internal", "alt_names": "host.lan,printer.local," + tooLong, "ip_sans": "10.0.0.5,192.0.2.1",
		}))
		require.ElementsMatch(t, []string{"db.corp.internal", "host.lan", "printer.local", tooLong}, leaf.DNSNames)
		require.Len(t, leaf.IPAddresses, 2)

		m.nothingHappens(func() {
			text := m.refused("issue/private", map[string]any{"common_name": tooLong})
			require.Contains(t, text, "give a shorter common_name, and this name in alt_names")
		})
	})
}

// TestALongNameIsOrderedBesideAShortOne follows what the refusal of a long common name says.
func TestALongNameIsOrderedBesideAShortOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := anyName(t, validated(certinexttest.Live))
		m.refused("issue/ucc", map[string]any{"common_name": tooLong})
		leaf := m.chainOK(m.write("issue/ucc", map[string]any{"common_name": "www.example.com", "alt_names": tooLong}))
		require.Equal(t, "www.example.com", leaf.Subject.CommonName)
		require.ElementsMatch(t, []string{"www.example.com", tooLong}, leaf.DNSNames)
	})
}

// A bareKey signs with an RSA key that crypto/rsa refuses to use.
type bareKey struct {
	rsa.PublicKey
	secret *big.Int
}

func (k *bareKey) Public() crypto.PublicKey { return &k.PublicKey }

// Sign signs as PKCS #1 version 1.5 does, with SHA-256.
func (k *bareKey) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	info, err := asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}{pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, Parameters: asn1.NullRawValue}, digest})
	if err != nil {
		return nil, err
	}
	padded := append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, k.Size()-len(info)-3)...)
	padded = append(append(padded, 0), info...)
	return new(big.Int).Exp(new(big.Int).SetBytes(padded), k.secret, k.N).FillBytes(make([]byte, k.Size())), nil
}

// rsaOf is the key of two primes.
func rsaOf(t *testing.T, p, q *big.Int) *bareKey {
	t.Helper()
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	secret := new(big.Int).ModInverse(big.NewInt(65537), phi)
	require.NotNil(t, secret)
	return &bareKey{rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, secret}
}

// twinPrimes is a key whose primes are neighbours.
func twinPrimes(t *testing.T) *bareKey {
	t.Helper()
	p, err := rand.Prime(rand.Reader, 1024)
	require.NoError(t, err)
	q := new(big.Int).Add(p, big.NewInt(2))
	for !q.ProbablyPrime(20) {
		q.Add(q, big.NewInt(2))
	}
	return rsaOf(t, p, q)
}

// infineon is a key as chips with the flaw ROCA made them: its primes are powers of 65537 modulo the product of the first 126 primes.
func infineon(t *testing.T) *bareKey {
	t.Helper()
	product := big.NewInt(1)
	for n := int64(2); n <= 701; n++ {
		if big.NewInt(n).ProbablyPrime(0) {
			product.Mul(product, big.NewInt(n))
		}
	}
	prime := func() *big.Int {
		for { // k·product + (65537^a mod product), of 1024 bits
			a, err := rand.Int(rand.Reader, product)
			require.NoError(t, err)
			k, err := rand.Prime(rand.Reader, 1024-product.BitLen())
			require.NoError(t, err)
			p := new(big.Int).Exp(big.NewInt(65537), a, product)
			if p.Add(p, k.Mul(k, product)); p.BitLen() == 1024 && p.ProbablyPrime(20) {
				return p
			}
		}
	}
	return rsaOf(t, prime(), prime())
}

func TestKeysThatAnyoneCanComputeAreNeverCertified(t *testing.T) {
	weak := map[string]*bareKey{
		"ROCA (CVE-2017-15361)":              infineon(t),
		"primes of its RSA key are so close": twinPrimes(t),
	}
	synctest.Test(t, func(t *testing.T) {
		m := anyName(t, validated(certinexttest.Live))
		m.write("roles/web", map[string]any{
			"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "allow_reissue": true, "rekey_orders": true, "key_type": "any",
		})
		issued := m.write("sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}).Data

		m.nothingHappens(func() {
			for problem, key := range weak {
				asked := map[string]any{"csr": csr(t, key, "www.example.com"), "force_new": true}
				for _, path := range []string{"sign/dv-sign", "orders/dv-sign", "sign/private-sign", "orders/private-sign", "sign/web", "orders/web"} {
					text := m.refused(path, asked)
					require.Contains(t, text, "csr: ")
					require.Contains(t, text, problem)
				}
				delete(asked, "force_new")
				for _, path := range []string{"sign/web", "renew/web/" + issued["serial_number"].(string)} {
					require.Contains(t, m.refused(path, asked), problem, path)
				}
			}
		})
		for problem, key := range weak {
			text := m.refused("orders/web/"+issued["order_id"].(string)+"/reissue", map[string]any{"csr": csr(t, key, "www.example.com")})
			require.Contains(t, text, problem)
		}
		require.Empty(t, m.ca.Calls())
		require.Len(t, m.list("orders/web"), 1)
		require.Len(t, m.ca.Orders(), 1)

		sound, err := rsa.GenerateKey(rand.Reader, 2048)
		require.NoError(t, err)
		m.chainOK(m.write("sign/dv-sign", map[string]any{"csr": csr(t, sound, "www.example.com")}))
	})
}
