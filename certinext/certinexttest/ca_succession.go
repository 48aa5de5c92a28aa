// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest

import (
	"encoding/pem"
	"errors"
	"math/big"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/authority"
)

// The errors of what may become of a CA.
var (
	// ErrNoCA is returned for what is none of the product families.
	ErrNoCA = errors.New("no such CA: it is one of ssl, private-pki, signature, smime")
	// ErrNotLocated is returned as long as no CA has issued anything, since the URLs in what they
	// sign are unknown until the first call.
	ErrNotLocated = errors.New("no CA is there yet: set BaseURL, or have something issued before")
)

// families are those that have a CA.
var families = []string{FamilySSL, FamilyPrivatePKI, FamilySignature, FamilySMIME}

// A CARecord is a root or an issuing CA, of now or before.
type CARecord struct {
	// Name is its part of the URLs below /ca/ and /crl/.
	Name string `json:"name"`
	// Family is the product family of its certificates.
	Family  string `json:"family"`
	Subject string `json:"subject"`
	// Serial is its serial number, in lower-case hexadecimal.
	Serial string `json:"serial"`
	Root   bool   `json:"root"`
	// Signs says that it signs what is issued now.
	Signs bool `json:"signs"`
	// Exposed says that everybody has its key, see [Server.ExposedKeys].
	Exposed        bool      `json:"exposed,omitempty"`
	RevokedAt      time.Time `json:"revokedAt,omitzero"`
	CertificatePEM string    `json:"certificatePem"`
}

// CAs are the roots and issuing CAs that there have been, by family, the oldest first, and last the
// elder root (see [Server.CrossSigned]). The issuing CAs are there from the first call on.
func (s *Server) CAs() []CARecord {
	s.once.Do(s.setUp)
	var records []CARecord
	for _, family := range families {
		records = append(records, recordsOf(family, s.hierarchy(family))...)
	}
	return append(records, recordsOf(FamilySSL, s.ca.Elder)...)
}

func recordsOf(family string, a *authority.Hierarchy) (records []CARecord) {
	for _, ca := range a.CAs() {
		state := a.StateOf(ca)
		records = append(records, CARecord{
			Name: ca.Name(), Family: family, Subject: ca.Cert.Subject.String(),
			Serial: ca.Cert.SerialNumber.Text(16), Root: len(ca.Chain()) == 1,
			Signs: state.Signs, Exposed: state.Exposed, RevokedAt: state.RevokedAt,
			CertificatePEM: string(pem.EncodeToMemory(&pem.Block{
				Type: "CERTIFICATE", Bytes: ca.Cert.Raw,
			})),
		})
	}
	return records
}

// ReplaceIssuer has another issuing CA sign the certificates of a product family from now on, below
// the same root. Those before keep their chain. It returns [ErrNoCA] or [ErrNotLocated].
func (s *Server) ReplaceIssuer(family string) error {
	return s.succeed(family, func(a *authority.Hierarchy, now time.Time) { a.ReplaceIssuer(now) })
}

// ReplaceRoot has another root with another issuing CA sign the certificates of a product family
// from now on, as a CA does whose root clients drop (see [Server.DropRoot]). What was issued before
// keeps its chain, and is not revoked. The errors are those of [Server.ReplaceIssuer].
func (s *Server) ReplaceRoot(family string) error {
	return s.succeed(family, func(a *authority.Hierarchy, now time.Time) { a.ReplaceRoot(now) })
}

// ExposeIssuer makes the key of a family's issuing CA public, as happened to eight intermediates of
// emSign in 2026 (reported): [Server.ExposedKeys] has it. The root revokes the CA, and the CA what
// it has issued, as key-compromise: orders whose certificate it is are revoked, and their keys are
// not certified again. Another root with another issuing CA signs from now on. The errors are those
// of [Server.ReplaceIssuer].
func (s *Server) ExposeIssuer(family string) error {
	return s.succeed(family, func(a *authority.Hierarchy, now time.Time) {
		s.revokeLost(a.ExposeIssuer(now), now)
	})
}

// ExposedKeys are the certificates of the CAs whose key is public, each followed by its key (PKCS
// #8), as PEM.
func (s *Server) ExposedKeys() []byte {
	s.once.Do(s.setUp)
	return s.ca.ExposedKeys()
}

// succeed has another CA follow the one that signs for a family. What was due before is issued
// before.
func (s *Server) succeed(family string, follow func(*authority.Hierarchy, time.Time)) (err error) {
	if !oneOf(family, families...) {
		return ErrNoCA
	}
	s.Configure(func(s *Server) {
		if s.BaseURL != "" {
			s.ca.Locate(s.BaseURL)
		}
		if !s.ca.IsLocated() {
			err = ErrNotLocated
			return
		}
		now := s.now()
		s.settleAll(now)
		follow(s.hierarchy(family), now)
	})
	return err
}

// revokeLost ends the orders whose newest certificate is among those with the serial numbers.
func (s *Server) revokeLost(serials []*big.Int, now time.Time) {
	lost := make(map[string]bool)
	for _, serial := range serials {
		lost[serial.String()] = true
	}
	for _, o := range s.book.sequence {
		sg := o.certificate()
		if sg == nil || o.revoked != nil || !lost[sg.cert.SerialNumber.String()] {
			continue
		}
		why := &ending{reason: s.reasonCalled(reasonKeyCompromise), at: now}
		why.note = "The key of the issuing CA is public"
		s.revoke(o, why, reasonKeyCompromise)
	}
}

// reasonCalled is the dialect's name of a reason.
func (s *Server) reasonCalled(code int) string {
	for name, r := range s.reasons() {
		if r.code == code {
			return name
		}
	}
	return ""
}
