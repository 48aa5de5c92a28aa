// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// Reasons of a revocation (RFC 5280 §5.3.1).
const (
	keyCompromise = 1
	caCompromise  = 2
)

// ReplaceIssuer makes another issuing CA below the same root, which signs from now on. The one
// before goes on to answer for what it has signed.
func (a *Hierarchy) ReplaceIssuer(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.addIssuer(now)
}

// ReplaceRoot makes another root with another issuing CA, which signs from now on. Nothing is
// revoked, and those before go on to answer for what they have signed.
func (a *Hierarchy) ReplaceRoot(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.moveOn(now)
}

// moveOn has another root with another issuing CA sign from now on. a.mu is held.
func (a *Hierarchy) moveOn(now time.Time) {
	a.addRoot(now)
	a.cross(now)
	a.addIssuer(now)
}

// ExposeIssuer makes the key of the issuing CA public. The root revokes its certificate, it revokes
// all that it has signed and is neither revoked nor over, and another root with another issuing CA
// signs from now on. It returns the serial numbers of what was revoked.
func (a *Hierarchy) ExposeIssuer(now time.Time) (revoked []*big.Int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	lost := a.issuer
	lost.exposed = true
	a.end(lost.Cert, now, caCompromise)
	for _, i := range a.issued {
		isResponder := slices.Contains(i.cert.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning)
		lives := i.revokedAt.IsZero() && now.Before(i.cert.NotAfter)
		if i.by.ca() == lost && lives && !isResponder {
			i.revokedAt, i.reason = now, keyCompromise
			revoked = append(revoked, i.cert.SerialNumber)
		}
	}
	a.moveOn(now)
	return revoked
}

// ExposedKeys are the CA certificates whose keys are public, each followed by its key, as PEM.
func (p *PKI) ExposedKeys() []byte {
	var out bytes.Buffer
	for _, a := range p.All() {
		for _, s := range a.CAs() {
			if !a.isExposed(s) {
				continue
			}
			key := sure.Must(x509.MarshalPKCS8PrivateKey(s.key))
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: s.Cert.Raw})
			_ = pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: key})
		}
	}
	return out.Bytes()
}

func (a *Hierarchy) isExposed(s *Signer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return s.exposed
}

// A State is what has become of a CA.
type State struct {
	Signs     bool      // whether it is a root or issuing CA of now
	Exposed   bool      // its key is public
	RevokedAt time.Time // zero if it is not
}

// StateOf is what has become of one of its CAs.
func (a *Hierarchy) StateOf(s *Signer) State {
	a.mu.Lock()
	defer a.mu.Unlock()
	state := State{Signs: s == a.root || s == a.issuer, Exposed: s.exposed}
	if i := a.issued[s.Cert.SerialNumber.String()]; i != nil {
		state.RevokedAt = i.revokedAt
	}
	return state
}
