// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"io"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// A bareKey signs with any two primes. The one of crypto/rsa refuses to with bad ones.
type bareKey struct {
	public rsa.PublicKey
	d      *big.Int
}

func bare(p, q *big.Int) bareKey {
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	return bareKey{
		public: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537},
		d:      new(big.Int).ModInverse(big.NewInt(65537), phi),
	}
}

func (k bareKey) Public() crypto.PublicKey { return &k.public }

// Sign is RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2.1).
func (k bareKey) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	info, err := hex.DecodeString("3031300d060960864801650304020105000420")
	if err != nil {
		return nil, err
	}
	text := slices.Concat([]byte{0}, info, digest)
	padding := bytes.Repeat([]byte{0xff}, k.public.Size()-len(text)-2)
	m := new(big.Int).SetBytes(slices.Concat([]byte{0, 1}, padding, text))
	return m.Exp(m, k.d, k.public.N).FillBytes(make([]byte, k.public.Size())), nil
}

// neighbours are two primes that are next to each other.
func neighbours(t *testing.T, bits int) (p, q *big.Int) {
	t.Helper()
	p, err := rand.Prime(rand.Reader, bits)
	require.NoError(t, err)
	q = new(big.Int).Add(p, big.NewInt(2))
	for !q.ProbablyPrime(20) {
		q.Add(q, big.NewInt(2))
	}
	return p, q
}

// TestWeakKeys: each is refused in both versions and with every call that takes a CSR.
func TestWeakKeys(t *testing.T) {
	p, q := neighbours(t, 1024)
	cases := map[string]struct {
		key   crypto.Signer
		words string
		docs  string
	}{
		"close primes": {bare(p, q), "close primes", "EMS-921"},
		"RSA 1024":     {mustKey(rsa.GenerateKey(rand.Reader, 1024)), "Invalid key size", "EMS-921"},
		"P-224":        {mustKey(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)), "Invalid key size", "EMS-921"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			request := csr(t, c.key, "www.example.com")
			eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
				code := map[certinexttest.Dialect]string{certinexttest.Live: "EMS-917", certinexttest.Documented: c.docs}[d]
				r := newRig(t, verified(d))
				v := r.post(sslPath, merge(dvOrder("www.example.com"), m{"csr": request})).refused(422, code)
				require.Contains(t, v["detail"], c.words)
				id := r.order(dvOrder("www.example.com"))
				r.put(sslPath+"/"+id+"/csr", m{"csr": request}).refused(422, code)
				private := m{"csr": request, "hostname": "www.example.com"}
				r.post(privatePath, merge(privateOrder("www.example.com"), private), "X-Product-Code", "149").refused(422, code)
				require.Len(t, r.srv.Orders(), 1)
				require.Contains(t, r.call("GenerateOrderSSL", m{"orderDetails": merge(v1Order("www.example.com"), m{"csr": request})}).fails(""), c.words)
				require.Contains(t, r.call("SubmitCSR", m{"orderDetails": merge(ref(id), m{"csr": request})}).fails(""), c.words)
			})
		})
	}
}

func TestLargestRSA(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	long := csr(t, mustKey(rsa.GenerateKey(rand.Reader, 3072)), "www.example.com")
	r.order(merge(dvOrder("www.example.com"), m{"csr": long}))
	r.srv.Configure(func(s *certinexttest.Server) { s.Keys.LargestRSA = 2048 })
	r.post(sslPath, merge(dvOrder("www.example.com"), m{"csr": long})).refused(422, "EMS-917")
}

// TestCompromisedKeysAreBlockedForGood: whichever version the revocation came through, whatever
// certificate the key is for next, and by every call that takes a CSR.
func TestCompromisedKeysAreBlockedForGood(t *testing.T) {
	compromise := map[string]func(r *rig, id string){
		"version 2": func(r *rig, id string) {
			reason := map[certinexttest.Dialect]string{certinexttest.Live: "key-compromise", certinexttest.Documented: "keyCompromise"}[r.srv.Dialect]
			r.post(sslPath+"/"+id+"/revoke", m{"reason": reason, "note": "x"}).must(204)
		},
		"version 1": func(r *rig, id string) {
			r.call("RevokeOrder", m{"revocationDetails": merge(ref(id), m{"revokeReasonId": "1", "revokeRemarks": "x"})}).ok()
		},
	}
	for name, revoke := range compromise {
		t.Run(name, func(t *testing.T) {
			eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
				code := map[certinexttest.Dialect]string{certinexttest.Live: "EMS-917", certinexttest.Documented: "EMS-922"}[d]
				r := newRig(t, verified(d))
				r.srv.HoldForApproval = true
				id, key := r.approved("www.example.com")
				again := csr(t, key, "www.example.com")
				open := r.order(merge(dvOrder("www.example.com"), m{"csr": again}))
				revoke(r, id)
				require.Equal(t, "rejected", r.status(open), "what is open for the key is not issued either")

				r.post(sslPath, merge(dvOrder("www.example.com"), m{"csr": again})).refused(422, code)
				other := r.order(dvOrder("other.example.com"))
				r.put(sslPath+"/"+other+"/csr", m{"csr": csr(t, key, "other.example.com")}).refused(422, code)
				words := r.call("GenerateOrderSSL", m{"orderDetails": merge(v1Order("www.example.com"), m{"csr": again})}).fails("")
				require.Contains(t, words, "compromised")
				private := m{"csr": again}
				r.post(privatePath, merge(privateOrder("www.example.com"), private), "X-Product-Code", "149").refused(422, code)
			})
		})
	}
}

// approved is issued for a server that holds orders for approval.
func (r *rig) approved(domain string) (string, *ecdsa.PrivateKey) {
	r.t.Helper()
	key := newKey(r.t)
	id := r.order(merge(dvOrder(domain), m{"csr": csr(r.t, key, domain)}))
	if r.srv.Dialect == certinexttest.Documented {
		r.post(sslPath+"/"+id+"/agreement", m{"agreement": dvOrder(domain)["agreement"]}).must(204)
	}
	require.NoError(r.t, r.srv.Approve(id))
	require.Equal(r.t, "issued", r.status(id))
	return id, key
}

func TestOtherReasonsBlockNoKey(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	id, key := r.issued("www.example.com")
	r.post(sslPath+"/"+id+"/revoke", m{"reason": "superseded", "note": "x"}).must(204)
	r.order(merge(dvOrder("www.example.com"), m{"csr": csr(t, key, "www.example.com")}))
}

// A reissue that revokes what was before for key-compromise blocks its key, too: the next reissue
// cannot have it.
func TestReissueBlocksACompromisedKey(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	id, key := r.issued("www.example.com")
	reissue := func(key crypto.Signer) answer {
		return r.post(sslPath+"/"+id+"/reissue", m{
			"mode": "rekey", "reason": "x", "csr": csr(t, key, "www.example.com"), "revokePrevious": true, "revokeReason": "key-compromise",
		})
	}
	reissue(newKey(t)).must(201)
	reissue(key).refused(422, "EMS-917")
}

func TestBlockedKeys(t *testing.T) {
	key := newKey(t)
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	sum := sha256.Sum256(spki)
	srv := verified(certinexttest.Live)
	srv.Keys.Blocked = []string{hex.EncodeToString(sum[:])}
	r := newRig(t, srv)
	v := r.post(sslPath, merge(dvOrder("www.example.com"), m{"csr": csr(t, key, "www.example.com")})).refused(422, "EMS-917")
	require.Contains(t, v["detail"], "compromised")
	r.order(merge(dvOrder("www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com")}))
}
