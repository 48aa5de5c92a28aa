// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// ordersListedOf are the ids of the orders that the inventory lists of a role.
func (m *mount) ordersListedOf(role string) (ids []string) {
	m.t.Helper()
	for _, row := range m.query("inventory/orders/"+role, nil)["orders"].([]map[string]any) {
		ids = append(ids, row["order_id"].(string))
	}
	return ids
}

// What is lost: the order of an adopted certificate is in no list, although the list says that it is whole.
func TestAnAdoptedOrderIsListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		_, _, serial := boughtElsewhere(t, m, "shop.example.com")
		require.Empty(t, m.ordersListedOf("web"))
		id := m.adopt("web", map[string]any{"serial_number": serial})["adopted"].([]any)[0].(map[string]any)["order_id"].(string)
		require.Equal(t, true, m.query("inventory/orders/web", nil)["complete"])
		require.Equal(t, []string{id}, m.ordersListedOf("web"))
	})
}

// What is lost: the order of an adopted certificate stays out of the lists for as long as the process lives.
func TestAnAdoptedOrderIsListedAfterADayOfPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		_, _, serial := boughtElsewhere(t, m, "shop.example.com")
		require.Empty(t, m.ordersListedOf("web"))
		m.adopt("web", map[string]any{"serial_number": serial})
		m.everyMinute(1440)
		require.Equal(t, m.list("orders/web"), m.ordersListedOf("web"))
	})
}

// What is lost: the list of a role names an order that is no more.
func TestAnUndoneAdoptionIsNoLongerListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		_, _, serial := boughtElsewhere(t, m, "shop.example.com")
		id := m.adopt("web", map[string]any{"serial_number": serial})["adopted"].([]any)[0].(map[string]any)["order_id"].(string)
		m.start()
		require.Equal(t, []string{id}, m.ordersListedOf("web"))
		m.tryDelete("operator/adopt/web/" + serial)
		require.Equal(t, true, m.query("inventory/orders/web", nil)["complete"])
		require.Empty(t, m.ordersListedOf("web"))
	})
}

// What is lost: the policy for inventory/certs/web shows, after a crash, a certificate that is not web's any more, and which
// another role has.
func TestAnotherRolesCertificateIsNotListedAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("roles/other", map[string]any{"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true})
		_, _, serial := boughtElsewhere(t, m, "shop.example.com")
		for i := range 30 {
			elsewhere(t, m.ca, fmt.Sprintf("h%d.example.com", i))
		}
		time.Sleep(time.Minute)
		m.synchronize()
		m.adopt("web", map[string]any{"serial_number": serial})
		time.Sleep(10 * day)
		m.everyMinute(5)
		m.tryDelete("operator/adopt/web/" + serial)
		m.adopt("other", map[string]any{"serial_number": serial})
		m.start()
		time.Sleep(time.Minute)
		require.Equal(t, true, m.query("inventory/certs/web", nil)["complete"])
		require.Empty(t, m.found("inventory/certs/web", nil))
		require.Equal(t, []string{"shop.example.com"}, m.found("inventory/certs/other", nil))
	})
}

// What is lost: after a crash, a team's list says that it is whole and lacks the certificate that it was given.
func TestAnAdoptedCertificateIsListedAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		_, _, serial := boughtElsewhere(t, m, "shop.example.com")
		for i := range 30 {
			elsewhere(t, m.ca, fmt.Sprintf("h%d.example.com", i))
		}
		time.Sleep(time.Minute)
		m.synchronize()
		time.Sleep(10 * day)
		m.everyMinute(5)
		m.adopt("web", map[string]any{"serial_number": serial})
		require.Equal(t, []string{"shop.example.com"}, m.found("inventory/certs/web", nil))
		m.start()
		time.Sleep(time.Minute)
		require.Equal(t, true, m.query("inventory/certs/web", nil)["complete"])
		require.Equal(t, []string{"shop.example.com"}, m.found("inventory/certs/web", nil))
	})
}
