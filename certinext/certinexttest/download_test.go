// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestLiveCertificateAnswer(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	id, key := r.issued("www.example.com")
	a := r.get(sslPath + "/" + id + "/certificate")
	v := a.must(200)
	require.Equal(t, "application/json;charset=UTF-8", a.header.Get("Content-Type"))
	cert := leaf(t, v["certificatePem"].(string))
	serial, ok := new(big.Int).SetString(v["serialNumber"].(string), 10)
	require.True(t, ok, "the serial number is decimal")
	require.Zero(t, serial.Cmp(cert.SerialNumber))
	require.Equal(t, "www.example.com", v["subject"])
	require.Contains(t, v["issuer"], "NOT A REAL CA")
	require.NotContains(t, v, "notBefore")
	require.False(t, strings.HasSuffix(v["certificatePem"].(string), "\n"), "no trailing newline")

	chain := v["chainPem"].([]any)
	require.Len(t, chain, 2)
	issuer, root := leaf(t, chain[0].(string)), leaf(t, chain[1].(string))
	require.Equal(t, root.RawSubject, root.RawIssuer, "the self-signed root comes along")
	verifyChain(t, r.srv, cert, issuer)

	require.Equal(t, key.Public(), cert.PublicKey)
	require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, cert.ExtKeyUsage)
	require.Equal(t, x509.KeyUsageDigitalSignature, cert.KeyUsage)
	require.Equal(t, issuer.SubjectKeyId, cert.AuthorityKeyId)
	require.Equal(t, 199*24*time.Hour-time.Second, cert.NotAfter.Sub(cert.NotBefore))
	require.Equal(t, []string{host + "/ocsp"}, cert.OCSPServer)
	require.Equal(t, []string{host + "/crl/public.crl"}, cert.CRLDistributionPoints)
	require.Equal(t, []string{host + "/ca/public.p7c"}, cert.IssuingCertificateURL)
}

func verifyChain(t *testing.T, srv *certinexttest.Server, cert, issuer *x509.Certificate) {
	t.Helper()
	intermediates := x509.NewCertPool()
	intermediates.AddCert(issuer)
	_, err := cert.Verify(x509.VerifyOptions{
		Roots: srv.Roots(), Intermediates: intermediates, DNSName: cert.Subject.CommonName, CurrentTime: cert.NotBefore.Add(time.Second),
	})
	require.NoError(t, err)
}

func TestDocumentedCertificateAnswer(t *testing.T) {
	r := newRig(t, verified(certinexttest.Documented))
	id, _ := r.issued("www.example.com")
	v := r.get(sslPath + "/" + id + "/certificate").must(200)
	cert := leaf(t, v["certificatePem"].(string))
	require.Equal(t, strings.ToUpper(cert.SerialNumber.Text(16)), v["serialNumber"])
	require.Equal(t, "CN=www.example.com", v["subject"])
	require.Contains(t, v, "notBefore")
	require.NotContains(t, v, "chainPem")
	require.Equal(t, []string{host + "/ca/public.cer"}, cert.IssuingCertificateURL)
}

