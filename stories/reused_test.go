// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"crypto/elliptic"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// reusing is renewing with a role that reuses, and new orders.
func reusing(t *testing.T, more map[string]any) *mount {
	role := map[string]any{"renewal": "order", "reuse": true}
	maps.Copy(role, more)
	return renewing(t, role)
}

// asksAgain sends the request of an identity entity.
func (m *mount) asksAgain(entity, path string, data map[string]any) *logical.Response {
	m.t.Helper()
	return m.must(call{op: logical.UpdateOperation, path: path, data: data, entity: entity})
}

func (m *mount) asksFor(entity, name string) map[string]any {
	m.t.Helper()
	return m.asksAgain(entity, "issue/web", map[string]any{"common_name": name}).Data
}

// keys are the storage keys of what is kept for reuse.
func (m *mount) kept() (keys []string) {
	m.t.Helper()
	for key := range m.storage.dump(m.t) {
		if strings.HasPrefix(key, "reuse/key/") {
			keys = append(keys, key)
		}
	}
	return keys
}

func TestACertificateIsReusedUntilItIsToBeRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, nil)
		first := m.asksFor("ann", "www.example.com")
		m.isFor(first, "www.example.com")
		renew := time.Unix(first["renew_after"].(int64), 0)
		for range 5 {
			time.Sleep(time.Until(renew) / 3)
			m.pass()
			again := m.asksFor("ann", "www.example.com")
			require.Equal(t, true, again["reused"])
			again["reused"] = first["reused"]
			require.Equal(t, first, again, "the same full answer")
			m.pass()
		}
		require.Len(t, m.ca.Orders(), 1)
		m.rests(time.Hour)
		require.Len(t, m.kept(), 1)

		time.Sleep(time.Until(renew) + time.Second)
		next := m.asksFor("ann", "www.example.com")
		require.Equal(t, false, next["reused"])
		require.NotEqual(t, first["private_key"], next["private_key"])
		require.Len(t, m.ca.Orders(), 2)
		m.rests(time.Hour)
		time.Sleep(day)
		require.Equal(t, next["serial_number"], m.asksFor("ann", "www.example.com")["serial_number"], "the newer one is reused now")
	})
}

func TestTwoAgentsOfOneIdentityShareACertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, map[string]any{"generate_lease": true, "reuse_window": 0, "delivery_grace": 0})
		var (
			wg     sync.WaitGroup
			mu     sync.Mutex
			leases []string
		)
		for agent := range 2 {
			wg.Go(func() {
				for range 50 {
					resp := m.asksAgain("ann", "issue/web", map[string]any{"common_name": "www.example.com", "ttl": "720h"})
					mu.Lock()
					leases = append(leases, resp.Secret.InternalData["lease"].(string))
					mu.Unlock()
					time.Sleep(time.Hour + time.Duration(agent)*time.Minute)
					m.pass()
				}
			})
		}
		wg.Wait()
		require.Len(t, m.ca.Orders(), 1)
		slices.Sort(leases)
		require.Len(t, slices.Compact(leases), 100, "a lease for each answer")
	})
}

// An order whose key is still there serves the request beyond its reuse window, too, before any pass has looked at it.
func TestAnOpenOrderIsReusedBeyondItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, map[string]any{"reuse_window": 0, "delivery_grace": "1h"})
		first := m.asksFor("ann", "www.example.com")
		time.Sleep(30 * time.Minute)
		require.Equal(t, first["serial_number"], m.asksFor("ann", "www.example.com")["serial_number"])
		m.rests(48 * time.Hour)
		again := m.asksFor("ann", "www.example.com")
		require.Equal(t, first["serial_number"], again["serial_number"])
		m.pass()
		collect := call{op: logical.UpdateOperation, path: "orders/web/" + again["order_id"].(string) + "/collect", entity: "ann"}
		require.Equal(t, first["private_key"], m.must(collect).Data["private_key"], "a caller that has lost the answer, within delivery_grace")
		require.Len(t, m.ca.Orders(), 1)
	})
}

func TestSignReusesForTheSameKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, nil)
		key := newKey(t, elliptic.P256())
		first := m.asksAgain("ann", "sign/web", map[string]any{"csr": csr(t, key, "www.example.com")}).Data
		m.rests(5 * time.Hour)
		again := m.asksAgain("ann", "sign/web", map[string]any{"csr": csr(t, key, "www.example.com")}).Data
		require.Equal(t, first["serial_number"], again["serial_number"])
		require.Equal(t, true, again["reused"])
		for _, entry := range m.storage.dump(t) {
			require.NotContains(t, string(entry), "PRIVATE KEY")
		}
		other := m.asksAgain("ann", "sign/web", map[string]any{"csr": csr(t, newKey(t, elliptic.P256()), "www.example.com")}).Data
		require.NotEqual(t, first["serial_number"], other["serial_number"])
	})
}

func TestOnlyTheSameRequestIsAnsweredWithWhatIsKept(t *testing.T) {
	issue := func(entity string, more map[string]any) call {
		data := map[string]any{"common_name": "www.example.com"}
		maps.Copy(data, more)
		return call{op: logical.UpdateOperation, path: "issue/web", data: data, entity: entity}
	}
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, nil)
		m.write("roles/another", map[string]any{"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "reuse": true, "generate_lease": false})
		first := m.asksFor("ann", "www.example.com")
		m.rests(time.Hour)
		again := m.must(issue("ann", map[string]any{"format": "pkcs12_bundle", "ttl": "30h"})).Data
		require.Equal(t, first["serial_number"], again["serial_number"], "the form and the lease do not matter")
		m.rests(time.Hour)
		for what, c := range map[string]call{
			"another identity": issue("bob", nil),
			"no identity":      issue("", nil),
			"force_new":        issue("ann", map[string]any{"force_new": true}),
			"a request_id":     issue("ann", map[string]any{"request_id": "mine"}),
			"other names":      issue("ann", map[string]any{"common_name": "other.example.com"}),
			"another role":     {op: logical.UpdateOperation, path: "issue/another", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"},
		} {
			require.NotEqual(t, first["serial_number"], m.must(c).Data["serial_number"], what)
		}
		require.Len(t, m.ca.Orders(), 7)
	})
}

