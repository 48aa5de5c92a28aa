// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

// Package nonce is the OCSP extension by which a client knows that an answer is a fresh one
// (RFC 8954), for which golang.org/x/crypto/ocsp has no place. It finds the nonce of a request and
// puts it into a signed answer, with the time at which the answer was produced, for which that
// package takes no other clock than the machine's.
package nonce

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"
)

// id is id-pkix-ocsp-nonce.
var id = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}

// longest is how many bytes a nonce may have (RFC 8954 §2.1). It has at least one.
const longest = 32

// ErrLength is returned for a nonce that is empty or too long. Such a request is malformed.
var ErrLength = errors.New("a nonce has 1 to 32 bytes")

// A request is OCSPRequest of RFC 6960 §4.1.1, the signature left aside.
type request struct {
	Asked struct {
		Version    int              `asn1:"explicit,tag:0,default:0,optional"`
		Requestor  asn1.RawValue    `asn1:"explicit,tag:1,optional"`
		List       []asn1.RawValue  // of which certificates
		Extensions []pkix.Extension `asn1:"explicit,tag:2,optional"`
	}
}

// Of returns the nonce of a request in DER, nil if it has none.
func Of(der []byte) ([]byte, error) {
	var r request
	if _, err := asn1.Unmarshal(der, &r); err != nil {
		return nil, fmt.Errorf("OCSP request: %w", err)
	}
	for _, e := range r.Asked.Extensions {
		if !e.Id.Equal(id) {
			continue
		}
		var value []byte
		if _, err := asn1.Unmarshal(e.Value, &value); err != nil {
			return nil, fmt.Errorf("nonce: %w", err)
		}
		if len(value) == 0 || len(value) > longest {
			return nil, ErrLength
		}
		return value, nil
	}
	return nil, nil
}

// An answer is OCSPResponse of RFC 6960 §4.2.1.
type answer struct {
	Status asn1.Enumerated
	Bytes  struct {
		Type asn1.ObjectIdentifier
		Body []byte
	} `asn1:"explicit,tag:0"`
}

// A basic is its BasicOCSPResponse.
type basic struct {
	Said      asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
	Certs     asn1.RawValue `asn1:"explicit,tag:0,optional"`
}

// Echo puts value, nil for no nonce, into an answer in DER that was signed without extensions, and
// when it was produced, to the second. sign signs the new text by the algorithm of the old one.
func Echo(
	der, value []byte, produced time.Time, sign func(text []byte) ([]byte, error),
) ([]byte, error) {
	var outer answer
	var inner basic
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		return nil, fmt.Errorf("OCSP response: %w", err)
	}
	if _, err := asn1.Unmarshal(outer.Bytes.Body, &inner); err != nil {
		return nil, fmt.Errorf("basic OCSP response: %w", err)
	}
	dated, err := producedAt(inner.Said.Bytes, produced)
	if err != nil {
		return nil, err
	}
	extension, err := extensions(value)
	if err != nil {
		return nil, err
	}
	said, err := asn1.Marshal(asn1.RawValue{
		Tag: asn1.TagSequence, IsCompound: true, Bytes: append(dated, extension...),
	})
	if err != nil {
		return nil, err
	}
	signature, err := sign(said)
	if err != nil {
		return nil, err
	}
	inner.Said = asn1.RawValue{FullBytes: said}
	inner.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	if outer.Bytes.Body, err = asn1.Marshal(inner); err != nil {
		return nil, err
	}
	return asn1.Marshal(outer)
}

// producedAt is the content of a ResponseData with another producedAt, its only time outside of the
// single answers.
func producedAt(content []byte, at time.Time) (dated []byte, err error) {
	for len(content) > 0 {
		var field asn1.RawValue
		if content, err = asn1.Unmarshal(content, &field); err != nil {
			return nil, fmt.Errorf("response data: %w", err)
		}
		text := field.FullBytes
		if field.Class == asn1.ClassUniversal && field.Tag == asn1.TagGeneralizedTime {
			text, err = asn1.MarshalWithParams(at.UTC().Truncate(time.Second), "generalized")
			if err != nil {
				return nil, err
			}
		}
		dated = append(dated, text...)
	}
	return dated, nil
}

// extensions are the responseExtensions with the nonce alone, if there is one.
func extensions(value []byte) ([]byte, error) {
	if value == nil {
		return nil, nil
	}
	text, err := asn1.Marshal(value)
	if err != nil {
		return nil, err
	}
	list := []pkix.Extension{{Id: id, Value: text}}
	return asn1.MarshalWithParams(list, "explicit,tag:1")
}
