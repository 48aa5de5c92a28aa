// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

const aDay = 24 * time.Hour

// A term is a server with a clock, whose DV product costs 150.00 a year and whose certificates live
// for 100 days.
type term struct {
	*rig
	clock *clock
}

func newTerm(t *testing.T, change func(*certinexttest.Server)) *term {
	t.Helper()
	srv, clock := priced(""), newClock()
	srv.Now, srv.CertificateLifetime, srv.DomainValidity = clock.now, 100*aDay, 10*365*aDay
	if change != nil {
		change(srv)
	}
	return &term{newRig(t, srv), clock}
}

// on goes to so many days after the order.
func (r *term) on(days int) {
	r.t.Helper()
	r.clock.at = newClock().at.Add(time.Duration(days) * aDay)
	r.login()
}

func (r *term) reissue(id string) answer {
	r.t.Helper()
	return r.post(sslPath+"/"+id+"/reissue", m{"mode": "rekey", "reason": "x", "csr": csr(r.t, newKey(r.t), "www.example.com")})
}

// renewing places an order with autoRenew and returns its id and its request id.
func (r *term) renewing(change m) (id, requestID string) {
	r.t.Helper()
	body := merge(dvOrder("www.example.com"), m{
		"csr": csr(r.t, newKey(r.t), "www.example.com"), "tags": []string{"vault:7"},
		"subscription": m{"validityYears": 1, "autoRenew": true, "renewBeforeDays": 30},
	})
	v := r.post(sslPath, merge(body, change)).must(http.StatusCreated)
	return v["orderId"].(string), v["requestId"].(string)
}

func TestCertificatesEndWithTheirSubscription(t *testing.T) {
	r := newTerm(t, nil)
	id, _ := r.issued("www.example.com")
	end := newClock().at.AddDate(1, 0, 0)
	shown := func() m { return r.get(sslPath + "/" + id).must(200)["subscription"].(m) }
	require.Equal(t, m{"validityYears": 1.0, "endDate": "2027-05-12T13:00:00Z", "status": "active"}, shown())
	require.Equal(t, end, r.srv.Orders()[0].SubscriptionEnd)
	for _, c := range []struct {
		day int
		end time.Time
	}{{90, newClock().at.Add(190 * aDay)}, {180, newClock().at.Add(280 * aDay)}, {270, end}, {364, end}} {
		r.on(c.day)
		r.reissue(id).must(http.StatusCreated)
		require.Equal(t, c.end, r.certificate(id).NotAfter, "day %d", c.day)
	}
	r.on(365)
	require.Equal(t, "expired", shown()["status"])
	require.Contains(t, r.reissue(id).refused(422, "EMS-1165")["detail"], "subscription has ended")

	r.srv.Configure(func(s *certinexttest.Server) { s.Subscriptions.Outlived = true })
	other, _ := r.issued("www.example.com")
	r.on(455)
	r.reissue(other).must(http.StatusCreated)
	r.on(545)
	r.reissue(other).must(http.StatusCreated)
	r.on(635)
	r.reissue(other).must(http.StatusCreated)
	r.on(725)
	r.reissue(other).must(http.StatusCreated)
	require.Equal(t, newClock().at.Add(825*aDay-time.Second), r.certificate(other).NotAfter, "a subscription that ended on day 730")
}

func TestWhenASubscriptionBegins(t *testing.T) {
	for name, c := range map[string]struct {
		fromIssuance bool
		end          string
	}{"with its order": {false, "2027-05-12T13:00:00Z"}, "with its first certificate": {true, "2027-05-22T13:00:00Z"}} {
		t.Run(name, func(t *testing.T) {
			r := newTerm(t, func(s *certinexttest.Server) { s.Subscriptions.FromIssuance = c.fromIssuance })
			id := r.order(dvOrder("www.example.com"))
			require.NotContains(t, r.get(sslPath+"/"+id).must(200), "subscription", "there is none before there is a certificate")
			r.on(10)
			r.put(sslPath+"/"+id+"/csr", m{"csr": csr(t, newKey(t), "www.example.com")}).must(204)
			shown := r.get(sslPath + "/" + id).must(200)["subscription"].(m)
			require.Equal(t, c.end, shown["endDate"])
			r.on(90)
			r.reissue(id).must(http.StatusCreated)
			require.Equal(t, c.end, r.get(sslPath + "/" + id).must(200)["subscription"].(m)["endDate"], "a reissue does not prolong it")
		})
	}
}

