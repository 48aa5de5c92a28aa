// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"crypto/x509"
	"encoding/asn1"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUsagesHaveNamesOrNumbers(t *testing.T) {
	signer := &x509.Certificate{
		KeyUsage:           x509.KeyUsageContentCommitment | x509.KeyUsageDigitalSignature,
		ExtKeyUsage:        []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 36}},
	}
	require.Equal(t, []string{"DigitalSignature", "ContentCommitment"}, KeyUsage(signer))
	require.Equal(t, []string{"EmailProtection", "1.3.6.1.5.5.7.3.36"}, ExtKeyUsage(signer))
	require.False(t, MayAuthenticateClients(signer))
	require.True(t, MayAuthenticateClients(&x509.Certificate{}), "it says nothing")
	unknown := &x509.Certificate{UnknownExtKeyUsage: signer.UnknownExtKeyUsage}
	require.False(t, MayAuthenticateClients(unknown))
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageAny} {
		c := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{usage}}
		require.True(t, MayAuthenticateClients(c))
	}
}
