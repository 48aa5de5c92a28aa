// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// What a request must not buy beside CERTInext's own renewal (ADR 0042), where that is hard to see.

// placedElsewhere places an order for a key at CERTInext, past the mount, and returns CERTInext's number and the serial number of its
// certificate once the mount has synchronized it.
func placedElsewhere(t *testing.T, m *mount, key *ecdsa.PrivateKey, name string, renews bool) (number, serial string) {
	t.Helper()
	client := &certinext.Client{
		BaseURL: sandboxURL, HTTPClient: m.ca.Client(),
		Credentials: certinext.OAuth{ClientID: certinexttest.DefaultAccountNumber, ClientSecret: certinexttest.DefaultClientSecret},
	}
	agreement := certinext.Agreement{SignerName: "Web Team", SignerPlace: "Bengaluru", SignerIP: "203.0.113.7", Accepted: true}
	o, err := client.CreateOrder(t.Context(), certinext.OrderRequest{
		Family: certinext.FamilySSL, ProductCode: "842", Variant: "dv", Domain: name, CSR: csr(t, key, name), AutoRenew: renews, ValidityYears: 1,
		Requestor: certinext.Contact{Name: "Web Team", Email: "web@example.com"}, Agreement: &agreement,
	})
	require.NoError(t, err)
	time.Sleep(time.Minute)
	m.synchronize()
	for _, serial := range m.list("certs") {
		if m.read("cert/" + serial).Data["ca_order_id"] == o.ID {
			return o.ID, serial
		}
	}
	t.Fatal("it was not synchronized")
	return "", ""
}

// The role reissues within the subscription, and CERTInext renews by itself. When the subscription ends, CERTInext places an order of its
// own and is paid for it. A request with another key must not buy the same term once more without a word from its owner.
func TestAReissuingRoleBuysNothingBesideTheRenewalAtTheEnd(t *testing.T) {
	for name, synced := range map[string]bool{"unnoticed": false, "noticed": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := byCA(t, certinexttest.RenewByOrder, map[string]any{"renewal": "reissue", "validity_years": 1})
				ask := map[string]any{"common_name": "www.example.com"}
				present, refused := m.asksFor("ann", "www.example.com"), 0
				for day0 := time.Now(); time.Since(day0) < 420*day; {
					time.Sleep(5 * day)
					m.pass()
					if synced {
						m.synchronize()
					}
					if time.Until(time.Unix(present["renew_after"].(int64), 0)) > 0 {
						continue
					}
					foretold := m.foretold("ann", "issue/web", ask)
					resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", entity: "ann", data: ask})
					require.NoError(t, err)
					if resp.IsError() {
						require.NotEqual(t, "reissue", foretold["would"], "dry_run says the same: %v", resp.Error())
						if time.Since(day0) < 350*day { // later, it depends on what CERTInext answers
							require.Equal(t, "refuse", foretold["would"])
						}
						refused++
						continue
					}
					var orders []string
					for _, o := range m.ca.Orders() {
						orders = append(orders, fmt.Sprint(o.ID, " ", o.Status))
					}
					present = resp.Data
					require.LessOrEqual(t, m.ca.Calls()[certinexttest.OpCreateSSL], 1, "bought beside what CERTInext renews by itself: %v of %v", resp.Warnings, orders)
				}
				require.NotZero(t, refused, "at the end of the subscription")
			})
		})
	}
}

// A client renews by the serial number, and its second instance, with the same key, asks by the names a minute later, or the other way
// round. CERTInext has made one certificate for that key.
func TestBothWaysOfAskingComeToWhatTheCAHasRenewed(t *testing.T) {
	for name, how := range map[string]certinexttest.AutoRenewal{"within": certinexttest.RenewUntilEnd, "by order": certinexttest.RenewByOrder} {
		for _, namesFirst := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", names first: ", namesFirst), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := byCA(t, how, map[string]any{"validity_years": 2})
					sign := map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}
					first := m.asksAgain("ann", "sign/web", sign).Data
					m.rests(2 * time.Hour)
					time.Sleep(time.Until(time.Unix(first["renew_after"].(int64), 0)))
					m.pass()
					paths := []string{"renew/web/" + first["serial_number"].(string), "sign/web"}
					if namesFirst {
						paths[0], paths[1] = paths[1], paths[0]
					}
					taken := m.asksAgain("ann", paths[0], sign).Data
					time.Sleep(time.Minute)
					foretold := m.foretold("ann", paths[1], sign)
					resp, err := m.send(call{op: logical.UpdateOperation, path: paths[1], entity: "ann", data: sign})
					require.NoError(t, err)
					require.Equal(t, 1, m.ca.Calls()[certinexttest.OpCreateSSL], "%s bought beside what CERTInext has renewed, dry_run says %v: %v %v", paths[1], foretold["would"], resp.Error(), resp.Warnings)
					if !namesFirst {
						require.Equal(t, "reuse", foretold["would"])
						require.Equal(t, taken["serial_number"], resp.Data["serial_number"])
					}
				})
			})
		}
	}
}

