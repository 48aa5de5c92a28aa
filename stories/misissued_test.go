// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// wrongly is a CA that makes a mistake with each certificate.
func wrongly(mistake certinexttest.Misissuance) *certinexttest.Server {
	ca := validated(certinexttest.Live)
	ca.Misissue = mistake
	return ca
}

// heldOrder is the only order of the role web, which is held.
func (m *mount) heldOrder() map[string]any {
	m.t.Helper()
	ids := m.list("orders/web")
	require.Len(m.t, ids, 1)
	order := m.read("orders/web/" + ids[0]).Data
	require.Equal(m.t, "held", order["state"])
	require.Equal(m.t, "operator", order["waits_for"])
	return order
}

func (m *mount) release(id any) *logical.Response {
	m.t.Helper()
	return m.write("operator/orders/web/"+id.(string), map[string]any{"release": true})
}

// passMinutes lets time pass, a pass in each minute.
func (m *mount) passMinutes(n int) {
	m.t.Helper()
	for range n {
		time.Sleep(time.Minute)
		m.pass()
	}
}

func TestACertificateThatWasNotOrderedIsHandedToNobody(t *testing.T) {
	for mistake, why := range map[certinexttest.Misissuance]string{
		certinexttest.MisissueExtraName:       "evil.example.org, which was not ordered",
		certinexttest.MisissueMissingName:     "it lacks www.example.com",
		certinexttest.MisissueOtherCommonName: "the common name",
		certinexttest.MisissueEmailName:       "the mail address",
		certinexttest.MisissueURIName:         "the URI",
		certinexttest.MisissueOtherName:       "an alternative name",
		certinexttest.MisissueCACertificate:   "a CA's certificate",
		certinexttest.MisissueBeginsLate:      "begins to be valid only at",
		certinexttest.MisissueTooLong:         "public rules allow 398",
		certinexttest.MisissueForeignChain:    "its chain is another one's",
		certinexttest.MisissueLeafIssuer:      "its chain does not hold",
		certinexttest.MisissueBrokenChain:     "its chain does not hold",
	} {
		for door, ask := range map[string]func(m *mount) string{
			"issue": func(m *mount) string { return m.refused("issue/web", www) },
			"collect": func(m *mount) string {
				id := m.write("orders/web", www).Data["order_id"].(string)
				m.pass()
				return m.refused("orders/web/"+id+"/collect", nil)
			},
		} {
			t.Run(why+"/"+door, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ca := wrongly(mistake)
					m := newMount(t, ca)
					answer := ask(m)
					if strings.HasPrefix(why, "its chain") { // which another download may mend
						require.Contains(t, answer, "is not finished")
						m.passMinutes(15)
						answer = ask(m)
					}
					require.Contains(t, answer, why)
					require.Contains(t, answer, "An operator of Vault has to release or revoke it")
					require.NotContains(t, answer, "operator/orders", "that is not the requester's to know")
					order := m.heldOrder()
					require.Contains(t, order["needs"].([]string)[0], why)
					require.Contains(t, m.log.String(), "is kept back")
					serial := order["serial_number"].(string)
					require.Contains(t, m.read("cert/" + serial).Data["held"].([]string)[0], why)
					chain, err := m.send(call{op: logical.ReadOperation, path: "ca_chain"})
					require.NoError(t, err)
					require.NotContains(t, string(chain.Data[logical.HTTPRawBody].([]byte)), "BEGIN")

					for range 3 { // days later, in a new process, its key rests, and nothing is bought
						time.Sleep(24 * time.Hour)
						m.pass()
						m.start()
						require.Contains(t, m.refused("issue/web", www), why)
						forced := map[string]any{"common_name": "www.example.com", "force_new": true}
						require.Contains(t, m.refused("issue/web", forced), why)
					}
					require.Contains(t, m.refusedRead("orders/web/"+order["order_id"].(string)+"/download/pem", nil), "is not handed over")
					require.Len(t, ca.Orders(), 1)

					released := m.release(order["order_id"])
					require.Equal(t, "issued", released.Data["state"])
					require.Equal(t, "requester", released.Data["waits_for"])
					time.Sleep(12 * time.Hour)
					m.pass()
					resp := m.write("issue/web", www)
					require.Equal(t, serial, resp.Data["serial_number"])
					require.NotEmpty(t, resp.Data["private_key"])
					require.Contains(t, strings.Join(resp.Warnings, "\n"), "an operator released the certificate although it")
					again := m.write("issue/web", www)
					require.Contains(t, strings.Join(again.Warnings, "\n"), "an operator released the certificate although it")
					require.Contains(t, m.refused("operator/orders/web/"+order["order_id"].(string), map[string]any{"release": true}), "release:")
					require.Len(t, ca.Orders(), 1)
				})
			})
		}
	}
}

