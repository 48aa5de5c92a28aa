// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// bought is a mount that has synchronized the certificate of an order that another program has placed. It returns CERTInext's number of
// it, and its serial number.
func boughtElsewhere(t *testing.T, m *mount, name string) (client *certinext.Client, number, serial string) {
	t.Helper()
	client, number = elsewhere(t, m.ca, name)
	time.Sleep(time.Minute)
	m.synchronize()
	for _, serial := range m.list("certs") {
		if m.read("cert/" + serial).Data["ca_order_id"] == number {
			return client, number, serial
		}
	}
	o, _ := m.ca.Order(number)
	require.FailNow(t, "it was not synchronized", "%v %+v", m.read("sync").Data, o)
	return nil, "", ""
}

func (m *mount) adopt(role string, data map[string]any) map[string]any {
	m.t.Helper()
	return m.write("operator/adopt/"+role, data).Data
}

// An adopted certificate is what one of the role's own is: it has a role, an order and a requester.
func TestAnAdoptedCertificateIsTheRolesOwn(t *testing.T) {
	for _, dialect := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented, certinexttest.V1} {
		t.Run(dialect.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(dialect))
				m.knows("e-web")
				_, number, serial := boughtElsewhere(t, m, "shop.example.com")
				require.Equal(t, "synchronized", m.read("cert/" + serial).Data["origin"])

				dry := m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "e-web", "dry_run": true})
				require.Len(t, dry["adopted"], 1)
				require.Empty(t, m.read("cert/" + serial).Data["role"], "a dry run changed something")

				done := m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "e-web"})
				require.Empty(t, done["refused"])
				adopted := done["adopted"].([]any)[0].(map[string]any)
				require.Equal(t, []any{serial, number, false}, []any{adopted["serial_number"], adopted["ca_order_id"], adopted["already"]})
				again := m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "e-web"})["adopted"].([]any)[0].(map[string]any)
				require.Equal(t, []any{true, adopted["order_id"]}, []any{again["already"], again["order_id"]})

				cert := m.read("cert/" + serial).Data
				require.Equal(t, []any{"web", "adopted", adopted["order_id"]}, []any{cert["role"], cert["origin"], cert["order_id"]})
				id := adopted["order_id"].(string)
				require.Equal(t, []string{id}, m.list("orders/web"))
				order := m.read("orders/web/" + id).Data
				require.Equal(t, []any{"issued", number, "shop.example.com"}, []any{order["state"], order["ca_order_id"], order["common_name"]})
				require.Contains(t, m.refused("orders/web/"+id+"/collect", nil), id)

				// Another one may not act on it, and its requester may.
				require.Contains(t, m.refusedTo("e-other", "renew/web/"+serial, nil), "another requester")
				require.Contains(t, m.refusedTo("e-other", "revoke/web", map[string]any{"serial_number": serial}), "another requester")
				renewed := m.must(call{op: logical.UpdateOperation, path: "renew/web/" + serial, entity: "e-web"})
				require.Equal(t, "shop.example.com", m.chainOK(renewed).Subject.CommonName)
				require.Equal(t, serial, m.read("cert/" + renewed.Data["serial_number"].(string)).Data["renewal_of"])

				m.must(call{op: logical.UpdateOperation, path: "revoke/web", entity: "e-web", data: map[string]any{"order_id": id}})
				m.passes(2)
				o, _ := m.ca.Order(number)
				require.Equal(t, "revoked", o.Status)
				m.endLease(renewed)
			})
		})
	}
}

// knows has Vault know an identity entity.
func (m *mount) knows(entity string) {
	m.system.EntityVal = &logical.Entity{ID: entity, Name: entity}
}

// refusedTo is refused for an entity.
func (m *mount) refusedTo(entity, path string, data map[string]any) string {
	m.t.Helper()
	resp, err := m.send(call{op: logical.UpdateOperation, path: path, data: data, entity: entity})
	require.NoError(m.t, err)
	require.True(m.t, resp.IsError(), "%s was not refused: %v", path, resp.Data)
	return resp.Error().Error()
}

// With renewal=reissue, the next request of its requester buys nothing.
func TestAnAdoptedCertificateIsSucceededWithinItsSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.patchRole(map[string]any{"renewal": "reissue"})
		_, number, serial := boughtElsewhere(t, m, "shop.example.com")
		m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "e-web"})
		require.NotEmpty(t, m.read("cert/" + serial).Data["subscription_end"])

		issued := m.must(call{op: logical.UpdateOperation, path: "issue/web", entity: "e-web", data: map[string]any{"common_name": "shop.example.com"}})
		require.Equal(t, number, issued.Data["ca_order_id"], "another order was bought: %v", issued.Warnings)
		require.Equal(t, 1, countOrders(m.ca, "shop.example.com"))

		// Now something is built on it.
		resp := m.tryDelete("operator/adopt/web/" + serial)
		require.True(t, resp.IsError())
		require.Contains(t, resp.Error().Error(), "reissued")
		m.endLease(issued)
	})
}

