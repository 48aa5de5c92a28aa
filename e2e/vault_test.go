// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// A server is a Vault server with the plugin in its catalog. Its root caller may do everything.
//
// Whatever its callers learn or tell that is secret is looked for, at the end of the test, in the server's log at its most
// verbose and in the audit log.
type server struct {
	*caller
	dir     string
	address string
	process *process
	unseal  string
	plugins []int // processes that have outlived a crash of the server
	env     []string

	mu      sync.Mutex
	secrets map[string]string // what must not be told, and what it is
}

// startVault starts a server on raft storage, with the engine mounted at certinext/.
func startVault(t *testing.T) *server {
	t.Helper()
	v := bareVault(t)
	v.enable("certinext", api.MountConfigInput{})
	return v
}

// bareVault starts a server whose catalog knows the engine, and mounts nothing.
func bareVault(t *testing.T) *server {
	t.Helper()
	v := newServer(t, "e2e", "performance_multiplier = 1")
	t.Cleanup(func() { v.checkSecrets(t) })
	v.initialize()
	v.awaken()
	v.addEngine()
	return v
}

// newServer starts a server that is neither initialized nor part of a cluster. raft is added to the configuration of its
// storage.
func newServer(t *testing.T, node, raft string) *server {
	t.Helper()
	v := &server{dir: t.TempDir(), secrets: make(map[string]string)}
	t.Cleanup(func() { killAll(v.plugins, programs.plugin) })
	v.configureServer(t, node, raft)
	v.launch(t)
	c, err := api.NewClient(&api.Config{Address: v.address, Timeout: time.Minute, MaxRetries: 2})
	require.NoError(t, err)
	v.caller = &caller{t: t, server: v, api: c}
	return v
}

// initialize makes the unseal key and the root token.
func (v *server) initialize() {
	v.t.Helper()
	keys, err := v.api.Sys().InitWithContext(v.t.Context(), &api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	require.NoError(v.t, err)
	v.unseal = keys.Keys[0]
	v.keep("the unseal key", v.unseal)
	v.api.SetToken(keys.RootToken)
	v.keep("the root token", keys.RootToken)
}

// addEngine has everything audited and makes the engine known.
func (v *server) addEngine() {
	v.t.Helper()
	require.NoError(v.t, v.api.Sys().EnableAuditWithOptionsWithContext(v.t.Context(), "file", &api.EnableAuditOptions{
		Type: "file", Options: map[string]string{"file_path": filepath.Join(v.dir, "audit.log")},
	}))
	require.NoError(v.t, v.api.Sys().RegisterPluginWithContext(v.t.Context(), &api.RegisterPluginInput{
		Name: pluginName, Type: api.PluginTypeSecrets, Command: pluginName,
		SHA256: programs.sha256, Version: programs.version,
	}))
}

func (v *server) configureServer(t *testing.T, node, raft string) {
	t.Helper()
	data := filepath.Join(v.dir, "data")
	require.NoError(t, os.Mkdir(data, 0o700))
	listen, among := freeAddress(t), freeAddress(t)
	v.address = "http://" + listen
	config := fmt.Sprintf(`
storage "raft" {
  path    = %q
  node_id = %q
  %s
}
listener "tcp" {
  address         = %q
  cluster_address = %q
  tls_disable     = true
}
api_addr             = %q
cluster_addr         = "https://%s"
plugin_directory     = %q
disable_mlock        = true
raw_storage_endpoint = true
log_level            = "trace"
`, data, node, raft, listen, among, v.address, among, programs.pluginDir)
	if programs.openBao { // which has audit devices in its configuration only, unless it is told otherwise
		config += "unsafe_allow_api_audit_creation = true\n"
	}
	require.NoError(t, os.WriteFile(filepath.Join(v.dir, "vault.hcl"), []byte(config), 0o600))
}

// A port that the kernel gives to whoever asks for any (from 32768 on) may be somebody's outgoing connection by the time that Vault listens.
const (
	firstPort = 20000
	portCount = 12000
)

var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(portCount)) } // other test programs run beside this one

