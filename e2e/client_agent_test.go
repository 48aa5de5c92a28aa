// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A pkiCertFile is what a pkiCert template of a guide keeps, by whatever program.
type pkiCertFile struct {
	rendering
	byServer bool   // its program is the server's own, whose templates may differ
	reloads  string // has a line for each time that the service was told to load the file
}

func newPKICertFile(t *testing.T, v *server, dir string) *pkiCertFile {
	t.Helper()
	return &pkiCertFile{rendering: rendering{path: filepath.Join(v.dir, dir, "www.pem")}, reloads: filepath.Join(v.dir, dir, "reloads")}
}

// there reports whether the file has been rendered.
func (f *pkiCertFile) there(v *server) bool {
	f.look(v)
	return len(f.serials) > 0
}

// requireChain requires the certificate, its chain upwards and the key, and nothing else: the file as a server loads it.
func (f *pkiCertFile) requireChain(t *testing.T, ca *authority) {
	t.Helper()
	b, err := os.ReadFile(f.path)
	require.NoError(t, err)
	blocks := strings.SplitAfter(strings.TrimSpace(string(b)), "-----\n-----BEGIN")
	pems := splitPEM(string(b))
	authorities := 2
	if programs.openBao && f.byServer {
		authorities = 1 // the issuing one
	}
	require.Len(t, blocks, 2+authorities, "leaf, its authorities and key")
	verify(t, parseCertificate(t, pems[0]), pems[1:1+authorities], ca.Roots())
	require.Contains(t, pems[1+authorities], "PRIVATE KEY")
	info, err := os.Stat(f.path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func splitPEM(text string) []string {
	var out []string
	for part := range strings.SplitSeq(text, "-----BEGIN ") {
		if part != "" {
			out = append(out, "-----BEGIN "+part)
		}
	}
	return out
}

// requireReloads requires that the service was told as often as there were certificates.
func (f *pkiCertFile) requireReloads(t *testing.T) {
	t.Helper()
	waitUntil(t, 10*time.Second, "the service is told", func() bool {
		b, _ := os.ReadFile(f.reloads)
		return strings.Count(string(b), "\n") == len(f.serials)
	})
}

// agentOfTheGuide sets up what docs/guides/vault-agent.md shows, and returns the command that starts the agent.
func agentOfTheGuide(t *testing.T, v *server, mount, timeout string) (s *stand, start func() *process, file *pkiCertFile) {
	t.Helper()
	s = v.stand(t, mount, nil)
	file = newPKICertFile(t, v, mount)
	file.byServer = true
	config := v.file(t, mount+"/agent.hcl", asServed(guide(t, "vault-agent", "hcl",
		"https://vault.example.com:8200", v.address, "/etc/vault-agent", filepath.Join(v.dir, mount), "certinext/", mount+"/",
		"/etc/ssl/www/www.pem", file.path, `"systemctl", "reload", "nginx"`, `"sh", "-c", "echo >> `+file.reloads+`"`)))
	v.run(t, guide(t, "vault-agent", "shell", "certinext/", mount+"/", "issue_timeout=45s", "issue_timeout="+timeout,
		"vault auth enable approle", "true", "role/agent", "role/"+mount, "policy write agent", "policy write "+mount,
		"token_policies=agent", "token_policies="+mount, "/etc/vault-agent", filepath.Join(v.dir, mount)))
	secretID, err := os.ReadFile(filepath.Join(v.dir, mount, "secret-id"))
	require.NoError(t, err)
	v.keep("the agent's secret id", strings.TrimSpace(string(secretID)))
	return s, func() *process {
		return spawn(t, filepath.Join(v.dir, mount, "agent.log"), programs.vault, "agent", "-config="+config)
	}, file
}

// That the agent renews, keeps what it has, and renders "secret" templates is in agent_test.go.
func TestVaultAgentOfTheGuide(t *testing.T) {
	t.Parallel()
	v := bareVault(t)
	v.write("sys/auth/approle", map[string]any{"type": "approle"})
	t.Run("a CA that answers at once", func(t *testing.T) {
		t.Parallel()
		s, start, file := agentOfTheGuide(t, v, "agent-fast", "45s")
		for range 2 { // the second start asks for nothing
			agent := start()
			waitUntil(t, 30*time.Second, "the agent renders", func() bool { return file.there(v) })
			waitUntil(t, 10*time.Second, "the agent has its template", func() bool { return strings.Contains(agent.output(t), "rendered ") })
			agent.stop()
		}
		file.requireChain(t, s.ca)
		file.requireReloads(t)
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, file.serials)
	})
	t.Run("a CA that takes longer than the request", func(t *testing.T) {
		t.Parallel()
		s, start, file := agentOfTheGuide(t, v, "agent-slow", "1s")
		s.slow()
		agent := start()
		waitUntil(t, 30*time.Second, "the agent is told to wait", func() bool { return strings.Contains(agent.output(t), "is not finished") })
		agent.stop() // it starts again, logs in anew, and finds the order
		start()
		waitUntil(t, 60*time.Second, "the agent renders", func() bool { return file.there(v) })
		file.requireReloads(t)
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, file.serials)
	})
	t.Run("a CA that refuses", func(t *testing.T) {
		t.Parallel()
		s, start, file := agentOfTheGuide(t, v, "agent-failing", "1s")
		mend := s.refuse()
		agent := start()
		waitUntil(t, 30*time.Second, "the agent says why", func() bool { return strings.Contains(agent.output(t), "EMS-915") })
		require.Empty(t, s.ca.Orders())
		require.False(t, file.there(v))
		mend()
		waitUntil(t, 60*time.Second, "the agent renders", func() bool { return file.there(v) })
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, file.serials)
		s.nothingIsOpen(t, "agent")
	})
	t.Run("a template that fails after the answer", func(t *testing.T) {
		t.Parallel()
		s, start, file := agentOfTheGuide(t, v, "agent-mistaken", "45s")
		config := filepath.Join(v.dir, "agent-mistaken", "agent.hcl")
		right, err := os.ReadFile(config)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(config, bytes.ReplaceAll(right, []byte("{{ .Key }}"), []byte("{{ .PrivateKey }}")), 0o600))
		agent := start()
		waitUntil(t, 60*time.Second, "the agent has failed four times", func() bool { return strings.Count(agent.output(t), "can't evaluate field PrivateKey") > 3 })
		agent.stop()
		require.NoError(t, os.WriteFile(config, right, 0o600))
		start()
		waitUntil(t, 30*time.Second, "the agent renders", func() bool { return file.there(v) })
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, file.serials)
	})
	t.Run("a CA whose answer is lost", func(t *testing.T) {
		t.Parallel()
		s, start, file := agentOfTheGuide(t, v, "agent-lost", "1s")
		s.loses()
		start()
		waitUntil(t, 60*time.Second, "the agent renders", func() bool { return file.there(v) })
		require.Equal(t, []string{s.paidOnce(t, "www.example.com")}, file.serials)
	})
}
