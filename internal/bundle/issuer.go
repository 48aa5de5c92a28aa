// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package bundle

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
)

// An Issuer is a CA of a chain, as Vault's PKI secrets engine describes its issuers.
type Issuer struct {
	ID           string   // of the form of a UUID, and always the same for a certificate
	PEM          string   // its certificate
	Chain        []string // its certificate and those above it
	SerialNumber string   // colon-separated hexadecimal
}

// Issuers returns the CAs of a chain, the issuing one first. It leaves out elements that are no
// certificates.
func Issuers(chain []string) []Issuer {
	issuers := make([]Issuer, 0, len(chain))
	for i, text := range chain {
		c, err := x509.ParseCertificate(BytesOf(text))
		if err != nil {
			continue
		}
		issuers = append(issuers, Issuer{
			ID:           uuidOf(c.Raw),
			PEM:          text,
			Chain:        chain[i:],
			SerialNumber: colons(c.SerialNumber.Bytes()),
		})
	}
	return issuers
}

// uuidOf derives a UUID of version 8 (RFC 9562, section 5.8) from the bytes of a certificate.
func uuidOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	id := sum[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// AuthorityKeyID returns the authority key identifier of a certificate in colon-separated
// hexadecimal, or "" if it has none or is none.
func AuthorityKeyID(pemText string) string {
	c, err := x509.ParseCertificate(BytesOf(pemText))
	if err != nil {
		return ""
	}
	return colons(c.AuthorityKeyId)
}

func colons(raw []byte) string {
	parts := make([]string, 0, len(raw))
	for _, b := range raw {
		parts = append(parts, hex.EncodeToString([]byte{b}))
	}
	return strings.Join(parts, ":")
}

// JoinPEM joins certificates in PEM to one text.
func JoinPEM(texts []string) string { return strings.Join(texts, "\n") }
