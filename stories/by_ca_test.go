// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// byCA mounts the engine on a live CA that renews by itself, with a role "web" that has it do so.
func byCA(t *testing.T, how certinexttest.AutoRenewal, more map[string]any) *mount {
	t.Helper()
	role := map[string]any{"renewal": "order", "auto_renew": true}
	maps.Copy(role, more)
	m := renewing(t, role)
	m.ca.Configure(func(s *certinexttest.Server) { s.Subscriptions.AutoRenewal = how })
	return m
}

// refusedFor is the refusal of a request of an identity entity.
func (m *mount) refusedFor(entity, path string, data map[string]any) string {
	m.t.Helper()
	resp, err := m.send(call{op: logical.UpdateOperation, path: path, data: data, entity: entity})
	require.NoError(m.t, err, "a refusal must not be a server fault")
	require.True(m.t, resp.IsError(), "%s was not refused: %v", path, resp.Data)
	return resp.Error().Error()
}

// foretold is what a request of an identity entity would come to.
func (m *mount) foretold(entity, path string, data map[string]any) map[string]any {
	m.t.Helper()
	data = maps.Clone(data)
	data["dry_run"] = true
	return m.asksAgain(entity, path, data).Data
}

// TestWhatTheCARenewsByItselfIsHandedToWhoHasItsKey signs with one key, before and after CERTInext's own renewals.
func TestWhatTheCARenewsByItselfIsHandedToWhoHasItsKey(t *testing.T) {
	for name, how := range map[string]certinexttest.AutoRenewal{
		"within the subscription": certinexttest.RenewUntilEnd, "by an order of its own": certinexttest.RenewByOrder,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := byCA(t, how, map[string]any{"validity_years": 2})
				m.ca.Configure(func(s *certinexttest.Server) { s.Subscriptions.BareRenewals = true })
				key := newKey(t, elliptic.P256())
				sign := map[string]any{"csr": csr(t, key, "www.example.com")}
				present := m.asksAgain("ann", "sign/web", sign).Data
				m.rests(2 * time.Hour)
				at := m.read("cert/" + present["serial_number"].(string)).Data["ca_renews_at"].(string)
				renews, err := time.Parse(time.RFC3339, at)
				require.NoError(t, err)
				require.False(t, renews.After(time.Unix(present["renew_after"].(int64), 0)), "%s: clients come when it is renewed", at)
				for renewals := 1; renewals <= 2; renewals++ {
					begun, ends := time.Unix(present["renew_after"].(int64), 0), time.Unix(present["expiration"].(int64), 0)
					require.Equal(t, 27*day, ends.Sub(begun).Truncate(day), "a client is to come when CERTInext has renewed it")
					time.Sleep(time.Until(ends) - 40*day)
					m.pass()
					foretold := m.foretold("ann", "sign/web", sign)
					before, calls := len(m.ca.Orders()), m.orderCalls()
					refused := m.refusedFor("ann", "sign/web", sign)
					require.Contains(t, refused, "csr: CERTInext is to renew certificate "+present["serial_number"].(string))
					require.Equal(t, "refuse", foretold["would"])
					require.Equal(t, []string{refused}, foretold["refusals"])
					require.Equal(t, calls, m.orderCalls(), "nothing is asked before its time")

					time.Sleep(time.Until(begun))
					m.pass()
					foretold = m.foretold("ann", "sign/web", sign)
					require.Equal(t, "reuse", foretold["would"], foretold)
					next := m.asksAgain("ann", "sign/web", sign)
					require.True(t, m.chainOK(next).PublicKey.(*ecdsa.PublicKey).Equal(&key.PublicKey))
					require.NotEqual(t, present["serial_number"], next.Data["serial_number"])
					require.Greater(t, next.Data["expiration"], present["expiration"])
					require.Equal(t, false, next.Data["reused"])
					require.Contains(t, next.Warnings, "auto_renew: CERTInext has renewed certificate "+present["serial_number"].(string)+
						" by itself, for the same key: nothing was ordered for this answer")
					after := map[string]int{"within the subscription": before, "by an order of its own": before + 1}[name]
					require.Len(t, m.ca.Orders(), after, "another one was bought beside it")
					require.Equal(t, next.Data["serial_number"], m.certificate(present)["renewed_by"])
					require.Equal(t, present["serial_number"], m.certificate(next.Data)["renewal_of"])
					again := m.asksAgain("ann", "sign/web", sign).Data
					require.Equal(t, true, again["reused"])
					require.Equal(t, next.Data["serial_number"], again["serial_number"])
					m.rests(2 * time.Hour)
					m.synchronize()
					require.Len(t, m.list("certs"), renewals+1)
					present = next.Data
				}
				require.Equal(t, 1, m.ca.Calls()[certinexttest.OpCreateSSL])
				require.Zero(t, m.ca.Calls()[certinexttest.OpReissue])
			})
		})
	}
}