func TestTrackTellsOfTheSubscriptionUnlessToldNotTo(t *testing.T) {
	r := newTerm(t, nil)
	id, _ := r.issued("www.example.com")
	r.post(sslPath+"/"+id+"/revoke", m{"reason": "superseded"}).must(204)
	require.Equal(t, "cancelled", r.get(sslPath + "/" + id).must(200)["subscription"].(m)["status"])
	r.srv.Configure(func(s *certinexttest.Server) { s.Subscriptions.Untold = true })
	require.NotContains(t, r.get(sslPath+"/"+id).must(200), "subscription")
	require.NotContains(t, toJSON(r.tracked(id)), "ubscription", "version 1 has no field for it")
}

func TestAnOrderThatIsNotIssuedInItsTermExpires(t *testing.T) {
	r := newTerm(t, nil)
	id := r.order(dvOrder("www.example.com"))
	r.on(365)
	require.Equal(t, "expired", r.status(id))
	r.put(sslPath+"/"+id+"/csr", m{"csr": csr(t, newKey(t), "www.example.com")})
	require.Equal(t, "expired", r.status(id))
	require.Empty(t, r.srv.Orders()[0].Serials)
}

// What a renewal within a subscription is to whoever looks, however rarely.
func TestTheCARenewsWithinTheSubscription(t *testing.T) {
	for name, looks := range map[string][]int{"seen day by day": nil, "seen once": {200}} {
		t.Run(name, func(t *testing.T) {
			r := newTerm(t, nil)
			id, request := r.renewing(nil)
			first := r.certificate(id)
			r.on(69)
			require.Equal(t, first.SerialNumber, r.certificate(id).SerialNumber)
			if looks == nil {
				for d := 70; d <= 200; d++ {
					looks = append(looks, d)
				}
			}
			for _, d := range looks {
				r.on(d)
				require.Equal(t, "issued", r.status(id))
			}
			require.Len(t, r.srv.Orders(), 1)
			order := r.srv.Orders()[0]
			require.Len(t, order.Serials, 3, "renewed on the days 70 and 140")
			require.Equal(t, newClock().at.Add(140*aDay), order.IssuedAt)
			require.Equal(t, []string{"order -150.00", "renewal 0.00", "renewal 0.00"}, moved(r.srv))
			require.Equal(t, newClock().at.Add(70*aDay), r.srv.Ledger()[1].At)

			track := r.get(sslPath + "/" + id).must(200)
			require.NotEqual(t, request, track["requestId"])
			require.Equal(t, order.RequestID, track["requestId"])
			require.Equal(t, "2027-01-07T13:00:00Z", track["expiresAt"])
			newest := r.certificate(id)
			require.Equal(t, first.PublicKey, newest.PublicKey)
			require.Equal(t, newClock().at.Add(140*aDay), newest.NotBefore)
			rows, _ := r.report("")
			require.Len(t, rows, 1)
			require.Equal(t, newest.SerialNumber.String(), rows[0]["certificateSerialNumber"])
			require.Equal(t, "2027-01-07 13:00:00", r.tracked(id)["certificateExpiryDate"])
		})
	}
}

