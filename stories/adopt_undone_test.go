// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext"
	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// An adoption whose renewal is open is not undone, so nobody else adopts what that renewal is to replace, and what web has renewed is revoked
// as web's role says.
func TestWhatWebIsRenewingIsNotGivenToAnotherRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.patchRole(map[string]any{"revoke_replaced_after": "1h"})
		m.write("roles/other", map[string]any{"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true})
		_, number, serial := boughtElsewhere(t, m, "shop.example.com")
		m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "e-web"})
		ca.IssueDelay = 2 * time.Hour
		_, _ = m.send(call{op: logical.UpdateOperation, path: "renew/web/" + serial, entity: "e-web"})
		require.Equal(t, 2, countOrders(ca, "shop.example.com"))
		m.start() // the orders are read from storage
		open := m.tryDelete("operator/adopt/web/" + serial)
		require.True(t, open.IsError())
		require.Contains(t, open.Error().Error(), "is to succeed certificate")
		require.Contains(t, m.refused("operator/adopt/other", map[string]any{"serial_number": serial, "entity_id": "e-other"}), "adopted by role web already")

		m.passes(4)
		m.must(call{op: logical.UpdateOperation, path: "renew/web/" + serial, entity: "e-web"})
		require.True(t, m.tryDelete("operator/adopt/web/"+serial).IsError(), "it is to be revoked")
		m.passes(80)
		o, _ := ca.Order(number)
		require.Equal(t, "revoked", o.Status)
	})
}

// What was renewed by an order of its own is not given up either: another adoption would buy its renewal a second time.
func TestAnAdoptionIsNotUndoneAfterItsRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		_, _, serial := boughtElsewhere(t, m, "shop.example.com")
		m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "e-web"})
		m.must(call{op: logical.UpdateOperation, path: "renew/web/" + serial, entity: "e-web"})
		m.passes(30)
		resp := m.tryDelete("operator/adopt/web/" + serial)
		require.NotNil(t, resp, "undone after its renewal")
		require.Contains(t, resp.Error().Error(), "was renewed")
	})
}

// What is lost: money. The adoption is undone while its renewal is open: something was built on it. Another adoption then buys the
// renewal a second time.
func TestAnAdoptionIsNotUndoneWhileItsRenewalIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		_, _, serial := boughtElsewhere(t, m, "shop.example.com")
		m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "e-web"})
		ca.IssueDelay = 2 * time.Hour
		_, _ = m.send(call{op: logical.UpdateOperation, path: "renew/web/" + serial, entity: "e-web"})
		require.Equal(t, 2, countOrders(ca, "shop.example.com"))
		resp := m.tryDelete("operator/adopt/web/" + serial)
		_, _ = m.attempt("operator/adopt/web", map[string]any{"serial_number": serial, "entity_id": "e-other"})
		_, _ = m.send(call{op: logical.UpdateOperation, path: "renew/web/" + serial, entity: "e-other"})
		require.Equal(t, 2, countOrders(ca, "shop.example.com"), "the renewal was bought twice")
		require.NotNil(t, resp, "undone while its renewal is open")
		require.True(t, resp.IsError())
	})
}

// What is lost: the renewal's key. A renewal waits for an approval while the adoption of what it renews is undone.
func TestAnAdoptionIsNotUndoneWhileItsRenewalWaitsForApproval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := withApproval(t, validated(certinexttest.Live))
		_, _, serial := boughtElsewhere(t, m, "shop.example.com")
		m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "ann"})
		resp, err := m.send(call{op: logical.UpdateOperation, path: "renew/web/" + serial, entity: "ann"})
		t.Log(resp, err)
		require.Len(t, m.list("orders/web"), 2)
		undone := m.tryDelete("operator/adopt/web/" + serial)
		require.NotNil(t, undone, "undone while its renewal waits for an approval")
	})
}

