// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// sharing is another order for a key, issued.
func (r *rig) sharing(key *ecdsa.PrivateKey) string {
	r.t.Helper()
	return r.order(merge(dvOrder("www.example.com"), m{"csr": csr(r.t, key, "www.example.com")}))
}

// Baseline Requirements §4.9.1.1: a CA revokes within 24 hours of when it learns that a key is out,
// whichever order has it.
func TestAKeyLostElsewhereIsRevokedInEveryOrder(t *testing.T) {
	for name, c := range map[string]struct {
		delay, until time.Duration
		report       func(r *term, id string, key *ecdsa.PrivateKey)
	}{
		"by a revocation": {0, aDay, func(r *term, id string, _ *ecdsa.PrivateKey) { r.compromised(id) }},
		"by version 1": {0, aDay, func(r *term, id string, _ *ecdsa.PrivateKey) {
			r.call("RevokeOrder", m{"revocationDetails": merge(ref(id), m{"revokeReasonId": "1", "revokeRemarks": "x"})}).ok()
		}},
		"by others": {0, aDay, func(r *term, _ string, key *ecdsa.PrivateKey) {
			r.srv.Configure(func(s *certinexttest.Server) { s.Keys.Blocked = []string{hashOf(r.t, key)} })
		}},
		"soon": {time.Hour, time.Hour, func(r *term, id string, _ *ecdsa.PrivateKey) { r.compromised(id) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTerm(t, func(s *certinexttest.Server) { s.Keys.CompromiseDelay = c.delay })
			id, key := r.issued("www.example.com")
			shared, apart := r.sharing(key), r.sharing(newKey(t))
			r.clock.advance(time.Minute)
			cert := r.certificate(shared)
			c.report(r, id, key)
			r.clock.advance(c.until - time.Second)
			require.Equal(t, ocsp.Good, r.revocationOf(cert), "the CA takes its time")
			r.login()
			require.Equal(t, "issued", r.status(shared))
			r.clock.advance(time.Second)
			require.Equal(t, ocsp.Revoked, r.revocationOf(cert), "before anybody asks the API")
			require.Equal(t, "revoked", r.status(shared))
			require.Equal(t, "issued", r.status(apart))
			require.Equal(t, ocsp.Good, r.revocationOf(r.certificate(apart)))
			order, _ := r.srv.Order(shared)
			require.Equal(t, "key-compromise", order.RevokeReason)
			require.Contains(t, order.RevokeNote, "elsewhere")
			require.Equal(t, newClock().at.Add(time.Minute+c.until), order.RevokedAt)
			tracked := r.get(sslPath + "/" + shared).must(200)["revocation"].(m)
			require.Equal(t, "key-compromise", tracked["reason"])
			r.rekey(shared, newKey(t), nil).refused(422, "EMS-940")
			list, err := x509.ParseRevocationList(r.fetch(cert.CRLDistributionPoints[0]))
			require.NoError(t, err)
			for _, entry := range list.RevokedCertificateEntries {
				require.Equal(t, 1, entry.ReasonCode)
			}
		})
	}
}

// What is for another key is left alone, and so is whoever replaces the lost one in time.
func TestOnlyWhatTheLostKeyHasIsRevoked(t *testing.T) {
	for name, c := range map[string]struct {
		reissue func(r *term, id string, lost *ecdsa.PrivateKey)
		status  string
		first   int // OCSP of the first certificate
		second  int // of the second one, if there is one
	}{
		"an order that was replaced before": {func(r *term, id string, _ *ecdsa.PrivateKey) {
			r.rekey(id, newKey(r.t), nil).must(201)
		}, "issued", ocsp.Revoked, ocsp.Good},
		"an order that is being replaced": {func(r *term, id string, _ *ecdsa.PrivateKey) {
			r.rekey(id, newKey(r.t), m{"csr": nil}).must(201)
		}, "pending-csr", ocsp.Revoked, -1},
		"an order whose newest key it is": {func(r *term, id string, lost *ecdsa.PrivateKey) {
			r.rekey(id, lost, nil).must(201)
		}, "revoked", ocsp.Revoked, ocsp.Revoked},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTerm(t, nil)
			elsewhere, lost := r.issued("www.example.com")
			id := r.sharing(lost)
			first := r.certificate(id)
			c.reissue(r, id, lost)
			second := r.certificate(id)
			r.compromised(elsewhere)
			r.on(1)
			require.Equal(t, c.status, r.status(id))
			require.Equal(t, c.first, r.revocationOf(first))
			if c.second >= 0 {
				require.NotEqual(t, first.SerialNumber, second.SerialNumber)
				require.Equal(t, c.second, r.revocationOf(second))
			}
		})
	}
}

// An order that ends takes along what it had before, if not for the lost key's sake.
func TestACertificateBeforeTheLostKeysGoesWithItsOrder(t *testing.T) {
	for newestOnly, status := range map[bool]int{false: ocsp.Revoked, true: ocsp.Good} {
		r := newTerm(t, func(s *certinexttest.Server) { s.Unknowns.NewestRevokedOnly = newestOnly })
		elsewhere, lost := r.issued("www.example.com")
		id, own := r.issued("www.example.com")
		first := r.certificate(id)
		r.rekey(id, lost, nil).must(201)
		r.compromised(elsewhere)
		r.on(1)
		require.Equal(t, "revoked", r.status(id))
		require.Equal(t, status, r.revocationOf(first))
		list, err := x509.ParseRevocationList(r.fetch(first.CRLDistributionPoints[0]))
		require.NoError(t, err)
		for _, entry := range list.RevokedCertificateEntries {
			if entry.SerialNumber.Cmp(first.SerialNumber) == 0 {
				require.Equal(t, 4, entry.ReasonCode, "superseded")
			}
		}
		r.sharing(own) // its key is not compromised
	}
}

