// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

func TestAnOrderIsRenewedByOneOrder(t *testing.T) {
	for name, c := range map[string]struct {
		policy        certinexttest.AutoRenewal
		renewed, last int // days
	}{
		"beyond the end": {certinexttest.RenewBeyondEnd, 345, 364}, "by order": {certinexttest.RenewByOrder, 80, 151},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTerm(t, func(s *certinexttest.Server) { s.Subscriptions.AutoRenewal = c.policy })
			id, _ := r.renewing(nil)
			r.on(c.renewed)
			require.Len(t, r.srv.Orders(), 2)
			r.reissue(id).must(201)
			r.on(c.last)
			renewals := 0
			for _, o := range r.srv.Orders() {
				if o.RenewalOf == id {
					renewals++
				}
			}
			require.Equal(t, 1, renewals)
		})
	}
}

func TestRenewalsLongBeforeTheEndAreThoseOfHalfALife(t *testing.T) {
	for _, days := range []int{1000, 106752, 150000, 213504, 1 << 40} {
		r := newTerm(t, nil)
		r.renewing(m{"subscription": m{"autoRenew": true, "renewBeforeDays": days}})
		r.on(49)
		require.Len(t, r.srv.Orders()[0].Serials, 1, days)
		r.on(50)
		require.Len(t, r.srv.Orders()[0].Serials, 2, days)
	}
}

func TestWhatWasDueComesBeforeWhatIsDoneNow(t *testing.T) {
	r := newTerm(t, func(s *certinexttest.Server) {
		held := certinexttest.Money("300")
		s.Billing.AccountBalance, s.Subscriptions.AutoRenewal = &held, certinexttest.RenewByOrder
	})
	r.renewing(nil)
	draft := r.post(sslPath, merge(dvOrder("www.example.com"), m{"saveAsDraft": true})).must(201)["requestId"]
	r.clock.at = newClock().at.Add(75 * aDay) // the renewal was due on day 70
	require.ErrorContains(t, r.srv.Promote(draft.(string)), "costs 150.00")
	require.Equal(t, []string{"order -150.00", "renewal-order -150.00"}, moved(r.srv))
}

func TestASettingDoesNotChangeWhatWasDueBefore(t *testing.T) {
	for name, change := range map[string]func(r *term, admin *rig){
		"in Go": func(r *term, _ *rig) {
			r.srv.Configure(func(s *certinexttest.Server) { s.Billing.ChargeReissues = true })
		},
		"over HTTP": func(_ *term, admin *rig) { admin.post("/knobs", m{"chargeReissues": true}).must(200) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newTerm(t, nil)
			_, admin := adminRig(t, r.srv)
			r.renewing(nil)
			r.clock.at = newClock().at.Add(75 * aDay)
			change(r, admin)
			require.Equal(t, []string{"order -150.00", "renewal 0.00"}, moved(r.srv))
		})
	}
}

func TestWhatAnOrderHasCostInTheEnd(t *testing.T) {
	fee := newRig(t, priced("1000"))
	fee.srv.Billing.RefundFee = certinexttest.Money("10")
	id := fee.order(dvOrder("www.example.com"))
	fee.post(sslPath+"/"+id+"/cancel", m{"reason": "x"}).must(204)
	order, _ := fee.srv.Order(id)
	require.Equal(t, "10.00", order.Paid.String(), "the fee was kept")

	full := newRig(t, priced("999999999"))
	id = full.order(dvOrder("www.example.com"))
	for full.srv.TopUp("", certinexttest.Money("999999999")) == nil {
		continue
	}
	_ = full.srv.TopUp("", certinexttest.Money("100"))
	full.post(sslPath+"/"+id+"/cancel", m{"reason": "x"}).must(204)
	order, _ = full.srv.Order(id)
	sum := certinexttest.Amount{}
	for _, e := range full.srv.Ledger() {
		if e.OrderID == id {
			sum = sum.Minus(e.Amount)
		}
	}
	require.Equal(t, sum, order.Paid, "what did not come back was paid")
}

func TestAnOrderThatOutlivesItsSubscriptionCanBeWithdrawn(t *testing.T) {
	r := newTerm(t, nil)
	id := r.order(dvOrder("www.example.com"))
	r.on(400)
	require.Equal(t, "expired", r.status(id))
	r.post(sslPath+"/"+id+"/cancel", m{"reason": "x"}).must(204)
	require.Equal(t, []string{"order -150.00", "refund 150.00"}, moved(r.srv))
}

func TestMoneyIsNeverNegative(t *testing.T) {
	for setting, object := range map[string]string{
		"refundFee":      `{"refundFee":"-100.00"}`,
		"accountBalance": `{"accountBalance":"-5.00"}`,
		"groups":         `{"groups":[{"number":"1","name":"a","default":true,"balance":"-10.00"}]}`,
		"catalog":        `{"catalog":[{"code":"842","name":"DV","type":"13","years":{"1 Year":"-10.00"}}]}`,
		"catalog ":       `{"catalog":[{"code":"842","name":"DV","type":"13","years":{"1 Year":"1,500.00"}}]}`,
		"catalog  ":      `{"catalog":[{"code":"842","name":"DV","type":"13","years":{"1 Year":"$15"}}]}`,
	} {
		t.Run(setting, func(t *testing.T) {
			require.Error(t, new(certinexttest.Server).LoadSettings([]byte(object)), object)
		})
	}
	_, admin := adminRig(t, priced("1000"))
	admin.post("/knobs", m{"refundFee": "-100.00"}).fails(t)
	words := `{"catalog":[{"code":"842","name":"DV","type":"13","years":{"1 Year":"on request","2 Years":""}}]}`
	require.NoError(t, new(certinexttest.Server).LoadSettings([]byte(words)))
}

// fails requires that the administration has refused something.
func (a answer) fails(t *testing.T) string {
	t.Helper()
	require.Equal(t, 400, a.status)
	return string(a.body)
}