// Requests with the same key come at the same moment, some by the names and some by the serial number: nothing is bought.
func TestManyAskAtOnceForWhatTheCAHasRenewed(t *testing.T) {
	for name, how := range map[string]certinexttest.AutoRenewal{"within": certinexttest.RenewUntilEnd, "by order": certinexttest.RenewByOrder} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := byCA(t, how, map[string]any{"validity_years": 2})
				key := newKey(t, elliptic.P256())
				first := m.asksAgain("ann", "sign/web", map[string]any{"csr": csr(t, key, "www.example.com")}).Data
				m.rests(2 * time.Hour)
				time.Sleep(time.Until(time.Unix(first["renew_after"].(int64), 0)))
				m.pass()
				serials := make(chan string, 16)
				var all sync.WaitGroup
				for n := range 12 {
					all.Go(func() {
						path := []string{"sign/web", "renew/web/" + first["serial_number"].(string)}[n%2]
						data := map[string]any{"csr": csr(t, key, "www.example.com")}
						resp, err := m.send(call{op: logical.UpdateOperation, path: path, entity: "ann", data: data})
						switch {
						case err != nil:
							serials <- err.Error()
						case resp.IsError():
							serials <- "refused"
							t.Log(path, resp.Error())
						default:
							serials <- path[:4] + " " + resp.Data["serial_number"].(string)
						}
					})
				}
				all.Wait()
				close(serials)
				got := map[string]int{}
				for s := range serials {
					got[s]++
				}
				t.Log(got)
				want := 1
				require.Equal(t, want, m.ca.Calls()[certinexttest.OpCreateSSL], "bought beside: %v", got)
				m.rests(3 * time.Hour)
				again := m.asksAgain("ann", "sign/web", map[string]any{"csr": csr(t, key, "www.example.com")})
				require.NotEqual(t, first["serial_number"], again.Data["serial_number"])
				require.Equal(t, want, m.ca.Calls()[certinexttest.OpCreateSSL], "%v", again.Warnings)
			})
		})
	}
}

// CERTInext has placed the order by which it renews, and has not issued it yet. Its records show that.
func TestARenewalThatIsUnderWayIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := byCA(t, certinexttest.RenewByOrder, nil)
		sign := map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}
		first := m.asksAgain("ann", "sign/web", sign).Data
		m.rests(2 * time.Hour)
		m.ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 25 * day })
		time.Sleep(time.Until(time.Unix(first["expiration"].(int64), 0)) - 14*day)
		m.pass()
		var orders []string
		for _, o := range m.ca.Orders() {
			orders = append(orders, fmt.Sprint(o.ID, " ", o.Status))
		}
		resp, err := m.send(call{op: logical.UpdateOperation, path: "sign/web", entity: "ann", data: sign})
		require.NoError(t, err)
		require.Equal(t, 1, m.ca.Calls()[certinexttest.OpCreateSSL], "bought beside the order of CERTInext's own, of %v: %v %v", orders, resp.Error(), resp.Warnings)
		require.Contains(t, resp.Error().Error(), "which is not issued yet")
		require.Contains(t, resp.Error().Error(), "force_new=true")
		// Nobody is left without a certificate: with a quarter of the time left, the request buys.
		time.Sleep(time.Until(time.Unix(first["expiration"].(int64), 0)) - 7*day)
		m.pass()
		_, err = m.send(call{op: logical.UpdateOperation, path: "sign/web", entity: "ann", data: sign})
		require.NoError(t, err)
		require.Equal(t, 2, m.ca.Calls()[certinexttest.OpCreateSSL])
	})
}

// CERTInext renews by itself what was ordered elsewhere with autoRenew and adopted since into a role with auto_renew.
func TestNothingIsBoughtBesideTheRenewalOfWhatWasAdopted(t *testing.T) {
	for name, how := range map[string]certinexttest.AutoRenewal{"within": certinexttest.RenewUntilEnd, "by order": certinexttest.RenewByOrder} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := byCA(t, how, nil)
				m.knows("ann")
				key := newKey(t, elliptic.P256())
				number, serial := placedElsewhere(t, m, key, "shop.example.com", true)
				done := m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "ann"})
				require.Empty(t, done["refused"])
				first := m.read("cert/" + serial).Data
				order := m.read("orders/web/" + first["order_id"].(string)).Data
				end := parseCertificate(t, first["certificate"].(string)).NotAfter
				time.Sleep(time.Until(end) - 20*day)
				m.pass()
				m.synchronize()
				t.Log(m.list("certs"), number, order["auto_renew"], order["renewal"])
				foretold := m.foretold("ann", "sign/web", map[string]any{"csr": csr(t, key, "shop.example.com")})
				resp, err := m.send(call{op: logical.UpdateOperation, path: "sign/web", entity: "ann", data: map[string]any{"csr": csr(t, key, "shop.example.com")}})
				require.NoError(t, err)
				require.Equal(t, 1, m.ca.Calls()[certinexttest.OpCreateSSL], "another one was bought beside what CERTInext has renewed by itself: warnings %v, foretold %v", resp.Warnings, foretold["would"])
			})
		})
	}
}

