// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"
	"testing/synctest"
	"time"

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
	srv := &certinexttest.Server{VerifiedDomains: []string{"example.com"}, CAAForbids: []string{"shop.example.com", "other.example"}}
	r, admin := adminRig(t, srv)
	buy := func(name string) string {
		return r.order(merge(dvOrder(name), m{"csr": csr(t, newKey(t), name)}))
	}
	free, itself, below, open := buy("www.example.com"), buy("shop.example.com"), buy("a.shop.example.com"), buy("www.other.example")
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

// caaRig is a rig whose CA looks records up at z, and whose account has validated example.com.
func caaRig(t *testing.T, d certinexttest.Dialect) (*rig, *zone) {
	t.Helper()
	z := newZone(t)
	srv := verified(d)
	srv.Resolver = z.dns
	return newRig(t, srv), z
}

// ordered places a complete order for names, agreement and all.
func (r *rig) ordered(names ...string) string {
	r.t.Helper()
	product := map[bool]string{true: "842", false: "844"}[len(names) == 1]
	if names[0][0] == '*' {
		product = "843"
	}
	id := r.order(merge(dvOrder(names[0]), m{
		"certificate": m{"domain": names[0], "additionalDomains": names[1:], "autoSecureWww": false},
		"csr":         csr(r.t, newKey(r.t), names[0]),
	}), "X-Product-Code", product)
	if r.srv.Dialect == certinexttest.Documented {
		r.post(sslPath+"/"+id+"/agreement", m{"agreement": dvOrder(names[0])["agreement"]}).must(204)
	}
	return id
}

func TestCAAIsLookedUp(t *testing.T) {
	cases := map[string]struct {
		publish func(*zone)
		names   []string
		allowed bool
	}{
		"no records":                      {func(*zone) {}, []string{"www.example.com"}, true},
		"the vendor's public CA":          {func(z *zone) { z.setCAA("example.com", `0 issue "emsign.com"`) }, []string{"www.example.com"}, true},
		"another CA":                      {func(z *zone) { z.setCAA("example.com", `0 issue "other.example"`) }, []string{"www.example.com"}, false},
		"nobody, by the top-level domain": {func(z *zone) { z.setCAA("com", `0 issue ";"`) }, []string{"www.example.com"}, false},
		"the records of an alias": {func(z *zone) {
			z.setAlias("www.example.com", "host.other.example")
			z.setCAA("host.other.example", `0 issue ";"`)
		}, []string{"www.example.com"}, false},
		"an alias to nothing climbs by itself": {func(z *zone) {
			z.setAlias("www.example.com", "host.other.example")
			z.setCAA("other.example", `0 issue ";"`)
		}, []string{"www.example.com"}, true},
		"issuewild does not bind a host":         {func(z *zone) { z.setCAA("example.com", `0 issuewild ";"`) }, []string{"www.example.com"}, true},
		"but a wildcard":                         {func(z *zone) { z.setCAA("example.com", `0 issuewild ";"`) }, []string{"*.example.com"}, false},
		"a wildcard goes by issue otherwise":     {func(z *zone) { z.setCAA("example.com", `0 issue ";"`) }, []string{"*.example.com"}, false},
		"one of several names":                   {func(z *zone) { z.setCAA("b.example.com", `0 issue ";"`) }, []string{"a.example.com", "b.example.com"}, false},
		"an unknown tag that is critical":        {func(z *zone) { z.setCAA("example.com", `0 issue "emsign.com"`, `128 tbs "x"`) }, []string{"www.example.com"}, false},
		"a server that fails, on an alias's way": {func(z *zone) { z.setAlias("www.example.com", "x.servfail.example") }, []string{"www.example.com"}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
				r, z := caaRig(t, d)
				c.publish(z)
				id := r.ordered(c.names...)
				want := map[bool]string{true: "issued", false: "pending-approval"}[c.allowed]
				require.Equal(t, want, r.status(id))
				o, _ := r.srv.Order(id)
				require.Equal(t, want, o.Status)
				numbers := map[bool]string{true: "6/20", false: "8/2"}
				require.Equal(t, numbers[c.allowed], r.ids(id))
			})
		})
	}
}

