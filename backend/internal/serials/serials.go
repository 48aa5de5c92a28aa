// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package serials converts serial numbers of certificates to the form of storage keys: bytes in
// lower-case hexadecimal, separated by dashes.
package serials

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
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
	key := Key(new(big.Int).SetBytes(b))
	if err != nil || key == "" || len(b) > maxBytes {
		problem := fmt.Sprintf("%q is not a serial number such as 17:67:16:b0:b9:45",
			sanitize.Short(text))
		if hint := Mistaken(text); hint != "" {
			problem += "; " + hint
		}
		return "", &fault.FieldError{Field: field, Problem: problem}
	}
	return key, nil
}

// Mistaken says what somebody may have meant by a serial number that there is none of: CERTInext's
// portal shows decimal numbers, which [Parse] reads as hexadecimal. Empty for a text that has more
// than digits.
func Mistaken(text string) string {
	digits := strings.TrimSpace(text)
	if len(digits) > maxDigits || strings.Trim(digits, "0123456789") != "" {
		return ""
	}
	n, ok := new(big.Int).SetString(digits, 10)
	if !ok || n.Sign() == 0 {
		return ""
	}
	return "serial numbers are hexadecimal here, and a decimal one, as CERTInext writes " +
		"it, has to be converted: this one would be " + strings.ReplaceAll(Key(n), "-", ":")
}

// maxDigits is how many decimal digits a number of 20 bytes has at most.
const maxDigits = 49

// maxBytes is longer than a serial number may be, which is 20 bytes (RFC 5280).
const maxBytes = 32

// Candidates returns the serial numbers, as keys, that CERTInext may mean by a text; none when it
// is no serial number. The live service writes them in decimal (observed 2026), which come first,
// and the documentation in hexadecimal: a text of digits only may be either.
func Candidates(text string) []string {
	const maxText = 3 * maxBytes // in either form, separators included
	if len(text) > maxText {
		return nil
	}
	var out []string
	if n, ok := new(big.Int).SetString(text, 10); ok && n.Sign() > 0 && len(n.Bytes()) <= maxBytes {
		out = append(out, Key(n))
	}
	if key, err := Parse("serial", text); err == nil && !slices.Contains(out, key) {
		out = append(out, key)
	}
	return out
}
