// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/graph"
)

// codecs write what has a form of its own: times, and what X.509 and PKCS #8 encode. An error is
// written as its text.
func codecs() []graph.Codec {
	return []graph.Codec{
		graph.Of(
			func(t *time.Time) ([]byte, error) { return t.MarshalText() },
			func(b []byte) (t time.Time, err error) { return t, t.UnmarshalText(b) },
		),
		graph.Of(
			func(c *x509.Certificate) ([]byte, error) { return c.Raw, nil },
			parsed(x509.ParseCertificate),
		),
		graph.Of(
			func(c *x509.CertificateRequest) ([]byte, error) { return c.Raw, nil },
			parsed(x509.ParseCertificateRequest),
		),
		graph.Of(
			func(k *ecdsa.PrivateKey) ([]byte, error) { return x509.MarshalPKCS8PrivateKey(k) },
			parsed(func(der []byte) (*ecdsa.PrivateKey, error) {
				key, err := x509.ParsePKCS8PrivateKey(der)
				if err != nil {
					return nil, err
				}
				if ec, isEC := key.(*ecdsa.PrivateKey); isEC {
					return ec, nil
				}
				return nil, fmt.Errorf("a %T is no ECDSA key", key)
			}),
		),
		graph.Of(
			func(e *error) ([]byte, error) { return []byte((*e).Error()), nil },
			func(b []byte) (error, error) { return errors.New(string(b)), nil },
		),
	}
}

// parsed makes a function that returns a pointer return what it points to.
func parsed[T any](parse func([]byte) (*T, error)) func([]byte) (T, error) {
	return func(b []byte) (v T, err error) {
		p, err := parse(b)
		if err == nil {
			v = *p
		}
		return v, err
	}
}