func TestALostKeyCostsWhatARevocationDoes(t *testing.T) {
	for refunds, moves := range map[certinexttest.RefundRule][]string{
		certinexttest.RefundUnissued: {"order -150.00", "order -150.00"},
		certinexttest.RefundInGrace: {
			"order -150.00", "order -150.00", "refund 150.00", "refund 150.00",
		},
	} {
		r := newTerm(t, func(s *certinexttest.Server) {
			s.Billing.Refunds, s.Billing.RefundGrace = refunds, 48*time.Hour
		})
		id, key := r.issued("www.example.com")
		shared := r.sharing(key)
		r.compromised(id)
		r.on(1)
		require.Equal(t, moves, moved(r.srv))
		order, _ := r.srv.Order(shared)
		require.Equal(t, "revoked", order.Status)
		if refunds == certinexttest.RefundInGrace {
			require.True(t, order.Paid.IsZero())
		}
	}
}

// What has ended is not revoked any more, and what was taken from the list in time is not.
func TestACompromiseThatIsNoneAnyMore(t *testing.T) {
	r := newTerm(t, func(s *certinexttest.Server) { s.CertificateLifetime = 12 * time.Hour })
	elsewhere, key := r.issued("www.example.com")
	ended := r.sharing(key)
	r.compromised(elsewhere)
	r.on(1)
	require.Equal(t, "expired", r.status(ended))

	r = newTerm(t, nil)
	id, key := r.issued("www.example.com")
	block := func(keys ...string) {
		r.srv.Configure(func(s *certinexttest.Server) { s.Keys.Blocked = keys })
	}
	block(hashOf(t, key))
	block()
	r.on(1)
	require.Equal(t, "issued", r.status(id))
	before := r.sharing(key)
	r.post(sslPath+"/"+before+"/revoke", m{"reason": "superseded"}).must(204)
	block(hashOf(t, key))
	r.on(2)
	require.Equal(t, "revoked", r.status(id))
	order, _ := r.srv.Order(before)
	require.Equal(t, "superseded", order.RevokeReason, "it was over before")
	require.Equal(t, newClock().at.Add(aDay), order.RevokedAt)
}

// A lost key is not forgotten by a snapshot, and what was due before is done before.
func TestALostKeyIsRevokedInItsTurn(t *testing.T) {
	a := newTerm(t, func(s *certinexttest.Server) {
		s.Subscriptions.AutoRenewal, s.Keys.CompromiseDelay = certinexttest.RenewUntilEnd, 12*time.Hour
	})
	other, _ := a.renewing(nil) // renewed on day 70
	elsewhere, key := a.issued("api.example.com")
	shared := a.sharing(key)
	a.on(69)
	a.compromised(elsewhere)
	document := a.get("/_sandbox/snapshot")
	b := &certinexttest.Server{Now: a.clock.now}
	e := &term{&rig{t: t, srv: b, http: b.Client(), base: host, token: a.token}, a.clock}
	require.Equal(t, 204, e.do("POST", "/_sandbox/restore", string(document.body)).status)
	e.on(71)
	require.Equal(t, "revoked", e.status(shared))
	order, _ := b.Order(shared)
	require.Equal(t, newClock().at.Add(69*aDay+12*time.Hour), order.RevokedAt)
	renewed, _ := b.Order(other)
	require.Len(t, renewed.Serials, 2)
}

// A renewal that was due before cannot be paid from what is paid back after.
func TestARefundForALostKeyComesAfterWhatWasDueBefore(t *testing.T) {
	r := newTerm(t, func(s *certinexttest.Server) {
		held := certinexttest.Money("300")
		s.Billing.AccountBalance, s.Subscriptions.AutoRenewal = &held, certinexttest.RenewByOrder
		s.Billing.Refunds, s.Billing.RefundGrace = certinexttest.RefundInGrace, 48*time.Hour
	})
	r.renewing(nil)
	r.on(69)
	r.clock.advance(12 * time.Hour)
	r.login()
	_, key := r.issued("api.example.com")
	r.srv.Configure(func(s *certinexttest.Server) { s.Keys.Blocked = []string{hashOf(t, key)} })
	r.clock.advance(aDay + time.Hour)
	require.Equal(t, []string{"order -150.00", "order -150.00", "refund 150.00"}, moved(r.srv))
}

func TestACompromiseDelayBeyondTheRules(t *testing.T) {
	for value, fine := range map[string]bool{"24h": true, "1s": true, "25h": false, "-1s": false, "0s": false} {
		err := new(certinexttest.Server).LoadSettings([]byte(`{"compromiseDelay":"` + value + `"}`))
		if fine {
			require.NoError(t, err, value)
			continue
		}
		require.ErrorContains(t, err, "compromiseDelay", value)
	}
}
