// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// TestOpenBaoOfTheGuide starts a server with what docs/guides/openbao.md shows: plugin and audit device are declared.
func TestOpenBaoOfTheGuide(t *testing.T) {
	t.Parallel()
	if !programs.openBao {
		t.Skip("BAO_BIN names no OpenBao: nothing of it is tried")
	}
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := newServer(t, "e2e", "performance_multiplier = 1")
	t.Cleanup(func() { v.checkSecrets(t) })
	v.process.stop()
	declared := guide(t, "openbao", "hcl", "/etc/openbao/plugins", programs.pluginDir, "v1.0.0", programs.version,
		"0000000000000000000000000000000000000000000000000000000000000000", programs.sha256, "/var/log/openbao", v.dir)
	config := filepath.Join(v.dir, "vault.hcl")
	before, err := os.ReadFile(config)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(config, append(before, declared...), 0o600))
	v.launch(t)
	v.initialize()
	v.awaken()
	v.run(t, guide(t, "openbao", "shell"))
	v.configure(ca)
	ca.check(t, v.write("certinext/issue/web", map[string]any{"common_name": "www.example.com"}))
	require.Equal(t, programs.version, v.read("sys/mounts/certinext")["running_plugin_version"])
	out, err := v.script("register.sh", "upgrade", "--binary", next(t), "--plugin-dir", programs.pluginDir)
	require.NoError(t, err)
	require.Contains(t, out, "bao secrets tune")
	v.runs(t, "certinext", nextVersion)
}