func TestNoKeyIsKeptForWhoeverCannotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, nil)
		m.asksAgain("", "issue/web", map[string]any{"common_name": "www.example.com"})
		m.asksAgain("ann", "issue/web", map[string]any{"common_name": "www.example.com", "request_id": "mine"})
		m.rests(2 * time.Hour)
		require.Empty(t, m.kept())
	})
}

// What ends a certificate, or its reuse, erases its key and has the next request buy another one.
func TestAnEndOfReuseErasesTheKey(t *testing.T) {
	for name, test := range map[string]struct {
		role   map[string]any
		end    func(m *mount, first map[string]any)
		passes int // until the key is erased
	}{
		"revoked": {end: func(m *mount, first map[string]any) {
			m.write("revoke", map[string]any{"serial_number": first["serial_number"]})
		}},
		"revoked while CERTInext is away": {end: func(m *mount, first map[string]any) {
			m.ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultDropped})
			require.Equal(m.t, "queued", m.write("revoke", map[string]any{"serial_number": first["serial_number"]}).Data["state"])
		}},
		"its key was compromised elsewhere": {end: func(m *mount, first map[string]any) {
			m.write("revoke-with-key", map[string]any{"serial_number": first["serial_number"], "private_key": first["private_key"], "reason": "key-compromise"})
		}},
		"it was renewed": {end: func(m *mount, first map[string]any) {
			m.asksAgain("ann", "renew/web/"+first["serial_number"].(string), nil)
		}},
		"the role reuses no more": {passes: 1, end: func(m *mount, _ map[string]any) {
			m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"reuse": false}})
		}},
		"the role has another key type": {passes: 1, end: func(m *mount, _ map[string]any) {
			m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"key_bits": 384}})
		}},
		"the role buys two years": {passes: 1, end: func(m *mount, _ map[string]any) {
			m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"validity_years": 2}})
		}},
		"config orders for an organization": {passes: 1, end: func(m *mount, _ map[string]any) {
			config := m.account()
			config["organization_number"] = certinexttest.DefaultOrganization
			m.write("config", config)
		}},
		"the role was deleted": {passes: 1, end: func(m *mount, _ map[string]any) {
			_, err := m.send(call{op: logical.DeleteOperation, path: "roles/web"})
			require.NoError(m.t, err)
		}},
		"the role reuses for an hour": {passes: 1, end: func(m *mount, _ map[string]any) {
			m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"reuse_for": "1h"}})
		}},
		"it is to be renewed": {passes: 1, end: func(_ *mount, first map[string]any) {
			time.Sleep(time.Until(time.Unix(first["renew_after"].(int64), 0)) + time.Hour)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := reusing(t, test.role)
				first := m.asksFor("ann", "www.example.com")
				m.rests(3 * time.Hour)
				require.Len(t, m.kept(), 1)
				test.end(m, first)
				for range test.passes {
					m.pass()
				}
				require.Empty(t, m.kept())
				if name == "the role was deleted" {
					return
				}
				require.NotEqual(t, first["serial_number"], m.asksFor("ann", "www.example.com")["serial_number"])
			})
		})
	}
}

// A process that dies at any write between the first answer and the second one loses no certificate.
func TestReuseSurvivesACrashAtEachWrite(t *testing.T) {
	for n := range 20 {
		synctest.Test(t, func(t *testing.T) {
			m := reusing(t, nil)
			first := m.asksFor("ann", "www.example.com")
			writes := 0
			m.storage.failing(func(string) error {
				if writes++; writes > n {
					return context.DeadlineExceeded
				}
				return nil
			})
			time.Sleep(2 * time.Hour)
			_, _ = m.backend.HandleRequest(t.Context(), &logical.Request{Operation: logical.RollbackOperation, Storage: m.storage, Data: map[string]any{"immediate": true}})
			_, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, entity: "ann"})
			m.storage.failing(nil)
			m.start()
			m.rests(2 * time.Hour)
			again := m.asksFor("ann", "www.example.com")
			require.Equal(t, first["private_key"], again["private_key"])
			require.Len(t, m.ca.Orders(), 1)
		})
	}
}

// A key that is kept for less long from now on does not come back when its certificate is revoked at that moment.
func TestTheKeyOfARevokedCertificateDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, nil)
		first := m.asksFor("ann", "www.example.com")
		m.rests(3 * time.Hour)
		require.Len(t, m.kept(), 1)
		m.must(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"reuse_for": "240h"}})
		began, revoked := false, make(chan error, 1)
		m.storage.failing(func(key string) error {
			if began || !strings.HasPrefix(key, "reuse/key/") {
				return nil
			}
			began = true
			go func() {
				resp, err := m.send(call{op: logical.UpdateOperation, path: "revoke", data: map[string]any{"serial_number": first["serial_number"]}})
				if err == nil && resp.IsError() {
					err = resp.Error()
				}
				revoked <- err
			}()
			time.Sleep(5 * time.Second)
			return nil
		})
		m.pass()
		require.True(t, began, "nothing was kept for less long")
		require.NoError(t, <-revoked)
		require.Empty(t, m.kept(), "the key of a revoked certificate is kept")
	})
}