func TestAutomaticRenewalIsOnByDefaultAndEndsWithTheSubscription(t *testing.T) {
	for name, place := range map[string]func(r *term) string{
		"version 2": func(r *term) string {
			id, _ := r.renewing(m{"subscription": m{"validityYears": 1}})
			return id
		},
		"version 2, without the block": func(r *term) string {
			id, _ := r.renewing(m{"subscription": nil})
			return id
		},
		"version 1": func(r *term) string {
			return r.buy(merge(v1Order("www.example.com"), m{
				"csr": csr(r.t, newKey(r.t), "www.example.com"), "subscriptionDetails": m{"validity": "1"},
			}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTerm(t, nil)
			id := place(r)
			r.on(364)
			require.Len(t, r.srv.Orders(), 1)
			require.Len(t, r.srv.Orders()[0].Serials, 5, "on the days 0, 70, 140, 210 and 280")
			require.Equal(t, newClock().at.AddDate(1, 0, 0), r.certificate(id).NotAfter)
			r.on(3 * 365)
			require.Equal(t, "expired", r.status(id))
			require.Len(t, r.srv.Orders(), 1)
			require.Len(t, r.srv.Orders()[0].Serials, 5)
		})
	}
}

func TestHowLongBeforeItsEndACertificateIsRenewed(t *testing.T) {
	for name, c := range map[string]struct {
		terms m
		life  time.Duration
		day   int // of the renewal
	}{
		"45 days":                      {m{"autoRenew": true, "renewBeforeDays": 45}, 100 * aDay, 55},
		"never in the first half":      {m{"autoRenew": true, "renewBeforeDays": 90}, 100 * aDay, 50},
		"30 of 30 days":                {m{"autoRenew": true, "renewBeforeDays": 30}, 30 * aDay, 15},
		"not at all if it is declined": {m{"autoRenew": false}, 100 * aDay, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTerm(t, func(s *certinexttest.Server) { s.CertificateLifetime = c.life })
			r.renewing(m{"subscription": c.terms})
			if c.day == 0 {
				r.on(99)
				require.Len(t, r.srv.Orders()[0].Serials, 1)
				return
			}
			r.on(c.day - 1)
			require.Len(t, r.srv.Orders()[0].Serials, 1)
			r.on(c.day)
			require.Len(t, r.srv.Orders()[0].Serials, 2)
		})
	}
	r := newTerm(t, nil)
	sixty := merge(v1Order("www.example.com"), m{
		"csr": csr(t, newKey(t), "www.example.com"), "subscriptionDetails": m{"validity": "1", "autoRenew": "1", "renewCriteria": "60"},
	})
	r.buy(sixty)
	r.on(50)
	require.Len(t, r.srv.Orders()[0].Serials, 2)
}

func TestTheCAMayOrderAnew(t *testing.T) {
	for name, c := range map[string]struct {
		policy certinexttest.AutoRenewal
		day    int
		orders []string // status by order, the oldest first
		moved  []string
	}{
		"at the end of the subscription": {
			certinexttest.RenewBeyondEnd, 366,
			[]string{"expired", "issued"},
			[]string{"order -150.00", "renewal 0.00", "renewal 0.00", "renewal 0.00", "renewal 0.00", "renewal-order -150.00"},
		},
		"for every certificate": {
			certinexttest.RenewByOrder, 145,
			[]string{"expired", "issued", "issued"},
			[]string{"order -150.00", "renewal-order -150.00", "renewal-order -150.00"},
		},
		"never": {certinexttest.RenewNothing, 145, []string{"expired"}, []string{"order -150.00"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTerm(t, func(s *certinexttest.Server) { s.Subscriptions.AutoRenewal = c.policy })
			id, _ := r.renewing(nil)
			r.on(c.day)
			rows, _ := r.report("")
			require.Len(t, rows, len(c.orders), "the report is the first to look")
			orders := r.srv.Orders()
			for i, want := range c.orders {
				require.Equal(t, want, orders[i].Status, i)
			}
			require.Equal(t, c.moved, moved(r.srv))
			if len(orders) == 1 {
				return
			}
			second := orders[1]
			require.Equal(t, id, second.RenewalOf)
			require.Equal(t, orders[0].CSR, second.CSR)
			require.Equal(t, []string{"vault:7"}, second.Tags)
			require.Equal(t, "test run", second.Remarks)
			require.Zero(t, second.Creates)
			require.True(t, second.ReusedKey)
			require.Equal(t, "Auto Renewal", rows[len(rows)-2]["originator"])
			require.Equal(t, second.CreatedAt.AddDate(1, 0, 0), second.SubscriptionEnd, "with a subscription of its own")
			require.Equal(t, "issued", r.status(second.ID))
		})
	}
	r := newTerm(t, func(s *certinexttest.Server) {
		s.Subscriptions.AutoRenewal, s.Subscriptions.BareRenewals = certinexttest.RenewByOrder, true
	})
	r.renewing(nil)
	r.on(71)
	require.Empty(t, r.srv.Orders()[1].Tags)
	require.Empty(t, r.srv.Orders()[1].Remarks)
}

