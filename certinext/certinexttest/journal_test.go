// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// The journal says of each refusal by which rule it was one, and where the rule is known from.
func TestTheJournalSaysWhy(t *testing.T) {
	const live = "seen on the live service"
	r, admin := adminRig(t, verified(certinexttest.Live))
	id := r.order(dvOrder("www.example.com"))
	number := r.buy(v1Order("www.example.com"))
	weak := csr(t, newKey(t), "www.example.com")
	r.put(sslPath+"/"+id+"/csr", m{"csr": weak}).must(204)
	for name, c := range map[string]struct {
		send         func()
		rule, source string
	}{
		"a name":                 {func() { r.post(sslPath, dvOrder("co.uk")) }, "public-suffix", "Baseline Requirements"},
		"the organization":       {func() { r.post(sslPath, merge(dvOrder("www.example.com"), m{"productVariant": "ov"})) }, "organization-needed", live},
		"a product":              {func() { r.post(sslPath, dvOrder("www.example.com"), "X-Product-Code", "1") }, "product", live},
		"names of a UCC product": {func() { r.post(sslPath, dvOrder("www.example.com"), "X-Product-Code", "844") }, "additional-domains-needed", "Keyfactor"},
		"a member":               {func() { r.post(sslPath, merge(dvOrder("www.example.com"), m{"requestor": nil})) }, "validation-failed", "collection"},
		"a group":                {func() { r.post(sslPath, merge(dvOrder("www.example.com"), m{"groupNumber": "1"})) }, "group-number", "list of codes"},
		"a CSR's form":           {func() { r.post(sslPath, merge(dvOrder("www.example.com"), m{"csr": "x"})) }, "csr-form", "collection"},
		"a CSR once more":        {func() { r.put(sslPath+"/"+id+"/csr", m{"csr": weak}) }, "order-state", "collection"},
		"a token":                {func() { r.get(sslPath+"/"+id, "Authorization", "Bearer x") }, "unauthorized", "collection"},
		"a grant":                {func() { r.form(map[string][]string{"grant_type": {"x"}}) }, "invalid_client", "RFC 6749"},
		"an order":               {func() { r.get(sslPath + "/1") }, "not-found", "collection"},
		"a revocation":           {func() { r.post(sslPath+"/"+id+"/revoke", m{"reason": "unspecified"}) }, "revocation-reason", live},
		"v1: a name": {func() {
			r.call("GenerateOrderSSL", m{"orderDetails": v1Order("db.internal")})
		}, "special-use-name", "ICANN"},
		"v1: remarks": {func() {
			r.call("GenerateOrderSSL", m{"orderDetails": merge(v1Order("example.com"), m{"additionalInformation": nil})})
		}, "additional-information", live},
		"v1: a signer": {func() {
			r.call("GenerateOrderSSL", m{"orderDetails": merge(v1Order("example.com"), with("agreementDetails", m{"signerIP": "127.0.0.1"}))})
		}, "signer-ip", live},
		"v1: a value without a code": {func() {
			r.call("GenerateOrderSSL", m{"orderDetails": merge(v1Order("example.com"), m{"accountingModel": "9"})})
		}, "order-form", "not known of the service"},
		"v1: a product": {func() {
			r.call("GenerateOrderSSL", m{"orderDetails": merge(v1Order("example.com"), m{"productCode": "1"})})
		}, "product-provisioned", live},
		"v1: an order":    {func() { r.call("TrackOrder", m{"orderDetails": m{"orderNumber": "1"}}) }, "order-number", live},
		"v1: a used key":  {func() { r.call("SubmitCSR", m{"orderDetails": merge(ref(number), m{"csr": weak})}) }, "new-key", live},
		"v1: a signature": {func() { r.call("TrackOrder", m{"meta": v1Meta(r.now(), m{"authKey": "0"})}) }, "signature", "list of codes"},
		"v1: words alone": {func() {
			r.srv.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultRefusal, Code: "EMS-1162", Times: 1})
			r.call("TrackOrder", m{"orderDetails": m{"orderNumber": number}})
		}, "fault", "injected"},
	} {
		t.Run(name, func(t *testing.T) {
			admin.do("DELETE", "/requests", "").must(204)
			c.send()
			var seen []m
			require.NoError(t, json.Unmarshal(admin.get("/requests").body, &seen))
			require.Len(t, seen, 1)
			require.NotEmpty(t, seen[0]["refusal"])
			require.Equal(t, c.rule, seen[0]["rule"], seen[0]["refusal"])
			require.Contains(t, seen[0]["source"], c.source)
		})
	}
	admin.do("DELETE", "/requests", "").must(204)
	r.get(sslPath + "/" + id).must(200)
	require.NotContains(t, string(admin.get("/requests").body), `"rule"`)
}
