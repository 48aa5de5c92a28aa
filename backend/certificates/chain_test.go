// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

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
		SerialNumber:          big.NewInt(rand.Int64()),
		Subject:               pkix.Name{CommonName: cn},
		IsCA:                  isCA,
		BasicConstraintsValid: true,
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		DNSNames:              []string{cn},
	}
	if parent == nil {
		parent = &testCA{cert: template, key: key}
	}
	der, err := x509.CreateCertificate(cryptorand.Reader, template, parent.cert, &key.PublicKey,
		parent.key)
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
		Encode(leaf.cert), Encode(issuer.cert), Encode(middle.cert),
		Encode(root.cert), Encode(stray.cert), Encode(issuer.cert),
	}
	for range 20 {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		got, err := Assemble(&certinext.Bundle{Certificate: all[0], Chain: all[1:]},
			leaf.cert.PublicKey)
		require.NoError(t, err)
		require.Equal(t, leaf.cert, got.Leaf)
		require.Equal(t, want, got.Chain)
	}
	got, err := Assemble(&certinext.Bundle{Certificate: Encode(leaf.cert)}, leaf.cert.PublicKey)
	require.NoError(t, err)
	require.Empty(t, got.Chain, "an absent chain is empty")

	_, err = Assemble(&certinext.Bundle{Certificate: Encode(leaf.cert), Chain: all},
		root.key.Public().(*ecdsa.PublicKey))
	require.NoError(t, err, "a key that a delivered certificate carries")
	_, err = Assemble(&certinext.Bundle{Certificate: Encode(leaf.cert)}, root.cert.PublicKey)
	require.ErrorIs(t, err, ErrNoLeaf)
}

// Two CAs that certify each other must not make an endless chain.
func TestAssembleEndsOnALoop(t *testing.T) {
	a, b := newCert(t, "a", nil, true), newCert(t, "b", nil, true)
	cross := func(subject, issuer *testCA) *x509.Certificate {
		template := *subject.cert
		template.SerialNumber = big.NewInt(rand.Int64())
		der, err := x509.CreateCertificate(cryptorand.Reader, &template, issuer.cert,
			&subject.key.PublicKey, issuer.key)
		require.NoError(t, err)
		c, err := x509.ParseCertificate(der)
		require.NoError(t, err)
		return c
	}
	leaf := newCert(t, "www.example.com", a, false)
	got, err := Assemble(&certinext.Bundle{
		Certificate: Encode(leaf.cert),
		Chain:       []string{Encode(cross(a, b)), Encode(cross(b, a))},
	}, leaf.cert.PublicKey)
	require.NoError(t, err)
	require.LessOrEqual(t, len(got.Chain), 3)
}

func FuzzAssemble(f *testing.F) {
	// The chain is a file, so that every fuzzing process knows the same leaf.
	text, err := os.ReadFile("testdata/chain.pem")
	require.NoError(f, err)
	certs, err := Parse([]string{string(text)})
	require.NoError(f, err)
	require.Len(f, certs, 3)
	key := certs[0].PublicKey
	f.Add(Encode(certs[0]), Encode(certs[1])+"\n"+Encode(certs[2]))
	f.Add(Encode(certs[2])+"\n"+Encode(certs[0]), "")
	f.Add("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "junk")
	f.Fuzz(func(t *testing.T, certificate, chain string) {
		got, err := Assemble(&certinext.Bundle{Certificate: certificate, Chain: []string{chain}},
			key)
		if err != nil {
			return
		}
		require.True(t, issuing.SamePublicKey(got.Leaf.PublicKey, key))
		for at, up := got.Leaf, got.Chain; len(up) > 0; at, up = up[0], up[1:] {
			require.NoError(t, at.CheckSignatureFrom(up[0]))
		}
	})
}

func TestPEMBlocksOtherThanCertificatesAreIgnored(t *testing.T) {
	leaf := newCert(t, "www.example.com", nil, false)
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))
	got, err := Parse([]string{key + Encode(leaf.cert), "junk"})
	require.NoError(t, err)
	require.Len(t, got, 1)
}
