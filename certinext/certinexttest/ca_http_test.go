// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// fetch reads a public URL that stands in a certificate.
func (r *rig) fetch(rawURL string) []byte {
	r.t.Helper()
	path, found := strings.CutPrefix(rawURL, r.base)
	require.True(r.t, found, rawURL)
	a := r.get(path)
	require.Equal(r.t, http.StatusOK, a.status)
	return a.body
}

// issuerOf fetches the issuer that the certificate of a documented server
// names.
func (r *rig) issuerOf(cert *x509.Certificate) *x509.Certificate {
	r.t.Helper()
	issuer, err := x509.ParseCertificate(r.fetch(cert.IssuingCertificateURL[0]))
	require.NoError(r.t, err)
	return issuer
}

func (r *rig) ocsp(cert, issuer *x509.Certificate, method string, hash crypto.Hash) *ocsp.Response {
	r.t.Helper()
	raw, err := ocsp.CreateRequest(cert, issuer, &ocsp.RequestOptions{Hash: hash})
	require.NoError(r.t, err)
	var body []byte
	if method == http.MethodPost {
		a := r.do(method, strings.TrimPrefix(cert.OCSPServer[0], r.base), string(raw), "Content-Type", "application/ocsp-request")
		require.Equal(r.t, http.StatusOK, a.status)
		require.Equal(r.t, "application/ocsp-response", a.header.Get("Content-Type"))
		body = a.body
	} else {
		body = r.fetch(cert.OCSPServer[0] + "/" + url.PathEscape(base64.StdEncoding.EncodeToString(raw)))
	}
	answer, err := ocsp.ParseResponseForCert(body, cert, issuer)
	require.NoError(r.t, err)
	return answer
}

func TestOCSPSaysGoodThenRevoked(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		hash   crypto.Hash
	}{
		"by POST":             {http.MethodPost, crypto.SHA1},
		"by GET":              {http.MethodGet, crypto.SHA1},
		"with SHA-256 hashes": {http.MethodPost, crypto.SHA256},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, verified(certinexttest.Documented))
			id, _ := r.issued("www.example.com")
			cert := r.certificate(id)
			issuer := r.issuerOf(cert)
			require.Equal(t, ocsp.Good, r.ocsp(cert, issuer, c.method, c.hash).Status)

			r.post(sslPath+"/"+id+"/revoke", m{"reason": "keyCompromise"}).must(204)
			answer := r.ocsp(cert, issuer, c.method, c.hash)
			require.Equal(t, ocsp.Revoked, answer.Status)
			require.Equal(t, ocsp.KeyCompromise, answer.RevocationReason)

			stranger := *cert
			stranger.SerialNumber = big.NewInt(42)
			require.Equal(t, ocsp.Unknown, r.ocsp(&stranger, issuer, c.method, c.hash).Status)
		})
	}
}

func TestOCSPRefusesForeignIssuersAndGarbage(t *testing.T) {
	r := newRig(t, verified(certinexttest.Documented))
	id, _ := r.issued("www.example.com")
	cert := r.certificate(id)
	other := newRig(t, verified(certinexttest.Documented))
	otherID, _ := other.issued("www.example.com")
	foreign := other.certificate(otherID)
	raw, err := ocsp.CreateRequest(foreign, other.issuerOf(foreign), nil)
	require.NoError(t, err)
	for name, c := range map[string]struct{ request, want []byte }{
		"an issuer of another server": {raw, ocsp.UnauthorizedErrorResponse},
		"garbage":                     {[]byte("x"), ocsp.MalformedRequestErrorResponse},
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := r.http.Post(cert.OCSPServer[0], "application/ocsp-request", bytes.NewReader(c.request))
			require.NoError(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, c.want, body)
		})
	}
}

func TestCRLListsWhatWasRevoked(t *testing.T) {
	var offset time.Duration
	srv := verified(certinexttest.Documented)
	srv.RevocationLag = time.Hour
	srv.Now = func() time.Time { return time.Now().Add(offset) }
	r := newRig(t, srv)
	id, _ := r.issued("www.example.com")
	cert := r.certificate(id)
	crl := func() *x509.RevocationList {
		list, err := x509.ParseRevocationList(r.fetch(cert.CRLDistributionPoints[0]))
		require.NoError(t, err)
		require.NoError(t, list.CheckSignatureFrom(r.issuerOf(cert)))
		return list
	}
	first := crl()
	require.Empty(t, first.RevokedCertificateEntries)
	r.post(sslPath+"/"+id+"/revoke", m{"reason": "superseded"}).must(204)
	require.Empty(t, crl().RevokedCertificateEntries, "the world hears of it later")
	offset = time.Hour
	last := crl()
	require.Len(t, last.RevokedCertificateEntries, 1)
	require.Equal(t, 4, last.RevokedCertificateEntries[0].ReasonCode)
	require.Positive(t, last.Number.Cmp(first.Number), "CRL numbers grow")
}