func TestAHarmlessDifferenceIsARemark(t *testing.T) {
	for mistake, c := range map[certinexttest.Misissuance]struct{ name, remark string }{
		certinexttest.MisissueAddedWWW:   {"api.example.com", "also holds www.api.example.com"},
		certinexttest.MisissueBaseDomain: {"*.example.com", "also holds example.com"},
		certinexttest.MisissueNoChain:    {"api.example.com", "without its chain"},
	} {
		t.Run(c.remark, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, wrongly(mistake))
				if strings.HasPrefix(c.name, "*.") {
					m.write("roles/web", map[string]any{"product_code": "843", "product_variant": "dv-wildcard", "allow_any_name": true})
				}
				for range 2 {
					resp := m.write("issue/web", map[string]any{"common_name": c.name})
					require.Contains(t, strings.Join(resp.Warnings, "\n"), c.remark)
					cert := m.read("cert/" + resp.Data["serial_number"].(string)).Data
					require.Contains(t, cert["remarks"].([]string)[0], c.remark)
					require.Empty(t, cert["held"])
				}
				require.Len(t, m.ca.Orders(), 1)
			})
		})
	}
}

func TestACertificateThatBeginsSoonIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := wrongly(certinexttest.MisissueBeginsSoon)
		m := newMount(t, ca)
		require.Contains(t, m.refused("issue/web", www), "is not finished")
		m.pass()
		order := m.read("orders/web/" + m.list("orders/web")[0]).Data
		require.Equal(t, "pending", order["state"])
		require.Contains(t, lastEvent(order), "begins at")
		time.Sleep(5 * time.Minute)
		m.chainOK(m.write("issue/web", www))
		require.Len(t, ca.Orders(), 1)
	})
}

// lastEvent is the latest line of an order's timeline.
func lastEvent(order map[string]any) string {
	events := order["timeline"].([]map[string]any)
	return events[len(events)-1]["what"].(string)
}

func TestAHeldCertificateIsRevokedByWhoeverMayRevoke(t *testing.T) {
	for name, revoke := range map[string]func(m *mount, order map[string]any){
		"by serial number": func(m *mount, order map[string]any) {
			m.write("revoke", map[string]any{"serial_number": order["serial_number"]})
		},
		"by its order": func(m *mount, order map[string]any) {
			m.must(call{op: logical.DeleteOperation, path: "orders/web/" + order["order_id"].(string)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := wrongly(certinexttest.MisissueExtraName)
				m := newMount(t, ca)
				m.refused("issue/web", www)
				order := m.heldOrder()
				revoke(m, order)
				time.Sleep(time.Minute)
				m.pass()
				require.Equal(t, "revoked", ca.Orders()[0].Status)
				requireNoKeys(t, m)
				ended := m.read("orders/web/" + order["order_id"].(string)).Data
				require.NotEqual(t, "held", ended["state"])
				require.Empty(t, ended["needs"])
				require.Contains(t, m.refused("operator/orders/web/"+order["order_id"].(string), map[string]any{"release": true}), "order")
				ca.Configure(func(s *certinexttest.Server) { s.Misissue = certinexttest.MisissueNone })
				m.chainOK(m.write("issue/web", www))
				require.Len(t, ca.Orders(), 2, "another one is bought once the first was given up")
			})
		})
	}
}

