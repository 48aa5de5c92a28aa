// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto"
	"crypto/x509"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// mistakes are what is wrong with a certificate for a.example.com and
// b.example.com, by the mistake.
var mistakes = map[certinexttest.Misissuance][]string{
	certinexttest.MisissueNone:            nil,
	certinexttest.MisissueExtraName:       {"extra DNS evil.example.org"},
	certinexttest.MisissueAddedWWW:        {"extra DNS www.a.example.com"},
	certinexttest.MisissueBaseDomain:      nil,
	certinexttest.MisissueMissingName:     {"no DNS b.example.com"},
	certinexttest.MisissueOtherCommonName: {"common name evil.example.org"},
	certinexttest.MisissueEmailName:       {"extra email evil@example.org"},
	certinexttest.MisissueURIName:         {"extra URI https://evil.example.org/"},
	certinexttest.MisissueOtherName:       {"extra other 1.3.6.1.4.1.311.20.2.3 evil@example.org"},
	certinexttest.MisissueCACertificate:   {"is a CA", "may sign certificates"},
	certinexttest.MisissueBeginsSoon:      {"begins in 5m0s"},
	certinexttest.MisissueBeginsLate:      {"begins in 8760h0m0s"},
	certinexttest.MisissueTooLong:         {"lives 262800h0m0s"},
	certinexttest.MisissueAlreadyOver:     {"ended before 1h0m0s"},
	certinexttest.MisissueForeignChain:    {"issued by another name", "signed by another key"},
	certinexttest.MisissueLeafIssuer:      {"issued by no CA"},
	certinexttest.MisissueBrokenChain:     {"signed by another key"},
	certinexttest.MisissueNoChain:         {"no chain"},
}

// eachMistake runs f for each, in a bubble in which time stands still.
func eachMistake(t *testing.T, f func(*testing.T, certinexttest.Misissuance, []string)) {
	t.Helper()
	require.Len(t, mistakes, len(certinexttest.MisissuanceKinds()))
	for mistake, want := range mistakes {
		t.Run(mistake.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, mistake, want) })
		})
	}
}

// twoNames orders a certificate for two names, through whichever version serves
// the dialect, and returns the path at which version 2 has it.
func (r *rig) twoNames() (id, path string, o ordered) {
	r.t.Helper()
	names := []string{"a.example.com", "b.example.com"}
	key := newKey(r.t)
	o = ordered{
		commonName: names[0], dns: names, key: key.Public(), usage: x509.ExtKeyUsageServerAuth, life: 199*aDay - time.Second,
	}
	request := csr(r.t, key, names...)
	if r.srv.Dialect == certinexttest.V1 {
		return r.buy(merge(v1Order(names[0]), m{
			"productCode": "844", "csr": request, "certificateInformation": m{
				"domainName": names[0], "additionalDomains": names[1:], "autoSecureWWW": "0",
			},
		})), "", o
	}
	id = r.order(merge(dvOrder(names[0]), m{"csr": request, "certificate": m{
		"domain": names[0], "additionalDomains": names[1:], "autoSecureWww": false,
	}}), "X-Product-Code", "844")
	path = sslPath + "/" + id
	if r.srv.Dialect == certinexttest.Documented {
		agreement := m{"agreement": dvOrder(names[0])["agreement"]}
		r.post(path+"/agreement", agreement).must(http.StatusNoContent)
	}
	return id, path, o
}

// dialectRig is a rig of any dialect; that of V1 has no token.
func dialectRig(t *testing.T, d certinexttest.Dialect) *rig {
	t.Helper()
	if d == certinexttest.V1 {
		return tokenlessRig(t, verified(d))
	}
	return newRig(t, verified(d))
}

func TestEachMistakeIsMadeAndNoOther(t *testing.T) {
	dialects := []certinexttest.Dialect{
		certinexttest.Live, certinexttest.Documented, certinexttest.V1,
	}
	for _, d := range dialects {
		t.Run(d.String(), func(t *testing.T) {
			eachMistake(t, func(t *testing.T, mistake certinexttest.Misissuance, want []string) {
				r := dialectRig(t, d)
				r.erring(mistake)
				id, path, o := r.twoNames()
				require.Equal(t, "6/20", r.ids(id), "it is issued in the books")
				got := r.delivered(id, path)
				require.ElementsMatch(t, want, got.faults(t, r.srv, o))
				record, _ := r.srv.Order(id)
				require.Equal(t, []string{got.cert.SerialNumber.Text(16)}, record.Serials)
			})
		})
	}
}

