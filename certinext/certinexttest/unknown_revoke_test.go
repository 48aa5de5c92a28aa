// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// TestUnknownReissueRevocation has OCSP say which certificate of a reissued order is revoked, first
// by the reissue and then with the order.
func TestUnknownReissueRevocation(t *testing.T) {
	for _, c := range []struct {
		setting       string
		asked         bool
		first, second [2]int // the two certificates, after the reissue and after the revocation
	}{
		{`{}`, false, [2]int{ocsp.Good, ocsp.Good}, [2]int{ocsp.Revoked, ocsp.Revoked}},
		{`{}`, true, [2]int{ocsp.Revoked, ocsp.Good}, [2]int{ocsp.Revoked, ocsp.Revoked}},
		{`{"reissueRevokes":"always"}`, false, [2]int{ocsp.Revoked, ocsp.Good}, [2]int{ocsp.Revoked, ocsp.Revoked}},
		{`{"reissueRevokes":"never"}`, true, [2]int{ocsp.Good, ocsp.Good}, [2]int{ocsp.Revoked, ocsp.Revoked}},
		{`{"newestRevokedOnly":true}`, false, [2]int{ocsp.Good, ocsp.Good}, [2]int{ocsp.Good, ocsp.Revoked}},
	} {
		t.Run(c.setting, func(t *testing.T) {
			srv := verified(certinexttest.Live)
			require.NoError(t, srv.LoadSettings([]byte(c.setting)))
			r := newRig(t, srv)
			id, _ := r.issued("www.example.com")
			before := r.certificate(id)
			reissue := m{"mode": "rekey", "reason": "new key", "csr": csr(t, newKey(t), "www.example.com")}
			if c.asked {
				reissue = merge(reissue, m{"revokePrevious": true, "revokeReason": "superseded"})
			}
			r.post(sslPath+"/"+id+"/reissue", reissue).must(201)
			after := r.certificate(id)
			require.Equal(t, c.first, r.revocationsOf(before, after))
			r.post(sslPath+"/"+id+"/revoke", m{"reason": "key-compromise"}).must(204)
			require.Equal(t, c.second, r.revocationsOf(before, after))
		})
	}
}

// revocationsOf asks OCSP for the states of two certificates.
func (r *rig) revocationsOf(one, other *x509.Certificate) [2]int {
	return [2]int{r.revocationOf(one), r.revocationOf(other)}
}

func (r *rig) revocationOf(cert *x509.Certificate) int {
	der := strings.TrimSuffix(cert.IssuingCertificateURL[0], ".p7c") + ".cer"
	issuer, err := x509.ParseCertificate(r.fetch(der))
	require.NoError(r.t, err)
	return r.ocsp(cert, issuer, http.MethodPost, crypto.SHA1).Status
}

func TestUnknownReasonsOfPrivatePKI(t *testing.T) {
	for fiveReasons, status := range map[bool]int{false: 204, true: 422} {
		srv := new(certinexttest.Server)
		srv.Unknowns.FiveReasons = fiveReasons
		r := newRig(t, srv)
		body := merge(privateOrder("h.local"), m{"csr": csr(t, newKey(t), "h.local")})
		id := r.post(privatePath, body, "X-Product-Code", "149").must(201)["orderId"].(string)
		require.Equal(t, status, r.post(privatePath+"/"+id+"/revoke", m{"reason": "unspecified"}).status)
	}
}