// What is lost: money. An adoption that was undone has the mount forget that the requester's own certificate is the newest for its names,
// so that the next request buys an order instead of being answered within the subscription that was paid for.
func TestAnUndoneAdoptionLeavesTheNewestAsItWas(t *testing.T) {
	for _, name := range []string{"nothing adopted", "adopted and undone", "cut short and not repeated"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				m.patchRole(map[string]any{"renewal": "reissue", "generate_lease": false})
				ask := call{op: logical.UpdateOperation, path: "issue/web", entity: "e-web", data: map[string]any{"common_name": "shop.example.com"}}
				own := m.must(ask).Data
				m.passes(30)
				_, _, serial := boughtElsewhere(t, m, "shop.example.com")
				switch name {
				case "adopted and undone":
					m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "e-web"})
					require.Nil(t, m.tryDelete("operator/adopt/web/"+serial))
				case "cut short and not repeated":
					m.storage.failing(func(key string) error {
						if strings.HasPrefix(key, "cert/") {
							return errors.New("storage is full")
						}
						return nil
					})
					_, err := m.attempt("operator/adopt/web", map[string]any{"serial_number": serial, "entity_id": "e-web"})
					require.Error(t, err)
					m.storage.failing(nil)
				}
				time.Sleep(time.Hour)
				again := m.must(ask).Data
				require.Equal(t, own["ca_order_id"], again["ca_order_id"], "another order was bought")
				require.Equal(t, 2, countOrders(m.ca, "shop.example.com"))
			})
		})
	}
}

// Something was adopted by mistake, and that was undone. What the mount itself has bought for the same names is renewed as if nothing had
// happened: within its subscription, or by CERTInext.
func TestAnUndoneAdoptionLeavesTheOwnCertificateItsRenewal(t *testing.T) {
	for _, renewal := range []string{"reissue", "auto_renew"} {
		for _, undone := range []bool{false, true} {
			t.Run(fmt.Sprint(renewal, undone), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					role := map[string]any{"renewal": "reissue"}
					if renewal == "auto_renew" {
						role = map[string]any{"renewal": "order", "auto_renew": true, "validity_years": 2}
					}
					m := renewing(t, role)
					m.ca.Configure(func(s *certinexttest.Server) { s.Subscriptions.AutoRenewal = certinexttest.RenewUntilEnd })
					m.knows("ann")
					sign := map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}
					first := m.asksAgain("ann", "sign/web", sign).Data
					m.rests(26 * time.Hour)
					_, serial := placedWithKey(t, m, newKey(t, elliptic.P256()), "www.example.com", false)
					if undone {
						require.Empty(t, m.adopt("web", map[string]any{"serial_number": serial, "entity_id": "ann"})["refused"])
						require.Nil(t, m.tryDelete("operator/adopt/web/"+serial))
					}
					time.Sleep(time.Until(time.Unix(first["renew_after"].(int64), 0)) + day)
					m.pass()
					if renewal == "reissue" { // which is for another key
						sign = map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}
					}
					next := m.asksAgain("ann", "sign/web", sign)
					require.Equal(t, first["ca_order_id"], next.Data["ca_order_id"], "another order was bought: %v", next.Warnings)
				})
			})
		}
	}
}

// placedWithKey places an order for a key at CERTInext, past the mount, and returns CERTInext's number and the serial number of its
// certificate once the mount has synchronized it.
func placedWithKey(t *testing.T, m *mount, key *ecdsa.PrivateKey, name string, renews bool) (number, serial string) {
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

// What is lost: another mount's certificate in use. Its order has the marker of a mount of this engine, and a domain adopts it all the same.
func TestADomainDoesNotAdoptWhatAnotherMountHasOrdered(t *testing.T) {
	for _, dialect := range []certinexttest.Dialect{certinexttest.Live, certinexttest.V1} {
		t.Run(dialect.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(dialect)
				m, other := newMount(t, ca), newMount(t, ca)
				theirs := other.write("issue/web", map[string]any{"common_name": "shop.example.com"})
				time.Sleep(time.Minute)
				m.synchronize()
				done := m.adopt("web", map[string]any{"domain": "example.com", "entity_id": "e-web", "product_code": "842"})
				for range done["adopted"].([]any) {
					_, _ = m.send(call{op: logical.UpdateOperation, path: "revoke/web", entity: "e-web", data: map[string]any{"serial_number": theirs.Data["serial_number"]}})
				}
				m.passes(2)
				o, _ := ca.Order(theirs.Data["ca_order_id"].(string))
				require.Equal(t, "issued", o.Status, "it is in use at the other mount")
				require.Empty(t, done["adopted"])
				require.Len(t, done["refused"], 1)
				ask := map[string]any{"serial_number": theirs.Data["serial_number"], "product_code": "842"}
				require.Contains(t, m.refused("operator/adopt/web", ask), "from_other_mount=true")
				require.Len(t, m.adopt("web", having(ask, "from_other_mount", true))["adopted"], 1)
			})
		})
	}
}

