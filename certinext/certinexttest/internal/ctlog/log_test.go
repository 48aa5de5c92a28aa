// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package ctlog_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/ctlog"
)

// signed is a certificate that has signed itself, with extensions.
func signed(t *testing.T, extensions ...pkix.Extension) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), ExtraExtensions: extensions}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return cert
}

// A log promises nothing of what could be used already.
func TestALogTakesPrecertificatesOnly(t *testing.T) {
	now := time.Date(2026, 5, 12, 20, 0, 0, 0, time.UTC)
	log := ctlog.New("operator", "name", now)
	other := pkix.Extension{Id: []int{1, 2, 3}, Value: []byte{5, 0}}
	for _, cert := range []*x509.Certificate{signed(t), signed(t, other)} {
		_, err := log.Promise(cert, cert, now)
		require.ErrorContains(t, err, "poison")
	}
	poisoned := signed(t, other, ctlog.Poison())
	promise, err := log.Promise(poisoned, poisoned, now)
	require.NoError(t, err)
	id := log.ID()
	require.Equal(t, id[:], promise[1:33])
}

// What does not fit into the list is an error, and no certificate with half of it.
func TestAListOfTimestampsHasAnEnd(t *testing.T) {
	_, err := ctlog.Embedded([][]byte{make([]byte, 1<<16)})
	require.Error(t, err)
}
