// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// Two answers say that the order has expired, and so does the clock: the records show a valid certificate.
func TestTwoFalseEndsByAClockAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := monthly(certinexttest.Live)
		m := newMount(t, ca)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultServerError})
		o := m.write("orders/web", www).Data
		m.later(60 * 24 * time.Hour)
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultWrongStatus, Named: true, OrderStatus: "expired", Times: 2})
		m.read("orders/web/" + o["order_id"].(string))
		m.pass()
		time.Sleep(25 * time.Second)
		for range 3 {
			time.Sleep(2 * time.Minute)
			m.pass()
		}
		require.Equal(t, "pending", m.read("orders/web/" + o["order_id"].(string)).Data["state"])
	})
}

// Two answers say that the certificate is revoked: the end of its lease revokes it all the same.
func TestTwoFalseRevocationsAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		first := m.write("issue/web", www)
		m.start()
		ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultWrongStatus, Named: true, OrderStatus: "revoked", Times: 2})
		for range 3 {
			time.Sleep(2 * time.Minute)
			m.pass()
		}
		m.endLease(first)
		m.passes(3)
		require.Equal(t, "revoked", ca.Orders()[0].Status, "listed as revoked: %v", m.list("certs/revoked"))
	})
}

// Two answers say that an order which is being reissued is over.
func TestTwoFalseEndsOfAReissue(t *testing.T) {
	for _, status := range []string{"", "expired", "cancelled", "revoked"} {
		t.Run(status, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, first := reissuing(t, "842")
				m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 20 * time.Minute })
				order := m.reissue(first, nil)
				if status != "" {
					m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpTrack, Kind: certinexttest.FaultWrongStatus, Named: true, OrderStatus: status, Times: 2})
				}
				for range 3 {
					time.Sleep(2 * time.Minute)
					m.pass()
				}
				time.Sleep(30 * time.Minute)
				require.Empty(t, m.list("certs/revoked"), "the certificate in use is valid")
				got, err := m.attempt("orders/web/"+order.Data["order_id"].(string)+"/collect", nil)
				require.NoError(t, err)
				require.False(t, got.IsError(), "its key is gone")
			})
		})
	}
}

// Answers say that an order is cancelled while it is deleted, and its certificate is valid.
func TestFalseEndsWhileAnOrderIsDeleted(t *testing.T) {
	for name, f := range map[string]certinexttest.Fault{"one": {Skip: 1, Times: 1}, "two": {Times: 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCertificate, Kind: certinexttest.FaultServerError})
				o := m.write("orders/web", www).Data
				require.Equal(t, "issued", ca.Orders()[0].Status)
				f.Operation, f.Kind, f.Named, f.OrderStatus = certinexttest.OpTrack, certinexttest.FaultWrongStatus, true, "cancelled"
				ca.Inject(f)
				m.tryDelete("orders/web/" + o["order_id"].(string))
				ca.ClearFaults()
				m.passes(3)
				state := m.read("orders/web/" + o["order_id"].(string)).Data["state"]
				require.False(t, state == "cancelled" && ca.Orders()[0].Status == "issued", "closed as cancelled, and the certificate is valid")
			})
		})
	}
}