func TestWhatIsNotPaidForIsNotRenewed(t *testing.T) {
	r := newTerm(t, func(s *certinexttest.Server) {
		held := certinexttest.Money("150")
		s.Billing.AccountBalance, s.Subscriptions.AutoRenewal = &held, certinexttest.RenewByOrder
	})
	r.renewing(nil)
	r.on(80)
	require.Len(t, r.srv.Orders(), 1)
	require.NoError(t, r.srv.TopUp("", certinexttest.Money("150")))
	r.on(81)
	require.Len(t, r.srv.Orders(), 2, "it is tried day by day")
	require.Equal(t, newClock().at.Add(81*aDay), r.srv.Orders()[1].CreatedAt)

	r = newTerm(t, func(s *certinexttest.Server) {
		held := certinexttest.Money("150")
		s.Billing.AccountBalance, s.Billing.ChargeReissues = &held, true
	})
	r.renewing(nil)
	r.on(120)
	require.Equal(t, "expired", r.srv.Orders()[0].Status)
	require.NoError(t, r.srv.TopUp("", certinexttest.Money("150")))
	r.on(130)
	require.Len(t, r.srv.Orders()[0].Serials, 1, "after its end it is too late")
}

func TestWhatIsNoLongerNewestOrAliveIsNotRenewed(t *testing.T) {
	r := newTerm(t, nil)
	revoked, _ := r.renewing(nil)
	reissued, _ := r.renewing(nil)
	r.on(60)
	r.post(sslPath+"/"+revoked+"/revoke", m{"reason": "superseded"}).must(204)
	r.reissue(reissued).must(http.StatusCreated)
	r.on(129)
	require.Len(t, r.srv.Orders()[0].Serials, 1)
	require.Len(t, r.srv.Orders()[1].Serials, 2, "its certificate of day 60 is due on day 130")
	r.on(130)
	require.Len(t, r.srv.Orders()[1].Serials, 3)
}

// A renewal, too, needs domains that are validated: until then the order is open, and its
// certificate can be had.
func TestARenewalWaitsForTheDomain(t *testing.T) {
	r := newTerm(t, func(s *certinexttest.Server) { s.DomainValidity = 60 * aDay })
	id, _ := r.renewing(nil)
	first := r.certificate(id)
	r.on(71)
	require.Equal(t, "pending-dcv", r.status(id))
	require.Equal(t, first.SerialNumber, r.certificate(id).SerialNumber)
	r.srv.VerifyDomain("www.example.com")
	require.Equal(t, "issued", r.status(id))
	require.Equal(t, newClock().at.Add(71*aDay), r.certificate(id).NotBefore)
}

// The name of a document signer's product says how long it lasts.
func TestASignersTermIsItsProducts(t *testing.T) {
	r := newTerm(t, nil)
	r.post(signaturePath, signerOrder(certinexttest.Live, "natural-person"), "X-Product-Code", "821").must(201)
	require.Equal(t, newClock().at.AddDate(3, 0, 0), r.srv.Orders()[0].SubscriptionEnd)
}