func TestAnOrderGoesOnWhenItsCAARecordAllowsIt(t *testing.T) {
	r, z := caaRig(t, certinexttest.Live)
	z.setCAA("example.com", `0 issue "other.example"`)
	id := r.ordered("www.example.com")
	require.Equal(t, "pending-approval", r.status(id))
	require.Equal(t, "FAILED", r.caaOf(id))
	require.Equal(t, "2", r.tracked(id)["domainVerification"].(m)["www.example.com"].(m)["caaStatus"])
	r.get(sslPath+"/"+id+"/certificate").refused(422, "EMS-1165")
	require.NoError(t, r.srv.Approve(id), "an approver's consent does not help")
	require.Equal(t, "pending-approval", r.status(id))

	z.setCAA("example.com", `0 issue "other.example"`, `0 issue "emsign.com"`)
	require.Equal(t, "issued", r.status(id), "it is looked up whenever the order is looked at")
	require.Equal(t, "PASSED", r.caaOf(id))
	z.setCAA("example.com", `0 issue ";"`)
	require.Equal(t, "PASSED", r.caaOf(id), "what is issued stays so")

	z.setCAA("example.com", `0 issue "ca.example.org"`)
	next := r.ordered("www.example.com")
	require.Equal(t, "FAILED", r.caaOf(next))
	r.srv.Configure(func(s *certinexttest.Server) { s.CAA.Issuers = []string{"ca.example.net", "ca.example.org"} })
	require.Equal(t, "issued", r.status(next))
	r.srv.Configure(func(s *certinexttest.Server) { s.CAA.Issuers = []string{} })
	other := r.ordered("www.example.com")
	require.Equal(t, "FAILED", r.caaOf(other))
	r.srv.Configure(func(s *certinexttest.Server) { s.CAA.Lookups = certinexttest.CAANever })
	require.Equal(t, "issued", r.status(other))
}

func TestCAAIsLookedUpOnceControlIsShown(t *testing.T) {
	r, z := caaRig(t, certinexttest.Live)
	z.setCAA("example.com", `0 issue ";"`)
	z.setCAA("other.example", `0 issue ";"`)
	waiting := r.order(dvOrder("www.example.com"))
	require.Equal(t, "pending-csr", r.status(waiting))
	require.Equal(t, "FAILED", r.caaOf(waiting), "long before the order is due")
	id := r.ordered("www.other.example")
	require.Equal(t, "SKIPPED", r.caaOf(id))
	v := r.get(sslPath + "/" + id + "/dcv?domain=www.other.example").must(200)
	z.setTXT("_emudhra-challenge.www.other.example", v["token"].(string))
	r.post(sslPath+"/"+id+"/dcv/verify", m{"domain": "www.other.example", "method": "dns-txt"}).must(200)
	require.Equal(t, "FAILED", r.caaOf(id))
	require.Equal(t, "pending-approval", r.status(id))
}

// What allowed is good for eight hours, and is looked up again after that.
func TestCAAIsLookedUpAgainBeforeALateIssuance(t *testing.T) {
	c := newClock()
	z := newZone(t)
	srv := verified(certinexttest.Live)
	srv.Resolver, srv.Now, srv.HoldForApproval = z.dns, c.now, true
	r := newRig(t, srv)
	early, late := r.ordered("early.example.com"), r.ordered("late.example.com")
	require.Equal(t, "PASSED", r.caaOf(late))
	z.setCAA("example.com", `0 issue ";"`)
	c.advance(7 * time.Hour)
	r.login()
	require.NoError(t, srv.Approve(early))
	require.Equal(t, "issued", r.status(early))
	c.advance(2 * time.Hour)
	r.login()
	require.NoError(t, srv.Approve(late))
	require.Equal(t, "pending-approval", r.status(late))
	require.Equal(t, "FAILED", r.caaOf(late))
}

// The lock is free while the DNS takes its time, and a caller that has shown no credentials learns
// nothing by what the look-ups have left to do.
func TestCAALookupsHoldNobodyUp(t *testing.T) {
	r, z := caaRig(t, certinexttest.Live)
	answered := make(chan int, 1)
	z.whenAsked(func() { answered <- r.get(api + "/auth/me").status })
	id := r.ordered("www.example.com")
	require.Equal(t, 200, <-answered)
	require.Equal(t, "issued", r.status(id))

	z.setCAA("example.com", `0 issue ";"`)
	held := r.ordered("www.example.com")
	require.NoError(t, r.srv.Approve(held)) // leaves a look-up to the next call
	z.setCAA("example.com")
	r.get(sslPath+"/"+held, "Authorization", "Bearer x").refused(401, "")
	require.Equal(t, "issued", r.status(held))
}

// A private CA is bound by no CAA record.
func TestPrivateOrdersNeedNoCAARecord(t *testing.T) {
	r, z := caaRig(t, certinexttest.Live)
	z.setCAA("example.com", `0 issue ";"`)
	r.srv.Configure(func(s *certinexttest.Server) { s.CAAForbids = []string{"example.com"} })
	order := m{
		"productCode": "149", "requestorInformation": v1Requestor(), "csr": csr(t, newKey(t), "www.example.com"),
		"certificateInformation": m{"domainName": "www.example.com", "dnsType": "2"},
	}
	id := r.call("GenerateOrderPrivatePKI", m{"orderDetails": order}).block("orderDetails")["orderNumber"].(string)
	require.Equal(t, "2/24", r.ids(id), "its names are validated, though")
	r.srv.VerifyDomain("www.example.com")
	require.Equal(t, "6/20", r.ids(id))
}