// CERTInext has renewed ann's by an order of its own, and an operator has had it adopted, for bob or for ann. Ann asks with her key.
func TestWhatWasAdoptedIsNotHandedOver(t *testing.T) {
	for _, to := range []string{"bob", "ann"} {
		t.Run(to, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := byCA(t, certinexttest.RenewByOrder, nil)
				m.knows(to)
				key := newKey(t, elliptic.P256())
				sign := map[string]any{"csr": csr(t, key, "www.example.com")}
				first := m.asksAgain("ann", "sign/web", sign).Data
				m.rests(2 * time.Hour)
				time.Sleep(time.Until(time.Unix(first["renew_after"].(int64), 0)))
				m.pass()
				m.synchronize()
				var renewed string
				for _, serial := range m.list("certs") {
					if serial != first["serial_number"] {
						renewed = serial
					}
				}
				require.NotEmpty(t, renewed)
				m.write("roles/web2", map[string]any{"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true})
				role := map[string]string{"bob": "web2", "ann": "web"}[to]
				done := m.adopt(role, map[string]any{"serial_number": renewed, "entity_id": to, "from_other_mount": true}) // CERTInext has copied the tag
				require.Empty(t, done["refused"])
				before := m.read("cert/" + renewed).Data
				resp, err := m.send(call{op: logical.UpdateOperation, path: "sign/web", entity: "ann", data: sign})
				require.NoError(t, err)
				m.rests(2 * time.Hour)
				after := m.read("cert/" + renewed).Data
				text := fmt.Sprint(resp.Error(), resp.Warnings, resp.Data["serial_number"], resp.Data["order_id"], " of ", renewed)
				require.Equal(t, []any{before["role"], before["order_id"]}, []any{after["role"], after["order_id"]}, "the adopted one is another's: %s", text)
				require.Equal(t, 1, m.ca.Calls()[certinexttest.OpCreateSSL], "bought: %s", text)
				if to == "bob" {
					require.True(t, resp.IsError(), "%s", text)
				} else {
					told := resp.Error().Error()
					require.Contains(t, told, "vault read certinext/cert/"+renewed, "%s", text)
					require.Contains(t, told, "force_new=true", "%s", text)
				}
				t.Log(text)
			})
		})
	}
}

// The account is a busy one. CERTInext has renewed nothing, and the certificate expires: its requester is to get another one.
func TestABusyAccountLeavesNobodyWithoutACertificate(t *testing.T) {
	dialects(t, func(t *testing.T, dialect certinexttest.Dialect) {
		for name, busy := range map[string]func(m *mount){
			"other names": func(m *mount) { m.ca.AddForeignOrders(2500) },
			"the same name": func(m *mount) {
				for range 25 {
					elsewhere(t, m.ca, "www.example.com")
				}
			},
		} {
			ca := validated(dialect)
			ca.DomainValidity, ca.Subscriptions.AutoRenewal = 10*365*day, certinexttest.RenewNothing
			m := newMount(t, ca)
			m.write("roles/web", map[string]any{
				"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "generate_lease": false, "auto_renew": true,
			})
			ask := map[string]any{"common_name": "www.example.com"}
			first := m.asksFor("ann", "www.example.com")
			m.rests(2 * time.Hour)
			time.Sleep(time.Until(time.Unix(first["expiration"].(int64), 0)) - 20*day)
			busy(m)
			time.Sleep(22 * day)
			m.pass()
			foretold := m.foretold("ann", "issue/web", ask)
			resp, err := m.send(call{op: logical.UpdateOperation, path: "issue/web", entity: "ann", data: ask})
			require.NoError(t, err)
			if resp.IsError() {
				t.Errorf("%s, after the end: %v, dry_run says %v", name, resp.Error(), foretold["would"])
			}
		}
	})
}

// What CERTInext has renewed for ann by an order of its own was adopted for bob. Ann is refused, and is to be told how she gets one.
func TestSheWhoseRenewalIsAnothersLearnsHowToBuy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := byCA(t, certinexttest.RenewByOrder, nil)
		m.knows("bob")
		sign := map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}
		first := m.asksAgain("ann", "sign/web", sign).Data
		m.rests(2 * time.Hour)
		time.Sleep(time.Until(time.Unix(first["renew_after"].(int64), 0)))
		m.pass()
		m.synchronize()
		m.write("roles/web2", map[string]any{"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true})
		for _, serial := range m.list("certs") {
			if serial != first["serial_number"] {
				m.adopt("web2", map[string]any{"serial_number": serial, "entity_id": "bob", "from_other_mount": true})
			}
		}
		time.Sleep(time.Until(time.Unix(first["expiration"].(int64), 0)) + day)
		m.pass()
		foretold := m.foretold("ann", "sign/web", sign)
		resp, err := m.send(call{op: logical.UpdateOperation, path: "sign/web", entity: "ann", data: sign})
		require.NoError(t, err)
		if resp.IsError() {
			require.Contains(t, resp.Error().Error(), "force_new=true", "her certificate has expired; dry_run says %v", foretold["would"])
		}
	})
}