// What is lost: the books. An adoption that storage has cut short and that another role has been given counts twice.
func TestAnAdoptionCutShortIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, validated(certinexttest.Live))
		m.write("roles/other", map[string]any{"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true})
		_, _, serial := boughtElsewhere(t, m, "shop.example.com")
		m.storage.failing(func(key string) error {
			if strings.HasPrefix(key, "cert/") {
				return errors.New("storage is full")
			}
			return nil
		})
		_, err := m.attempt("operator/adopt/web", map[string]any{"serial_number": serial, "entity_id": "e-web"})
		require.Error(t, err)
		m.storage.failing(nil)
		m.adopt("other", map[string]any{"serial_number": serial, "entity_id": "e-other"})
		m.passes(5)
		adopted := 0
		for _, line := range m.read("reports/spend").Data["spend"].([]map[string]any) {
			adopted += line["adopted"].(int)
		}
		require.Equal(t, 1, adopted)
	})
}

// What is lost: a certificate in use. A lie has had e-other adopt the certificate of an order of e-web that was open; e-other revokes it.
func TestWhatALieHasHadAdoptedIsNotRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var from, to string
		ca := validated(certinexttest.Live)
		m := newMount(t, ca)
		m.knows("e-web")
		m.startWith(&http.Client{Transport: rewrite{aboutAnother{ca.Client().Transport, &from, &to}, func(r *http.Request, status int, body []byte) (int, []byte) {
			body = regexp.MustCompile(`("ceritficateSerialNumber"|"certificateSerialNumber"):"[^"]*"`).ReplaceAll(body, []byte(`$1:""`))
			if from != "" && strings.Contains(r.URL.Path, from) {
				body = bytes.ReplaceAll(body, []byte(to), []byte(from))
			}
			return status, body
		}}})
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = time.Hour })
		id := m.must(call{op: logical.UpdateOperation, path: "orders/web", entity: "e-web", data: www}).Data["order_id"].(string)
		ours := ca.Orders()[0].ID
		ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
		_, theirs := elsewhere(t, ca, "shop.example.com")
		time.Sleep(2 * time.Hour)
		from, to = theirs, ours
		m.write("sync", nil)
		synctest.Wait()
		require.Len(t, m.list("certs"), 1)
		serial := m.list("certs")[0]
		resp, err := m.attempt("operator/adopt/web", map[string]any{"serial_number": serial, "entity_id": "e-other"})
		require.NoError(t, err)
		left := ""
		if !resp.IsError() {
			left = resp.Data["adopted"].([]any)[0].(map[string]any)["order_id"].(string)
		}
		from, to = "", ""
		m.passes(3)
		m.must(call{op: logical.UpdateOperation, path: "orders/web/" + id + "/collect", entity: "e-web"})
		resp, err = m.send(call{op: logical.UpdateOperation, path: "revoke/web", entity: "e-other", data: map[string]any{"order_id": left}})
		t.Log(resp, err)
		resp, err = m.send(call{op: logical.UpdateOperation, path: "revoke/web", entity: "e-other", data: map[string]any{"serial_number": serial}})
		t.Log(resp, err)
		t.Log(m.tryDelete("operator/adopt/web/" + serial))
		m.passes(3)
		o, _ := ca.Order(ours)
		require.Equal(t, "issued", o.Status)
		require.Equal(t, "order", m.read("cert/" + serial).Data["origin"])
		require.Equal(t, []string{id}, m.list("orders/web"), "an order of e-other's tells of e-web's certificate")
	})
}

