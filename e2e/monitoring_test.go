// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// A monitor is Prometheus, with the configuration and the rules of docs/monitoring.
type monitor struct{ address string }

// startMonitor starts Debian's Prometheus, which scrapes v with the token in a file.
func startMonitor(t *testing.T, v *server, token string) *monitor {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("no prometheus (Debian: apt-get install prometheus)")
	}
	config, err := os.ReadFile("../docs/monitoring/prometheus.yml")
	require.NoError(t, err)
	rules, err := os.ReadFile("../docs/monitoring/alerts.yml")
	require.NoError(t, err)
	dir := t.TempDir()
	at, err := url.Parse(v.address)
	require.NoError(t, err)
	text := string(config)
	for shown, instead := range map[string]string{
		"vault.example.com:8200": at.Host, "scheme: https": "scheme: " + at.Scheme,
		"/etc/prometheus/vault-token": token, "    tls_config:\n      ca_file: /etc/prometheus/vault-ca.pem\n": "",
	} {
		require.Contains(t, text, shown)
		text = strings.Replace(text, shown, instead, 1)
	}
	text = "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n" + text
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(text), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.yml"), rules, 0o600))

	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := &monitor{address: free.Addr().String()}
	require.NoError(t, free.Close())
	cmd := exec.CommandContext(t.Context(), program, "--config.file="+filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+m.address)
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if text, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s", text)
		}
	})
	return m
}

// get asks Prometheus' API, and returns what it answers as data.
func (m *monitor) get(t *testing.T, path string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+m.address+path, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return "" // it has not started yet
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

// value returns the value of a query that has one series; empty when it has none.
func (m *monitor) value(t *testing.T, query string) string {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct {
				Value []any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	body := m.get(t, "/api/v1/query?query="+url.QueryEscape(query))
	if json.Unmarshal([]byte(body), &answer) != nil || len(answer.Data.Result) != 1 {
		return ""
	}
	value, _ := answer.Data.Result[0].Value[1].(string)
	return value
}

// TestTheMonitoringPageDoesWhatItSays runs every command of docs/monitoring.md, and has Prometheus scrape the mount as the page
// says.
func TestTheMonitoringPageDoesWhatItSays(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	v := startVault(t)
	v.configure(ca)
	v.write("certinext/issue/web", map[string]any{"common_name": "www.example.com"})
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	page, err := os.ReadFile("../docs/monitoring.md")
	require.NoError(t, err)
	token := filepath.Join(v.dir, "vault-token")
	said := map[string]string{}
	for _, block := range fenced.FindAllStringSubmatch(string(page), -1) {
		require.Equal(t, "shell", block[1], "a block that nobody runs")
		if strings.HasPrefix(block[2], "promtool") && !has("promtool") {
			continue
		}
		commands := strings.NewReplacer("examples/", root+"/examples/", "docs/", root+"/docs/", "> vault-token", "> "+token).Replace(block[2])
		said[strings.Fields(block[2])[1]+" "+strings.Fields(block[2])[2]] = v.run(t, commands)
	}
	require.Contains(t, said["read -format=raw"], "\ncertinext_certificates 1\n")
	secret, err := os.ReadFile(token)
	require.NoError(t, err)
	v.keep("the token of Prometheus", strings.TrimSpace(string(secret)))

	m := startMonitor(t, v, token)
	require.Eventually(t, func() bool { return m.value(t, `up{job="certinext"}`) == "1" }, time.Minute, 500*time.Millisecond, "it is not scraped")
	require.Equal(t, "1", m.value(t, `certinext_configured{mount="certinext"}`))
	require.Equal(t, "1", m.value(t, `certinext_request_duration_seconds_count{operation="placing order"}`))
	rules := m.get(t, "/api/v1/rules")
	require.Contains(t, rules, "CertinextOrderInDoubt")
	require.NotContains(t, rules, `"health":"err"`)

	ca.Inject(certinexttest.Fault{Operation: certinexttest.OpCreateSSL, Kind: certinexttest.FaultLostReply, Times: 1})
	ca.Configure(func(s *certinexttest.Server) { s.ReportDelay = time.Hour })
	_, err = v.api.Logical().WriteWithContext(t.Context(), "certinext/issue/web", map[string]any{"common_name": "lost.example.com"})
	require.Error(t, err)
	require.Eventually(t, func() bool {
		return strings.Contains(m.get(t, "/api/v1/alerts"), "CertinextOrderInDoubt")
	}, time.Minute, 500*time.Millisecond, "nobody is alerted")
}

// has reports whether there is a command here.
func has(command string) bool {
	_, err := exec.LookPath(command)
	return err == nil
}
