// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package authority

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // OCSP identifies issuers by SHA-1, RFC 6960 §4.3
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/nonce"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest/internal/sure"
)

// serveOCSPBody answers a POST request of RFC 6960, appendix A.
func (p *PKI) serveOCSPBody(w http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(io.LimitReader(r.Body, 64<<10)) // half a request is a malformed one
	p.serveOCSP(w, raw)
}

// serveOCSPPath answers a GET request of RFC 6960, appendix A. Not every client escapes the slashes
// of its base64.
func (p *PKI) serveOCSPPath(w http.ResponseWriter, r *http.Request) {
	text, _ := url.PathUnescape(strings.TrimPrefix(r.URL.EscapedPath(), ocspPath+"/"))
	raw, _ := base64.StdEncoding.DecodeString(text) // nothing is a malformed request
	p.serveOCSP(w, raw)
}

// serveOCSP answers a request as DER.
func (p *PKI) serveOCSP(w http.ResponseWriter, raw []byte) {
	w.Header().Set("Content-Type", "application/ocsp-response")
	req, err := ocsp.ParseRequest(raw)
	echoed, bad := nonce.Of(raw)
	if err != nil || bad != nil {
		_, _ = w.Write(ocsp.MalformedRequestErrorResponse)
		return
	}
	_, _ = w.Write(p.ocspAnswer(question{req, echoed}))
}

// A question is an OCSP request for one certificate.
type question struct {
	*ocsp.Request
	nonce []byte // to be echoed, nil for none
}

// ocspAnswer is signed by the responder of who signed the certificate. A serial number that the
// issuer asked about never gave is "unknown", a foreign issuer "unauthorized".
func (p *PKI) ocspAnswer(q question) []byte {
	now, lag := p.clock()
	for _, a := range p.everything() {
		if by := a.signerAsked(q.Request); by != nil {
			return a.ocspAnswer(by, q, now, lag)
		}
	}
	return ocsp.UnauthorizedErrorResponse
}

// signerAsked is the signer that req names as the issuer, or nil.
func (a *Hierarchy) signerAsked(req *ocsp.Request) *Signer {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, by := range slices.Concat(a.cas, a.leafIssuers) {
		if issuedBy(req, by.Cert) {
			return by
		}
	}
	return nil
}

func (a *Hierarchy) ocspAnswer(
	by *Signer, q question, now time.Time, lag time.Duration,
) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	template := ocsp.Response{
		SerialNumber: q.SerialNumber, IssuerHash: q.HashAlgorithm,
		ThisUpdate: now.Truncate(time.Second), NextUpdate: now.Add(statusLife),
		Status: ocsp.Unknown,
	}
	if i := a.issued[q.SerialNumber.String()]; i != nil && i.by == by {
		template.Status = ocsp.Good
		if i.knownRevoked(now, lag) {
			template.Status, template.RevokedAt = ocsp.Revoked, i.revokedAt
			template.RevocationReason = i.reason
		}
	}
	responder := a.responderOf(by, now)
	if responder != by {
		template.Certificate = responder.Cert
	}
	answer := sure.Must(ocsp.CreateResponse(by.Cert, responder.Cert, template, responder.key))
	return sure.Must(nonce.Echo(answer, q.nonce, now, responder.sign))
}

// sign is what x/crypto's answers are signed with by a key of P-256.
func (s *Signer) sign(text []byte) ([]byte, error) {
	sum := sha256.Sum256(text)
	return s.key.Sign(rand.Reader, sum[:], crypto.SHA256)
}

// issuedBy compares the issuer hashes of a request with a CA certificate.
func issuedBy(req *ocsp.Request, issuer *x509.Certificate) bool {
	if !req.HashAlgorithm.Available() {
		return false
	}
	return bytes.Equal(req.IssuerNameHash, hashOf(req.HashAlgorithm, issuer.RawSubject)) &&
		bytes.Equal(req.IssuerKeyHash, hashOf(req.HashAlgorithm, publicKeyBits(issuer)))
}

func hashOf(h crypto.Hash, b []byte) []byte {
	if h == crypto.SHA1 {
		sum := sha1.Sum(b) //nolint:gosec // the request's choice
		return sum[:]
	}
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}

func publicKeyBits(cert *x509.Certificate) []byte {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	sure.Must(asn1.Unmarshal(cert.RawSubjectPublicKeyInfo, &info))
	return info.Key.RightAlign()
}
