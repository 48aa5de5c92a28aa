// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto/x509"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// Observed: cancel and reject without a body. Published: a mandatory reason.
func TestLiveCancelsWithoutABody(t *testing.T) {
	live := newRig(t, new(certinexttest.Server))
	for action, status := range map[string]string{"cancel": "cancelled", "reject": "rejected"} {
		id := live.order(dvOrder("example.com"))
		live.do("POST", sslPath+"/"+id+"/"+action, "").must(http.StatusNoContent)
		require.Equal(t, status, live.status(id))
	}
	id := live.order(dvOrder("example.com"))
	cancel := sslPath + "/" + id + "/cancel"
	require.Equal(t, []string{"reason"}, fields(live.post(cancel, m{}).refused(400, "")), "a body has a reason")
	live.do("POST", cancel, `{"reason":"x"}`, "Content-Type", "text/plain").refused(415, "")
	require.Equal(t, "pending-dcv", live.status(id))

	documented := newRig(t, &certinexttest.Server{Dialect: certinexttest.Documented})
	id = documented.order(dvOrder("example.com"))
	documented.do("POST", sslPath+"/"+id+"/cancel", "").refused(415, "")
	require.Equal(t, "pending-dcv", documented.status(id))
}

func TestPrivateOrdersAreCancelled(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r := newRig(t, &certinexttest.Server{Dialect: d, HoldForApproval: true})
		id := r.post(privatePath, privateOrder("a.local"), "X-Product-Code", "149").must(201)["orderId"].(string)
		r.post(privatePath+"/"+id+"/cancel", m{"reason": "x"}).must(http.StatusNoContent)
		require.Equal(t, "cancelled", r.get(privatePath + "/" + id).must(200)["status"])
	})
}

func TestDocumentedOrderPassesEveryStage(t *testing.T) {
	r := newRig(t, &certinexttest.Server{Dialect: certinexttest.Documented})
	id := r.order(dvOrder("example.com"))
	path, key := sslPath+"/"+id, newKey(t)
	agreement := m{"agreement": dvOrder("")["agreement"]}

	require.Equal(t, "pending-dcv", r.status(id))
	r.put(path+"/csr", m{"csr": csr(t, key, "example.com")}).refused(422, "EMS-984")
	r.post(path+"/agreement", agreement).refused(422, "EMS-984")
	r.srv.VerifyDomain("example.com")

	require.Equal(t, "pending-csr", r.status(id))
	r.get(path+"/certificate").refused(422, "EMS-1165")
	r.put(path+"/csr", m{"csr": csr(t, key, "example.com"), "attested": false}).must(http.StatusNoContent)

	v := r.get(path).must(http.StatusOK)
	require.Equal(t, "pending-agreement", v["status"], "acceptance at create does not sign")
	require.Contains(t, v["_links"], "agreement")
	require.NotContains(t, v["_links"], "csr")
	r.post(path+"/agreement", agreement).must(http.StatusNoContent)

	require.Equal(t, "issued", r.status(id))
	r.post(path+"/agreement", agreement).refused(422, "EMS-984")
	require.Equal(t, key.Public(), r.certificate(id).PublicKey)
}

func TestLiveOrderTakesItsStepsInAnyOrder(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	id := r.order(merge(dvOrder("example.com"), m{"agreement": nil}))
	path, key := sslPath+"/"+id, newKey(t)

	r.put(path+"/csr", m{"csr": csr(t, key, "example.com")}).must(http.StatusNoContent)
	require.Equal(t, "pending-dcv", r.status(id), "a CSR is taken while DCV is open")
	r.put(path+"/csr", m{"csr": csr(t, key, "example.com")}).refused(422, "EMS-917")
	r.srv.VerifyDomain("example.com")
	require.Equal(t, "pending-agreement", r.status(id))

	v := r.post(path+"/agreement", m{"agreement": m{"accepted": true}}).refused(400, "")
	require.Equal(t, []string{"agreementDetails.signerName", "agreementDetails.signerPlace"}, fields(v))
	v = r.post(path+"/agreement", m{}).refused(400, "")
	require.Equal(t, []string{"agreementDetails"}, fields(v))
	r.post(path+"/agreement", m{"agreement": m{"signerName": "J", "signerPlace": "NY", "accepted": false}}).refused(422, "EMS-920")
	r.post(path+"/agreement", m{"agreement": m{"signerName": "J", "signerPlace": "NY", "accepted": true}}).must(http.StatusNoContent)
	require.Equal(t, "issued", r.status(id))
}

