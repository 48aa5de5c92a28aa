// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// cas are the CAs of public TLS by name.
func (r *rig) cas() map[string]certinexttest.CARecord {
	r.t.Helper()
	var list []certinexttest.CARecord
	require.NoError(r.t, json.Unmarshal(r.get("/ca").body, &list))
	byName := make(map[string]certinexttest.CARecord)
	for _, ca := range list {
		if ca.Family == certinexttest.FamilySSL {
			byName[ca.Name] = ca
		}
	}
	return byName
}

// chained downloads an order's certificate with its chain, and expects that it verifies.
func (r *rig) chained(id string) (cert, issuer *x509.Certificate) {
	r.t.Helper()
	d := r.delivered(id, sslPath+"/"+id)
	verifyChain(r.t, r.srv, d.cert, d.chain[0])
	require.NoError(r.t, d.chain[0].CheckSignatureFrom(d.chain[1]))
	return d.cert, d.chain[0]
}

func (r *rig) list(cert *x509.Certificate) *x509.RevocationList {
	r.t.Helper()
	list, err := x509.ParseRevocationList(r.fetch(cert.CRLDistributionPoints[0]))
	require.NoError(r.t, err)
	return list
}

func TestAnIssuingCAIsReplaced(t *testing.T) {
	r, admin := adminRig(t, verified(certinexttest.Live))
	first, _ := r.issued("a.example.com")
	before, oldCA := r.chained(first)
	for range 2 {
		admin.post("/ca/ssl/replace", nil).must(204)
	}
	again, sameCA := r.chained(first)
	require.Equal(t, before.Raw, again.Raw)
	require.Equal(t, oldCA.Raw, sameCA.Raw, "what was issued keeps its chain")
	second, _ := r.issued("b.example.com")
	after, newCA := r.chained(second)
	require.NotEqual(t, oldCA.RawSubject, newCA.RawSubject)
	require.Equal(t, oldCA.RawIssuer, newCA.RawIssuer, "below the same root")
	require.NotEqual(t, before.CRLDistributionPoints, after.CRLDistributionPoints)

	cas := admin.cas()
	require.Len(t, cas, 5)
	require.False(t, cas["public"].Signs)
	require.False(t, cas["public-2"].Signs)
	require.True(t, cas["public-3"].Signs && cas["public-root"].Signs && cas["public-root"].Root)

	r.srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultWrongKey, Times: 1})
	require.NoError(t, r.certificate(first).CheckSignatureFrom(oldCA))
	r.post(sslPath+"/"+first+"/revoke", m{"reason": "superseded"}).must(204)
	require.Equal(t, ocsp.Revoked, r.ocsp(before, oldCA, http.MethodPost, crypto.SHA1).Status)
	require.Equal(t, ocsp.Good, r.ocsp(after, newCA, http.MethodPost, crypto.SHA1).Status)
	require.NoError(t, r.list(before).CheckSignatureFrom(oldCA))
	require.Len(t, r.list(before).RevokedCertificateEntries, 1)
	require.NoError(t, r.list(after).CheckSignatureFrom(newCA))
	require.Empty(t, r.list(after).RevokedCertificateEntries)

	admin.do("POST", "/reset", "").must(204)
	require.Equal(t, cas, admin.cas())
	require.Equal(t, 404, admin.post("/ca/pgp/replace", nil).status)
}

// What a CA does whose root clients drop: it moves on below another one, and revokes nothing.
func TestTheRootOfAFamilyIsReplaced(t *testing.T) {
	r, admin := adminRig(t, verified(certinexttest.Live))
	first, _ := r.issued("a.example.com")
	before, oldCA := r.chained(first)
	admin.do("DELETE", "/roots/mozilla/public-root", "").must(204)
	admin.post("/ca/ssl/replace-root", nil).must(204)
	again, _ := r.chained(first)
	require.Equal(t, before.Raw, again.Raw)
	require.Equal(t, "issued", r.status(first))
	second, _ := r.issued("b.example.com")
	after, newCA := r.chained(second)
	require.NotEqual(t, oldCA.RawIssuer, newCA.RawIssuer, "below another root")
	require.Equal(t, ocsp.Good, r.ocsp(before, oldCA, http.MethodPost, crypto.SHA1).Status)

	store := x509.NewCertPool()
	store.AppendCertsFromPEM(admin.get("/roots/mozilla").body)
	for _, c := range []struct {
		leaf, issuer *x509.Certificate
		trusted      bool
	}{{before, oldCA, false}, {after, newCA, true}} {
		between := x509.NewCertPool()
		between.AddCert(c.issuer)
		_, err := c.leaf.Verify(x509.VerifyOptions{
			Roots: store, Intermediates: between, CurrentTime: c.leaf.NotBefore,
		})
		require.Equal(t, c.trusted, err == nil, err)
	}
	require.False(t, admin.cas()["public-root"].Signs)
	require.True(t, admin.cas()["public-root-2"].Signs && admin.cas()["public-2"].Signs)
	require.Equal(t, 404, admin.post("/ca/pgp/replace-root", nil).status)
}

