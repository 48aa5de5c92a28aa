// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

func TestAnOperatorReadsHelpAndPatchesARole(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	for path, says := range map[string]string{
		"certinext": "CERTInext", "certinext/issue/web": "common_name", "certinext/roles/web": "allowed_domains",
	} {
		help, err := v.api.HelpWithContext(t.Context(), path)
		require.NoError(t, err)
		require.Contains(t, help.Help, says, path)
	}
	spec := v.read("sys/internal/specs/openapi")
	paths, ok := spec["paths"].(map[string]any)
	require.True(t, ok)
	for _, path := range []string{"/certinext/issue/{role}", "/certinext/orders/{role}/{id}/dcv", "/certinext/config"} {
		require.Contains(t, paths, path)
	}

	_, err := v.api.Logical().JSONMergePatch(t.Context(), "certinext/roles/web", map[string]any{"ttl": "1h"})
	require.NoError(t, err)
	role := v.read("certinext/roles/web")
	require.EqualValues(t, 3600, number(t, role["ttl"]))
	require.Equal(t, []string{"example.com"}, texts(role["allowed_domains"]), "a patch leaves the rest alone")
	require.Equal(t, []string{"web"}, v.list("certinext/roles"))

	config := v.read("certinext/config")
	require.Equal(t, ca.url, config["base_url"])
	require.NotContains(t, config, "client_secret")
	v.write("certinext/config", map[string]any{"requests_per_second": 50})
	require.Equal(t, ca.url, v.read("certinext/config")["base_url"], "what is not written stays")
	ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": "www.example.com"}))
}

// Two versions of the plugin take turns on a mount whose order is open all the while.
func TestAnUpgradeAndItsRollbackLeaveAnOpenOrderAlone(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, IssueDelay: time.Hour})
	v := bareVault(t)
	_, err := v.script("register.sh", "enable", "--binary", programs.plugin, "--command", pluginName)
	require.NoError(t, err)
	v.configure(ca)
	v.role("web", map[string]any{"issue_timeout": "1s"})
	request := map[string]any{"common_name": "www.example.com"}
	id := orderID.FindString(v.refused("certinext/issue/web", request))

	out, err := v.script("register.sh", "upgrade", "--binary", next(t), "--plugin-dir", programs.pluginDir)
	require.NoError(t, err)
	require.Contains(t, out, "certinext/ runs "+nextVersion)
	require.Equal(t, id, orderID.FindString(v.refused("certinext/issue/web", request)))

	out, err = v.script("register.sh", "rollback")
	require.NoError(t, err)
	require.Contains(t, out, "certinext/ runs "+programs.version)
	ca.Configure(func(s *certinexttest.Server) { s.IssueDelay = 0 })
	resp := v.persist(30*time.Second, "certinext/issue/web", request)
	ca.check(t, resp)
	require.Equal(t, id, resp.Data["order_id"])
	ca.onlyOrder(t)
	out, err = v.script("register.sh", "status")
	require.NoError(t, err)
	require.Contains(t, out, nextVersion)
}

// script runs one of the project's scripts against the server, as root.
func (v *server) script(name string, args ...string) (string, error) {
	cmd := v.scriptCommand(name, args...)
	var all strings.Builder
	cmd.Stdout, cmd.Stderr = &all, &all
	err := cmd.Run()
	if err != nil {
		v.t.Log(all.String())
	}
	return all.String(), err
}

func (v *server) scriptCommand(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("../scripts/"+name, args...)
	cmd.Env = append(os.Environ(), "VAULT_BIN="+programs.vault, "VAULT_ADDR="+v.address, "VAULT_TOKEN="+v.api.Token(), "HOME="+v.dir)
	return cmd
}

// A mount that is disabled takes its leases with it; the certificates of those are revoked, others stay.
func TestDisablingTheMountRevokesWhatHasALease(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.role("free", map[string]any{"generate_lease": false})
	v.write("certinext/issue/web", map[string]any{"common_name": "leased.example.com"})
	v.write("certinext/issue/free", map[string]any{"common_name": "free.example.com"})
	require.NoError(t, v.api.Sys().UnmountWithContext(t.Context(), "certinext"))
	require.Equal(t, "revoked", ca.ordersFor("leased.example.com")[0].Status)
	require.Equal(t, "issued", ca.ordersFor("free.example.com")[0].Status)

	v.enable("certinext", api.MountConfigInput{})
	require.Empty(t, v.list("certinext/certs"))
}
