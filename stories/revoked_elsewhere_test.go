// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// What is revoked in CERTInext's portal while it is held is over once a synchronization has seen it.
func TestAHeldCertificateThatIsRevokedElsewhereIsOver(t *testing.T) {
	for _, release := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ca := wrongly(certinexttest.MisissueExtraName)
			m := newMount(t, ca)
			m.refused("issue/web", www)
			order := m.heldOrder()
			portal := newMount(t, ca)
			portal.synchronize()
			portal.write("revoke", map[string]any{"serial_number": order["serial_number"]})
			require.Equal(t, "revoked", ca.Orders()[0].Status)
			for range 3 {
				time.Sleep(25 * time.Hour)
				m.synchronize()
				m.passes(2)
			}
			if release {
				m.try(logical.UpdateOperation, "operator/orders/web/"+order["order_id"].(string), map[string]any{"release": true})
				require.NotEqual(t, order["serial_number"], m.try(logical.UpdateOperation, "issue/web", www).Data["serial_number"], "a revoked certificate and its key are handed over")
				return
			}
			require.Equal(t, "revoked", m.read("orders/web/" + order["order_id"].(string)).Data["state"])
			requireNoKeys(t, m)
		})
	}
}

// The same for one that waits to be fetched.
func TestAnUncollectedCertificateThatIsRevokedElsewhereIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		path := "orders/web/" + m.write("orders/web", www).Data["order_id"].(string)
		m.pass()
		portal := newMount(t, ca)
		portal.synchronize()
		portal.write("revoke", map[string]any{"serial_number": m.read(path).Data["serial_number"]})
		for range 2 {
			time.Sleep(25 * time.Hour)
			m.synchronize()
			m.passes(2)
		}
		require.True(t, m.try(logical.UpdateOperation, path+"/collect", nil).IsError(), "a revoked certificate is handed over, two days after a sync")
	})
}
