// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package bundle renders an issued certificate in the forms that clients ask for: PEM and DER,
// bundles, PKCS#7, PKCS#12, Java keystores, and the files of a download.
//
// It is pure: its results depend only on its arguments, and the same arguments always give the same
// bytes, except for a PKCS#12 archive or a Java keystore that holds a key, whose encryption is
// salted. It knows nothing of Vault, of orders, or of where a certificate is stored, and it never
// puts a key into a form that was not asked to hold one.
package bundle

import (
	"slices"
	"strings"
	"time"
)

// A Certificate is an issued certificate with what belongs to it. All of its strings are PEM.
type Certificate struct {
	PEM       string
	Chain     []string  // the issuing CA first; empty if the CA delivered none
	Key       string    // PKCS#8; empty if the private key is not in Vault
	CSR       string    // empty if it is not known
	NotBefore time.Time // dates the entries of a keystore and the files of an archive
}

// certificates returns the certificate, followed by its chain.
func (c *Certificate) certificates() []string { return append([]string{c.PEM}, c.Chain...) }

// A Format selects what the certificate of an answer contains. The formats have the names and the
// contents of those in Vault's PKI secrets engine.
type Format string

// The formats.
const (
	PEM       Format = "pem"           // the certificate
	DER       Format = "der"           // the same, and everything beside it, in base64 of DER
	PEMBundle Format = "pem_bundle"    // key, certificate and chain
	PKCS7     Format = "pkcs7"         // certificate and chain, in PEM of PKCS#7
	PKCS12    Format = "pkcs12_bundle" // what PEMBundle holds, as a PKCS#12 archive in base64
	JKS       Format = "jks_bundle"    // the same as a Java keystore
)

// Formats lists all formats.
func Formats() []Format { return []Format{PEM, DER, PEMBundle, PKCS7, PKCS12, JKS} }

// A KeyFormat is the encoding of a private key. Whether it is in PEM or in base64 of DER follows
// from the [Format].
type KeyFormat string

// The key formats. KeyDER stands for the native encoding of the key: SEC 1 or PKCS#1.
const (
	KeyDER   KeyFormat = "der"
	KeyPKCS8 KeyFormat = "pkcs8"
)

// Options select the form in which a client receives its certificate.
type Options struct {
	Format      Format    // PEM when empty
	KeyFormat   KeyFormat // KeyDER when empty
	RemoveRoots bool      // leave self-signed certificates out of the chain
	Keystore    Keystore  // for PKCS12 and JKS
}

// An OptionError reports an option that cannot be used, under its name in the API of Vault's PKI
// secrets engine.
type OptionError struct {
	Option, Problem string
}

// Error names the option and the problem.
func (e *OptionError) Error() string { return e.Option + ": " + e.Problem }

// Normalize sets defaults, and returns an [*OptionError] for options that [Certificate.Encode]
// could not use. Call it before buying a certificate: options that pass it do not make Encode fail
// afterwards.
func (o *Options) Normalize() error {
	if o.Format == "" {
		o.Format = PEM
	}
	if o.KeyFormat == "" {
		o.KeyFormat = KeyDER
	}
	if !slices.Contains(Formats(), o.Format) {
		return &OptionError{
			"format",
			"must be pem, der, pem_bundle, pkcs7, pkcs12_bundle or jks_bundle",
		}
	}
	if o.KeyFormat != KeyDER && o.KeyFormat != KeyPKCS8 {
		return &OptionError{
			"private_key_format",
			"must be der or pkcs8",
		}
	}
	switch o.Format {
	case PKCS12:
		return o.Keystore.normalizePKCS12()
	case JKS:
		return o.Keystore.normalizeJKS()
	}
	return nil
}

// An Encoded is a certificate in the form that a client asked for.
type Encoded struct {
	Certificate string   // in the wanted format
	IssuingCA   string   // the first of the chain, even if it is a root; empty without a chain
	Chain       []string // never nil, unless Archive is set
	Key         string   // empty if there is none
	// Archive is set when Certificate is a keystore, which contains everything. Chain and Key are
	// empty then.
	Archive bool
}

// Encode renders the certificate. The options must have passed [Options.Normalize]. An error says
// which part of the stored certificate or key cannot be read.
func (c *Certificate) Encode(o Options) (*Encoded, error) {
	shown := *c
	if o.RemoveRoots {
		shown.Chain = WithoutRoots(c.Chain)
	}
	out := &Encoded{Certificate: c.PEM, Chain: append([]string{}, shown.Chain...)}
	if len(c.Chain) > 0 {
		out.IssuingCA = c.Chain[0]
	}
	if c.Key != "" {
		key, err := encodeKey(c.Key, o.KeyFormat)
		if err != nil {
			return nil, err
		}
		out.Key = key
	}
	switch o.Format {
	case DER:
		out.toDER()
	case PEMBundle:
		out.Certificate = pemBundle(out.Key, shown.certificates())
	case PKCS7:
		body, err := encodePKCS7(shown.certificates())
		if err != nil {
			return nil, err
		}
		out.Certificate = pkcs7PEM(body)
	case PKCS12, JKS:
		archive, err := shown.encodeKeystore(o)
		if err != nil {
			return nil, err
		}
		return &Encoded{Certificate: archive, IssuingCA: out.IssuingCA, Archive: true}, nil
	}
	return out, nil
}

// toDER turns every PEM text into base64 of DER.
func (e *Encoded) toDER() {
	e.Certificate = base64DER(e.Certificate)
	e.IssuingCA = base64DER(e.IssuingCA)
	e.Key = base64DER(e.Key)
	for i, c := range e.Chain {
		e.Chain[i] = base64DER(c)
	}
}

// pemBundle joins the key, if there is one, and the certificates.
func pemBundle(key string, certificates []string) string {
	if key != "" {
		certificates = append([]string{key}, certificates...)
	}
	return strings.Join(certificates, "\n")
}
