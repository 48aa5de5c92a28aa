// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certificates

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/issuing"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
)

// A Downloaded is a certificate that CERTInext has delivered, with its chain verified and in order.
type Downloaded struct {
	Leaf  *x509.Certificate
	Chain []*x509.Certificate // the issuing CA first; a self-signed root last, if one was delivered
	Rest  []*x509.Certificate // whatever else was delivered
}

// maxBundle bounds the certificates in one answer of CERTInext's.
const maxBundle = 16

// ErrNoLeaf is returned when no certificate in an answer has the key of the order's CSR.
var ErrNoLeaf = errors.New("none of the delivered certificates carries the key of the CSR")

// Assemble returns the delivered certificate that has the given public key, with the chain of
// delivered certificates that verifiably issued it. The order of the delivery means nothing, and it
// may be incomplete: roots before intermediates, and no chain at all, were observed. The error is
// [ErrNoLeaf] when no certificate has the key.
func Assemble(b *certinext.Bundle, key crypto.PublicKey) (*Downloaded, error) {
	certs, err := Parse(append([]string{b.Certificate}, b.Chain...))
	if err != nil {
		return nil, err
	}
	var leaf *x509.Certificate
	for _, c := range certs {
		if issuing.SamePublicKey(c.PublicKey, key) {
			leaf = c
			break
		}
	}
	if leaf == nil {
		return nil, ErrNoLeaf
	}
	chain := buildChain(leaf, certs)
	rest := slices.DeleteFunc(certs, func(c *x509.Certificate) bool {
		return c.Equal(leaf) || slices.ContainsFunc(chain, c.Equal)
	})
	return &Downloaded{Leaf: leaf, Chain: chain, Rest: rest}, nil
}

// buildChain follows valid signatures from leaf upwards through pool. It ends at a self-signed
// certificate or where pool has no issuer.
func buildChain(leaf *x509.Certificate, pool []*x509.Certificate) []*x509.Certificate {
	var chain []*x509.Certificate
	for at := leaf; len(chain) < len(pool) && !selfSigned(at); {
		issuer := issuerOf(at, pool)
		if issuer == nil {
			break
		}
		chain = append(chain, issuer)
		at = issuer
	}
	return chain
}

// issuerOf returns the certificate in pool that has issued c, or nil when there is none.
func issuerOf(c *x509.Certificate, pool []*x509.Certificate) *x509.Certificate {
	for _, p := range pool {
		if !p.Equal(c) && bytes.Equal(p.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(p) == nil {
			return p
		}
	}
	return nil
}

func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(c) == nil
}

// Parse returns all certificates in the given PEM texts, and ignores blocks of other types. More
// than 16 certificates are an error.
func Parse(texts []string) ([]*x509.Certificate, error) {
	var out []*x509.Certificate
	for _, text := range texts {
		for rest := []byte(text); ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if block.Type != "CERTIFICATE" {
				continue
			}
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("a delivered certificate cannot be parsed: %w", err)
			}
			out = append(out, c)
			if len(out) > maxBundle {
				return nil, fmt.Errorf("more than %d certificates were delivered", maxBundle)
			}
		}
	}
	return out, nil
}

// Encode returns a certificate in PEM.
func Encode(c *x509.Certificate) string {
	block := &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}
	return strings.TrimSpace(string(pem.EncodeToMemory(block)))
}

// AssembleAny is [Assemble] for an order whose key is unknown to this mount, such as one that was
// placed outside of it: the first certificate of the bundle counts as the leaf.
func AssembleAny(b *certinext.Bundle) (*Downloaded, error) {
	certs, err := Parse([]string{b.Certificate})
	if err != nil {
		return nil, err
	}
	var leaf *x509.Certificate
	if len(certs) > 0 {
		leaf = certs[0]
	}
	if leaf == nil || leaf.IsCA {
		return nil, errors.New("the delivered certificate is a CA's")
	}
	return Assemble(b, leaf.PublicKey)
}
