// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// livesFor is how long a certificate is valid, the last second included.
func livesFor(cert *x509.Certificate) time.Duration {
	return cert.NotAfter.Sub(cert.NotBefore) + time.Second
}

func TestPublicCertificatesLiveADayLessThanAllowed(t *testing.T) {
	for date, days := range map[string]time.Duration{
		"2026-11-29": 199, "2027-03-14": 199, "2027-03-15": 99, "2029-03-14": 99, "2029-03-15": 46,
	} {
		t.Run(date, func(t *testing.T) {
			at, err := time.Parse(time.DateOnly, date)
			require.NoError(t, err)
			srv := verified(certinexttest.Live)
			srv.Now = func() time.Time { return at }
			r := newRig(t, srv)
			id, _ := r.issued("www.example.com")
			cert := r.certificate(id)
			require.Equal(t, days*aDay, livesFor(cert))
			require.False(t, r.srv.Orders()[0].LifetimeCut)
		})
	}
}

// Whoever sets more than a public CA may issue is told the name of the setting. Who does not ask
// gets what the rules allow, and the order says so.
func TestALifetimeBeyondTheRules(t *testing.T) {
	for date, days := range map[string][2]time.Duration{"2027-03-15": {200, 100}, "2029-03-15": {100, 47}} {
		t.Run(date, func(t *testing.T) {
			at, err := time.Parse(time.DateOnly, date)
			require.NoError(t, err)
			clock := &clock{at.Add(-time.Hour)}
			srv := verified(certinexttest.Live)
			srv.Now, srv.TokenTTL = clock.now, 24*time.Hour
			srv.CertificateLifetime = days[0]*aDay + time.Second
			err = srv.Check()
			var refused *certinexttest.SettingError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, "certificate-lifetime", refused.Flag())
			srv.CertificateLifetime = days[0] * aDay
			require.NoError(t, srv.Check())

			r := newRig(t, srv)
			id, _ := r.issued("www.example.com")
			require.Equal(t, days[0]*aDay, livesFor(r.certificate(id)))
			require.False(t, r.srv.Orders()[0].LifetimeCut)
			clock.advance(time.Hour)
			srv.Configure(func(s *certinexttest.Server) { s.PEMLag = 0 })
			id, _ = r.issued("www.example.com")
			require.Equal(t, days[1]*aDay, livesFor(r.certificate(id)))
			require.True(t, r.srv.Orders()[1].LifetimeCut)
			srv.Reset()
			r.login()
			r.issued("www.example.com")
		})
	}
}

// The rules of public TLS are not those of the customer's own CA.
func TestPrivateCertificatesLiveAsTheyAreTold(t *testing.T) {
	r, admin := adminRig(t, &certinexttest.Server{Subscriptions: certinexttest.Subscriptions{Outlived: true}})
	admin.post("/knobs", m{"otherLifetime": "9600h"}).must(200)
	require.Equal(t, 400, admin.post("/knobs", m{"otherLifetime": "43801h"}).status)
	id := r.post(privatePath, merge(privateOrder("h.local"), m{"csr": csr(t, newKey(t), "h.local")}), "X-Product-Code", "149").must(201)["orderId"].(string)
	v := r.get(privatePath + "/" + id + "/certificate").must(200)
	require.Equal(t, 400*aDay, leaf(t, v["certificatePem"].(string)).NotAfter.Sub(leaf(t, v["certificatePem"].(string)).NotBefore))
	require.False(t, r.srv.Orders()[0].LifetimeCut)
}