// The key of the adopted certificate cannot be that of its successor: CERTInext's deliveries are told apart by their keys.
func TestAnAdoptionIsUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		_, number, serial := boughtElsewhere(t, m, "shop.example.com")
		before := m.read("cert/" + serial).Data
		m.adopt("web", map[string]any{"serial_number": serial})
		require.Nil(t, m.tryDelete("operator/adopt/web/"+serial))
		require.Equal(t, before, m.read("cert/"+serial).Data)
		require.Empty(t, m.list("orders/web"))
		require.Contains(t, m.tryDelete("operator/adopt/web/"+serial).Error().Error(), "not adopted")
		o, _ := m.ca.Order(number)
		require.Equal(t, "issued", o.Status)
		m.adopt("web", map[string]any{"serial_number": serial})
		require.Equal(t, "web", m.read("cert/" + serial).Data["role"])
	})
}

func TestWhatMayNotBeAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("roles/other", map[string]any{"product_code": "842", "product_variant": "dv", "allowed_domains": "example.org", "allow_subdomains": true})
		m.write("roles/wild", map[string]any{"product_code": "844", "product_variant": "dv-ucc", "allowed_domains": "example.com", "allow_subdomains": true})
		own := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		client, number, serial := boughtElsewhere(t, m, "shop.example.com")
		of := func(serial any) map[string]any { return map[string]any{"serial_number": serial} }
		for _, c := range []struct {
			why, role string
			data      map[string]any
		}{
			{"serial_number: certificate " + own.Data["serial_number"].(string) + " is this mount's own", "web", of(own.Data["serial_number"])},
			{"this mount has no certificate 01:02", "web", of("01:02")},
			{"would not order", "other", of(serial)},
			{"product 844", "wild", of(serial)},
			{"product_code: ", "web", map[string]any{"serial_number": serial, "product_code": "844"}},
			{"either serial_number", "web", nil},
			{"either serial_number", "web", map[string]any{"serial_number": serial, "domain": "example.com"}},
			{"domain: ", "web", map[string]any{"domain": "*.example.com"}},
			{"limit: ", "web", map[string]any{"domain": "example.com", "limit": 1001}},
		} {
			require.Contains(t, m.refused("operator/adopt/"+c.role, c.data), c.why)
		}
		require.Empty(t, m.read("cert/" + serial).Data["role"])

		// CERTInext has the last word, before the next synchronization brings it.
		_, err := client.RevokeOrder(t.Context(), certinext.FamilySSL, number, certinext.RevokeRequest{Reason: certinext.ReasonSuperseded})
		require.NoError(t, err)
		require.Contains(t, m.refused("operator/adopt/web", of(serial)), "revoked")
		m.synchronize()
		require.Contains(t, m.refused("operator/adopt/web", of(serial)), "is revoked")
		require.Equal(t, []string{own.Data["order_id"].(string)}, m.list("orders/web"))

		_, _, late := boughtElsewhere(t, m, "late.example.com")
		m.write("revoke", of(late))
		require.Contains(t, m.refused("operator/adopt/web", of(late)), "is revoked")
		_, _, late = boughtElsewhere(t, m, "late.example.com")
		m.adopt("web", of(late))
		m.must(call{op: logical.PatchOperation, path: "roles/other", data: map[string]any{"allowed_domains": "example.com"}})
		require.Contains(t, m.refused("operator/adopt/other", of(late)), "was adopted by role web already")
		_, _, late = boughtElsewhere(t, m, "later.example.com")
		time.Sleep(400 * 24 * time.Hour)
		require.Contains(t, m.refused("operator/adopt/web", of(late)), "expired")
		m.endLease(own)
	})
}

// A domain selects what is nobody's; what the role does not allow is told, and keeps no other from being adopted.
func TestADomainIsAdopted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.patchRole(map[string]any{"allowed_domains": "example.com", "allow_bare_domains": false})
		own := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		for _, name := range []string{"a.example.com", "b.example.com", "example.com", "c.example.com"} {
			boughtElsewhere(t, m, name)
		}
		all, after := 0, ""
		refused := 0
		for range 5 {
			done := m.adopt("web", map[string]any{"domain": "Example.com", "limit": 1, "after": after})
			all += len(done["adopted"].([]any))
			refused += len(done["refused"].([]any))
			if after = done["next"].(string); after == "" {
				break
			}
		}
		require.Equal(t, []int{3, 1}, []int{all, refused})
		report := m.read("reports/spend").Data["spend"].([]map[string]any)
		require.Len(t, report, 1)
		require.Equal(t, []any{1, 3}, []any{report[0]["orders"], report[0]["adopted"]}, report)
		m.endLease(own)
	})
}
