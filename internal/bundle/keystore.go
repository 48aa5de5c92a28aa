// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package bundle

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	jks "github.com/pavlo-v-chernykh/keystore-go/v4"
	"software.sslmate.com/src/go-pkcs12"
)

// Keystore holds the options of a PKCS#12 archive or Java keystore.
type Keystore struct {
	Password string // of the archive, or of the Java keystore and of the key in it
	Encoder  string // of PKCS#12: DefaultEncoder when empty, or VaultEncoder
	Alias    string // of the key in a Java keystore; DefaultAlias when empty
}

// String omits the password, so that it is not logged.
func (k Keystore) String() string {
	return fmt.Sprintf("{Encoder: %q, Alias: %q}", k.Encoder, k.Alias)
}

// GoString is [Keystore.String].
func (k Keystore) GoString() string { return k.String() }

// The defaults of a keystore. They are the same as Vault's, except for the encoder: OpenSSL before
// 3.4 and Java before 26 take an archive of Vault's for one with another password. Both encoders
// encrypt with AES-256, and differ in how they guard the archive's integrity.
const (
	DefaultPassword = pkcs12.DefaultPassword
	DefaultEncoder  = "modern2023"
	VaultEncoder    = "modern2026"
	DefaultAlias    = "1"
)

var pkcs12Encoders = map[string]*pkcs12.Encoder{
	VaultEncoder:   pkcs12.Modern2026,
	DefaultEncoder: pkcs12.Modern2023,
}

func (k *Keystore) normalizePKCS12() error {
	if k.Encoder == "" {
		k.Encoder = DefaultEncoder
	}
	if pkcs12Encoders[k.Encoder] == nil {
		return &OptionError{
			"pkcs12_encoder",
			"must be modern2023 or modern2026",
		}
	}
	k.Password = firstLine(k.Password)
	if strings.ContainsFunc(k.Password, unicode.IsControl) {
		return &OptionError{
			"pkcs12_password",
			"may not contain line breaks, except for one at its end, and no other control " +
				"characters",
		}
	}
	return checkBMP("pkcs12_password", k.Password)
}

// firstLine removes the line break at the end of a password: it belongs to the file that the
// password was read from. OpenSSL's -passin file: reads a password the same way.
func firstLine(password string) string {
	return strings.TrimSuffix(strings.TrimSuffix(password, "\n"), "\r")
}

// normalizeJKS converts the alias to lower case. Vault's documentation calls it case-sensitive, but
// Java converts the alias that it looks up in a JKS file to lower case, and cannot even list a file
// with an alias in upper case (observed with keytool 17).
func (k *Keystore) normalizeJKS() error {
	k.Alias = strings.ToLower(k.Alias)
	if k.Alias == "" {
		k.Alias = DefaultAlias
	}
	if len(k.Alias) > math.MaxUint16 {
		return &OptionError{"jks_private_key_alias", "is longer than a Java keystore can hold"}
	}
	k.Password = firstLine(k.Password)
	if err := checkASCII("jks_password", k.Password); err != nil {
		return err
	}
	return checkBMP("jks_private_key_alias", k.Alias)
}

// checkBMP refuses characters that a BMPString (RFC 7292, appendix B.1) or a string of a Java
// keystore cannot represent, or that would terminate it.
func checkBMP(option, text string) error {
	for _, r := range text {
		if r == 0 || r == utf8.RuneError || r > math.MaxUint16 {
			return &OptionError{option, "may contain only characters of Unicode's Basic " +
				"Multilingual Plane: no emoji and no NUL"}
		}
	}
	return nil
}

// checkASCII refuses characters that Java would read differently: the library encodes each byte as
// a character.
func checkASCII(option, text string) error {
	for _, b := range []byte(text) {
		if b < ' ' || b > '~' {
			return &OptionError{option, "may contain only printable ASCII characters, and " +
				"no line breaks"}
		}
	}
	return nil
}

// encodeKeystore returns a keystore in base64, with the key, the certificate and its chain, or with
// the certificates alone if there is no key.
func (c *Certificate) encodeKeystore(o Options) (string, error) {
	texts := c.certificates()
	all := make([]*x509.Certificate, 0, len(texts))
	for _, text := range texts {
		parsed, err := x509.ParseCertificate(BytesOf(text))
		if err != nil {
			return "", fmt.Errorf("a stored certificate: %w", err)
		}
		all = append(all, parsed)
	}
	encode := o.Keystore.encodePKCS12
	if o.Format == JKS {
		encode = o.Keystore.encodeJKS
	}
	out, err := encode(c.Key, all)
	if err != nil {
		return "", fmt.Errorf("encoding the keystore: %w", err)
	}
	return base64.StdEncoding.EncodeToString(out), nil
}

func (k Keystore) encodePKCS12(key string, all []*x509.Certificate) ([]byte, error) {
	encoder := pkcs12Encoders[k.Encoder]
	if key != "" {
		parsed, err := x509.ParsePKCS8PrivateKey(BytesOf(key))
		if err != nil {
			return nil, fmt.Errorf("the stored private key: %w", err)
		}
		return encoder.Encode(parsed, all[0], all[1:], k.Password)
	}
	// The names that Vault gives the entries of a PKCS#12 trust store are not documented. The
	// library's choice, the subject, may be ambiguous or not fit into a BMPString; a number is
	// neither.
	entries := make([]pkcs12.TrustStoreEntry, 0, len(all))
	for i, c := range all {
		entries = append(entries,
			pkcs12.TrustStoreEntry{Cert: c, FriendlyName: strconv.Itoa(i + 1)})
	}
	return encoder.EncodeTrustStoreEntries(entries, k.Password)
}

// encodeJKS returns a Java keystore. Its dates are those of the certificates, so that the same
// trust store always gives the same bytes.
func (k Keystore) encodeJKS(key string, all []*x509.Certificate) ([]byte, error) {
	store, password := jks.New(jks.WithOrderedAliases()), []byte(k.Password)
	chain := make([]jks.Certificate, 0, len(all))
	for _, c := range all {
		chain = append(chain, jks.Certificate{Type: "X.509", Content: c.Raw})
	}
	if key != "" {
		entry := jks.PrivateKeyEntry{
			CreationTime:     all[0].NotBefore,
			PrivateKey:       BytesOf(key),
			CertificateChain: chain,
		}
		if entry.PrivateKey == nil {
			return nil, errors.New("the stored private key is not PEM")
		}
		if err := store.SetPrivateKeyEntry(k.Alias, entry, password); err != nil {
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
