// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/elliptic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestARenewalIsANewOrderForTheSameNames(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		m := newMount(t, validated(dialect))
		m.write("roles/web", map[string]any{
			"product_code": "844", "product_variant": "dv-ucc", "allowed_domains": "example.com", "allow_subdomains": true,
		})
		first := m.write("issue/web", map[string]any{"common_name": "www.example.com", "alt_names": "a.example.com"})
		serial := first.Data["serial_number"].(string)

		second := m.write("renew/web/"+serial, nil)
		require.Equal(t, m.chainOK(first).DNSNames, m.chainOK(second).DNSNames)
		require.NotEqual(t, first.Data["private_key"], second.Data["private_key"])
		require.Equal(t, serial, m.read("cert/" + second.Data["serial_number"].(string)).Data["renewal_of"])
		require.Len(t, m.ca.Orders(), 2)

		again := m.write("renew/web/"+serial, nil)
		require.Equal(t, second.Data["serial_number"], again.Data["serial_number"], "an answer that was lost is given again")
		require.Len(t, m.ca.Orders(), 2, "a repeated renewal was bought twice")

		time.Sleep(time.Hour) // beyond the grace, and the pass erases the key
		m.pass()
		require.Contains(t, m.refused("renew/web/"+serial, nil), "is over (issued)")
		require.Len(t, m.ca.Orders(), 2)
		m.write("renew/web/"+serial, map[string]any{"request_id": "once-more"})
		require.Len(t, m.ca.Orders(), 3, "who names it means it")
		m.endLease(first)
		require.Equal(t, "issued", m.ca.Orders()[1].Status)
	})
}

func TestRenewalsAreRefusedByField(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, monthly(certinexttest.Live))
		other := map[string]any{"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "renewal_window": "240h"}
		m.write("roles/other", other)
		first := m.write("issue/other", map[string]any{"common_name": "www.example.com"})
		serial := first.Data["serial_number"].(string)

		require.Contains(t, m.refused("renew/web/"+serial, nil), "no certificate", "another role's")
		require.Contains(t, m.refused("renew/other/01:02", nil), "no certificate")
		require.Contains(t, m.refused("renew/other/"+serial, nil), "renewal_window")
		time.Sleep(21 * 24 * time.Hour)
		require.Contains(t, m.refused("renew/other/"+serial, map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "b.example.com")}), "csr: ")
		renewed := m.write("renew/other/"+serial, map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")})
		require.NotContains(t, renewed.Data, "private_key")
	})
}

// A process that has just started has not seen CERTInext's clock, and asks for it.
func TestAClockThatIsAheadRenewsNothingEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := monthly(certinexttest.Live)
		m := newMount(t, ca)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"renewal_window": "240h"}})
		serial := m.write("issue/web", www).Data["serial_number"].(string)
		m.later(25 * 24 * time.Hour)
		m.start()
		require.Contains(t, m.refused("renew/web/"+serial, nil), "renewal_window")
		require.Len(t, ca.Orders(), 1)
		m.later(-25 * 24 * time.Hour)
		time.Sleep(25 * 24 * time.Hour)
		m.write("renew/web/"+serial, nil)
		require.Len(t, ca.Orders(), 2)
	})
}

// CERTInext added www. by itself, and the certificate is renewed by the role that it came from.
func TestARenewalOfACertificateToWhichCERTInextAddedWWW(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"auto_secure_www": true}})
		first := m.write("issue/web", map[string]any{"common_name": "example.com"})
		require.ElementsMatch(t, []string{"example.com", "www.example.com"}, m.chainOK(first).DNSNames)
		resp, err := m.send(call{op: logical.UpdateOperation, path: "renew/web/" + first.Data["serial_number"].(string)})
		require.NoError(t, err)
		require.False(t, resp.IsError(), "%v", resp)
	})
}

// A renewal that was given up, or that CERTInext rejected, got nobody a certificate: the next one is a new order.
func TestARenewalThatCameToNothingIsNotTheLast(t *testing.T) {
	for name, end := range map[string]func(m *mount, o map[string]any){
		"cancelled": func(m *mount, o map[string]any) {
			m.must(call{op: logical.DeleteOperation, path: "orders/web/" + o["order_id"].(string)})
		},
		"rejected": func(m *mount, o map[string]any) {
			require.NoError(m.t, m.ca.Reject(o["ca_order_id"].(string), "not now"))
			m.passes(2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				first := m.write("issue/web", map[string]any{"common_name": "www.example.com"})
				path := "renew/web/" + first.Data["serial_number"].(string)
				m.ca.Configure(func(ca *certinexttest.Server) { ca.HoldForApproval = true })
				resp, err := m.send(call{op: logical.UpdateOperation, path: path, data: map[string]any{"async": true}})
				require.NoError(t, err)
				require.False(t, resp.IsError(), "%v", resp)
				end(m, resp.Data)
				m.ca.Configure(func(ca *certinexttest.Server) { ca.HoldForApproval = false })
				resp, err = m.send(call{op: logical.UpdateOperation, path: path})
				require.NoError(t, err)
				require.False(t, resp.IsError(), "%v", resp)
			})
		})
	}
}

// A person's certificate is renewed for the same person, and by nobody for another one.
func TestARenewalForAPersonKeepsTheSubject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := bareMount(t, &certinexttest.Server{})
		m.write("config", m.account())
		m.system.EntityVal = &logical.Entity{ID: "entity-a", Metadata: map[string]string{"email": "platform@example.com"}}
		m.write("roles/mail", map[string]any{
			"product_code": "914", "subject": map[string]any{"email": "{{identity.entity.metadata.email}}"}, "allowed_subject_fields": "*",
			"order_access": "role",
		})
		first := m.as("issue/mail", map[string]any{"subject": map[string]any{"first_name": "Platform", "last_name": "Team"}})
		path := "renew/mail/" + first.Data["serial_number"].(string)
		second := m.as(path, nil)
		require.Equal(t, m.chainOK(first).Subject.String(), m.chainOK(second).Subject.String())
		require.Equal(t, m.chainOK(first).EmailAddresses, m.chainOK(second).EmailAddresses)

		m.system.EntityVal = &logical.Entity{ID: "entity-b", Metadata: map[string]string{"email": "web@example.com"}}
		resp, err := m.send(call{op: logical.UpdateOperation, path: path, entity: "entity-b"})
		require.NoError(t, err)
		require.ErrorContains(t, resp.Error(), "serial: its certificate is for a subject that the role does not give this requester")
		require.Len(t, m.ca.Orders(), 2)
	})
}

// Only the engine's own renewals have their name again when nobody got the certificate.
func TestARequestIDThatLooksLikeARenewalsIsUsedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.HoldForApproval = true
		m := newMount(t, ca)
		named := map[string]any{"common_name": "www.example.com", "request_id": "renew:everything"}
		o := m.write("orders/web", named).Data
		m.must(call{op: logical.DeleteOperation, path: "orders/web/" + o["order_id"].(string)})
		require.Contains(t, m.refused("issue/web", named), "which is over")
		require.Len(t, ca.Orders(), 1)
	})
}