func TestLiveTrackHasTheObservedShape(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	id := r.order(merge(ovOrder("www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com")}))
	v := r.get(sslPath + "/" + id).must(http.StatusOK)
	require.Equal(t, "issued", v["status"])
	require.Equal(t, "Order Fulfilled", v["orderState"])
	require.Equal(t, "Certificate Generated", v["certificateState"])
	require.Equal(t, true, v["csrSubmitted"])
	require.Equal(t, "New York", v["subscriberAgreement"].(m)["signedPlace"])
	verifications := v["verifications"].(m)
	require.Equal(t, false, verifications["empty"])
	entry := verifications["domain"].(m)["domains"].([]any)[0].(m)
	require.Equal(t, "VERIFIED", entry["dcvStatus"])
	require.Equal(t, "dns-txt", entry["dcvMethod"])
	require.Equal(t, "1", verifications["organization"].(m)["consentStatus"])
	for _, absent := range []string{"_links", "createdAt", "issuedAt", "productVariant", "additionalDomains", "revocation"} {
		require.NotContains(t, v, absent)
	}
	r.certificate(id)
	require.Equal(t, "Certificate Downloaded", r.get(sslPath + "/" + id).must(200)["certificateState"])
}

func TestPendingDomainHidesItsMethodAndTheAggregateLies(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	id := r.order(dvOrder("example.com"))
	domain := func() m {
		return r.get(sslPath + "/" + id).must(200)["verifications"].(m)["domain"].(m)
	}
	entry := domain()["domains"].([]any)[0].(m)
	require.Equal(t, m{"domain": "example.com", "domainStatus": "ACTIVE", "dcvStatus": "PENDING", "caaStatus": "SKIPPED"}, entry)

	r.post(sslPath+"/"+id+"/cancel", m{"reason": "x"}).must(http.StatusNoContent)
	require.Equal(t, "REJECTED", domain()["domains"].([]any)[0].(m)["dcvStatus"])
	require.Equal(t, "PENDING", domain()["status"])
}

func TestApproval(t *testing.T) {
	withOrg := func(number, token string, preVetted bool) m {
		return m{"organization": m{"organizationNumber": number, "preVettingToken": token, "preVetted": preVetted}}
	}
	cases := map[string]struct {
		change func(*certinexttest.Server)
		order  m
		want   string
	}{
		"a consent token spares the approver":        {nil, nil, "issued"},
		"without it an approver must act":            {nil, withOrg("4000001", "", true), "pending-approval"},
		"tokens may be good for nothing":             {func(s *certinexttest.Server) { s.IgnoreConsentTokens = true }, nil, "pending-approval"},
		"a negative delay approves at once":          {func(s *certinexttest.Server) { s.ApprovalDelay = -1 }, withOrg("4000001", "", true), "issued"},
		"a positive delay takes its time":            {func(s *certinexttest.Server) { s.ApprovalDelay = time.Hour }, withOrg("4000001", "", true), "pending-approval"},
		"every order can be held":                    {func(s *certinexttest.Server) { s.HoldForApproval = true }, nil, "pending-approval"},
		"an organization not yet vetted holds it up": {nil, withOrg("4000002", "", true), "pending-organization-verification"},
		"one that is to be vetted again does too":    {nil, withOrg("4000001", "", false), "pending-organization-verification"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			srv := verified(certinexttest.Live)
			if c.change != nil {
				c.change(srv)
			}
			r := newRig(t, srv)
			id := r.order(merge(merge(ovOrder("www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com")}), c.order))
			if c.order != nil && c.order["organization"].(m)["organizationNumber"] == "4000002" {
				require.Equal(t, "pending-dcv", r.status(id), "the other organization has not validated the domain")
				r.srv.VerifyDomain("www.example.com")
			}
			require.Equal(t, c.want, r.status(id))
		})
	}
}

