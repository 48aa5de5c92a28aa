// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package bundle

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// BytesOf returns the bytes of the first PEM block in a text, or nil if there is none.
func BytesOf(pemText string) []byte {
	block, _ := pem.Decode([]byte(pemText))
	if block == nil {
		return nil
	}
	return block.Bytes
}

// WithoutRoots returns a chain without its self-signed certificates. It also omits elements that
// are not PEM.
func WithoutRoots(chain []string) []string {
	out := []string{}
	for _, c := range chain {
		raw := BytesOf(c)
		if raw == nil {
			continue
		}
		cert, err := x509.ParseCertificate(raw)
		if err == nil && cert.CheckSignatureFrom(cert) == nil {
			continue
		}
		out = append(out, c)
	}
	return out
}

func base64DER(pemText string) string {
	return base64.StdEncoding.EncodeToString(BytesOf(pemText))
}

// encodeKey converts a PKCS#8 key in PEM to the wanted format, in PEM.
func encodeKey(pkcs8 string, format KeyFormat) (string, error) {
	if format == KeyPKCS8 {
		return strings.TrimSpace(pkcs8), nil
	}
	raw := BytesOf(pkcs8)
	if raw == nil {
		return "", errors.New("the stored private key is not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(raw)
	if err != nil {
		return "", fmt.Errorf("the stored private key: %w", err)
	}
	out := &pem.Block{}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		out.Type = "EC PRIVATE KEY"
		if out.Bytes, err = x509.MarshalECPrivateKey(k); err != nil {
			return "", fmt.Errorf("encoding the private key: %w", err)
		}
	case *rsa.PrivateKey:
		out.Type, out.Bytes = "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k)
	default:
		return "", fmt.Errorf("the stored private key is a %T", key)
	}
	return strings.TrimSpace(string(pem.EncodeToMemory(out))), nil
}