// What was issued stays wrong when the CA errs no more, and what it issues then
// is right, be it for the same order.
func TestAMistakeStaysWithItsCertificate(t *testing.T) {
	eachMistake(t, func(t *testing.T, mistake certinexttest.Misissuance, want []string) {
		r := dialectRig(t, certinexttest.Live)
		before, beforePath, right := r.twoNames()
		r.erring(mistake)
		id, path, o := r.twoNames()
		r.erring(certinexttest.MisissueNone)
		first := r.delivered(id, path)
		require.ElementsMatch(t, want, first.faults(t, r.srv, o))
		require.Empty(t, r.delivered(before, beforePath).faults(t, r.srv, right))

		key := newKey(t)
		o.key = key.Public()
		request := csr(t, key, o.dns...)
		r.post(path+"/reissue", m{"mode": "rekey", "reason": "wrong", "csr": request}).must(201)
		second := r.delivered(id, path)
		require.NotEqual(t, first.cert.SerialNumber, second.cert.SerialNumber)
		require.Empty(t, second.faults(t, r.srv, o))
	})
}

func TestTheCAKnowsWhatItMisissued(t *testing.T) {
	eachMistake(t, func(t *testing.T, mistake certinexttest.Misissuance, _ []string) {
		r := dialectRig(t, certinexttest.Live)
		r.erring(mistake)
		id, path, _ := r.twoNames()
		got := r.delivered(id, path)
		ca, err := x509.ParseCertificate(r.fetch(host + "/ca/public.cer"))
		require.NoError(t, err)
		issuer := ca
		if mistake == certinexttest.MisissueLeafIssuer {
			issuer = got.chain[0]
			require.Equal(t, ocsp.Good, r.ocsp(issuer, ca, http.MethodPost, crypto.SHA1).Status)
		}
		require.Equal(t, ocsp.Good, r.ocsp(got.cert, issuer, http.MethodPost, crypto.SHA1).Status)

		r.post(path+"/revoke", m{"reason": "superseded"}).must(http.StatusNoContent)
		answer := r.ocsp(got.cert, issuer, http.MethodPost, crypto.SHA1)
		require.Equal(t, ocsp.Revoked, answer.Status)
		list, err := x509.ParseRevocationList(r.fetch(got.cert.CRLDistributionPoints[0]))
		require.NoError(t, err)
		require.NoError(t, list.CheckSignatureFrom(ca))
		revoked := func(e x509.RevocationListEntry) bool {
			return e.SerialNumber.Cmp(got.cert.SerialNumber) == 0
		}
		require.True(t, slices.ContainsFunc(list.RevokedCertificateEntries, revoked))
	})
}

// The wrong intermediate is told from the right one by the leaf's signature alone.
func TestABrokenChainLooksRight(t *testing.T) {
	r := dialectRig(t, certinexttest.Live)
	r.erring(certinexttest.MisissueBrokenChain)
	id, path, _ := r.twoNames()
	got := r.delivered(id, path)
	ca, err := x509.ParseCertificate(r.fetch(host + "/ca/public.cer"))
	require.NoError(t, err)
	double := got.chain[0]
	require.Equal(t, ca.RawSubject, double.RawSubject)
	require.Equal(t, got.cert.AuthorityKeyId, double.SubjectKeyId)
	require.NotEqual(t, ca.PublicKey, double.PublicKey)
	require.NoError(t, got.cert.CheckSignatureFrom(ca))
	require.ErrorContains(t, got.cert.CheckSignatureFrom(double), "verification failure")
}

// An order whose certificate was over from the first is issued for as long as
// it should have been, and expired then.
func TestTheBooksOutliveACertificateThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := dialectRig(t, certinexttest.Live)
		r.srv.Configure(func(s *certinexttest.Server) {
			s.Misissue, s.TokenTTL = certinexttest.MisissueAlreadyOver, 10000*time.Hour
		})
		r.login()
		id, _ := r.issued("www.example.com")
		time.Sleep(199*24*time.Hour - time.Second)
		require.Equal(t, "issued", r.status(id))
		time.Sleep(time.Second)
		require.Equal(t, "expired", r.status(id))
	})
}
