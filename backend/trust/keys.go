// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package trust

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
)

// A Key is the SHA-256 of a public key, as SubjectPublicKeyInfo, in lower-case hexadecimal.
type Key string

// KeyOf returns the key of a certificate.
func KeyOf(c *x509.Certificate) Key {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return Key(hex.EncodeToString(sum[:]))
}

// ParseKey reads a key as people have it: 64 hexadecimal digits of either case, with or without
// colons. The error names the field that it was given in.
func ParseKey(field, text string) (Key, error) {
	digits := strings.ToLower(strings.ReplaceAll(strings.TrimSpace(text), ":", ""))
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != sha256.Size {
		return "", fault.BadField(field, "%q is no SHA-256 of a public key: write its 64 "+
			"hexadecimal digits, which openssl x509 -pubkey -noout | openssl pkey -pubin "+
			"-outform DER | openssl dgst -sha256 prints for a certificate", sanitize.Short(text))
	}
	return Key(digits), nil
}

// maxKeys bounds how many distrusted keys a mount may name.
const maxKeys = 1000

// ParseKeys reads a list of keys, and returns it sorted and without doubles.
func ParseKeys(field string, texts []string) ([]Key, error) {
	if len(texts) > maxKeys {
		return nil, fault.BadField(field, "holds %d keys: at most %d are taken",
			len(texts), maxKeys)
	}
	keys := make([]Key, 0, len(texts))
	for _, text := range texts {
		key, err := ParseKey(field, text)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// Builtin returns the keys that Go's verifier refuses from version 1.26.10 on: those of eight
// intermediate CAs below emSign ECC Root CA - G3, which became public in October 2026. They are
// distrustedSPKIHashes of crypto/x509 in Go 1.26.11; a plugin that is built with an earlier version
// has to know them itself.
func Builtin() []Key {
	return []Key{
		"43bffa19d6ef651451f6841e019931e96f6f2eaeff28ab4b6f1ce4576de2717b",
		"49dd353dc2b919a3770645117d0e60c16115e7d1bc259eefe734b00ea434fe5f",
		"5c0660a2b164910d8ff589c18e14552e9e0ec237dcefe2cb736d41a4811f81a0",
		"63ecefee431d49523bc1136c4e72d0206a477086caf606cd5cf025686c109cf8",
		"92c063d67e8f14db71d288e11266ffdaf69cbf115f7bab14f3bc2f68d25e0e30",
		"e0254c7fcdc265e2f0f8a428dabb75ab4ae039b4872d62f5ee57f0877d5a8a41",
		"ebed6475c2c2d80fcb199f3fe8dd6e6b3ce60b77eb15d4e42c3dec0c6f5b5105",
		"ec4ffa1ad0ac88081314b7aaffef6a91f97cd57291bb5ba686c5415f5eb4f6b6",
	}
}
