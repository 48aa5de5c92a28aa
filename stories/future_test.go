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

// fromTheFuture makes the entries whose keys begin with prefix ones of a later version of the plugin, and starts this one anew, as
// a rollback does.
func (m *mount) fromTheFuture(prefix string) {
	m.t.Helper()
	found := 0
	for _, key := range m.storageKeys() {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		e, err := m.storage.Get(m.t.Context(), key)
		require.NoError(m.t, err)
		fields := make(map[string]any)
		require.NoError(m.t, json.Unmarshal(e.Value, &fields))
		fields["version"], fields["constraint_of_tomorrow"] = 2, "x"
		e.Value, err = json.Marshal(fields)
		require.NoError(m.t, err)
		require.NoError(m.t, m.storage.Put(m.t.Context(), e))
		found++
	}
	require.NotZero(m.t, found)
	m.start()
}

// After a rollback, a role that a later version has written may say more than this one knows: it serves nobody, and keeps what it
// says.
func TestAnEntryOfALaterVersionIsRefusedByNameAndKept(t *testing.T) {
	const later = "is of version 2, and this version of the plugin knows version 1"
	for prefix, c := range map[string]struct {
		refused func(m *mount, issued, open *logical.Response) string
	}{
		"role/web: use": {func(m *mount, _, _ *logical.Response) string {
			return m.refused("issue/web", map[string]any{"common_name": "new.example.com"})
		}},
		"role/web: read": {func(m *mount, _, _ *logical.Response) string { return m.refusedRead("roles/web", nil) }},
		"role/web: patch": {func(m *mount, _, _ *logical.Response) string {
			resp, err := m.send(call{op: logical.PatchOperation, path: "roles/web", data: map[string]any{"remarks": "x"}})
			require.NoError(m.t, err)
			return resp.Error().Error()
		}},
		"role/web: write": {func(m *mount, _, _ *logical.Response) string {
			return m.refused("roles/web", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
		}},
		"role/web: delete": {func(m *mount, _, _ *logical.Response) string {
			resp, err := m.send(call{op: logical.DeleteOperation, path: "roles/web"})
			require.NoError(m.t, err)
			return resp.Error().Error()
		}},
		"config: delete": {func(m *mount, _, _ *logical.Response) string {
			resp, err := m.send(call{op: logical.DeleteOperation, path: "config"})
			require.NoError(m.t, err)
			return resp.Error().Error()
		}},
		"config: use": {func(m *mount, _, _ *logical.Response) string {
			return m.refused("issue/web", map[string]any{"common_name": "new.example.com"})
		}},
		"config: write": {func(m *mount, _, _ *logical.Response) string { return m.refused("config", m.account()) }},
		"order/open/: the same request": {func(m *mount, _, _ *logical.Response) string {
			return m.refused("issue/web", map[string]any{"common_name": "open.example.com"})
		}},
		"order/open/: another request": {func(m *mount, _, _ *logical.Response) string {
			return m.refused("issue/web", map[string]any{"common_name": "new.example.com"})
		}},
		"order/open/: read": {func(m *mount, _, open *logical.Response) string {
			return m.refusedRead("orders/web/"+open.Data["order_id"].(string), nil)
		}},
		"cert/: revoke": {func(m *mount, issued, _ *logical.Response) string {
			return m.refused("revoke", map[string]any{"serial_number": issued.Data["serial_number"]})
		}},
	} {
		t.Run(prefix, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ca := validated(certinexttest.Live)
				m := newMount(t, ca)
				issued := m.write("issue/web", www)
				time.Sleep(time.Hour)
				m.pass()
				ca.Configure(func(s *certinexttest.Server) { s.HoldForApproval = true })
				open := m.write("orders/web", map[string]any{"common_name": "open.example.com"})
				prefix, _, _ := strings.Cut(prefix, ":")
				m.fromTheFuture(prefix)
				before, orders := m.storage.dump(t), len(ca.Orders())
				answer := c.refused(m, issued, open)
				require.Contains(t, answer, prefix)
				require.Contains(t, answer, later)
				for key, value := range before {
					if strings.HasPrefix(key, prefix) {
						require.Equal(t, string(value), string(m.storage.dump(t)[key]), "it keeps what it says")
					}
				}
				_, _ = m.send(call{op: logical.RollbackOperation, data: map[string]any{"immediate": true}}) // a pass, which may complain
				require.Len(t, ca.Orders(), orders, "nothing was bought")
			})
		})
	}
}

// Other roles go on, and so does the pass.
func TestOtherOrdersGoOnBesideOneOfALaterVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := validated(certinexttest.Live)
		ca.IssueDelay = time.Minute
		m := newMount(t, ca)
		m.write("roles/other", map[string]any{"product_code": "842", "product_variant": "dv", "allow_any_name": true})
		m.write("orders/web", map[string]any{"common_name": "open.example.com"})
		m.fromTheFuture("order/open/web/")
		order := m.write("orders/other", www)
		time.Sleep(2 * time.Minute)
		m.pass()
		require.Equal(t, "issued", m.read("orders/other/" + order.Data["order_id"].(string)).Data["state"])
		require.Contains(t, m.log.String(), "order/open/web/")
	})
}

// What a later version has written of solvers and domains is not deleted either.
func TestWhatALaterVersionHasWrittenIsNotDeleted(t *testing.T) {
	for _, path := range []string{"roles/web", "dcv/solvers/corp", "domains/example.net"} {
		synctest.Test(t, func(t *testing.T) {
			m := newMount(t, validated(certinexttest.Live))
			m.write("dcv/solvers/corp", map[string]any{
				"provider": "rfc2136", "server": "127.0.0.1:9", "tsig_key_name": "vault.", "tsig_secret": "c2VjcmV0", "zone": "example.org",
			})
			m.write("domains/example.net", map[string]any{"organization_number": certinexttest.DefaultOrganization})
			prefix := map[string]string{
				"roles/web": "role/web", "dcv/solvers/corp": "dcv/solver/corp", "domains/example.net": "dcv/domain/example.net",
			}[path]
			m.fromTheFuture(prefix)
			resp, err := m.send(call{op: logical.DeleteOperation, path: path})
			require.NoError(t, err)
			require.True(t, resp.IsError(), path)
			require.Contains(t, resp.Error().Error(), "the entry "+prefix+" is of version 2")
			require.Contains(t, m.storageKeys(), prefix)
		})
	}
}
