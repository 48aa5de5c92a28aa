// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/stretchr/testify/require"
)

func FuzzParseCSR(f *testing.F) {
	key, err := KeySpec{Type: "ec", Bits: 256}.Generate()
	require.NoError(f, err)
	good, err := NewCSR(key, &Plan{DNSNames: []string{"www.example.com"}})
	require.NoError(f, err)
	f.Add(good)
	f.Add("-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		csr, err := ParseCSR(text)
		if err != nil {
			var field *fault.FieldError
			require.ErrorAs(t, err, &field)
			return
		}
		require.NoError(t, csr.CheckSignature())
		if _, err := CSRNames(csr); err != nil {
			var field *fault.FieldError
			require.ErrorAs(t, err, &field)
		}
	})
}