// TestWhatTheCARenewsByItselfIsHandedToWhoseKeyIsKept asks with a role that keeps keys.
func TestWhatTheCARenewsByItselfIsHandedToWhoseKeyIsKept(t *testing.T) {
	for _, how := range []certinexttest.AutoRenewal{certinexttest.RenewUntilEnd, certinexttest.RenewByOrder} {
		synctest.Test(t, func(t *testing.T) {
			m := byCA(t, how, map[string]any{"validity_years": 2, "reuse": true})
			first := m.asksFor("ann", "www.example.com")
			ends := time.Unix(first["expiration"].(int64), 0)
			m.rests(2 * time.Hour)
			for time.Until(ends) > 42*day {
				time.Sleep(10 * day)
				m.pass()
				require.Equal(t, first["serial_number"], m.asksFor("ann", "www.example.com")["serial_number"], "there is no better one")
				m.rests(2 * time.Hour)
			}
			require.Equal(t, 1, m.ca.Calls()[certinexttest.OpCreateSSL])
			time.Sleep(time.Until(ends) - 28*day)
			m.pass()
			m.start() // another process
			second := m.asksFor("ann", "www.example.com")
			m.isFor(second, "www.example.com")
			require.NotEqual(t, first["serial_number"], second["serial_number"])
			require.Equal(t, first["private_key"], second["private_key"])
			require.Equal(t, 1, m.ca.Calls()[certinexttest.OpCreateSSL], "another one was bought beside it")
			m.rests(2 * time.Hour)
			require.Len(t, m.kept(), 1, "the key is kept for the next one, and once")
			time.Sleep(day)
			require.Equal(t, second["serial_number"], m.asksFor("ann", "www.example.com")["serial_number"])

			require.Contains(t, m.refusedFor("ann", "renew/web/"+first["serial_number"].(string), nil), "serial: ")
			other := m.asksFor("bob", "www.example.com")
			require.NotEqual(t, second["serial_number"], other["serial_number"], "another requester was handed it")
			require.Equal(t, 2, m.ca.Calls()[certinexttest.OpCreateSSL])
		})
	}
}

// TestNothingIsBoughtBesideWhatTheCARenewsByItself asks for keys that nobody has any more.
func TestNothingIsBoughtBesideWhatTheCARenewsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := byCA(t, certinexttest.RenewUntilEnd, nil)
		ask := map[string]any{"common_name": "www.example.com"}
		first := m.asksFor("ann", "www.example.com")
		m.rests(2 * time.Hour)
		time.Sleep(time.Until(time.Unix(first["renew_after"].(int64), 0)))
		m.pass()
		for _, isNoticed := range []bool{false, true} {
			if isNoticed {
				m.synchronize()
				require.Len(t, m.list("certs"), 2)
				foretold := m.foretold("ann", "issue/web", ask)
				require.Equal(t, []string{m.refusedFor("ann", "issue/web", ask)}, foretold["refusals"])
			}
			refused := m.refusedFor("ann", "issue/web", ask)
			for _, words := range []string{
				"common_name: CERTInext has renewed certificate " + first["serial_number"].(string), "force_new=true", "auto_renew=false",
			} {
				require.Contains(t, refused, words)
			}
			_, another := freshCSR(t, "www.example.com")
			require.Contains(t, m.refusedFor("ann", "sign/web", another), "is not the key of csr")
			require.Contains(t, m.refusedFor("ann", "renew/web/"+first["serial_number"].(string), nil), "serial: CERTInext has renewed")
			require.Contains(t, m.refusedFor("ann", "orders/web", ask), "CERTInext has renewed")
			require.Equal(t, 1, m.ca.Calls()[certinexttest.OpCreateSSL])
		}
		renewed := slices.DeleteFunc(m.list("certs"), func(serial string) bool { return serial == first["serial_number"] })
		require.Contains(t, m.refusedFor("ann", "issue/web", ask), "as certificate "+renewed[0])

		bought := m.asksAgain("ann", "issue/web", map[string]any{"common_name": "www.example.com", "force_new": true}).Data
		m.isFor(bought, "www.example.com")
		require.Equal(t, 2, m.ca.Calls()[certinexttest.OpCreateSSL], "who wants to buy says so")
		m.asksAgain("ann", "renew/web/"+first["serial_number"].(string), map[string]any{"request_id": "renewal-1"})
		require.Equal(t, 3, m.ca.Calls()[certinexttest.OpCreateSSL])
	})
}