func TestIssuerIsServedAsPKCS7(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	id, _ := r.issued("www.example.com")
	cert := r.certificate(id)
	p7c := r.fetch(cert.IssuingCertificateURL[0])
	var outer struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,tag:0"`
	}
	rest, err := asn1.Unmarshal(p7c, &outer)
	require.NoError(t, err)
	require.Empty(t, rest)
	require.Equal(t, "1.2.840.113549.1.7.2", outer.Type.String())

	openssl := opensslOrSkip(t)
	out := pipe(t, openssl, p7c, "pkcs7", "-inform", "DER", "-print_certs")
	block, _ := pem.Decode(out[bytes.Index(out, []byte("-----BEGIN")):])
	issuer, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	require.NoError(t, cert.CheckSignatureFrom(issuer))
}

// opensslOrSkip: the tool is a second opinion on our DER, not a dependency.
func opensslOrSkip(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	return path
}

func pipe(t *testing.T, name string, stdin []byte, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
	return out
}

func TestOpenSSLAgrees(t *testing.T) {
	openssl := opensslOrSkip(t)
	srv := verified(certinexttest.Documented)
	ts := httptest.NewServer(srv)
	defer ts.Close()
	r := newRig(t, srv)
	r.base = ts.URL // so that the certificate names a socket
	id, _ := r.issued("www.example.com")
	cert := r.certificate(id)

	dir := t.TempDir()
	file := func(name string, pemBytes []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pemBytes, 0o600))
		return path
	}
	encode := func(c *x509.Certificate) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
	}
	roots := file("roots.pem", srv.RootPEM())
	issuer := file("issuer.pem", encode(r.issuerOf(cert)))
	leafFile := file("leaf.pem", encode(cert))
	ask := func() string {
		return string(pipe(t, openssl, nil, "ocsp", "-issuer", issuer, "-cert", leafFile, "-CAfile", roots, "-url", cert.OCSPServer[0]))
	}

	pipe(t, openssl, nil, "verify", "-x509_strict", "-CAfile", roots, "-untrusted", issuer, leafFile)
	answer := ask()
	require.Contains(t, answer, "Response verify OK")
	require.Contains(t, answer, "leaf.pem: good")
	require.NotContains(t, answer, "no nonce", "openssl sends one")
	r.post(sslPath+"/"+id+"/revoke", m{"reason": "keyCompromise"}).must(204)
	answer = ask()
	require.Contains(t, answer, "Response verify OK")
	require.Contains(t, answer, "leaf.pem: revoked")
	require.Contains(t, answer, "keyCompromise")
}

func TestPublicFilesAreReadOnly(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	require.Equal(t, 405, r.do("POST", "/crl/public.crl", "x").status)
	require.Equal(t, 405, r.do("PUT", "/ocsp", "x").status)
	require.Equal(t, 405, r.do("GET", "/ocsp", "").status)
	require.Equal(t, 405, r.do("POST", "/ocsp/x", "x").status)
	head, err := r.http.Head(host + "/crl/public.crl")
	require.NoError(t, err)
	require.NoError(t, head.Body.Close())
	require.Equal(t, 200, head.StatusCode)
	require.Equal(t, 404, r.get("/crl/other.crl").status)
	require.Equal(t, 200, r.get("/ca/private-root.cer").status)
}

// Two lists of one time say the same in the same order: what was revoked first is first.
func TestARevocationListIsInOrder(t *testing.T) {
	r := newTerm(t, nil)
	var want []string
	var cert *x509.Certificate
	for range 8 {
		id, _ := r.issued("www.example.com")
		cert = r.certificate(id)
		r.clock.advance(time.Minute)
		r.post(sslPath+"/"+id+"/revoke", m{"reason": "superseded"}).must(204)
		want = append(want, cert.SerialNumber.String())
	}
	list, err := x509.ParseRevocationList(r.fetch(cert.CRLDistributionPoints[0]))
	require.NoError(t, err)
	var got []string
	for _, entry := range list.RevokedCertificateEntries {
		got = append(got, entry.SerialNumber.String())
	}
	require.Equal(t, want, got)
}
