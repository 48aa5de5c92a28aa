// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package bundle_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/internal/bundle"
	"github.com/stretchr/testify/require"
)

func TestEveryFormatHoldsTheKeyOnlyWhereItIsAskedTo(t *testing.T) {
	for _, keyType := range []string{"ec", "rsa"} {
		c := newCertificate(keyType)
		secret := bundle.BytesOf(c.Key)
		for _, form := range bundle.FileForms() {
			f, err := bundle.FileOf(form)
			require.NoError(t, err)
			body, err := f.Encode(c)
			require.NoError(t, err, form)
			require.NotEmpty(t, body, form)
			require.NotContains(t, string(body), "PRIVATE KEY", form)
			require.False(t, bytes.Contains(body, secret), form)
		}
		for _, format := range bundle.Formats() {
			o := bundle.Options{Format: format}
			require.NoError(t, o.Normalize())
			e, err := c.Encode(o)
			require.NoError(t, err, format)
			require.Equal(t, format == bundle.PKCS12 || format == bundle.JKS, e.Archive)
			require.Equal(t, e.Archive, e.Key == "",
				"a keystore holds the key, and nothing is beside it")
			require.NotEmpty(t, e.IssuingCA)
		}
	}
}

func TestACertificateWithoutItsKeyOrChainIsRendered(t *testing.T) {
	c := newCertificate("ec")
	c.Key, c.Chain, c.CSR = "", nil, ""
	for _, format := range bundle.Formats() {
		o := bundle.Options{Format: format, RemoveRoots: true}
		require.NoError(t, o.Normalize())
		e, err := c.Encode(o)
		require.NoError(t, err, format)
		require.NotEmpty(t, e.Certificate)
		require.Empty(t, e.Key)
		require.Empty(t, e.Chain)
		require.Empty(t, e.IssuingCA)
	}
	for _, form := range []string{"ca", "csr"} {
		f, err := bundle.FileOf(form)
		require.NoError(t, err)
		_, err = f.Encode(c)
		require.ErrorIs(t, err, bundle.ErrAbsent, form)
	}
	f, err := bundle.FileOf("zip")
	require.NoError(t, err)
	_, err = f.Encode(c)
	require.NoError(t, err, "an archive holds what there is")
}

func TestTheSameCertificateGivesTheSameFile(t *testing.T) {
	c := newCertificate("ec")
	for _, form := range bundle.FileForms() {
		f, err := bundle.FileOf(form)
		require.NoError(t, err)
		first, err := f.Encode(c)
		require.NoError(t, err)
		second, err := f.Encode(c)
		require.NoError(t, err)
		require.Equal(t, first, second, form)
	}
}

func TestOptionsAreRefusedByName(t *testing.T) {
	for option, o := range map[string]bundle.Options{
		"format":             {Format: "pfx"},
		"private_key_format": {KeyFormat: "pkcs1"},
		"pkcs12_encoder": {
			Format:   bundle.PKCS12,
			Keystore: bundle.Keystore{Encoder: "legacy"},
		},
		"pkcs12_password": {
			Format:   bundle.PKCS12,
			Keystore: bundle.Keystore{Password: "\U0001F511"},
		},
		"jks_password":          {Format: bundle.JKS, Keystore: bundle.Keystore{Password: "ü"}},
		"jks_private_key_alias": {Format: bundle.JKS, Keystore: bundle.Keystore{Alias: "\x00"}},
	} {
		var refused *bundle.OptionError
		require.ErrorAs(t, o.Normalize(), &refused, option)
		require.Equal(t, option, refused.Option)
		require.NotEmpty(t, refused.Problem)
	}
	_, err := bundle.FileOf("exe")
	var refused *bundle.OptionError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "form", refused.Option)
}

func TestAPasswordIsNotPrinted(t *testing.T) {
	o := bundle.Options{Keystore: bundle.Keystore{Password: "hush-7c1d"}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(verb, o), "hush")
	}
}

func TestWhatIsStoredMayBeBroken(t *testing.T) {
	for _, broken := range []string{
		"", "no PEM", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
	} {
		for _, format := range []bundle.Format{bundle.PKCS12, bundle.JKS} {
			o := bundle.Options{Format: format}
			require.NoError(t, o.Normalize())
			c := newCertificate("ec")
			c.PEM = broken
			_, err := c.Encode(o)
			require.Error(t, err, "%s of %q", format, broken)
		}
		if broken == "" {
			continue
		}
		c := newCertificate("ec")
		c.Key = broken
		_, err := c.Encode(bundle.Options{Format: bundle.PEM})
		require.Error(t, err, "a key of %q", broken)
	}
}
