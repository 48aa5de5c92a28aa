// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package ctlog

import (
	"crypto/x509/pkix"
	encoding "encoding/asn1"
	"errors"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// The extensions of RFC 6962, sections 3.1 and 3.3.
var (
	poison     = encoding.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 3}
	timestamps = encoding.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}
)

// Poison makes a precertificate of a certificate: being critical and known to nobody, it keeps it
// from being used.
func Poison() pkix.Extension {
	return pkix.Extension{Id: poison, Critical: true, Value: slices.Clone(encoding.NullBytes)}
}

// Embedded is the extension by which a certificate shows what logs have promised. Its value is an
// OCTET STRING with the list as TLS writes it.
func Embedded(promises [][]byte) (pkix.Extension, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.OCTET_STRING, func(b *cryptobyte.Builder) {
		b.AddUint16LengthPrefixed(func(list *cryptobyte.Builder) {
			for _, p := range promises {
				list.AddUint16LengthPrefixed(func(one *cryptobyte.Builder) { one.AddBytes(p) })
			}
		})
	})
	value, err := b.Bytes()
	return pkix.Extension{Id: timestamps, Value: value}, err
}

var errNotPrecertificate = errors.New("it is no precertificate: its poison extension is missing")

// extensions are [3] EXPLICIT in a TBSCertificate.
var extensions = asn1.Tag(3).Constructed().ContextSpecific()

// withoutPoison is a TBSCertificate without its poison extension, and else byte for byte.
func withoutPoison(tbs []byte) ([]byte, error) {
	input := cryptobyte.String(tbs)
	var fields, field cryptobyte.String
	var tag asn1.Tag
	if !input.ReadASN1(&fields, asn1.SEQUENCE) {
		return nil, errNotPrecertificate
	}
	isPoisoned := false
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for fields.ReadAnyASN1Element(&field, &tag) {
			if tag == extensions {
				isPoisoned = addExtensions(b, field)
			} else {
				b.AddBytes(field)
			}
		}
	})
	if !isPoisoned {
		return nil, errNotPrecertificate
	}
	return b.Bytes()
}

// addExtensions adds those of a field but poison, and reports whether that was there.
func addExtensions(b *cryptobyte.Builder, field cryptobyte.String) (isPoisoned bool) {
	var explicit, list, one cryptobyte.String
	var tag asn1.Tag
	if !field.ReadASN1(&explicit, extensions) || !explicit.ReadASN1(&list, asn1.SEQUENCE) {
		return false
	}
	b.AddASN1(extensions, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for list.ReadAnyASN1Element(&one, &tag) {
				if isPoison(one) {
					isPoisoned = true
				} else {
					b.AddBytes(one)
				}
			}
		})
	})
	return isPoisoned
}

func isPoison(extension cryptobyte.String) bool {
	var fields cryptobyte.String
	var id encoding.ObjectIdentifier
	return extension.ReadASN1(&fields, asn1.SEQUENCE) &&
		fields.ReadASN1ObjectIdentifier(&id) && id.Equal(poison)
}
