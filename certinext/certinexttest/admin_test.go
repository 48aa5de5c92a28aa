// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto/x509"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// adminRig has no token: the administration paths need none.
func adminRig(t *testing.T, srv *certinexttest.Server) (r, admin *rig) {
	t.Helper()
	r = newRig(t, srv)
	return r, &rig{t: t, srv: srv, http: srv.Client(), base: host + "/_sandbox"}
}

func TestAdminSteersOrders(t *testing.T) {
	srv := verified(certinexttest.Live)
	srv.HoldForApproval = true
	r, admin := adminRig(t, srv)
	id := r.order(merge(dvOrder("www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com")}))

	var orders []m
	require.NoError(t, json.Unmarshal(admin.get("/orders").body, &orders))
	require.Equal(t, id, orders[0]["id"])
	require.Equal(t, "pending-approval", admin.get("/orders/" + id).must(200)["status"])
	require.NotContains(t, orders[0], "revokedAt")
	admin.post("/orders/"+id+"/approve", nil).must(204)
	require.Equal(t, "issued", r.status(id))
	require.Equal(t, 400, admin.post("/orders/"+id+"/approve", nil).status)
	require.Equal(t, 404, admin.post("/orders/1/approve", nil).status)
	require.Equal(t, 404, admin.get("/orders/1").status)

	other := r.order(dvOrder("example.org"))
	admin.post("/domains/example.org/verify", nil).must(204)
	require.Equal(t, "pending-csr", r.status(other))
	var domains []m
	require.NoError(t, json.Unmarshal(admin.get("/domains").body, &domains))
	require.Len(t, domains, 2)
	require.Equal(t, "example.org", domains[1]["name"])
	require.Equal(t, true, domains[1]["verified"])
	require.Equal(t, 400, admin.post("/orders/"+other+"/reject", m{"colour": "red"}).status)
	admin.post("/orders/"+other+"/reject", m{"remark": "no"}).must(204)
	require.Equal(t, "no", admin.get("/orders/" + other).must(200)["rejectRemark"])

	kept := r.post(sslPath, merge(dvOrder("www.example.com"), m{"saveAsDraft": true})).must(201)["requestId"].(string)
	admin.post("/drafts/"+kept+"/promote", nil).must(204)
	require.Equal(t, 404, admin.post("/drafts/"+kept+"/promote", nil).status)
	require.NoError(t, json.Unmarshal(admin.get("/orders").body, &orders))
	require.Equal(t, "pending-csr", r.status(orders[len(orders)-1]["id"].(string)))

	admin.post("/organizations/4000002/vet", nil).must(204)
	require.Equal(t, 400, admin.post("/organizations/1/vet", nil).status)
	admin.post("/tokens/kill", nil).must(204)
	r.get(api+"/auth/me").refused(401, "")
}

func TestAdminFaults(t *testing.T) {
	r, admin := adminRig(t, new(certinexttest.Server))
	body := `{"operation":"groups","kind":"rate-limit","times":2,"retryAfter":"90s"}`
	admin.do("POST", "/faults", body).must(204)
	a := r.get(api + "/groups")
	a.refused(429, "")
	require.Equal(t, "90", a.header.Get("Retry-After"))

	var left []certinexttest.Fault
	require.NoError(t, json.Unmarshal(admin.get("/faults").body, &left))
	require.Equal(t, []certinexttest.Fault{{
		Operation: certinexttest.OpGroups, Kind: certinexttest.FaultRateLimit, Times: 1, RetryAfter: 90 * time.Second,
	}}, left)
	admin.do("DELETE", "/faults", "").must(204)
	r.get(api + "/groups").must(200)

	for _, bad := range []string{`{"kind":"smoke"}`, `{"kind":"html","colour":"red"}`, `{"kind":"latency","delay":5}`, `{"kind":"html"}{}`, ""} {
		require.Equal(t, 400, admin.do("POST", "/faults", bad).status, bad)
	}
}

func TestAdminKnobs(t *testing.T) {
	r, admin := adminRig(t, verified(certinexttest.Live))
	v := admin.post("/knobs", m{"issueDelay": "1h", "pemLag": "2s", "certificateLifetime": "3h", "domainValidity": "4h", "chainOrder": "absent", "dcvShape": "doc2", "reportOrder": "oldest-first", "reportPageSize": 7}).must(200)
	require.Equal(t, "oldest-first", v["reportOrder"])
	require.InDelta(t, 7, v["reportPageSize"], 0)
	require.Equal(t, "1h0m0s", v["issueDelay"])
	require.Equal(t, "4h0m0s", v["domainValidity"])
	require.Equal(t, v, admin.get("/knobs").must(200))
	id := r.order(merge(dvOrder("www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com")}))
	require.Equal(t, "pending-approval", r.status(id))
	admin.post("/knobs", m{"issueDelay": "0s", "pemLag": "0s"}).must(200)
	cert := r.certificate(id)
	require.Equal(t, 3*time.Hour, cert.NotAfter.Sub(cert.NotBefore))
	require.NotContains(t, r.get(sslPath+"/"+id+"/certificate").must(200), "chainPem")
	for _, bad := range []m{{"colour": "red"}, {"issueDelay": "soon"}, {"chainOrder": "backwards"}, {"holdForApproval": "yes"}} {
		require.Equal(t, 400, admin.post("/knobs", bad).status, bad)
	}
}

func TestAdminKnobsOfVersion1(t *testing.T) {
	r, admin := adminRig(t, verified(certinexttest.Live))
	v := admin.post("/knobs", m{"dcvSlotDelay": "1h", "dcvChallengeDelay": "2h", "dcvResultDelay": "3s", "createBurst": 1}).must(200)
	require.Equal(t, v, admin.get("/knobs").must(200))
	require.Equal(t, "2h0m0s", v["dcvChallengeDelay"])
	require.Equal(t, "3s", v["dcvResultDelay"])
	number := r.buy(freshOrder("www.example.com"))
	require.Nil(t, r.tracked(number)["domainVerification"])
	r.call("GenerateOrderSSL", m{"orderDetails": v1Order("www.example.com")}).fails("")
	admin.post("/knobs", m{"dcvSlotDelay": "0s", "dcvChallengeDelay": "0s", "createBurst": 0}).must(200)
	require.NotEmpty(t, r.call("GetDcv", dcv(number, "www.example.com", "1")).block("dcvDetails"))
	r.buy(v1Order("www.example.com"))
}

func TestAdminCallsAndRoots(t *testing.T) {
	r, admin := adminRig(t, new(certinexttest.Server))
	r.get(api + "/groups")
	require.Equal(t, m{"token": 1.0, "groups": 1.0}, admin.get("/calls").must(200))
	admin.do("DELETE", "/calls", "").must(204)
	require.Empty(t, admin.get("/calls").must(200))
	roots := admin.get("/roots.pem")
	require.Equal(t, r.srv.RootPEM(), roots.body)
	require.True(t, x509.NewCertPool().AppendCertsFromPEM(roots.body))
	require.Equal(t, 404, admin.get("/colour").status)
	require.Equal(t, 405, admin.do("PUT", "/faults", "{}").status)
}