// An adoption, and its end, are cut short at each write; what was asked for is asked for again.
func TestAnAdoptionIsCutShortAtEachWrite(t *testing.T) {
	for _, fails := range []error{errDied, errStored} {
		for n := 1; n < 12; n++ {
			for _, ends := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					m := newMount(t, validated(certinexttest.Live))
					_, number, serial := boughtElsewhere(t, m, "shop.example.com")
					before := m.storage.dump(t)
					ask := map[string]any{"serial_number": serial, "entity_id": "e-web"}
					if ends {
						m.adopt("web", ask)
					}
					writes := 0
					m.storage.cutBy(func(string) error {
						if writes++; writes < n {
							return nil
						}
						if writes == n || errors.Is(fails, errDied) {
							return fails
						}
						return nil
					})
					if ends {
						_, _ = m.send(call{op: logical.DeleteOperation, path: "operator/adopt/web/" + serial})
					} else {
						_, _ = m.attempt("operator/adopt/web", ask)
					}
					m.storage.cutBy(nil)
					m.start()
					if ends {
						_, _ = m.send(call{op: logical.DeleteOperation, path: "operator/adopt/web/" + serial})
						require.Empty(t, m.list("orders/web"), "%v after write %d", fails, n)
						require.Empty(t, m.read("cert/" + serial).Data["role"])
						after := m.storage.dump(t)
						for at := range after {
							if _, was := before[at]; !was && !strings.HasPrefix(at, "index/") {
								require.Fail(t, "something is left", "%s, %v after write %d", at, fails, n)
							}
						}
						return
					}
					m.adopt("web", ask)
					require.Len(t, m.list("orders/web"), 1)
					require.Equal(t, []any{"web", number}, []any{m.read("cert/" + serial).Data["role"], m.read("cert/" + serial).Data["ca_order_id"]})
				})
			}
		}
	}
}

// An aboutAnother has calls about one order of CERTInext's answered about another one.
type aboutAnother struct {
	next     http.RoundTripper
	from, to *string
}

func (d aboutAnother) RoundTrip(r *http.Request) (*http.Response, error) {
	if *d.from != "" && strings.Contains(r.URL.Path, *d.from) {
		r = r.Clone(r.Context())
		r.URL.Path = strings.Replace(r.URL.Path, *d.from, *d.to, 1)
	}
	return d.next.RoundTrip(r)
}

// A process dies between the two writes of an adoption, and nobody repeats it: the next process settles the books by itself.
func TestAnAdoptionCutShortIsSettledByItself(t *testing.T) {
	for name, leave := range map[string]bool{"the order alone": true, "all of it": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				_, _, serial := boughtElsewhere(t, m, "shop.example.com")
				ask := map[string]any{"serial_number": serial, "entity_id": "e-web"}
				dead := false
				m.storage.cutBy(func(key string) error {
					if dead = dead || (leave && strings.HasPrefix(key, "cert/")); dead {
						return errDied
					}
					return nil
				})
				_, _ = m.attempt("operator/adopt/web", ask)
				m.storage.cutBy(nil)
				require.Len(t, m.list("orders/web"), 1, "no order is left")
				m.start()
				for range 30 {
					time.Sleep(time.Hour)
					m.pass()
					synctest.Wait()
				}
				if !leave {
					require.Len(t, m.list("orders/web"), 1)
					require.Equal(t, "web", m.read("cert/" + serial).Data["role"])
					return
				}
				require.Empty(t, m.list("orders/web"), "it counts as bought for good")
				require.Empty(t, m.read("reports/spend").Data["spend"])
				require.Empty(t, m.read("cert/" + serial).Data["role"])
				m.adopt("web", ask)
				require.Len(t, m.list("orders/web"), 1)
			})
		})
	}
}
