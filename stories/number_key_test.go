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

func TestAnAnsweredNumberOfAnUnindexedCertificate(t *testing.T) {
	for name, noRecords := range map[string]bool{"no records": true, "records lag": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				a := m.write("issue/web", map[string]any{"common_name": "www.example.com", "ttl": "200h"}).Data
				m.everyMinute(30)
				m.before(a["serial_number"].(string), a["ca_chain"])
				n := m.otherNumbers()
				if noRecords {
					recordless(ca)
				} else {
					ca.Configure(func(s *certinexttest.Server) { s.ReportDelay = 24 * time.Hour })
				}
				n.set(a["ca_order_id"].(string))
				b := m.write("orders/web", map[string]any{"common_name": "www.example.com"}).Data
				n.set("")
				path := "orders/web/" + b["order_id"].(string)
				t.Log(m.read(path).Data["state"], m.read(path).Data["ca_order_id"], a["ca_order_id"])
				resp := m.tryDelete(path)
				t.Log(resp)
				m.everyMinute(3)
				v, _ := ca.Order(a["ca_order_id"].(string))
				require.Equal(t, "issued", v.Status, "the other order was ended by its number")
			})
		})
	}
}

func TestAnotherMountsCertificateOfTheSameName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		other := newMount(t, ca)
		a := other.write("issue/web", www).Data
		recordless(ca)
		time.Sleep(time.Hour)
		m := newMount(t, ca)
		n := m.otherNumbers()
		n.set(a["ca_order_id"].(string))
		b := m.write("orders/web", www).Data
		n.set("")
		resp := m.tryDelete("orders/web/" + b["order_id"].(string))
		t.Log(resp)
		v, _ := ca.Order(a["ca_order_id"].(string))
		require.Equal(t, "issued", v.Status)
	})
}

// Whether CERTInext's order of the number is another one's shows in its certificate, which cannot be read: that is no consent to end it.
func TestNothingIsEndedByANumberWhoseCertificateCannotBeRead(t *testing.T) {
	for name, own := range map[string]bool{"another's": false, "its own": true} {
		for kind, fault := range map[string]certinexttest.Fault{
			"dropped": {Kind: certinexttest.FaultDropped}, "lost": {Kind: certinexttest.FaultLostReply}, "truncated": {Kind: certinexttest.FaultTruncated}, "away": {Kind: certinexttest.FaultServerError},
			"too often": {Kind: certinexttest.FaultRateLimit}, "gone": {Kind: certinexttest.FaultMiddleman, Status: 410},
			"not there": {Kind: certinexttest.FaultMiddleman, Status: 404}, "nothing in it": {Kind: certinexttest.FaultMiddleman, Status: 200, ContentType: "application/json", Body: "{}"},
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ca := validated(certinexttest.Live)
					other := newMount(t, ca)
					a := other.write("issue/web", www).Data
					recordless(ca)
					time.Sleep(time.Hour)
					m := newMount(t, ca)
					n := m.otherNumbers()
					if !own {
						n.set(a["ca_order_id"].(string))
					}
					fault.Operation = certinexttest.OpCertificate
					ca.Inject(fault)
					b := m.write("orders/web", www).Data
					n.set("")
					time.Sleep(time.Minute)
					path := "orders/web/" + b["order_id"].(string)
					for range 2 {
						refusal := m.tryDelete(path)
						require.True(t, refusal.IsError())
						require.Contains(t, refusal.Error().Error(), "cannot be read")
						require.Contains(t, refusal.Error().Error(), "try again")
					}
					require.Zero(t, m.revokedAtCA())
					ca.ClearFaults()
					recordless(ca)
					again := m.tryDelete(path)
					if own {
						require.False(t, again.IsError(), "%v", again)
						require.Equal(t, 1, m.revokedAtCA())
						return
					}
					require.Contains(t, again.Error().Error(), "another key")
					require.Zero(t, m.revokedAtCA())
				})
			})
		}
	}
}
