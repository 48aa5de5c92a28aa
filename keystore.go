// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinextsecrets

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/certinext/vault-plugin-secrets-certinext/backend"
	"github.com/hashicorp/vault/sdk/framework"
	jks "github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

// The formats of the answer that are keystores. Formats, fields, defaults and answers are those of Vault 2.1's PKI engine, as
// its API documentation has them ("Generate certificate and key", "Sign certificate"): the archive is base64 in certificate, and
// holds the key where Vault has made it; otherwise it is a trust store. Documented, too, are the absence of private_key and the
// aliases of a Java trust store: 1, 2, 3 … Not documented, but what Vault's path_issue_sign.go does: private_key_type and ca_chain
// are absent as well, issuing_ca is PEM, and an empty password is an empty password.
const (
	formatPKCS12 = "pkcs12_bundle"
	formatJKS    = "jks_bundle"
)

const (
	defaultEncoder = "modern2026"
	defaultAlias   = "1"
)

var pkcs12Encoders = map[string]*pkcs12.Encoder{defaultEncoder: pkcs12.Modern2026, "modern2023": pkcs12.Modern2023}

// keystore is how a caller wants its PKCS#12 archive or Java keystore.
type keystore struct {
	password backend.Secret
	encoder  string // of PKCS#12
	alias    string // of the key in a Java keystore
}

func keystoreFields() map[string]*framework.FieldSchema {
	password := func(of, format string) *framework.FieldSchema {
		return &framework.FieldSchema{
			Type: framework.TypeString, Default: pkcs12.DefaultPassword, DisplayAttrs: &framework.DisplayAttributes{Sensitive: true},
			Description: "Password of the " + of + ", with format=" + format + ". One of high entropy, or the default and a well-kept file.",
		}
	}
	return map[string]*framework.FieldSchema{
		"pkcs12_password": password("PKCS#12 archive", formatPKCS12),
		"pkcs12_encoder": {
			Type: framework.TypeString, Default: defaultEncoder, AllowedValues: []any{defaultEncoder, "modern2023"},
			Description: "Algorithms of the PKCS#12 archive, with format=" + formatPKCS12 + ": modern2026, whose PBMAC1 needs OpenSSL 3.4 or Java 26, or modern2023, for OpenSSL 1.1.1, Java 12 and Windows Server 2019.",
		},
		"jks_password": password("Java keystore, and of the key in it", formatJKS),
		"jks_private_key_alias": {
			Type: framework.TypeString, Default: defaultAlias,
			Description: "Alias of the key in the Java keystore, with format=" + formatJKS + ", in lower case as Java stores it. The entries of a keystore without a key are 1, 2, 3 and so on.",
		},
	}
}

// decodeKeystore reads the keystore fields. Those of another format are refused, unless they are empty or have their defaults,
// as clients send them that send everything. Whatever could fail when the certificate is there has to fail here: it would
// have been paid for.
func decodeKeystore(d *framework.FieldData, format string) (keystore, error) {
	var k keystore
	for _, f := range []struct {
		name, format, fallback string
		use                    func(value string) error
	}{
		{"pkcs12_password", formatPKCS12, pkcs12.DefaultPassword, func(v string) error {
			k.password = backend.Secret(v)
			return checkBMP("pkcs12_password", v)
		}},
		{"pkcs12_encoder", formatPKCS12, defaultEncoder, func(v string) error {
			if k.encoder = v; v == "" {
				k.encoder = defaultEncoder
			}
			if pkcs12Encoders[k.encoder] == nil {
				return &backend.FieldError{Field: "pkcs12_encoder", Problem: fmt.Sprintf("%q is not modern2026 or modern2023", v)}
			}
			return nil
		}},
		{"jks_password", formatJKS, pkcs12.DefaultPassword, func(v string) error {
			k.password = backend.Secret(v)
			return checkASCII("jks_password", v)
		}},
		{"jks_private_key_alias", formatJKS, defaultAlias, func(v string) error {
			if k.alias = strings.ToLower(v); v == "" {
				k.alias = defaultAlias
			}
			if len(k.alias) > math.MaxUint16 {
				return &backend.FieldError{Field: "jks_private_key_alias", Problem: "is longer than a Java keystore can hold"}
			}
			return checkBMP("jks_private_key_alias", v)
		}},
	} {
		value := f.fallback
		if d.Raw[f.name] != nil {
			value = d.Get(f.name).(string)
		}
		var err error
		switch {
		case format == f.format:
			err = f.use(value)
		case value != "" && value != f.fallback:
			err = &backend.FieldError{Field: f.name, Problem: "is for format=" + f.format}
		}
		if err != nil {
			return k, err
		}
	}
	return k, nil
}

