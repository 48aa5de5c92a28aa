// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// meanwhile has do happen before a read, the n-th from now on. It returns what waits for do, which reports false when there was no such read.
func (m *mount) meanwhile(reads int, do func()) func() bool {
	done := make(chan struct{})
	hook := &before{Storage: m.storage.under(), reads: int64(reads)}
	hook.do = func() {
		go func() {
			defer close(done)
			do()
		}()
		select {
		case <-done:
		case <-time.After(time.Second):
		}
	}
	m.storage.lay(hook)
	return func() bool {
		if hook.seen.Load() < hook.reads {
			return false
		}
		<-done
		return true
	}
}

// The last lease on a reissued certificate ends while the newest one of its order is reused.
func TestLeaseEndMeetsReuse(t *testing.T) {
	for _, renewal := range []string{"reissue", "order"} {
		for reads := 1; reads < 40; reads++ {
			synctest.Test(t, func(t *testing.T) {
				m := reusing(t, map[string]any{"renewal": renewal, "generate_lease": true})
				m.system.MaxLeaseTTLVal = 400 * day
				www := map[string]any{"common_name": "www.example.com"}
				first := m.asksAgain("ann", "issue/web", www)
				time.Sleep(time.Until(time.Unix(first.Data["renew_after"].(int64), 0)) + time.Second)
				second := m.asksAgain("ann", "issue/web", www)
				require.NotEqual(t, serialOf(first), serialOf(second))
				m.rests(3 * time.Hour)
				var again *logical.Response
				met := m.meanwhile(reads, func() { again = m.asksAgain("ann", "issue/web", www) })
				m.endLease(first)
				if !met() {
					return
				}
				m.passes(4)
				require.Equal(t, serialOf(second), serialOf(again))
				require.Zero(t, m.certificate(second.Data)["revocation_time"], "%s, read %d: in use", renewal, reads)
			})
		}
	}
}

// A certificate that was replaced is to be revoked while the replacement is reused; and while the replaced one is.
func TestReplacedMeetsReuse(t *testing.T) {
	for reads := 1; reads < 60; reads++ {
		synctest.Test(t, func(t *testing.T) {
			m := reusing(t, map[string]any{"renewal": "reissue", "revoke_replaced_after": "72h", "generate_lease": true})
			m.system.MaxLeaseTTLVal = 400 * day
			www := map[string]any{"common_name": "www.example.com"}
			first := m.asksAgain("ann", "issue/web", www)
			time.Sleep(time.Until(time.Unix(first.Data["renew_after"].(int64), 0)) + time.Second)
			second := m.asksAgain("ann", "issue/web", www)
			m.rests(3 * time.Hour)
			time.Sleep(72 * time.Hour)
			var again *logical.Response
			met := m.meanwhile(reads, func() { again = m.asksAgain("ann", "issue/web", www) })
			m.pass()
			if !met() {
				return
			}
			m.passes(4)
			require.Equal(t, serialOf(second), serialOf(again))
			require.Zero(t, m.certificate(second.Data)["revocation_time"], "read %d: in use", reads)
		})
	}
}

// A role whose agents share a certificate has what was replaced revoked, while others use it without a lease.
func TestSharedAndReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := reusing(t, map[string]any{"revoke_replaced_after": "72h"})
		role := map[string]any{"product_code": "842", "allowed_domains": "example.com", "allow_subdomains": true, "reuse": true, "revoke_replaced_after": "72h", "generate_lease": false}
		for _, w := range m.write("roles/other", role).Warnings {
			t.Log(w)
		}
	})
}

// The pass that closes an order, or erases keys, meets a request for the same certificate.
func TestPassMeetsReuse(t *testing.T) {
	for _, wait := range []time.Duration{3 * time.Hour, 0} {
		for reads := 1; reads < 40; reads++ {
			synctest.Test(t, func(t *testing.T) {
				m := reusing(t, map[string]any{"renewal": "reissue", "reuse_window": "1m", "delivery_grace": "1m"})
				first := m.asksFor("ann", "www.example.com")
				if wait > 0 {
					m.rests(wait)
					m.asksFor("ann", "www.example.com") // it is open again
				}
				time.Sleep(10 * time.Minute)
				var again map[string]any
				met := m.meanwhile(reads, func() { again = m.asksFor("ann", "www.example.com") })
				m.pass()
				if !met() {
					return
				}
				require.Equal(t, first["serial_number"], again["serial_number"], "read %d", reads)
				require.Equal(t, first["private_key"], again["private_key"])
				m.rests(3 * time.Hour)
				require.Equal(t, first["serial_number"], m.asksFor("ann", "www.example.com")["serial_number"], "read %d", reads)
				require.Len(t, m.ca.Orders(), 1)
			})
		}
	}
}

// A budget is asked while an order that counts is opened again.
func TestBudgetMeetsReuse(t *testing.T) {
	for reads := 1; reads < 40; reads++ {
		synctest.Test(t, func(t *testing.T) {
			m := reusing(t, nil)
			m.write("budgets/all", map[string]any{"period": "year", "max_orders": 3})
			m.asksFor("ann", "www.example.com")
			m.rests(3 * time.Hour)
			m.start()
			met := m.meanwhile(reads, func() { m.asksFor("ann", "www.example.com") })
			m.asksFor("ann", "other.example.com")
			if !met() {
				return
			}
			m.rests(time.Hour)
			require.Equal(t, 2, m.budgetUsage("all")["orders"], "read %d", reads)
			data := m.query("reports/spend", nil)
			require.Equal(t, 2, data["orders_read"])
		})
	}
}

// A role stops to reuse while an order is closed whose key would be kept.
func TestRoleChangeMeetsKeeping(t *testing.T) {
	for name, change := range map[string]func(m *mount){
		"reuse is off": func(m *mount) { m.patchRole(map[string]any{"reuse": false}) },
		"deleted":      func(m *mount) { m.must(call{op: logical.DeleteOperation, path: "roles/web"}) },
		"revoked": func(m *mount) {
			for _, serial := range m.list("certs") {
				_, _ = m.attempt("revoke", map[string]any{"serial_number": serial})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for reads := 1; reads < 40; reads++ {
				synctest.Test(t, func(t *testing.T) {
					m := reusing(t, nil)
					m.asksFor("ann", "www.example.com")
					time.Sleep(2 * time.Hour)
					met := m.meanwhile(reads, func() { change(m) })
					m.pass()
					if !met() {
						return
					}
					m.rests(3 * time.Hour)
					require.Empty(t, m.kept(), "read %d", reads)
				})
			}
		})
	}
}
