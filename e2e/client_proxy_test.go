// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// A proxy is vault proxy, and an application before it that has no token.
type proxy struct {
	*stand
	config, address string
	role            string
	process         *process
	reused          bool // what the latest certificate's answer said
}

// startProxy sets up what docs/guides/vault-proxy.md shows.
func startProxy(t *testing.T, v *server, mount, timeout string) *proxy {
	t.Helper()
	p := &proxy{stand: v.stand(t, mount, nil), address: freeAddress(t), role: "app"}
	dir := filepath.Join(v.dir, mount)
	p.config = v.file(t, mount+"/proxy.hcl", guide(t, "vault-proxy", "hcl",
		"https://vault.example.com:8200", v.address, "/etc/vault-proxy", dir, "127.0.0.1:8100", p.address))
	v.run(t, guide(t, "vault-proxy", "shell", "certinext/", mount+"/", "issue_timeout=45s", "issue_timeout="+timeout,
		"vault auth enable approle", "true", "approle/role/app", "approle/role/"+mount, "policy write app", "policy write "+mount,
		"token_policies=app", "token_policies="+mount, "/etc/vault-proxy", dir))
	secretID, err := os.ReadFile(filepath.Join(dir, "secret-id"))
	require.NoError(t, err)
	v.keep("the proxy's secret id", strings.TrimSpace(string(secretID)))
	p.start(t)
	return p
}

func (p *proxy) start(t *testing.T) {
	t.Helper()
	p.process = spawn(t, filepath.Join(filepath.Dir(p.config), "proxy.log"), programs.vault, "proxy", "-config="+p.config)
	waitUntil(t, 30*time.Second, "the proxy has logged in", func() bool {
		status, _ := p.call(t, http.MethodGet, "auth/token/lookup-self", "")
		return status == http.StatusOK
	})
}

// call is what the application sends to the proxy.
func (p *proxy) call(t *testing.T, method, path, body string) (status int, answer map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.address+"/v1/"+path, strings.NewReader(body))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	_ = json.NewDecoder(resp.Body).Decode(&answer)
	return resp.StatusCode, answer
}

// issue asks for a certificate, and returns its serial number, or else what the error says.
func (p *proxy) issue(t *testing.T, name string) (status int, said string) {
	t.Helper()
	status, answer := p.call(t, http.MethodPost, p.mount+"/issue/"+p.role, `{"common_name": "`+name+`"}`)
	if status != http.StatusOK {
		require.Len(t, texts(answer["errors"]), 1, "%d %v", status, answer)
		return status, texts(answer["errors"])[0]
	}
	data := answer["data"].(map[string]any)
	p.server.keep("a private key", text(t, data["private_key"]))
	requireKeyOf(t, parseCertificate(t, text(t, data["certificate"])), parseKey(t, text(t, data["private_key"])))
	p.reused = data["reused"] == true
	return status, text(t, data["serial_number"])
}

func TestVaultProxyOfTheGuide(t *testing.T) {
	t.Parallel()
	v := bareVault(t)
	v.write("sys/auth/approle", map[string]any{"type": "approle"})
	t.Run("a CA that answers at once", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, v, "proxy-fast", "45s")
		status, first := p.issue(t, "www.example.com")
		require.Equal(t, http.StatusOK, status)
		p.paidOnce(t, "www.example.com")
		_, second := p.issue(t, "www.example.com")
		require.True(t, p.reused, "without a lease nothing is cached: the engine itself is asked")
		require.Equal(t, first, second, "within the reuse window it is one purchase")
		p.paidOnce(t, "www.example.com")
		p.patch(t, "roles/app", map[string]any{"reuse_window": 0})
		_, second = p.issue(t, "www.example.com")
		require.NotEqual(t, first, second, "without a lease the proxy keeps nothing")
		p.paidEach(t, "www.example.com", []string{strings.ReplaceAll(first, ":", ""), strings.ReplaceAll(second, ":", "")}, 2)

		p.patch(t, "roles/app", map[string]any{"generate_lease": true, "reuse_window": "5m"})
		_, first = p.issue(t, "leased.example.com")
		for range 3 {
			_, again := p.issue(t, "leased.example.com")
			require.Equal(t, first, again)
			require.False(t, p.reused, "with a lease the answer is cached: it is the first one, word for word")
		}
		p.paidOnce(t, "leased.example.com")

		p.patch(t, "roles/app", map[string]any{"ttl": "2s", "max_ttl": "5s"})
		_, first = p.issue(t, "short.example.com")
		begun := time.Now()
		waitUntil(t, 30*time.Second, "the lease has ended, and the next request reaches the engine", func() bool {
			status, again := p.issue(t, "short.example.com")
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, first, again, "it has the same certificate under another lease")
			return p.reused
		})
		require.Greater(t, time.Since(begun), 2500*time.Millisecond, "the proxy has not renewed the lease")
		p.paidOnce(t, "short.example.com")
		waitUntil(t, 20*time.Second, "the certificate is revoked when nobody asks any more and the last lease has ended", func() bool {
			return p.ca.ordersFor("short.example.com")[0].Status == "revoked"
		})
		status, again := p.issue(t, "short.example.com")
		require.Equal(t, http.StatusOK, status)
		require.NotEqual(t, first, again, "it is revoked")
		require.False(t, p.reused)
		require.Len(t, p.ca.ordersFor("short.example.com"), 2)
	})
	t.Run("a CA that takes longer than the request", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, v, "proxy-slow", "1s")
		p.slow()
		status, said := p.issue(t, "www.example.com")
		require.Equal(t, http.StatusBadRequest, status)
		require.Contains(t, said, "is not finished")
		p.process.stop()
		p.start(t) // it logs in anew
		waitUntil(t, 30*time.Second, "the application has its certificate", func() bool {
			status, _ = p.issue(t, "www.example.com")
			return status == http.StatusOK
		})
		p.paidOnce(t, "www.example.com")
	})
	t.Run("a CA that refuses", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, v, "proxy-failing", "1s")
		mend := p.refuse()
		for range 2 {
			status, said := p.issue(t, "www.example.com")
			require.Equal(t, http.StatusBadRequest, status)
			require.Contains(t, said, "EMS-915")
		}
		require.Equal(t, 2, p.ca.Calls()[certinexttest.OpCreateSSL], "the proxy asked on its own")
		require.Empty(t, p.ca.Orders())
		p.nothingIsOpen(t, "app")
		mend()
		status, _ := p.issue(t, "www.example.com")
		require.Equal(t, http.StatusOK, status)
		p.paidOnce(t, "www.example.com")
	})
}
