// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package serials converts serial numbers of certificates to the form of storage keys: bytes in
// lower-case hexadecimal, separated by dashes.
package serials

import (
	"encoding/hex"
	"math/big"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// Key returns the storage key of a serial number, such as 17-67-16-b0-b9-45.
func Key(n *big.Int) string {
	b := n.Bytes()
	parts := make([]string, len(b))
	for i, x := range b {
		parts[i] = hex.EncodeToString([]byte{x})
	}
	return strings.Join(parts, "-")
}

// Parse reads a serial number with colons, dashes or no separators, and returns its [Key]. Its
// error is a [*fault.FieldError] that names field.
func Parse(field, text string) (string, error) {
	clean := strings.NewReplacer(":", "", "-", "", " ", "").Replace(strings.TrimSpace(text))
	b, err := hex.DecodeString(strings.ToLower(clean))
	if err != nil || len(b) == 0 || len(b) > 32 {
		return "", fault.BadField(field, "%q is not a serial number such as 17:67:16:b0:b9:45",
			sanitize.Short(text))
	}
	return Key(new(big.Int).SetBytes(b)), nil
}