// In a bubble of testing/synctest a look-up takes no time of the bubble's clock.
func TestCAALookupsInABubble(t *testing.T) {
	z := newZone(t)
	z.setCAA("example.com", `0 issue ";"`)
	synctest.Test(t, func(t *testing.T) {
		srv := verified(certinexttest.Live)
		srv.Resolver, srv.IssueDelay = z.dns, 72*time.Hour
		r := newRig(t, srv)
		id := r.ordered("www.example.com")
		require.Equal(t, "FAILED", r.caaOf(id))
		z.setCAA("example.com")
		require.Equal(t, "PASSED", r.caaOf(id))
		require.Equal(t, "pending-approval", r.status(id))
		time.Sleep(72 * time.Hour)
		r.login()
		require.Equal(t, "issued", r.status(id))
	})
}

// TestAResetForgetsWhatIsBeingLookedUp: an order of before is neither issued nor renewed after it.
func TestAResetForgetsWhatIsBeingLookedUp(t *testing.T) {
	clock, z := newClock(), newZone(t)
	srv := verified(certinexttest.Live)
	srv.Resolver, srv.Now, srv.Billing.ChargeReissues = z.dns, clock.now, true
	srv.Catalog = []certinexttest.Product{{Code: "842", Name: "SSL DV", Type: "13", Years: map[string]string{"1 Year": "40.00"}}}
	r := newRig(t, srv)
	z.whenAsked(r.srv.Reset)
	r.order(merge(dvOrder("www.example.com"), m{
		"csr": csr(t, newKey(t), "www.example.com"), "subscription": m{"validityYears": 1, "autoRenew": true},
	}))
	require.Empty(t, r.srv.Orders())
	clock.advance(60 * 24 * time.Hour)
	r.login()
	require.Empty(t, r.srv.Orders())
	require.Empty(t, r.srv.Ledger(), "nothing of it is paid any more")
}

// TestWhatCAAAllowedIsGoodForWhatWasAskedOnly: a reissue with a wildcard asks about that, and a CA
// that goes by another name asks anew.
func TestWhatCAAAllowedIsGoodForWhatWasAskedOnly(t *testing.T) {
	r, z := caaRig(t, certinexttest.Live)
	z.setCAA("example.com", `0 issue "emsign.com"`, `0 issuewild ";"`)
	r.srv.Configure(func(s *certinexttest.Server) { s.HoldForApproval = false })
	id := r.order(merge(dvOrder("*.example.org"), m{
		"certificate": m{"domain": "*.example.org", "additionalDomains": []string{"example.com"}, "autoSecureWww": false},
		"csr":         csr(t, newKey(t), "*.example.org"),
	}), "X-Product-Code", "845")
	r.srv.VerifyDomain("example.org")
	require.Equal(t, "issued", r.status(id))
	r.post(sslPath+"/"+id+"/reissue", m{
		"mode": "update-sans", "reason": "x", "csr": csr(t, newKey(t), "*.example.org"),
		"additionalDomains": []string{"example.com", "*.example.com"},
	}).must(201)
	require.Equal(t, "pending-approval", r.status(id))
	z.setCAA("example.com", `0 issue "emsign.com"`)
	require.Equal(t, "issued", r.status(id))

	waiting := r.order(dvOrder("a.example.com"))
	require.Equal(t, "PASSED", r.caaOf(waiting))
	r.srv.Configure(func(s *certinexttest.Server) { s.CAA.Issuers = []string{"other.example"} })
	r.put(sslPath+"/"+waiting+"/csr", m{"csr": csr(t, newKey(t), "a.example.com")}).must(204)
	require.Equal(t, "pending-approval", r.status(waiting))
	require.Equal(t, "FAILED", r.caaOf(waiting))
}

func TestForbiddenDomainsAreSpelledAsDomainsAre(t *testing.T) {
	for _, name := range []string{"Example.COM", "example.com.", "WWW.EXAMPLE.COM."} {
		srv := verified(certinexttest.Live)
		srv.CAAForbids = []string{name}
		r := newRig(t, srv)
		require.Equal(t, "pending-approval", r.status(r.ordered("www.example.com")), name)
	}
}

func TestAReissueTakesTheNamesThatItsProductTakes(t *testing.T) {
	r := newRig(t, verified(certinexttest.Live))
	id := r.ordered("www.example.com", "b.example.com")
	change := func(names ...string) answer {
		return r.post(sslPath+"/"+id+"/reissue", m{
			"mode": "update-sans", "reason": "x", "additionalDomains": names, "csr": csr(t, newKey(t), "www.example.com"),
		})
	}
	change("*.example.com").refused(422, "EMS-915")
	change("C.Example.com").must(201)
	require.Equal(t, []string{"www.example.com", "c.example.com"}, r.certificate(id).DNSNames)
}
