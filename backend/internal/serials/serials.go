// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package serials reads and writes serial numbers of certificates as storage keys have them: bytes in
// hexadecimal, with dashes between them.
package serials

import (
	"encoding/hex"
	"math/big"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// Key writes a serial number.
func Key(n *big.Int) string {
	b := n.Bytes()
	parts := make([]string, len(b))
	for i, x := range b {
		parts[i] = hex.EncodeToString([]byte{x})
	}
	return strings.Join(parts, "-")
}

// Parse reads a serial number with colons, dashes or no separators, and returns it as [Key] writes it.
// The error is about field.
func Parse(field, text string) (string, error) {
	clean := strings.ToLower(strings.NewReplacer(":", "", "-", "", " ", "").Replace(strings.TrimSpace(text)))
	b, err := hex.DecodeString(clean)
	if err != nil || len(b) == 0 || len(b) > 32 {
		return "", fault.BadField(field, "%q is not a serial number such as 17:67:16:b0:b9:45", sanitize.Short(text))
	}
	return Key(new(big.Int).SetBytes(b)), nil
}
