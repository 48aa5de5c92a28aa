// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestMiddlemen(t *testing.T) {
	const page = "<html><title>Blocked</title></html>"
	for name, c := range map[string]struct {
		fault  certinexttest.Fault
		status int
	}{
		"the default is a 403": {certinexttest.Fault{}, 403},
		"a page":               {certinexttest.Fault{Status: 429, ContentType: "text/html", Body: page}, 429},
		"a page as a success":  {certinexttest.Fault{Status: 200, ContentType: "text/html", Body: page}, 200},
		"JSON":                 {certinexttest.Fault{Status: 422, ContentType: "application/json", Body: `{"message":"Forbidden"}`}, 422},
		"no content type":      {certinexttest.Fault{Status: 202, Body: "Access denied by policy"}, 202},
		"nothing":              {certinexttest.Fault{Status: 204}, 204},
	} {
		for kind, orders := range map[certinexttest.FaultKind]int{
			certinexttest.FaultMiddleman: 0, certinexttest.FaultMiddlemanAfter: 1,
		} {
			t.Run(name+", "+string(kind), func(t *testing.T) {
				over(t, func(t *testing.T, r *rig) {
					f := c.fault
					f.Kind, f.Operation, f.Times = kind, certinexttest.OpCreateSSL, 1
					r.srv.Inject(f)
					a, err := create(r)
					require.NoError(t, err)
					require.Equal(t, c.status, a.status)
					require.Equal(t, f.Body, string(a.body))
					require.Equal(t, f.ContentType, a.header.Get("Content-Type"))
					require.Empty(t, a.header.Get("X-API-Version"), "that is CERTInext's")
					require.Len(t, r.srv.Orders(), orders)
				})
			})
		}
	}
}

func TestLiesAboutAnOrder(t *testing.T) {
	eachDialect(t, func(t *testing.T, d certinexttest.Dialect) {
		if d == certinexttest.V1 {
			t.Skip("version 2 is spoken here")
		}
		r := newRig(t, verified(d))
		id, _ := r.issued("www.example.com")
		truth := r.get(sslPath + "/" + id).must(200)
		require.Equal(t, id, truth["orderId"], "tracking names its order")
		lie := func(f certinexttest.Fault) m {
			f.Times = 1
			r.srv.Inject(f)
			v := r.get(sslPath + "/" + id).must(200)
			require.Equal(t, truth, r.get(sslPath+"/"+id).must(200), "the order itself is as it was")
			return v
		}
		v := lie(certinexttest.Fault{Kind: certinexttest.FaultWrongStatus})
		require.Equal(t, "expired", v["status"])
		require.NotContains(t, v, "orderId")
		v = lie(certinexttest.Fault{Kind: certinexttest.FaultWrongStatus, OrderStatus: "cancelled", Named: true})
		require.Equal(t, "cancelled", v["status"])
		require.Equal(t, id, v["orderId"])
		v = lie(certinexttest.Fault{Kind: certinexttest.FaultOtherOrder, OrderStatus: "rejected"})
		require.Equal(t, "rejected", v["status"])
		require.NotEqual(t, id, v["orderId"])
		require.Len(t, v["orderId"], len(id))
		v = lie(certinexttest.Fault{Kind: certinexttest.FaultOtherOrder})
		require.Equal(t, truth["status"], v["status"])

		r.srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultWrongStatus, Times: 1})
		r.get(api + "/auth/me").must(200)
		require.Equal(t, "expired", r.get(sslPath + "/" + id).must(200)["status"], "only tracking is struck")

		r.srv.Inject(certinexttest.Fault{Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultOtherOrder, Times: 1})
		require.NotEqual(t, id, r.get(sslPath + "/" + id + "/certificate").must(200)["orderId"])
	})
}

func TestLiesAboutAnOrderOfVersion1(t *testing.T) {
	r := v1Rig(t)
	number := r.buy(v1Order("www.example.com"))
	track := func() m { return r.call("TrackOrder", m{"orderDetails": m{"orderNumber": number}}).ok() }
	require.NotContains(t, track()["orderDetails"], "orderNumber", "documented: the transaction id alone tells")
	for status, ids := range map[string][2]any{
		"": {"6", "12"}, "expired": {"6", "12"}, "revoked": {"6", "22"}, "cancelled": {"5", "13"}, "rejected": {"4", "5"},
		"issued": {"6", "20"}, "pending-csr": {"", ""},
	} {
		r.srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultWrongStatus, OrderStatus: status, Times: 1})
		v := track()
		order := v["orderDetails"].(m)
		require.Equal(t, ids[0], order["orderStatusId"], status)
		require.Equal(t, ids[1], order["certificateStatusId"], status)
		require.NotContains(t, v["meta"], "txn")
	}
	r.srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultWrongStatus, Named: true, Times: 1})
	require.NotEmpty(t, track()["meta"].(m)["txn"])

	sent := merge(m{"meta": v1Meta(r.now(), m{"txn": "1234567890123"})}, m{"orderDetails": m{"orderNumber": number}})
	r.srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultOtherOrder, Times: 1})
	v := r.do("POST", v1+"TrackOrder", toJSON(sent), "Authorization", "").must(200)
	require.Equal(t, "1234567890127", v["meta"].(m)["txn"])

	r.srv.Inject(certinexttest.Fault{Kind: certinexttest.FaultOtherOrder, Times: 1})
	other := r.buy(v1Order("other.example.com"))
	made := r.srv.Orders()
	require.NotEqual(t, made[len(made)-1].ID, other, "a create names another number than it made")
}

