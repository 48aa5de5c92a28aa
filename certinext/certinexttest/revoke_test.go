// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestRevokeReasons(t *testing.T) {
	const live, documented = certinexttest.Live, certinexttest.Documented
	cases := map[string]struct {
		dialect certinexttest.Dialect
		reason  string
		private bool
		status  int
		detail  string
	}{
		"key-compromise is taken":                      {live, "key-compromise", false, 204, ""},
		"affiliation-changed is taken":                 {live, "affiliation-changed", false, 204, ""},
		"superseded is taken":                          {live, "superseded", false, 204, ""},
		"cessation-of-operation is taken":              {live, "cessation-of-operation", false, 204, ""},
		"privilege-withdrawn is taken":                 {live, "privilege-withdrawn", false, 204, ""},
		"unspecified is known and refused":             {live, "unspecified", false, 422, "Invalid Revoke Reason ID"},
		"certificate-hold is known and refused":        {live, "certificate-hold", false, 422, "Invalid Revoke Reason ID"},
		"ca-compromise is known and refused":           {live, "ca-compromise", false, 422, "Invalid Revoke Reason ID"},
		"aa-compromise is known and refused":           {live, "aa-compromise", false, 422, "Invalid Revoke Reason ID"},
		"the documented spelling is malformed live":    {live, "keyCompromise", false, 400, "Validation failed"},
		"no reason is malformed":                       {live, "", false, 400, "Validation failed"},
		"private PKI takes unspecified":                {live, "unspecified", true, 204, ""},
		"keyCompromise is taken as documented":         {documented, "keyCompromise", false, 204, ""},
		"superseded is spelled alike in both":          {documented, "superseded", false, 204, ""},
		"unspecified is taken as documented":           {documented, "unspecified", false, 204, ""},
		"caCompromise is taken as documented":          {documented, "caCompromise", false, 204, ""},
		"the live spelling is malformed as documented": {documented, "key-compromise", false, 400, "Validation failed"},
		"caCompromise is no reason for documented PKI": {documented, "caCompromise", true, 400, "Validation failed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, verified(c.dialect))
			path := privatePath + "/"
			if c.private {
				path += r.post(privatePath, merge(privateOrder("h.local"), m{"csr": csr(t, newKey(t), "h.local")}), "X-Product-Code", "149").must(201)["orderId"].(string)
			} else {
				id, _ := r.issued("www.example.com")
				path = sslPath + "/" + id
			}
			a := r.post(path+"/revoke", m{"reason": c.reason, "note": "replaced (see ticket 1/2)"})
			if c.status == 204 {
				a.must(204)
				return
			}
			require.Equal(t, c.detail, a.refused(c.status, "")["detail"])
		})
	}
}

func TestRevocationShowsOnTrackAndInTheRecord(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	id, _ := r.issued("www.example.com")
	path := sslPath + "/" + id
	require.Equal(t, "Invalid Revoke Remarks", r.post(path+"/revoke", m{"reason": "superseded", "note": "a; b"}).refused(422, "")["detail"])
	require.Equal(t, "issued", r.status(id))
	r.post(path+"/revoke", m{"reason": "superseded", "note": "replaced"}).must(204)

	v := r.get(path).must(200)
	require.Equal(t, "revoked", v["status"])
	require.Equal(t, "Certificate Revoked", v["revocation"].(m)["status"])
	require.Equal(t, "superseded", v["revocation"].(m)["reason"])
	o, _ := r.srv.Order(id)
	require.Equal(t, "replaced", o.RevokeNote)
	require.False(t, o.RevokedAt.IsZero())
	r.get(path+"/certificate").refused(422, "EMS-969")
}

func TestWhatCannotBeRevoked(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r := newRig(t, verified(d))
		pending := r.order(dvOrder("www.example.com"))
		revoked, _ := r.issued("a.example.com")
		body := m{"reason": "superseded"}
		r.post(sslPath+"/"+revoked+"/revoke", body).must(204)

		details := map[any]bool{}
		for id, docs := range map[string]string{pending: "EMS-931", revoked: "EMS-964"} {
			a := r.post(sslPath+"/"+id+"/revoke", body)
			if d == certinexttest.Live {
				details[a.refused(404, "")["detail"]] = true
			} else {
				a.refused(422, docs)
			}
		}
		unknown := r.post(sslPath+"/1/revoke", body).refused(404, "")
		if d == certinexttest.Live {
			details[unknown["detail"]] = true
			require.Len(t, details, 1, "one and the same 404 for all three")
		}
		r.post(privatePath+"/"+revoked+"/revoke", body).refused(404, "")
	})
}
