// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"time"
)

// responderLife is how long the certificate of an OCSP responder is good for. It is short since
// nobody asks for its status.
const responderLife = 7 * 24 * time.Hour

// noCheck is id-pkix-ocsp-nocheck of RFC 6960 §4.2.2.2.1: the responder's own status is not asked
// for.
var noCheck = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}

// responderOf is the delegated OCSP responder of by, renewed with a fresh key before it ends or if
// the clock went back. An end-entity certificate that has signed others answers itself. a.mu is
// held.
func (a *Hierarchy) responderOf(by *Signer, now time.Time) *Signer {
	if !by.Cert.IsCA {
		return by
	}
	r := by.responder
	if r == nil || now.Before(r.Cert.NotBefore) || now.Add(statusLife).After(r.Cert.NotAfter) {
		by.responder = newSigner("", responderTemplate(a.purpose, now), by)
		a.remember(by.responder.Cert, by, by)
	}
	return by.responder
}

// responderTemplate follows the Baseline Requirements §7.1.2.8, by which a responder names neither
// a policy nor a place where its status is found.
func responderTemplate(p purpose, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               distinguished(p.title + " OCSP " + newTag()),
		NotBefore:             now.Add(-time.Hour).Truncate(time.Second),
		NotAfter:              now.Add(responderLife).Truncate(time.Second),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
		ExtraExtensions:       []pkix.Extension{{Id: noCheck, Value: asn1.NullBytes}},
	}
}