func TestApproverAndVetterAct(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	place := func(number string) string {
		return r.order(merge(ovOrder("www.example.com"), m{
			"csr":          csr(t, newKey(t), "www.example.com"),
			"organization": m{"organizationNumber": number, "preVetted": true},
		}))
	}
	approved, rejected := place("4000001"), place("4000001")
	require.NoError(t, r.srv.Approve(approved))
	require.Equal(t, "issued", r.status(approved))
	require.Error(t, r.srv.Approve(approved), "what is issued can no longer be decided on")

	require.NoError(t, r.srv.Reject(rejected, "not our domain"))
	v := r.get(sslPath + "/" + rejected).must(200)
	require.Equal(t, "rejected", v["status"])
	require.Equal(t, "not our domain", v["rejection"].(m)["reason"])
	require.ErrorIs(t, r.srv.Reject("1", ""), certinexttest.ErrNoOrder)

	unvetted := place("4000002")
	r.srv.VerifyDomain("www.example.com")
	require.Equal(t, "pending-organization-verification", r.status(unvetted))
	require.NoError(t, r.srv.Vet("4000002"))
	require.Equal(t, "pending-approval", r.status(unvetted))
	require.Error(t, r.srv.Vet("1"))
}

func TestProductWithoutAutoApproval(t *testing.T) {
	r := newRig(t, &certinexttest.Server{Catalog: []certinexttest.Product{
		{Code: "149", Name: "Intranet SSL", Type: "39", Variant: "intranet-ssl", NeedsApproval: true},
	}})
	id := r.post(privatePath, merge(privateOrder("h.local"), m{"csr": csr(t, newKey(t), "h.local")})).must(201)["orderId"].(string)
	require.Equal(t, "pending-approval", r.get(privatePath + "/" + id).must(200)["status"])
	require.NoError(t, r.srv.Approve(id))
	require.Equal(t, "issued", r.get(privatePath + "/" + id).must(200)["status"])
}

func TestDelaysBetweenTheStages(t *testing.T) {
	c := newClock()
	srv := verified(certinexttest.Live)
	srv.Now, srv.IssueDelay, srv.PEMLag, srv.CertificateLifetime = c.now, 30*time.Second, 5*time.Second, time.Hour
	r := newRig(t, srv)
	id := r.order(merge(dvOrder("www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com")}))
	path := sslPath + "/" + id

	require.Equal(t, "pending-approval", r.status(id))
	c.advance(29 * time.Second)
	require.Equal(t, "pending-approval", r.status(id))
	c.advance(time.Second)
	v := r.get(path).must(200)
	require.Equal(t, "issued", v["status"])
	require.Equal(t, "Approved by System", v["certificateState"], "issued, and not signed as far as one can see")
	r.get(path+"/certificate").refused(422, "EMS-1165")
	c.advance(5 * time.Second)
	cert := r.certificate(id)
	require.Equal(t, newClock().at.Add(30*time.Second), cert.NotBefore)
	require.Equal(t, time.Hour, cert.NotAfter.Sub(cert.NotBefore))

	r.login()
	c.advance(time.Hour)
	r.login()
	require.Equal(t, "expired", r.status(id))
}

func TestIssuedBeforeCSR(t *testing.T) {
	srv := verified(certinexttest.Live)
	srv.IssuedBeforeCSR = true
	r := newRig(t, srv)
	id := r.order(dvOrder("www.example.com"))
	path := sslPath + "/" + id
	v := r.get(path).must(200)
	require.Equal(t, "issued", v["status"])
	require.Equal(t, "Approved by System", v["certificateState"])
	require.Equal(t, false, v["csrSubmitted"])
	r.get(path+"/certificate").refused(422, "EMS-1165")
	r.put(path+"/csr", m{"csr": csr(t, newKey(t), "www.example.com")}).must(204)
	r.certificate(id)
}

func TestADayOfApprovalTakesNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := verified(certinexttest.Live)
		srv.ApprovalDelay, srv.HoldForApproval, srv.TokenTTL = 24*time.Hour, true, 48*time.Hour
		r := newRig(t, srv)
		id := r.order(merge(dvOrder("www.example.com"), m{"csr": csr(t, newKey(t), "www.example.com")}))
		polls := 0
		for ; r.status(id) == "pending-approval"; polls++ {
			time.Sleep(time.Hour)
		}
		require.Equal(t, "issued", r.status(id))
		require.Equal(t, 24, polls)
	})
}

func TestCancelAndReject(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r := newRig(t, verified(d))
		id := r.order(dvOrder("other.test.example.org"))
		path := sslPath + "/" + id
		require.Equal(t, []string{"reason"}, fields(r.post(path+"/cancel", m{"reason": ""}).refused(400, "")))
		r.post(path+"/cancel", m{"reason": "changed our mind"}).must(204)
		require.Equal(t, "cancelled", r.status(id))
		r.post(path+"/cancel", m{"reason": "again"}).refused(422, "EMS-930")
		o, _ := r.srv.Order(id)
		require.Equal(t, "changed our mind", o.CancelReason)

		issued, _ := r.issued("www.example.com")
		r.post(sslPath+"/"+issued+"/cancel", m{"reason": "x"}).refused(422, "EMS-930")
		r.post(sslPath+"/1/cancel", m{"reason": "x"}).refused(404, "")
		r.put(path+"/csr", m{"csr": csr(t, newKey(t), "other.test.example.org")}).refused(422, "EMS-")
	})
}

func TestRejectIsLiveOnly(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	id := r.order(dvOrder("example.com"))
	r.post(sslPath+"/"+id+"/reject", m{"remarks": "no"}).must(204)
	require.Equal(t, "rejected", r.status(id))
	r.post(sslPath+"/"+id+"/reject", m{"remarks": "no"}).refused(422, "EMS-930")

	docs := newRig(t, &certinexttest.Server{Dialect: certinexttest.Documented})
	docs.post(sslPath+"/"+docs.order(dvOrder("example.com"))+"/reject", m{"remarks": "no"}).refused(404, "")
}

func TestReissue(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	id, old := r.issued("www.example.com")
	path := sslPath + "/" + id
	before := r.certificate(id)

	v := r.post(path+"/reissue", m{"mode": "other"}).refused(400, "")
	require.Equal(t, []string{"mode", "reason"}, fields(v))
	r.post(path+"/reissue", m{"mode": "update-sans", "reason": "x"}).refused(422, "EMS-1063")

	v = r.post(path+"/reissue", m{"mode": "rekey", "reason": "new key"}).must(201)
	require.Equal(t, id, v["orderId"])
	require.Equal(t, "pending-csr", v["status"])
	r.post(path+"/reissue", m{"mode": "rekey", "reason": "again"}).refused(422, "EMS-941")
	require.True(t, before.Equal(r.certificate(id)), "until then the old certificate is served")
	r.post(path+"/cancel", m{"reason": "x"}).refused(422, "EMS-930")

	key := newKey(t)
	r.put(path+"/csr", m{"csr": csr(t, key, "www.example.com")}).must(204)
	after := r.certificate(id)
	require.Equal(t, key.Public(), after.PublicKey)
	require.NotEqual(t, old.Public(), after.PublicKey)
	o, _ := r.srv.Order(id)
	require.Equal(t, []string{before.SerialNumber.Text(16), after.SerialNumber.Text(16)}, o.Serials)

	pending := r.order(dvOrder("www.example.com"))
	r.post(sslPath+"/"+pending+"/reissue", m{"mode": "rekey", "reason": "x"}).refused(422, "EMS-940")
}