// TestTheCARenewsNothingByItself: a certificate is bought while half of the time is left.
func TestTheCARenewsNothingByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := byCA(t, certinexttest.RenewNothing, nil)
		ask := map[string]any{"common_name": "www.example.com"}
		first := m.asksFor("ann", "www.example.com")
		ends := time.Unix(first["expiration"].(int64), 0)
		m.rests(2 * time.Hour)
		time.Sleep(time.Until(ends) - 16*day)
		m.pass()
		require.Contains(t, m.refusedFor("ann", "issue/web", ask), "is to renew certificate")
		m.ca.Inject(certinexttest.Fault{Kind: certinexttest.FaultServerError, Operation: certinexttest.OpCertificate})
		time.Sleep(2 * day)
		m.pass()
		require.Contains(t, m.refusedFor("ann", "issue/web", ask), "could not be asked whether it has")
		m.ca.ClearFaults()
		require.Equal(t, "order", m.foretold("ann", "issue/web", ask)["would"])
		second := m.asksAgain("ann", "issue/web", ask)
		m.isFor(second.Data, "www.example.com")
		require.Equal(t, 2, m.ca.Calls()[certinexttest.OpCreateSSL])
		require.Contains(t, second.Warnings[0], "auto_renew: CERTInext was to renew certificate "+first["serial_number"].(string))
		order := m.read("orders/web/" + second.Data["order_id"].(string)).Data
		require.Contains(t, fmt.Sprint(order["timeline"]), "a new order takes its place")
	})
}

// TestEachVersionOfTheAPIShowsWhatTheCARenewsByItself asks in each dialect, whose downloads and reports differ.
func TestEachVersionOfTheAPIShowsWhatTheCARenewsByItself(t *testing.T) {
	for name, how := range map[string]certinexttest.AutoRenewal{"within": certinexttest.RenewUntilEnd, "by order": certinexttest.RenewByOrder} {
		t.Run(name, func(t *testing.T) {
			dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
				ca := validated(dialect)
				ca.DomainValidity, ca.Subscriptions.AutoRenewal = 10*365*day, how
				m := newMount(t, ca)
				m.write("roles/web", map[string]any{
					"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "generate_lease": false,
					"auto_renew": true, "validity_years": 2, "renew_before_days": 60,
				})
				key := newKey(t, elliptic.P256())
				sign := map[string]any{"csr": csr(t, key, "www.example.com")}
				first := m.asksAgain("ann", "sign/web", sign).Data
				m.rests(2 * time.Hour)
				ends := time.Unix(first["expiration"].(int64), 0)
				time.Sleep(time.Until(ends) - 61*day)
				m.pass()
				require.Contains(t, m.refusedFor("ann", "sign/web", sign), "is to renew certificate")
				time.Sleep(3 * day)
				m.pass()
				second := m.asksAgain("ann", "sign/web", sign)
				require.True(t, m.chainOK(second).PublicKey.(*ecdsa.PublicKey).Equal(&key.PublicKey))
				require.NotEqual(t, first["serial_number"], second.Data["serial_number"])
				require.Equal(t, 1, ca.Calls()[certinexttest.OpCreateSSL])
			})
		})
	}
}

// TestWhatASynchronizationHasTakenInIsHandedOver has a synchronization notice CERTInext's renewal first, and asks by the serial number, too.
func TestWhatASynchronizationHasTakenInIsHandedOver(t *testing.T) {
	for name, how := range map[string]certinexttest.AutoRenewal{"within": certinexttest.RenewUntilEnd, "by order": certinexttest.RenewByOrder} {
		for _, bySerial := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", by its serial number: ", bySerial), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := byCA(t, how, map[string]any{"validity_years": 2})
					key := newKey(t, elliptic.P256())
					sign := map[string]any{"csr": csr(t, key, "www.example.com")}
					first := m.asksAgain("ann", "sign/web", sign).Data
					m.rests(2 * time.Hour)
					time.Sleep(time.Until(time.Unix(first["renew_after"].(int64), 0)))
					m.pass()
					m.synchronize()
					listed := m.list("certs")
					require.Len(t, listed, 2, "it is listed")
					renewed := slices.DeleteFunc(listed, func(serial string) bool { return serial == first["serial_number"] })[0]

					path := "sign/web"
					if bySerial {
						path = "renew/web/" + first["serial_number"].(string)
					}
					foretold := m.foretold("ann", path, sign)
					require.Equal(t, "reuse", foretold["would"], foretold)
					if name == "within" {
						require.Equal(t, renewed, foretold["serial_number"])
					}
					for range 2 { // an answer may be lost
						next := m.asksAgain("ann", path, sign)
						require.True(t, m.chainOK(next).PublicKey.(*ecdsa.PublicKey).Equal(&key.PublicKey))
						require.Equal(t, renewed, next.Data["serial_number"])
					}
					require.Equal(t, 1, m.ca.Calls()[certinexttest.OpCreateSSL])
					m.rests(2 * time.Hour)
					m.synchronize()
					require.Len(t, m.list("certs"), 2)
					field := map[bool]string{false: "serial: ", true: "request_id: "}[bySerial] // which names the renewal that was made
					require.Contains(t, m.refusedFor("ann", "renew/web/"+first["serial_number"].(string), nil), field)
					require.Equal(t, 1, m.ca.Calls()[certinexttest.OpCreateSSL])
				})
			})
		}
	}
}
