// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// caaOf is what version 2 says of the CAA records of an order's only name.
func (r *rig) caaOf(id string) any {
	r.t.Helper()
	domain := r.get(sslPath + "/" + id).must(200)["verifications"].(m)["domain"].(m)
	return domain["domains"].([]any)[0].(m)["caaStatus"]
}

func TestAForbiddenDomainIsNotIssuedUntilItIsAllowed(t *testing.T) {
	srv := &certinexttest.Server{VerifiedDomains: []string{"example.com"}, CAAForbids: []string{"shop.example.com", "other.test"}}
	r, admin := adminRig(t, srv)
	buy := func(name string) string {
		return r.order(merge(dvOrder(name), m{"csr": csr(t, newKey(t), name)}))
	}
	free, itself, below, open := buy("www.example.com"), buy("shop.example.com"), buy("a.shop.example.com"), buy("www.other.test")
	require.Equal(t, "issued", r.status(free))
	require.Equal(t, "PASSED", r.caaOf(free))
	for _, id := range []string{itself, below} {
		require.Equal(t, "pending-approval", r.status(id))
		require.Equal(t, "FAILED", r.caaOf(id))
	}
	require.Equal(t, "pending-dcv", r.status(open))
	require.Equal(t, "SKIPPED", r.caaOf(open), "it is not looked at before control is shown")
	track := r.tracked(itself)
	require.Equal(t, "2", track["domainVerification"].(m)["shop.example.com"].(m)["caaStatus"])
	require.Equal(t, "8", track["orderStatusId"])

	require.Equal(t, []any{}, admin.post("/knobs", m{"caaForbids": []string{}}).must(200)["caaForbids"])
	for _, id := range []string{itself, below} {
		require.Equal(t, "issued", r.status(id), "CAA is looked at again")
		require.Equal(t, "PASSED", r.caaOf(id))
	}
	admin.post("/knobs", m{"caaForbids": []string{"example.com"}}).must(200)
	require.Equal(t, "PASSED", r.caaOf(free), "what is issued stays so")
}
