// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// at is a day after the order, with a token.
func (r *term) at(days int, id string) certinexttest.OrderRecord {
	r.t.Helper()
	r.on(days)
	order, _ := r.srv.Order(id)
	return order
}

// Certificates are renewed until the subscription ends, whatever somebody has begun and left.
func TestAReissueWithoutACSRIsNoEndOfRenewals(t *testing.T) {
	for name, change := range map[string]m{
		"of the key": nil, "of the names": {"mode": "update-sans", "additionalDomains": []string{"api.example.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTerm(t, nil)
			id, _ := r.renewing(m{
				"certificate": m{"domain": "www.example.com", "additionalDomains": []string{"old.example.com"}},
			})
			first := r.certificate(id)
			r.on(10)
			r.rekey(id, newKey(t), merge(m{"csr": nil}, change)).must(201)
			require.Equal(t, "pending-csr", r.status(id))
			require.Len(t, r.at(69, id).Serials, 1)
			require.Len(t, r.at(71, id).Serials, 2)
			second := r.certificate(id)
			require.Equal(t, first.PublicKey, second.PublicKey)
			require.Equal(t, newClock().at.AddDate(0, 0, 70), second.NotBefore)
			require.Equal(t, change != nil, second.VerifyHostname("api.example.com") == nil)
			require.Equal(t, "issued", r.status(id))
			require.Equal(t, []string{"order 0.00", "reissue 0.00"}, moved(r.srv))
			require.Len(t, r.at(141, id).Serials, 3, "and so on")
		})
	}
}

// What comes after the subscription is another order, which has nothing to do with the reissue.
func TestAReissueWithoutACSRDoesNotKeepFromAnotherOrder(t *testing.T) {
	r := newTerm(t, func(s *certinexttest.Server) {
		s.Subscriptions.AutoRenewal = certinexttest.RenewByOrder
	})
	id, _ := r.renewing(nil)
	first := r.certificate(id)
	r.on(10)
	r.rekey(id, newKey(t), m{"csr": nil}).must(201)
	r.on(71)
	orders := r.srv.Orders()
	require.Len(t, orders, 2)
	require.Equal(t, id, orders[1].RenewalOf)
	require.Equal(t, "pending-csr", orders[0].Status)
	require.Equal(t, first.PublicKey, r.certificate(orders[1].ID).PublicKey)
}

// A reissue that is under way is let through: the order has one certificate in the making.
func TestARenewalWaitsForAReissue(t *testing.T) {
	r := newTerm(t, nil)
	id, _ := r.renewing(nil)
	first := r.certificate(id)
	r.on(69)
	r.srv.Configure(func(s *certinexttest.Server) { s.IssueDelay = 4 * aDay })
	key := newKey(t)
	r.rekey(id, key, nil).must(201)
	require.Len(t, r.at(72, id).Serials, 1)
	require.Len(t, r.at(74, id).Serials, 2)
	require.Equal(t, key.Public(), r.certificate(id).PublicKey)
	require.Len(t, r.at(99, id).Serials, 2, "renewed as it is")

	r = newTerm(t, nil)
	id, _ = r.renewing(nil)
	r.on(69)
	r.srv.Configure(func(s *certinexttest.Server) { s.IssueDelay = 90 * aDay })
	r.rekey(id, key, nil).must(201)
	r.on(71)
	r.srv.Configure(func(s *certinexttest.Server) {
		s.IssueDelay, s.Keys.Blocked = 0, []string{hashOf(t, key)}
	})
	require.Equal(t, "pending-csr", r.at(71, id).Status, "its key must not be certified")
	require.Len(t, r.at(73, id).Serials, 2, "tried again day by day")
	require.Equal(t, first.Subject.String(), r.certificate(id).Subject.String())
}