func TestReissueWithOtherNames(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	key := newKey(t)
	id := r.order(merge(dvOrder("a.example.com"), m{
		"certificate": m{"domain": "a.example.com", "additionalDomains": []string{"b.example.com"}, "autoSecureWww": false},
		"csr":         csr(t, key, "a.example.com", "b.example.com"),
	}))
	require.ElementsMatch(t, []string{"a.example.com", "b.example.com"}, r.certificate(id).DNSNames)
	r.post(sslPath+"/"+id+"/reissue", m{
		"mode": "update-sans", "reason": "renamed", "additionalDomains": []string{"c.example.com"},
		"csr": csr(t, newKey(t), "a.example.com", "b.example.com"),
	}).refused(422, "EMS-917")
	require.ElementsMatch(t, []string{"a.example.com", "b.example.com"}, r.certificate(id).DNSNames)
	r.post(sslPath+"/"+id+"/reissue", m{
		"mode": "update-sans", "reason": "renamed", "additionalDomains": []string{"c.example.com"},
		"csr": csr(t, newKey(t), "a.example.com", "c.example.com"), "revokePrevious": true, "revokeReason": "superseded",
	}).must(201)
	require.ElementsMatch(t, []string{"a.example.com", "c.example.com"}, r.certificate(id).DNSNames)
}

func TestPrivatePKIIssuesNamesAndAddresses(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r := newRig(t, &certinexttest.Server{Dialect: d})
		body := merge(privateOrder("h.local"), m{"additionalHosts": []string{"portal", "10.0.0.5", "2001:db8::1"}})
		v := r.post(privatePath, body, "X-Product-Code", "149").must(201)
		require.Equal(t, "pending-csr", v["status"])
		require.Equal(t, "h.local", v["hostname"])
		path := privatePath + "/" + v["orderId"].(string)
		require.NotContains(t, r.get(path).must(200), "verifications")

		key := newKey(t)
		r.put(path+"/csr", m{"csr": csr(t, key, "other.local")}).refused(422, "EMS-")
		r.put(path+"/csr", m{"csr": csr(t, key, "h.local", "portal")}).must(204)
		cert := leaf(t, r.get(path + "/certificate").must(200)["certificatePem"].(string))
		require.Equal(t, []string{"h.local", "portal"}, cert.DNSNames)
		require.Len(t, cert.IPAddresses, 2)
		require.Equal(t, key.Public(), cert.PublicKey)
		require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, cert.ExtKeyUsage)
		r.post(path+"/cancel", m{"reason": "x"}).refused(422, "EMS-930")
		r.post(path+"/revoke", m{"reason": "superseded"}).must(204)
		require.Equal(t, "revoked", r.get(path).must(200)["status"])
	})
}

func TestIGTFHostIsAServerAndAClient(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		r := newRig(t, &certinexttest.Server{Dialect: d})
		body := merge(privateOrder("grid.example.edu"), m{
			"variant": "igtf-host", "additionalHosts": []string{"storage.example.edu", "2001:db8::5"},
		})
		v := r.post(privatePath, body, "X-Product-Code", "104").must(201)
		require.Equal(t, "igtf-host", v["variant"])
		require.Equal(t, "grid.example.edu", v["hostname"])
		path := privatePath + "/" + v["orderId"].(string)
		r.put(path+"/csr", m{"csr": csr(t, newKey(t), "grid.example.edu")}).must(204)
		cert := leaf(t, r.get(path + "/certificate").must(200)["certificatePem"].(string))
		require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, cert.ExtKeyUsage)
		require.Equal(t, "CN=grid.example.edu", cert.Subject.String())
		require.Equal(t, []string{"grid.example.edu", "storage.example.edu"}, cert.DNSNames)
		require.Equal(t, "2001:db8::5", cert.IPAddresses[0].String())
	})
}

func TestVariantAloneDeterminesAPrivateProduct(t *testing.T) {
	r := newRig(t, new(certinexttest.Server))
	for variant, code := range map[string]string{"intranet-ssl": "149", "igtf-host": "104"} {
		v := r.post(privatePath, merge(privateOrder("h.example.edu"), m{"variant": variant})).must(201)
		require.Equal(t, code, v["resolvedProductCode"])
	}
}