// A program has no request by which the URLs in certificates could be known.
func TestAReplacementNeedsAPlaceToBeFound(t *testing.T) {
	srv := new(certinexttest.Server)
	require.ErrorIs(t, srv.ReplaceIssuer("pgp"), certinexttest.ErrNoCA)
	require.ErrorIs(t, srv.ReplaceIssuer(certinexttest.FamilySSL), certinexttest.ErrNotLocated)
	srv = &certinexttest.Server{BaseURL: "http://ca.example.net"}
	require.NoError(t, srv.ReplaceIssuer(certinexttest.FamilySSL))
	require.Len(t, srv.CAs(), 10)
}

func TestTheKeyOfAnIssuingCAIsPublic(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r, admin := adminRig(t, verified(d))
		rootsBefore := r.srv.RootPEM()
		require.Empty(t, admin.get("/ca/keys.pem").body)
		first, key := r.issued("a.example.com")
		cert, lost := r.certificate(first), leaf(t, admin.cas()["public"].CertificatePEM)
		root := leaf(t, admin.cas()["public-root"].CertificatePEM)
		gone, _ := r.issued("gone.example.com")
		r.post(sslPath+"/"+gone+"/revoke", m{"reason": "superseded"}).must(204)
		admin.post("/ca/ssl/expose", nil).must(204)

		block, rest := pem.Decode(admin.get("/ca/keys.pem").body)
		require.Equal(t, lost.Raw, block.Bytes)
		block, rest = pem.Decode(rest)
		require.Empty(t, rest)
		public, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		require.NoError(t, err)
		require.Equal(t, lost.PublicKey, public.(*ecdsa.PrivateKey).Public())

		require.Equal(t, "revoked", r.status(first))
		record, _ := r.srv.Order(first)
		require.Equal(t, map[certinexttest.Dialect]string{certinexttest.Live: "key-compromise", certinexttest.Documented: "keyCompromise"}[d], record.RevokeReason)
		answer := r.ocsp(cert, lost, http.MethodPost, crypto.SHA1)
		require.Equal(t, ocsp.Revoked, answer.Status)
		require.Equal(t, ocsp.KeyCompromise, answer.RevocationReason)
		answer = r.ocsp(lost, root, http.MethodPost, crypto.SHA1)
		require.Equal(t, ocsp.Revoked, answer.Status)
		require.Equal(t, ocsp.CACompromise, answer.RevocationReason)
		require.Len(t, r.list(cert).RevokedCertificateEntries, 2)
		require.Len(t, r.list(lost).RevokedCertificateEntries, 1)
		record, _ = r.srv.Order(gone)
		require.Equal(t, "superseded", record.RevokeReason, "what was revoked before stays so")

		cas := admin.cas()
		require.True(t, cas["public"].Exposed && !cas["public"].Signs && !cas["public"].RevokedAt.IsZero())
		require.True(t, cas["public-2"].Signs && cas["public-root-2"].Signs && !cas["public-2"].Exposed)
		second, _ := r.issued("b.example.com")
		fresh := r.certificate(second)
		require.NoError(t, fresh.CheckSignatureFrom(leaf(t, cas["public-2"].CertificatePEM)))
		require.Contains(t, string(admin.get("/roots.pem").body), cas["public-root-2"].CertificatePEM)
		require.NotContains(t, string(rootsBefore), cas["public-root-2"].CertificatePEM)
		requirePasses(t, leaf(t, cas["public-2"].CertificatePEM))
		again := r.post(sslPath, merge(dvOrder("a.example.com"), m{"csr": csr(t, key, "a.example.com")}))
		require.Equal(t, 422, again.status, "what was revoked as compromised is not certified again")

		admin.do("POST", "/reset", "").must(204)
		require.Equal(t, cas, admin.cas())
		require.Equal(t, ocsp.Revoked, r.ocsp(cert, lost, http.MethodPost, crypto.SHA1).Status)
	})
}
