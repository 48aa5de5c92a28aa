// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto"
	"crypto/x509"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// trusts reports whether a family of clients takes a certificate with its chain.
func (r *rig) trusts(admin *rig, client string, d delivery) bool {
	r.t.Helper()
	answer := admin.get("/roots/" + client)
	require.Equal(r.t, 200, answer.status)
	o := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: d.cert.NotBefore,
	}
	o.Roots.AppendCertsFromPEM(answer.body)
	for _, c := range d.chain {
		o.Intermediates.AddCert(c)
	}
	_, err := d.cert.Verify(o)
	return err == nil
}

func TestAClientDropsARoot(t *testing.T) {
	r, admin := adminRig(t, verified(certinexttest.Live))
	id, _ := r.issued("www.example.com")
	d := r.delivered(id, sslPath+"/"+id)
	for _, client := range certinexttest.Clients() {
		require.True(t, r.trusts(admin, client, d), client)
	}
	private := admin.get("/roots/mozilla").body
	require.NotContains(t, string(private), string(pemOf(r.privateRoot())), "the customer's own")

	admin.do("DELETE", "/roots/mozilla/public-root", "").must(204)
	require.False(t, r.trusts(admin, "mozilla", d))
	require.True(t, r.trusts(admin, "chrome", d), "what one drops others keep")
	require.Contains(t, string(r.srv.RootPEM()), string(pemOf(d.chain[1])), "the CA's own list has it")
	admin.do("POST", "/reset", "").must(204)
	require.False(t, r.trusts(admin, "mozilla", d))
	admin.do("PUT", "/roots/mozilla/public-root", "").must(204)
	require.True(t, r.trusts(admin, "mozilla", d))

	require.Equal(t, 404, admin.get("/roots/lynx").status)
	require.Equal(t, 404, admin.do("DELETE", "/roots/lynx/public-root", "").status)
	require.Equal(t, 404, admin.do("DELETE", "/roots/mozilla/private-root", "").status)
	require.Equal(t, 404, admin.do("DELETE", "/roots/mozilla/public", "").status)
}

func (r *rig) privateRoot() *x509.Certificate {
	r.t.Helper()
	cert, err := x509.ParseCertificate(r.fetch(host + "/ca/private-root.cer"))
	require.NoError(r.t, err)
	return cert
}

// A client that has dropped the public root follows the path by way of the elder one.
func TestAChainByWayOfTheElderRoot(t *testing.T) {
	r, admin := adminRig(t, verified(certinexttest.Live))
	id, _ := r.issued("www.example.com")
	own := r.delivered(id, sslPath+"/"+id)
	admin.post("/knobs", m{"crossSigned": true}).must(200)
	crossed := r.delivered(id, sslPath+"/"+id)
	require.Len(t, crossed.chain, 3)
	require.Equal(t, own.cert.Raw, crossed.cert.Raw)
	require.Equal(t, own.chain[0].Raw, crossed.chain[0].Raw)
	between, elder := crossed.chain[1], crossed.chain[2]
	require.Equal(t, own.chain[1].RawSubject, between.RawSubject, "the key of the root, certified twice")
	require.Equal(t, own.chain[1].PublicKey, between.PublicKey)
	require.Equal(t, between.Raw, r.fetch(host+"/ca/public-root-crossed.cer"))
	require.Equal(t, elder.Raw, r.fetch(between.IssuingCertificateURL[0]))
	require.NoError(t, r.list(between).CheckSignatureFrom(elder))
	require.Equal(t, ocsp.Good, r.ocsp(between, elder, http.MethodPost, crypto.SHA1).Status)
	requirePasses(t, between)
	requirePasses(t, elder)

	for _, d := range []delivery{own, crossed} {
		require.True(t, r.trusts(admin, "apple", d))
	}
	admin.do("DELETE", "/roots/mozilla/public-root", "").must(204)
	require.False(t, r.trusts(admin, "mozilla", own))
	require.True(t, r.trusts(admin, "mozilla", crossed))
	admin.do("DELETE", "/roots/chrome/elder-root", "").must(204)
	require.True(t, r.trusts(admin, "chrome", own))
	require.True(t, r.trusts(admin, "chrome", crossed), "the other path holds as well")

	admin.post("/ca/ssl/expose", nil).must(204)
	fresh, _ := r.issued("b.example.com")
	require.True(t, r.trusts(admin, "chrome", r.delivered(fresh, sslPath+"/"+fresh)))
	require.Len(t, r.delivered(fresh, sslPath+"/"+fresh).chain, 3)
}
