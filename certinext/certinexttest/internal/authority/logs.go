// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import (
	"crypto/x509"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/ctlog"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// newLogs makes the logs of Certificate Transparency, the first two those of two operators, as
// browsers want it.
func newLogs(since time.Time) []*ctlog.Log {
	const one, two = "CERTInext Sandbox One", "CERTInext Sandbox Two"
	return []*ctlog.Log{
		ctlog.New(one, "Sandbox Alder", since),
		ctlog.New(two, "Sandbox Birch", since),
		ctlog.New(one, "Sandbox Cedar", since),
	}
}

// Logs are the logs whose promises stand in public TLS certificates.
func (p *PKI) Logs() []*ctlog.Log { return slices.Clone(p.Public.logs) }

// logged is what by certifies for publicKey at a time: the logs are shown a precertificate, and
// what they promise stands in the certificate. Without logs it is just certified.
func (a *Hierarchy) logged(
	by *Signer, template *x509.Certificate, publicKey any, at time.Time,
) *x509.Certificate {
	// The last second of a life counts (RFC 5280 §4.1.2.5).
	life := template.NotAfter.Sub(template.NotBefore) + time.Second
	logs := ctlog.Wanted(a.logs, life)
	if len(logs) == 0 {
		return by.certify(template, publicKey)
	}
	own := slices.Clip(template.ExtraExtensions)
	template.ExtraExtensions = append(own, ctlog.Poison())
	precertificate := by.certify(template, publicKey)
	var promises [][]byte
	for _, log := range logs {
		promises = append(promises, sure.Must(log.Promise(precertificate, by.Cert, at)))
	}
	template.ExtraExtensions = append(own, sure.Must(ctlog.Embedded(promises)))
	return by.certify(template, publicKey)
}
