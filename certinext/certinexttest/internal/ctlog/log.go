// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package ctlog

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// A Log signs timestamps with a key of its own.
type Log struct {
	operator, name string
	since          time.Time
	key            *ecdsa.PrivateKey
}

// New makes a log with a fresh key, of P-256 as those of Chrome's list.
func New(operator, name string, since time.Time) *Log {
	key := sure.Must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return &Log{operator: operator, name: name, since: since, key: key}
}

// Operator is who runs it.
func (l *Log) Operator() string { return l.operator }

// Name is what it is called.
func (l *Log) Name() string { return l.name }

// Since is when it began.
func (l *Log) Since() time.Time { return l.since }

// PublicKey is its SubjectPublicKeyInfo in DER.
func (l *Log) PublicKey() []byte {
	return sure.Must(x509.MarshalPKIXPublicKey(&l.key.PublicKey))
}

// ID identifies it in timestamps: the SHA-256 of PublicKey.
func (l *Log) ID() [sha256.Size]byte { return sha256.Sum256(l.PublicKey()) }

// Names of RFC 6962, sections 3.1, 3.2 and 3.4, and of TLS, by their numbers.
const (
	version1             = 0
	certificateTimestamp = 0
	precertEntry         = 1
	hashSHA256           = 4
	signatureECDSA       = 3
)

// Promise is a signed certificate timestamp: that the log was shown a precertificate, by who is
// about to issue the certificate, at a time. Its fractions of a millisecond are dropped.
func (l *Log) Promise(precertificate, issuer *x509.Certificate, at time.Time) ([]byte, error) {
	tbs, err := withoutPoison(precertificate.RawTBSCertificate)
	if err != nil {
		return nil, fmt.Errorf("the log %s: %w", l.name, err)
	}
	sum := sha256.Sum256(signedText(tbs, issuer, at))
	signature, err := l.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("the log %s: %w", l.name, err)
	}
	id := l.ID()
	var b cryptobyte.Builder
	b.AddUint8(version1)
	b.AddBytes(id[:])
	b.AddUint64(milliseconds(at))
	b.AddUint16(0) // extensions
	b.AddUint8(hashSHA256)
	b.AddUint8(signatureECDSA)
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(signature) })
	return b.Bytes()
}

// signedText is what a log signs of a precertificate.
func signedText(tbs []byte, issuer *x509.Certificate, at time.Time) []byte {
	issuerKey := sha256.Sum256(issuer.RawSubjectPublicKeyInfo)
	var b cryptobyte.Builder
	b.AddUint8(version1)
	b.AddUint8(certificateTimestamp)
	b.AddUint64(milliseconds(at))
	b.AddUint16(precertEntry)
	b.AddBytes(issuerKey[:])
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(tbs) })
	b.AddUint16(0) // extensions
	return b.BytesOrPanic()
}

func milliseconds(at time.Time) uint64 {
	return uint64(at.UnixMilli())
}
