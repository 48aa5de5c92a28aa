// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package backend

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/hashicorp/vault/sdk/helper/jsonutil"
	"github.com/stretchr/testify/require"
)

// A testCA is a certificate with its key.
type testCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newCert(t *testing.T, cn string, parent *testCA, isCA bool) *testCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(rand.Int64()), Subject: pkix.Name{CommonName: cn}, IsCA: isCA, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{cn},
	}
	if parent == nil {
		parent = &testCA{cert: template, key: key}
	}
	der, err := x509.CreateCertificate(cryptorand.Reader, template, parent.cert, &key.PublicKey, parent.key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return &testCA{cert: cert, key: key}
}

func TestAssembleSortsWhateverComes(t *testing.T) {
	root := newCert(t, "root", nil, true)
	middle := newCert(t, "middle", root, true)
	issuer := newCert(t, "issuer", middle, true)
	leaf := newCert(t, "www.example.com", issuer, false)
	stray := newCert(t, "issuer", nil, true) // the issuer's name, another key
	want := []*x509.Certificate{issuer.cert, middle.cert, root.cert}

	all := []string{
		encodeCertificate(leaf.cert), encodeCertificate(issuer.cert), encodeCertificate(middle.cert),
		encodeCertificate(root.cert), encodeCertificate(stray.cert), encodeCertificate(issuer.cert),
	}
	for range 20 {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		got, err := assemble(&certinext.Bundle{Certificate: all[0], Chain: all[1:]}, leaf.cert.PublicKey)
		require.NoError(t, err)
		require.Equal(t, leaf.cert, got.leaf)
		require.Equal(t, want, got.chain)
	}
	got, err := assemble(&certinext.Bundle{Certificate: encodeCertificate(leaf.cert)}, leaf.cert.PublicKey)
	require.NoError(t, err)
	require.Empty(t, got.chain, "an absent chain is empty")

	_, err = assemble(&certinext.Bundle{Certificate: encodeCertificate(leaf.cert), Chain: all}, root.key.Public().(*ecdsa.PublicKey))
	require.NoError(t, err, "a key that a delivered certificate carries")
	_, err = assemble(&certinext.Bundle{Certificate: encodeCertificate(leaf.cert)}, root.cert.PublicKey)
	require.ErrorIs(t, err, errNoLeaf)
}

// Two CAs that certify each other must not make an endless chain.
func TestAssembleEndsOnALoop(t *testing.T) {
	a, b := newCert(t, "a", nil, true), newCert(t, "b", nil, true)
	cross := func(subject, issuer *testCA) *x509.Certificate {
		template := *subject.cert
		template.SerialNumber = big.NewInt(rand.Int64())
		der, err := x509.CreateCertificate(cryptorand.Reader, &template, issuer.cert, &subject.key.PublicKey, issuer.key)
		require.NoError(t, err)
		c, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		return c
	}
	leaf := newCert(t, "www.example.com", a, false)
	got, err := assemble(&certinext.Bundle{
		Certificate: encodeCertificate(leaf.cert),
		Chain:       []string{encodeCertificate(cross(a, b)), encodeCertificate(cross(b, a))},
	}, leaf.cert.PublicKey)
	require.NoError(t, err)
	require.LessOrEqual(t, len(got.chain), 3)
}

func FuzzAssemble(f *testing.F) {
	// The chain is a file, so that every fuzzing process knows the same leaf.
	text, err := os.ReadFile("testdata/chain.pem")
	require.NoError(f, err)
	certs, err := parseCertificates([]string{string(text)})
	require.NoError(f, err)
	require.Len(f, certs, 3)
	key := certs[0].PublicKey
	f.Add(encodeCertificate(certs[0]), encodeCertificate(certs[1])+"\n"+encodeCertificate(certs[2]))
	f.Add(encodeCertificate(certs[2])+"\n"+encodeCertificate(certs[0]), "")
	f.Add("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "junk")
	f.Fuzz(func(t *testing.T, certificate, chain string) {
		got, err := assemble(&certinext.Bundle{Certificate: certificate, Chain: []string{chain}}, key)
		if err != nil {
			return
		}
		require.True(t, issuing.SamePublicKey(got.leaf.PublicKey, key))
		for at, up := got.leaf, got.chain; len(up) > 0; at, up = up[0], up[1:] {
			require.NoError(t, at.CheckSignatureFrom(up[0]))
		}
	})
}

func FuzzStoredOrder(f *testing.F) {
	f.Add([]byte(`{"version":1,"id":"x","role":"web","state":"pending","placement":{"family":"ssl","dns_names":["a.com"]},"timeline":[{"at":"2026-01-01T00:00:00Z","what":"x"}]}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, stored []byte) {
		var o orderEntry
		if err := jsonutil.DecodeJSON(stored, &o); err != nil {
			return
		}
		require.NotPanics(t, func() {
			o.view()
			_, _ = o.publicKey()
			advance(&o, &certinext.Order{Status: o.CAStatus}, progress{})
		})
	})
}

func TestPEMBlocksOtherThanCertificatesAreIgnored(t *testing.T) {
	leaf := newCert(t, "www.example.com", nil, false)
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))
	got, err := parseCertificates([]string{key + encodeCertificate(leaf.cert), "junk"})
	require.NoError(t, err)
	require.Len(t, got, 1)
}