// freeAddress returns a loopback address that nobody listens on, and that nobody is given by chance.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range portCount {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+nextPort.Add(1)%portCount)
		l, err := net.Listen("tcp", address)
		if err == nil {
			require.NoError(t, l.Close())
			return address
		}
	}
	require.Fail(t, "every port is taken")
	return ""
}

// launch starts the process and waits until it listens.
func (v *server) launch(t *testing.T) {
	t.Helper()
	program := slices.Concat(v.env, []string{programs.vault, "server", "-config=" + filepath.Join(v.dir, "vault.hcl")})
	v.process = spawn(t, filepath.Join(v.dir, "vault.log"), "env", program...) // env becomes the server
	waitUntil(t, 30*time.Second, "Vault listens", func() bool {
		require.False(t, v.process.ended(), "Vault ended")
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(v.address, "http://"), time.Second)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

// awaken unseals the server and waits until it is active.
func (v *server) awaken() {
	v.t.Helper()
	waitUntil(v.t, 30*time.Second, "Vault is unsealed", func() bool {
		status, err := v.api.Sys().UnsealWithContext(v.t.Context(), v.unseal)
		return err == nil && !status.Sealed
	})
	waitUntil(v.t, 30*time.Second, "Vault is active", func() bool {
		h, err := v.api.Sys().HealthWithContext(v.t.Context())
		return err == nil && h.Initialized && !h.Sealed && !h.Standby
	})
}

// pluginPIDs are the engine's processes under this server.
func (v *server) pluginPIDs() []int {
	v.t.Helper()
	return childrenOf(v.t, v.process.pid(), programs.plugin)
}

// crash kills the server and, as a machine that loses its power would, the engine.
func (v *server) crash() {
	v.plugins = append(v.plugins, v.pluginPIDs()...)
	v.process.kill()
	killAll(v.plugins, programs.plugin)
}

// restart starts the server again after a crash, on the same storage.
func (v *server) restart() {
	v.t.Helper()
	v.launch(v.t)
	v.awaken()
}

// enable mounts the engine.
func (v *server) enable(path string, config api.MountConfigInput) {
	v.t.Helper()
	config.PluginVersion = programs.version
	require.NoError(v.t, v.api.Sys().MountWithContext(v.t.Context(), path, &api.MountInput{Type: pluginName, Config: config}))
}

// configure writes a config that ca accepts, with a role "web" for DV certificates below example.com.
func (v *server) configure(ca *authority) {
	v.t.Helper()
	ca.keepSecrets(v)
	v.write("certinext/config", ca.account())
	v.role("web", nil)
}

// role writes a role for DV certificates below example.com, with changes.
func (v *server) role(name string, changes map[string]any) {
	v.t.Helper()
	fields := map[string]any{
		"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com",
		"allow_bare_domains": true, "allow_subdomains": true,
	}
	maps.Copy(fields, changes)
	v.write("certinext/roles/"+name, fields)
}

// keep remembers a secret.
func (v *server) keep(what, secret string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, part := range parts(secret) {
		v.secrets[part] = what
	}
}

// parts are what a secret is recognized by. A key in PEM may be written with its line breaks escaped, so each line counts.
func parts(secret string) []string {
	if !strings.Contains(secret, "-----BEGIN") {
		return []string{secret}
	}
	var lines []string
	for line := range strings.Lines(secret) {
		if line = strings.TrimSpace(line); len(line) >= 32 && !strings.HasPrefix(line, "-----") {
			lines = append(lines, line)
		}
	}
	return lines
}

// revealed returns what of the secrets stands in text.
func (v *server) revealed(text string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var found []string
	for secret, what := range v.secrets {
		if strings.Contains(text, secret) {
			found = append(found, what)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// checkSecrets looks for secrets in what the server has written down.
func (v *server) checkSecrets(t *testing.T) {
	t.Helper()
	for _, name := range []string{"vault.log", "audit.log"} {
		text, err := os.ReadFile(filepath.Join(v.dir, name))
		require.NoError(t, err)
		require.Empty(t, v.revealed(string(text)), "%s tells secrets", name)
	}
}
