// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package bundle_test

import (
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/bundle"
)

// Neither the CA's answers nor the options that clients send can be trusted. Rendering must never
// panic: it returns an error or a certificate. If the certificate can be read and the options are
// valid, it returns the certificate, which has been paid for.

func FuzzPEM(f *testing.F)       { fuzzFormat(f, bundle.PEM) }
func FuzzDER(f *testing.F)       { fuzzFormat(f, bundle.DER) }
func FuzzPEMBundle(f *testing.F) { fuzzFormat(f, bundle.PEMBundle) }
func FuzzPKCS7(f *testing.F)     { fuzzFormat(f, bundle.PKCS7) }
func FuzzPKCS12(f *testing.F)    { fuzzFormat(f, bundle.PKCS12) }
func FuzzJKS(f *testing.F)       { fuzzFormat(f, bundle.JKS) }

func fuzzFormat(f *testing.F, format bundle.Format) {
	good := newCertificate("ec")
	f.Add(good.PEM, good.Chain[0], good.Key, "changeit", "app", true)
	f.Add(good.PEM, good.Chain[1], "", "", "", false)
	f.Add("", "", "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----", "\x00",
		"\U0001F511", false)
	f.Fuzz(func(t *testing.T, leaf, issuer, key, password, alias string, removeRoots bool) {
		o := bundle.Options{
			Format:      format,
			RemoveRoots: removeRoots,
			Keystore:    bundle.Keystore{Password: password, Alias: alias, Encoder: "modern2023"},
		}
		if o.Normalize() != nil {
			return
		}
		_, _ = (&bundle.Certificate{PEM: leaf, Chain: []string{issuer}, Key: key}).Encode(o)
		if _, err := good.Encode(o); err != nil {
			t.Fatalf("the options are valid, and the certificate is not rendered: %v", err)
		}
	})
}

func FuzzFile(f *testing.F) {
	good := newCertificate("ec")
	for _, form := range bundle.FileForms() {
		f.Add(form, good.PEM, good.Chain[0], good.CSR)
	}
	f.Fuzz(func(_ *testing.T, form, leaf, issuer, csr string) {
		file, err := bundle.FileOf(form)
		if err != nil {
			return
		}
		_, _ = file.Encode(&bundle.Certificate{PEM: leaf, Chain: []string{issuer}, CSR: csr})
	})
}
