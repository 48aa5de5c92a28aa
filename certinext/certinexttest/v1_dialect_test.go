// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// tokenlessRig is a rig of the dialect that hands out no tokens.
func tokenlessRig(t *testing.T, srv *certinexttest.Server) *rig {
	t.Helper()
	srv.Dialect = certinexttest.V1
	return &rig{t: t, srv: srv, http: srv.Client(), base: host}
}

func TestV1DialectHasVersion1Only(t *testing.T) {
	r := tokenlessRig(t, verified(certinexttest.V1))
	refusal := r.form(credentials(nil)).must(403)
	require.Equal(t, "unauthorized_client", refusal["error"])
	require.Equal(t, "invalid_client", r.form(credentials(map[string]string{"client_secret": "x"})).must(401)["error"], "a wrong secret comes first")
	r.get(api+"/auth/me").refused(401, "")
	r.post(sslPath, dvOrder("www.example.com")).refused(401, "")
	require.Empty(t, r.srv.Orders())

	r.call("ValidateCredentials", nil).ok()
	key := newKey(t)
	number := r.buy(merge(v1Order("www.example.com"), m{"csr": csr(t, key, "www.example.com")}))
	require.Regexp(t, `^[0-9]{10}$`, number, "as live")
	require.Equal(t, "6/20", r.ids(number))
	v := r.call("GetCertificate", m{"orderDetails": ref(number)}).block("certificateDetails")
	require.Equal(t, key.Public(), leaf(t, v["endEntityCertificate"].(string)).PublicKey)

	r.srv.Configure(func(s *certinexttest.Server) { s.KeyState = certinexttest.KeyInactive })
	r.call("ValidateCredentials", nil).fails("EMS-1065")
}

func TestV1DialectRevokesForTheFiveReasons(t *testing.T) {
	r := tokenlessRig(t, verified(certinexttest.V1))
	for id, name := range map[string]string{
		"1": "key-compromise", "3": "affiliation-changed", "4": "superseded", "5": "cessation-of-operation", "9": "privilege-withdrawn",
	} {
		number := r.buy(merge(v1Order("www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com")}))
		r.call("RevokeOrder", m{"revocationDetails": merge(ref(number), m{"revokeReasonId": id, "revokeRemarks": "x"})}).ok()
		o, _ := r.srv.Order(number)
		require.Equal(t, name, o.RevokeReason)
		require.Equal(t, id, r.tracked(number)["revocationDetails"].(m)["revokeReasonId"])
	}
}

func TestDialectsHaveNames(t *testing.T) {
	for name, d := range map[string]certinexttest.Dialect{
		"live": certinexttest.Live, "documented": certinexttest.Documented, "v1": certinexttest.V1,
	} {
		require.Equal(t, name, d.String())
		text, err := d.MarshalText()
		require.NoError(t, err)
		require.Equal(t, name, string(text))
		read := certinexttest.Dialect(-1)
		require.NoError(t, read.UnmarshalText([]byte(name)))
		require.Equal(t, d, read)
	}
	for _, name := range []string{"V1", "v2", ""} {
		require.ErrorContains(t, new(certinexttest.Dialect).UnmarshalText([]byte(name)), "live, documented, v1")
	}
	require.Equal(t, "unknown", certinexttest.Dialect(3).String())
	_, err := certinexttest.Dialect(3).MarshalText()
	require.Error(t, err)
}
