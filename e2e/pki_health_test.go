// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"encoding/json"
	"errors"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// findings are what vault pki health-check says of the mount, by check, and its exit code.
func (c *caller) findings(t *testing.T, args ...string) (found map[string][]struct{ Status, Endpoint, Message string }, exit int) {
	t.Helper()
	out, err := c.cli(t, slices.Concat([]string{"pki", "health-check", "-format=json"}, args, []string{"certinext"})...)
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		exit = ended.ExitCode()
	}
	require.NoError(t, json.Unmarshal([]byte(out), &found), "%v: %s", err, out)
	return found, exit
}

// statuses are those of a check's findings.
func statuses(findings []struct{ Status, Endpoint, Message string }) []string {
	out := []string{}
	for _, f := range findings {
		out = append(out, f.Status)
	}
	return out
}

// Vault's own command goes through all its checks, and takes this engine for no old server.
func TestThePKIHealthCheckRunsToItsEnd(t *testing.T) {
	t.Parallel()
	vaultOnly(t, "its pki health-check refuses a mount that is not of the type pki")
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.enableLogins()
	watcher := v.person("watcher", nil, guide(t, "pki-health-check", "hcl"))
	config := v.file(t, "certinext-health.json", guide(t, "pki-health-check", "json"))

	v.write("certinext/tidy", map[string]any{"tidy_cert_store": true}) // a mount that was never tidied is critical to that command
	waitUntil(t, time.Minute, "the mount is tidied", func() bool { return v.read("certinext/tidy-status")["state"] == "Finished" })
	for _, before := range []bool{true, false} {
		for name, c := range map[string]*caller{"root": v.caller, "somebody with the guide's policy": watcher} {
			found, exit := c.findings(t)
			require.Len(t, found, 13, "hardware_backed_root alone is off unless it is asked for")
			for check, findings := range found {
				require.NotContains(t, statuses(findings), "invalid_version", "%s, for %s: %v", check, name, findings)
				require.NotContains(t, statuses(findings), "insufficient_permissions", "%s, for %s: %v", check, name, findings)
				require.NotContains(t, statuses(findings), "critical", "%s, for %s: %v", check, name, findings)
			}
			require.Equal(t, 3, exit, "a warning about roles")

			found, exit = c.findings(t, "-health-config="+config)
			require.Zero(t, exit, "%v", found)
			require.Equal(t, []string{"ok"}, statuses(found["too_many_certs"]))
			require.Equal(t, []string{"ok"}, statuses(found["role_allows_glob_wildcards"]))
			wantCAs, wantRoots := []string{"ok", "ok"}, []string{"ok"}
			if before {
				wantCAs, wantRoots = []string{}, []string{}
			}
			require.Equal(t, wantCAs, statuses(found["ca_validity_period"]), "the issuing CA and its root")
			require.Equal(t, wantRoots, statuses(found["root_issued_leaves"]))
		}
		if before {
			ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": "www.example.com"}))
		}
	}
	all := v.file(t, "all.json", `{"hardware_backed_root": {"enabled": true}}`)
	found, _ := v.findings(t, "-health-config="+all)
	require.Empty(t, found["hardware_backed_root"], "no key of a CA is in Vault")

	v.role("wild", map[string]any{"allow_glob_domains": true, "allowed_domains": "*.example.com"})
	found, exit := watcher.findings(t, "-health-config="+config)
	require.Equal(t, 3, exit)
	require.Equal(t, []string{"warning"}, statuses(found["role_allows_glob_wildcards"]))

	nobody := v.person("nobody", nil, `path "certinext/roles" { capabilities = ["list"] }`)
	found, exit = nobody.findings(t, "-health-config="+config)
	require.Equal(t, 6, exit)
	require.Contains(t, statuses(found["too_many_certs"]), "insufficient_permissions")
}