func TestAHeldKeyIsErasedAtTheCertificatesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := wrongly(certinexttest.MisissueExtraName)
		m := newMount(t, ca)
		m.refused("issue/web", www)
		m.heldOrder()
		time.Sleep(198 * 24 * time.Hour)
		m.pass()
		m.heldOrder()
		time.Sleep(2 * 24 * time.Hour)
		m.pass()
		requireNoKeys(t, m)
		require.Len(t, ca.Orders(), 1)
	})
}

// A client that comes back with another key, as cert-manager does, is told of the held order, too.
func TestAnotherKeyDoesNotGetRoundAHeldCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		m := rekeying(t, ca, nil)
		ca.Configure(func(s *certinexttest.Server) { s.Misissue = certinexttest.MisissueExtraName })
		_, first := freshCSR(t, "www.example.com")
		require.Contains(t, m.refused("sign/web", first), "evil.example.org")
		for range 3 {
			_, other := freshCSR(t, "www.example.com")
			require.Contains(t, m.refused("sign/web", other), "evil.example.org")
			time.Sleep(time.Hour)
			m.pass()
		}
		require.Len(t, ca.Orders(), 1)
		require.Zero(t, ca.Calls()[certinexttest.OpReissue])
	})
}

// By a clock that is slow, every new certificate begins in the future. CERTInext's own clock says that it does not.
func TestASlowClockHoldsNothing(t *testing.T) {
	for _, behind := range []time.Duration{30 * time.Minute, 50 * time.Hour} {
		t.Run(behind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMount(t, validated(certinexttest.Live))
				m.later(-behind)
				m.chainOK(m.write("issue/web", www))
			})
		})
	}
}

// A fault of storage at each write of a release: saying it again is all that is needed.
func TestAReleaseSurvivesStorage(t *testing.T) {
	for n, more := 1, true; more; n++ {
		synctest.Test(t, func(t *testing.T) {
			m := newMount(t, wrongly(certinexttest.MisissueExtraName))
			m.refused("issue/web", www)
			order := m.heldOrder()
			path := "operator/orders/web/" + order["order_id"].(string)
			faulty := &faultyStorage{Storage: m.storage.under()}
			m.storage.lay(faulty)
			faulty.arm(n, 1, false)
			_, _ = m.attempt(path, map[string]any{"release": true})
			more = faulty.disarm() != ""
			if resp, err := m.attempt(path, map[string]any{"release": true}); err == nil && resp.IsError() {
				require.Contains(t, resp.Error().Error(), "is not held")
			}
			m.pass()
			resp := m.write("issue/web", www)
			require.Equal(t, order["serial_number"], resp.Data["serial_number"])
		})
	}
}

// What an earlier version has stored, and nobody has fetched, was not judged then.
func TestWhatWasStoredUnjudgedIsJudgedWhenItIsFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMount(t, wrongly(certinexttest.MisissueExtraName))
		id := m.write("orders/web", www).Data["order_id"].(string)
		m.pass()
		for _, key := range m.storageKeys() {
			e, err := m.storage.Get(t.Context(), key)
			require.NoError(t, err)
			fields := make(map[string]any)
			if json.Unmarshal(e.Value, &fields) != nil {
				continue
			}
			delete(fields, "judged")
			delete(fields, "held")
			e.Value, err = json.Marshal(fields)
			require.NoError(t, err)
			require.NoError(t, m.storage.Put(t.Context(), e))
		}
		m.start()
		require.Equal(t, "issued", m.read("orders/web/" + id).Data["state"])
		require.Contains(t, m.refused("orders/web/"+id+"/collect", nil), "evil.example.org")
		m.heldOrder()
	})
}

// What CERTInext did wrong once it may do wrong again, at somebody's cost: first an operator decides.
func TestAHeldOrderIsNotReissuedBeforeAnOperatorHasDecided(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := wrongly(certinexttest.MisissueExtraName)
		m := newMount(t, ca)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"allow_reissue": true}})
		m.refused("issue/web", www)
		id := m.heldOrder()["order_id"].(string)
		asked := ca.Calls()
		require.Contains(t, m.refused("orders/web/"+id+"/reissue", nil), "An operator of Vault has to release or revoke it")
		require.Equal(t, asked, ca.Calls())
		m.release(id)
		require.NotEqual(t, id, m.write("orders/web/"+id+"/reissue", nil).Data["order_id"])
	})
}