func TestLiesThatTellNothingAreRefused(t *testing.T) {
	srv := new(certinexttest.Server)
	for name, f := range map[string]certinexttest.Fault{
		"a middleman without an answer":    {Kind: certinexttest.FaultMiddleman, Status: 102},
		"a middleman beyond HTTP":          {Kind: certinexttest.FaultMiddlemanAfter, Status: 600},
		"a body where none can be":         {Kind: certinexttest.FaultMiddleman, Status: 204, Body: "x"},
		"two headers":                      {Kind: certinexttest.FaultMiddleman, ContentType: "text/html\r\nX: y"},
		"a body of CERTInext's":            {Kind: certinexttest.FaultServerError, Body: "x"},
		"a success of CERTInext's":         {Kind: certinexttest.FaultServerError, Status: 200},
		"a claim of nobody's":              {Kind: certinexttest.FaultMiddleman, OrderStatus: "expired"},
		"another order that has its name":  {Kind: certinexttest.FaultOtherOrder, Named: true},
		"a status of what is not tracking": {Kind: certinexttest.FaultWrongStatus, Operation: certinexttest.OpRevoke},
	} {
		require.Panics(t, func() { srv.Inject(f) }, name)
	}
}

func TestAdminTakesMiddlemen(t *testing.T) {
	r, admin := adminRig(t, new(certinexttest.Server))
	admin.do("POST", "/faults", `{"operation":"groups","kind":"middleman","times":2,"status":401,"contentType":"text/plain","body":"who?"}`).must(204)
	require.Equal(t, "who?", string(r.get(api+"/groups").body))
	admin.do("POST", "/faults", `{"kind":"wrong-status","orderStatus":"revoked","named":true}`).must(204)
	var left []certinexttest.Fault
	require.NoError(t, json.Unmarshal(admin.get("/faults").body, &left))
	require.Equal(t, []certinexttest.Fault{
		{
			Operation: certinexttest.OpGroups, Kind: certinexttest.FaultMiddleman, Times: 1, Status: 401,
			ContentType: "text/plain", Body: "who?",
		},
		{Kind: certinexttest.FaultWrongStatus, OrderStatus: "revoked", Named: true},
	}, left)
	require.Equal(t, 400, admin.do("POST", "/faults", `{"kind":"middleman","status":204,"body":"x"}`).status)
}

// Two servers with the same seed are struck by the same calls.
func TestFaultsFollowTheSeed(t *testing.T) {
	strikes := func(seed uint64) (struck []bool) {
		srv := &certinexttest.Server{Rand: rand.New(rand.NewPCG(seed, seed))}
		r := newRig(t, srv)
		srv.Inject(certinexttest.Fault{Operation: certinexttest.OpGroups, Kind: certinexttest.FaultHTML, Probability: 0.5})
		for range 64 {
			struck = append(struck, r.get(api+"/groups").status != 200)
		}
		return struck
	}
	first := strikes(2026)
	require.Equal(t, first, strikes(2026))
	require.NotEqual(t, strikes(2026), strikes(7))
	require.Contains(t, strikes(7), true)
	require.Contains(t, strikes(7), false)
}

func TestUnsortedDomainsFollowTheSeed(t *testing.T) {
	names := func(seed uint64) (all []string) {
		srv := &certinexttest.Server{Rand: rand.New(rand.NewPCG(seed, seed))}
		for _, letter := range "abcdefghijklmnop" {
			srv.VerifiedDomains = append(srv.VerifiedDomains, string(letter)+".example.com")
		}
		for _, row := range newRig(t, srv).get(api + "/domains").must(200)["content"].([]any) {
			all = append(all, row.(m)["domainName"].(string))
		}
		return all
	}
	first := names(1)
	require.Equal(t, first, names(1))
	require.NotEqual(t, names(1), names(2))
}

func TestDateIsTheServersClock(t *testing.T) {
	clock := newClock()
	srv := &certinexttest.Server{Now: clock.now}
	ts := httptest.NewServer(srv)
	t.Cleanup(ts.Close)
	for name, r := range map[string]*rig{
		"in memory":     {t: t, srv: srv, http: srv.Client(), base: host},
		"over a socket": {t: t, srv: srv, http: ts.Client(), base: ts.URL},
	} {
		t.Run(name, func(t *testing.T) {
			r := r.on(t)
			r.login()
			r.get(api + "/groups").must(200)
			clock.advance(72 * time.Hour)
			r.login()
			for _, a := range []answer{r.get(api + "/groups"), r.get(api + "/nothing"), r.get(api+"/groups", "Authorization", "")} {
				at, err := http.ParseTime(a.header.Get("Date"))
				require.NoError(t, err)
				require.Equal(t, clock.now().Truncate(time.Second), at)
			}
		})
	}
}