func TestCertificateFormats(t *testing.T) {
	const pemType, derType = "application/x-pem-file", "application/pkix-cert"
	cases := map[string]struct {
		accept, query string
		live          int
		docs          int
		contentType   string
	}{
		"PEM by Accept":               {pemType, "", 200, 200, pemType},
		"DER by Accept":               {derType, "", 200, 200, derType},
		"anything is JSON":            {"*/*", "", 200, 200, "application/json"},
		"the highest q wins":          {"application/json;q=0.5, application/x-pem-file;q=0.9", "", 200, 200, pemType},
		"a type may be ruled out":     {"*/*, application/json;q=0", "", 200, 200, pemType},
		"PKCS#7 cannot be had":        {"application/pkcs7-mime", "", 406, 406, ""},
		"format overrides Accept":     {"application/json", "?format=pem", 200, 200, pemType},
		"format may be der":           {"application/pkcs7-mime", "?format=der", 200, 200, derType},
		"pkcs7 is der as documented":  {"application/json", "?format=pkcs7", 406, 200, derType},
		"another format is a mistake": {"application/json", "?format=jks", 400, 400, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
				r := newRig(t, verified(d))
				id, _ := r.issued("www.example.com")
				want := c.live
				if d == certinexttest.Documented {
					want = c.docs
				}
				a := r.get(sslPath+"/"+id+"/certificate"+c.query, "Accept", c.accept)
				if want != 200 {
					a.refused(want, "")
					return
				}
				require.Equal(t, 200, a.status)
				require.Contains(t, a.header.Get("Content-Type"), c.contentType)
				if c.contentType == derType {
					_, err := x509.ParseCertificate(a.body)
					require.NoError(t, err)
				}
			})
		})
	}
}

func TestPEMFileHoldsLeafAndIntermediates(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	id, _ := r.issued("www.example.com")
	rest := r.get(sslPath+"/"+id+"/certificate", "Accept", "application/x-pem-file").body
	var blocks []*pem.Block
	for block, rest := pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		blocks = append(blocks, block)
	}
	require.Len(t, blocks, 2)
}

func TestChainOrders(t *testing.T) {
	cases := map[string]struct {
		order certinexttest.ChainOrder
		want  int // certificates in the chain
		root  int // index of the root
	}{
		"as it should be":     {certinexttest.ChainGood, 2, 1},
		"root first":          {certinexttest.ChainRootFirst, 2, 0},
		"no chain whatsoever": {certinexttest.ChainAbsent, 0, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			srv := verified(certinexttest.Live)
			srv.ChainOrder = c.order
			r := newRig(t, srv)
			id, _ := r.issued("www.example.com")
			chain, _ := r.get(sslPath + "/" + id + "/certificate").must(200)["chainPem"].([]any)
			require.Len(t, chain, c.want)
			for i, text := range chain {
				cert := leaf(t, text.(string))
				require.Equal(t, i == c.root, cert.Subject.String() == cert.Issuer.String())
			}
		})
	}
}

func TestSubjectComesFromTheOrganization(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	id := r.order(merge(ovOrder("www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com")}))
	s := r.certificate(id).Subject
	require.Equal(t, []string{"Example Corporation"}, s.Organization)
	require.Equal(t, []string{"US"}, s.Country)
	require.Equal(t, "www.example.com", s.CommonName)
}

func TestWWWIsAddedUnlessRefused(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	names := func(certificate m) []string {
		domain := certificate["domain"].(string)
		return r.certificate(r.order(merge(dvOrder(domain), m{"certificate": certificate, "csr": csr(t, newKey(t), domain)}))).DNSNames
	}
	require.Equal(t, []string{"example.com", "www.example.com"}, names(m{"domain": "example.com"}))
	require.Equal(t, []string{"example.com"}, names(m{"domain": "example.com", "autoSecureWww": false}))
	require.Equal(t, []string{"*.example.com"}, names(m{"domain": "*.example.com"}))
	require.Equal(t, []string{"www.example.com"}, names(m{"domain": "www.example.com"}))
}

func TestRootsAreNewAtEachStart(t *testing.T) {
	one, two := new(certinexttest.Server), new(certinexttest.Server)
	require.NotEqual(t, one.RootPEM(), two.RootPEM())
	root := leaf(t, string(one.RootPEM()))
	require.Contains(t, root.Subject.CommonName, "NOT A REAL CA")
	require.True(t, root.IsCA)
}

func TestBaseURLOverridesTheHost(t *testing.T) {
	srv := verified(certinexttest.Live)
	srv.BaseURL = "https://ca.example.net"
	r := newRig(t, srv)
	id, _ := r.issued("www.example.com")
	require.Equal(t, []string{"https://ca.example.net/ocsp"}, r.certificate(id).OCSPServer)
}
