// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// asRead compares what lists tell of the terms of certificates and orders with what reading each of them does.
func (m *mount) asRead(when string) {
	m.t.Helper()
	fields := []string{"subscription_end", "subscription_price", "subscription_currency", "subscription_certificates"}
	termOf := func(data map[string]any) (out []string) {
		for _, f := range fields {
			out = append(out, fmt.Sprint(data[f]))
		}
		return out
	}
	info := func(path string) map[string]any {
		resp := m.must(call{op: logical.ListOperation, path: path})
		if resp.Data["key_info"] == nil {
			return nil
		}
		return resp.Data["key_info"].(map[string]any)
	}
	for serial, l := range info("certs") {
		require.Equal(m.t, termOf(m.read("cert/"+serial).Data), termOf(l.(map[string]any)), "%s: certificate %s", when, serial)
	}
	for id, l := range info("orders/web") {
		require.Equal(m.t, termOf(m.read("orders/web/"+id).Data), termOf(l.(map[string]any)), "%s: order %s", when, id)
	}
	for _, row := range m.query("inventory/certs", nil)["certificates"].([]map[string]any) {
		require.Equal(m.t, termOf(m.read("cert/"+row["serial_number"].(string)).Data), termOf(row), "%s: listed %s", when, row["serial_number"])
	}
	for _, row := range m.query("inventory/orders", nil)["orders"].([]map[string]any) {
		require.Equal(m.t, termOf(m.read("orders/"+row["role"].(string)+"/"+row["order_id"].(string)).Data), termOf(row), "%s: listed %s", when, row["order_id"])
	}
}

// Lists tell of a term what reading its certificate and order does, whatever has happened to them.
func TestListsTellTheTermAsItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := renewing(t, nil)
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "150.00"}})
		m.pass()
		m.issue("www.example.com")
		m.asRead("issued")
		mail := m.issue("mail.example.com")
		m.write("config", map[string]any{"product_prices": map[string]any{"842": "99.00"}})
		m.asRead("the price has changed")
		time.Sleep(105 * day)
		m.pass()
		m.issue("www.example.com")
		m.asRead("reissued")
		m.start()
		m.asRead("reissued, after a start")
		_, _, serial := boughtElsewhere(t, m, "shop.example.com")
		m.asRead("synchronized")
		m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "e-web"})
		m.asRead("adopted")
		m.start()
		m.asRead("adopted, after a start")
		m.tryDelete("operator/adopt/web/" + serial)
		m.asRead("undone")
		m.start()
		m.asRead("undone, after a start")
		m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "e-web"})
		m.must(call{op: logical.UpdateOperation, path: "issue/web", entity: "e-web", data: map[string]any{"common_name": "shop.example.com"}})
		m.asRead("reissued the adopted one")
		m.days(2)
		m.asRead("after passes")
		m.write("revoke", map[string]any{"serial_number": mail["serial_number"]})
		m.days(1)
		m.asRead("revoked")
		time.Sleep(120 * day)
		m.days(1)
		m.asRead("expired")
		m.write("tidy", map[string]any{"tidy_cert_store": true, "tidy_revoked_certs": true, "safety_buffer": "1h", "tidy_orders": true})
		time.Sleep(time.Minute)
		synctest.Wait()
		m.asRead("tidied")
		m.start()
		m.days(1)
		m.asRead("tidied, after a start")
		time.Sleep(150 * day)
		m.days(1)
		m.write("tidy", map[string]any{"tidy_cert_store": true, "tidy_revoked_certs": true, "safety_buffer": "1h", "tidy_orders": true})
		time.Sleep(time.Minute)
		synctest.Wait()
		require.NotEmpty(t, m.list("orders/web"))
		require.Less(t, len(m.list("certs")), 3, "nothing was tidied")
		m.asRead("tidied again")
		m.start()
		m.asRead("tidied again, after a start")
		m.days(1)
		m.asRead("tidied again, after passes")
	})
}
