// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// revocations are the reasons for which the certificates are in the CRL, -1 for one that is not.
func (r *rig) revocations(certs ...*x509.Certificate) (reasons []int) {
	r.t.Helper()
	for _, cert := range certs {
		reason := -1
		for _, e := range r.list(cert).RevokedCertificateEntries {
			if e.SerialNumber.Cmp(cert.SerialNumber) == 0 {
				reason = e.ReasonCode
			}
		}
		reasons = append(reasons, reason)
	}
	return reasons
}

func TestAReissueRevokesWhatNobodyAskedFor(t *testing.T) {
	r, admin := adminRig(t, verified(certinexttest.Live))
	id, key := r.issued("www.example.com")
	other, _ := r.issued("other.example.com")
	reissue := func(change m) *x509.Certificate {
		body := m{"mode": "rekey", "reason": "x", "csr": csr(t, newKey(t), "www.example.com")}
		r.post(sslPath+"/"+id+"/reissue", merge(body, change)).must(201)
		require.Equal(t, "issued", r.status(id))
		return r.certificate(id)
	}
	first := r.certificate(id)
	second := reissue(nil)
	require.Equal(t, []int{-1, -1}, r.revocations(first, second))
	admin.post("/faults", m{"kind": "reissue-revokes", "operation": "reissue", "times": 1}).must(204)
	third := reissue(nil)
	require.Equal(t, []int{1, 1, -1, -1}, r.revocations(first, second, third, r.certificate(other)))
	again := r.post(sslPath, merge(dvOrder("www.example.com"), m{"csr": csr(t, key, "www.example.com")}))
	require.Equal(t, 422, again.status, "its key is taken for compromised")
	reissue(nil)
	require.Equal(t, []int{-1}, r.revocations(third), "once")
	reissue(m{"revokePrevious": true, "revokeReason": "superseded"})
	require.Equal(t, []int{1, 1, 4}, r.revocations(first, second, third))

	require.Equal(t, 400, admin.post("/faults", m{"kind": "reissue-revokes", "operation": "track"}).status)
}
