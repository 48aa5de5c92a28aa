// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package issuing

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/fault"
	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/sanitize"
	"github.com/certinext/vault-plugin-secrets-certinext/internal/phrase"
)

// A KeySpec is a kind of private key, in the terms of Vault's PKI engine.
type KeySpec struct {
	Type string // ec or rsa; any for a role that only signs CSRs
	Bits int    // ec: 256, 384; rsa: 2048, 3072, 4096; any: 0
}

// keySizes are the keys that CERTInext accepts. Observed on the live service: it refuses P-521,
// Ed25519 and larger RSA keys.
var keySizes = map[string][]int{"ec": {256, 384}, "rsa": {2048, 3072, 4096}}

// WithDefaults returns k with ec for an empty type, and the type's smallest size for a zero size.
func (k KeySpec) WithDefaults() KeySpec {
	if k.Type == "" {
		k.Type = "ec"
	}
	if sizes := keySizes[k.Type]; k.Bits == 0 && sizes != nil {
		k.Bits = sizes[0]
	}
	return k
}

// Validate returns a [*fault.FieldError] for the first field of k that is wrong.
func (k KeySpec) Validate() error {
	if k.Type == "any" {
		if k.Bits != 0 {
			return fault.BadField("key_bits", "cannot be set when key_type is any")
		}
		return nil
	}
	sizes, ok := keySizes[k.Type]
	if !ok {
		return fault.BadField("key_type",
			"%q is not a type of key that CERTInext accepts: use ec or rsa, or any for a role "+
				"that only signs", sanitize.Short(k.Type))
	}
	if !slices.Contains(sizes, k.Bits) {
		return fault.BadField("key_bits",
			"%d is not a size that CERTInext accepts for %s keys: use %s",
			k.Bits, k.Type, phrase.Or(sizes...))
	}
	return nil
}

// Generate returns a new private key of a valid spec with a type other than any. It may take
// seconds for RSA.
func (k KeySpec) Generate() (crypto.Signer, error) {
	switch {
	case k.Type == "ec" && k.Bits == 256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case k.Type == "ec" && k.Bits == 384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case k.Type == "rsa":
		return rsa.GenerateKey(rand.Reader, k.Bits)
	}
	return nil, fmt.Errorf("internal error: cannot generate a key of type %q, %d bits",
		k.Type, k.Bits)
}

// specOf returns the spec of a CSR's public key.
func specOf(pub crypto.PublicKey) (KeySpec, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		return KeySpec{Type: "ec", Bits: k.Curve.Params().BitSize}, nil
	case *rsa.PublicKey:
		return KeySpec{Type: "rsa", Bits: k.N.BitLen()}, nil
	}
	return KeySpec{}, fault.BadField("csr",
		"its key is neither RSA nor ECDSA: CERTInext accepts no other")
}

// admits returns an error unless a role whose spec is k signs a CSR with a key of the given spec.
// The key may be larger than the role's.
func (k KeySpec) admits(key KeySpec) error {
	if sizes := keySizes[key.Type]; !slices.Contains(sizes, key.Bits) {
		return fault.BadField("csr", "its key is %s with %d bits: CERTInext accepts %s",
			key.Type, key.Bits, phrase.Or(sizes...))
	}
	if k.Type == "any" {
		return nil
	}
	if k.Type != key.Type || key.Bits < k.Bits {
		return fault.BadField("csr",
			"its key is %s with %d bits, the role asks for %s with at least %d",
			key.Type, key.Bits, k.Type, k.Bits)
	}
	return nil
}

// MarshalKey returns a private key as PKCS#8 in PEM.
func MarshalKey(key crypto.Signer) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("encoding the private key: %w", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}

// ParseKey parses a private key in PEM: PKCS#8, SEC 1 or PKCS#1, the forms in which the engine
// returns keys. Its errors are of type [*fault.FieldError].
func ParseKey(text string) (crypto.Signer, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, fault.BadField("private_key",
			"is not PEM: private_key=@file sends what is in a file")
	}
	if k, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if signer, ok := k.(crypto.Signer); ok {
			return signer, nil
		}
	}
	if k, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return k, nil
	}
	if k, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return k, nil
	}
	return nil, fault.BadField("private_key", "is not a PKCS#8, EC or RSA private key")
}

// SamePublicKey reports whether two public keys are equal.
func SamePublicKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(x crypto.PublicKey) bool })
	return ok && k.Equal(b)
}
