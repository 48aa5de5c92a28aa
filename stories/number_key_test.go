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