// checkBMP refuses what a BMPString (RFC 7292 appendix B.1), or a string of a Java keystore, cannot hold or would end at.
func checkBMP(field, text string) error {
	for _, r := range text {
		if r == 0 || r == utf8.RuneError || r > math.MaxUint16 {
			return &backend.FieldError{Field: field, Problem: "may hold characters of Unicode's Basic Multilingual Plane only: no emoji and no NUL"}
		}
	}
	return nil
}

// checkASCII refuses what Java would not read as it was written: the library takes bytes for characters.
func checkASCII(field, text string) error {
	for _, b := range []byte(text) {
		if b < ' ' || b > '~' {
			return &backend.FieldError{Field: field, Problem: "may hold printable ASCII characters only"}
		}
	}
	return nil
}

// encodeKeystore bundles a key, in PKCS#8, with its certificate and chain, or the certificates alone when there is no key here.
func encodeKeystore(f form, key string, certificates []string) (string, error) {
	all := make([]*x509.Certificate, 0, len(certificates))
	for _, c := range certificates {
		parsed, err := x509.ParseCertificate(der(c))
		if err != nil {
			return "", fmt.Errorf("a stored certificate: %w", err)
		}
		all = append(all, parsed)
	}
	if len(all) == 0 {
		return "", errors.New("a keystore needs a certificate")
	}
	encode := f.keystore.pkcs12
	if f.format == formatJKS {
		encode = f.keystore.jks
	}
	out, err := encode(key, all)
	if err != nil {
		return "", fmt.Errorf("encoding the keystore: %w", err)
	}
	return base64.StdEncoding.EncodeToString(out), nil
}

func (k *keystore) pkcs12(key string, all []*x509.Certificate) ([]byte, error) {
	encoder, password := pkcs12Encoders[k.encoder], string(k.password)
	if key != "" {
		parsed, err := x509.ParsePKCS8PrivateKey(der(key))
		if err != nil {
			return nil, fmt.Errorf("the stored private key: %w", err)
		}
		return encoder.Encode(parsed, all[0], all[1:], password)
	}
	// Vault's names in a PKCS#12 trust store are not documented. Subjects, the library's choice, may be alike or beyond a
	// BMPString; these are neither.
	entries := make([]pkcs12.TrustStoreEntry, 0, len(all))
	for i, c := range all {
		entries = append(entries, pkcs12.TrustStoreEntry{Cert: c, FriendlyName: strconv.Itoa(i + 1)})
	}
	return encoder.EncodeTrustStoreEntries(entries, password)
}

// jks makes a Java keystore. Its dates are the certificates': the same trust store always gives the same bytes. Vault's
// documentation calls the alias case-sensitive. Java lowers the case of what it looks for in a JKS file, and cannot even list one
// with an alias in upper case (observed with keytool 17), so this one is in lower case.
func (k *keystore) jks(key string, all []*x509.Certificate) ([]byte, error) {
	store, password := jks.New(jks.WithOrderedAliases()), []byte(k.password)
	chain := make([]jks.Certificate, 0, len(all))
	for _, c := range all {
		chain = append(chain, jks.Certificate{Type: "X.509", Content: c.Raw})
	}
	if key != "" {
		entry := jks.PrivateKeyEntry{CreationTime: all[0].NotBefore, PrivateKey: der(key), CertificateChain: chain}
		if err := store.SetPrivateKeyEntry(k.alias, entry, password); err != nil {
			return nil, err
		}
	} else {
		for i, c := range chain {
			entry := jks.TrustedCertificateEntry{CreationTime: all[i].NotBefore, Certificate: c}
			if err := store.SetTrustedCertificateEntry(strconv.Itoa(i+1), entry); err != nil {
				return nil, err
			}
		}
	}
	var out bytes.Buffer
	if err := store.Store(&out, password); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
