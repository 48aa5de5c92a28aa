// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// binary is the command, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "certinext-sandbox")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "certinext-sandbox")
	if out, err := exec.Command("go", "build", "-ldflags", "-X main.version=v9.8.7", "-o", binary, ".").CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// A process is a running sandbox.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	banner string
}

// start runs the binary and waits for the line that says where it listens.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"-listen", "127.0.0.1:0"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &process{t: t, cmd: cmd}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for lines := bufio.NewScanner(out); lines.Scan(); {
		p.banner += lines.Text() + "\n"
		if url, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			p.url = url
			return p
		}
	}
	t.Fatalf("the sandbox ended before it listened:\n%s", p.banner)
	return nil
}

// call sends a request and decodes what comes back, if it is JSON.
func (p *process) call(method, path, token string, body any) (int, map[string]any) {
	p.t.Helper()
	var reader io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		require.NoError(p.t, err)
		reader = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, reader)
	require.NoError(p.t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	var v map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&v)
	return resp.StatusCode, v
}

func TestBannerSaysWhatItIs(t *testing.T) {
	p := start(t, "-client-secret", "hunter2-hunter2", "-access-key", "hunter3-hunter3")
	require.Contains(t, p.banner, "NOT A REAL CA")
	require.Contains(t, p.banner, "dialect:     live")
	require.Contains(t, p.banner, "-client-secret")
	require.Contains(t, p.banner,
		"version 1: account number (-account-number) and access key (-access-key)")
	require.Contains(t, p.banner, p.url+"/_sandbox/roots.pem")
	require.NotContains(t, p.banner, "hunter", "credentials are named, not shown")
	require.Regexp(t, `^http://127\.0\.0\.1:[1-9][0-9]*$`, p.url)
	resp, err := http.Get(p.url + "/_sandbox/roots.pem")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
}

func TestStopsCleanlyOnASignal(t *testing.T) {
	for name, signal := range map[string]os.Signal{
		"SIGTERM": syscall.SIGTERM,
		"SIGINT":  os.Interrupt,
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			require.NoError(t, p.cmd.Process.Signal(signal))
			done := make(chan error, 1)
			go func() { done <- p.cmd.Wait() }()
			select {
			case err := <-done:
				require.NoError(t, err)
			case <-time.After(10 * time.Second):
				t.Fatal("still running")
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"an address off loopback":     {[]string{"-listen", "0.0.0.0:0"}, "-allow-remote"},
		"an unknown dialect":          {[]string{"-dialect", "martian"}, "martian"},
		"an unknown chain order":      {[]string{"-chain-order", "backwards"}, "backwards"},
		"an unknown mistake":          {[]string{"-misissue", "smudged"}, "smudged"},
		"an argument without a flag":  {[]string{"documented"}, "unexpected argument"},
		"an address that is none":     {[]string{"-listen", "nowhere"}, "nowhere"},
		"a life that is over":         {[]string{"-certificate-lifetime", "-1h"}, "-certificate-lifetime -1h0m0s: must be"},
		"a life that is forbidden":    {[]string{"-certificate-lifetime", "4801h"}, "200 days"},
		"a base URL that is none":     {[]string{"-base-url", "notaurl"}, "-base-url notaurl: must be http:// or https://"},
		"a base URL of a file":        {[]string{"-base-url", "file:///etc"}, "-base-url file:///etc: must be"},
		"a resolver without a port":   {[]string{"-resolver", "127.0.0.1"}, "-resolver 127.0.0.1: must be host:port"},
		"a port that is none":         {[]string{"-http-port", "70000"}, "-http-port 70000: must be a port"},
		"a delay into the past":       {[]string{"-issue-delay", "-5s"}, "-issue-delay -5s: must not be negative"},
		"more orders than memory":     {[]string{"-foreign-orders", "99999999999"}, "-foreign-orders 99999999999: must be at most 1000000"},
		"a wildcard for a domain":     {[]string{"-verified-domains", "*.example.org"}, `"*.example.org" must be a domain in small letters`},
		"a URL for a domain":          {[]string{"-caa-forbids", "https://example.net/x"}, "must be a domain"},
		"pending spaces":              {[]string{"-pending-domains", "exa mple.com"}, "-pending-domains"},
		"a challenge of no domain":    {[]string{"-challenge-hosts", "_x.example.com"}, "must be a name with {domain}"},
		"a suffix with a path":        {[]string{"-order-suffix", "/../"}, "-order-suffix /../: must be letters and digits"},
		"tokens that die on the way":  {[]string{"-token-ttl", "1ns"}, "must be at least 1s"},
		"a base URL with spaces":      {[]string{"-base-url", "http://local host/"}, "-base-url"},
		"a base URL without a port":   {[]string{"-base-url", "http://localhost:99999"}, "-base-url"},
		"a base URL that is no ASCII": {[]string{"-base-url", "http://l\u00f6cal/"}, "-base-url"},
		"less than no orders":         {[]string{"-foreign-orders", "-5"}, "-foreign-orders -5: must not be negative"},
		"less than no calls":          {[]string{"-rate-limit", "NaN"}, "-rate-limit NaN: must not be negative"},
		"tokens that never live":      {[]string{"-token-ttl", "0s"}, `value "0s" for flag -token-ttl: must be more than 0`},
		"an empty secret":             {[]string{"-client-secret", ""}, `value "" for flag -client-secret: must not be empty`},
		"a file that there is not":    {[]string{"-config", "/nowhere.json"}, "-config: open /nowhere.json"},
		"a root without a listener":   {[]string{"-tls-root-file", "root.pem"}, "there is no root without -tls-listen"},
		"TLS for everybody":           {[]string{"-tls-listen", "0.0.0.0:0"}, "-allow-remote"},
		"two mistakes at once":        {[]string{"-http-port", "70000", "-base-url", "x"}, "-http-port 70000: must be a port, from 1 to 65535\n-base-url x: must be"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := exec.Command(binary, c.args...).CombinedOutput()
			require.Error(t, err)
			require.Contains(t, string(out), c.want)
			require.Less(t, bytes.Count(out, []byte("\n")), 5, "the reason is not buried in help")
		})
	}
}

func TestVersion(t *testing.T) {
	out, err := exec.Command(binary, "-version").CombinedOutput()
	require.NoError(t, err)
	require.Regexp(t, "^certinext-sandbox v9.8.7\n$", string(out))
}

// A web page that is open in the browser of whoever runs the sandbox can send requests to loopback.
func TestWebPagesCannotSteerTheSandbox(t *testing.T) {
	p := start(t, "-admin-hosts", "sandbox.internal")
	ask := func(host string, headers map[string]string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/_sandbox/tokens/kill", nil)
		require.NoError(t, err)
		if host != "" {
			req.Host = host
		}
		for name, value := range headers {
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	own := strings.TrimPrefix(p.url, "http://")
	for _, host := range []string{"", "localhost", "localhost:8093", "127.0.0.1", "[::1]:80", "127.1.2.3", "sandbox.internal:8093", "SANDBOX.internal"} {
		require.Equal(t, http.StatusNoContent, ask(host, nil), host)
	}
	for _, host := range []string{"evil.example", "evil.example:8093", "127.0.0.1.evil.example", "10.0.0.1", "localhost.evil.example", "[fe80::1]"} {
		require.Equal(t, http.StatusForbidden, ask(host, nil), host)
	}
	conn, err := net.Dial("tcp", own)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /_sandbox/health HTTP/1.0\r\n\r\n")
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Contains(t, string(answer), "200 OK", "a script without a tool names no host")
	for _, headers := range []map[string]string{
		{"Origin": "https://evil.example"},
		{"Origin": "null"},
		{"Sec-Fetch-Site": "cross-site"},
		{"Sec-Fetch-Site": "same-site"},
		{"Origin": "http://localhost:1"},
		{"Origin": "http://" + own, "Sec-Fetch-Site": "cross-site"},
	} {
		require.Equal(t, http.StatusForbidden, ask("", headers), headers)
	}
	require.Equal(t, http.StatusNoContent, ask("", map[string]string{"Origin": "http://" + own, "Sec-Fetch-Site": "same-origin"}))
}

// Whoever writes a client sees what it has asked for, and why that was refused.
func TestTheJournalSaysWhyARequestWasRefused(t *testing.T) {
	p := start(t)
	for range 3 {
		p.call("GET", "/api/certinext/v2/ssl-certificates/1", "forged-token", nil)
	}
	p.call("POST", "/oauth/token", "", map[string]any{"client_secret": "hunter2"})
	p.call("GET", "/nowhere?key=hunter2", "hunter2", nil)
	p.call("POST", "/_sandbox/faults", "", map[string]any{"operation": "track", "kind": "lost-reply", "times": 1})
	resp, err := http.Get(p.url + "/_sandbox/requests")
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NotContains(t, string(text), "hunter2")
	require.NotContains(t, string(text), "forged-token")
	var requests []map[string]any
	require.NoError(t, json.Unmarshal(text, &requests))
	require.Len(t, requests, 5, "the sandbox's own paths are none of the API's")
	require.Equal(t, "track", requests[0]["operation"])
	require.EqualValues(t, 401, requests[0]["status"])
	require.Contains(t, requests[0]["refusal"], "Missing or invalid bearer token")
	require.EqualValues(t, 404, requests[4]["status"])
	require.NotContains(t, requests[4], "operation")
	status, _ := p.call("DELETE", "/_sandbox/requests", "", nil)
	require.Equal(t, http.StatusNoContent, status)
}

func TestHealthAndOperations(t *testing.T) {
	p := start(t, "-dialect", "v1")
	status, health := p.call("GET", "/_sandbox/health", "", nil)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "ok", health["status"])
	require.Equal(t, "v1", health["dialect"])
	require.Contains(t, health["what"], "NOT A REAL CA")
	resp, err := http.Get(p.url + "/_sandbox/operations")
	require.NoError(t, err)
	defer resp.Body.Close()
	var operations []string
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&operations))
	for _, operation := range operations {
		status, _ := p.call("POST", "/_sandbox/faults", "", map[string]any{"operation": operation, "kind": "lost-reply", "times": 1})
		require.Equal(t, http.StatusNoContent, status, operation)
	}
	require.Greater(t, len(operations), 25)
}

func TestHelpDocumentsFlagsAndPaths(t *testing.T) {
	out, err := exec.Command(binary, "-help").CombinedOutput()
	require.NoError(t, err)
	for _, want := range []string{
		"-listen", "-dialect", "-account-number", "-access-key", "-client-id", "-client-secret",
		"-verified-domains", "-resolver", "-http-port", "-issue-delay", "-pem-lag",
		"-certificate-lifetime", "-approval-delay", "-allow-remote",
		"/_sandbox/faults", "/_sandbox/orders/{id}/approve", "/_sandbox/knobs", "curl -X POST",
		"lost-reply", "NOT A REAL CA", "-misissue", "leaf-issuer", `{"misissue":"extra-name"}`,
	} {
		require.Contains(t, string(out), want)
	}
}

func TestFlagsReachTheServer(t *testing.T) {
	p := start(t, "-issue-delay", "1h", "-pem-lag", "2s", "-chain-order", "root-first",
		"-dcv-shape", "doc2", "-hold-for-approval", "-misissue", "broken-chain",
		"-dcv-slot-delay", "3s", "-dcv-challenge-delay", "4s", "-dcv-result-delay", "5s",
		"-create-burst", "16")
	_, knobs := p.call("GET", "/_sandbox/knobs", "", nil)
	require.Equal(t, "1h0m0s", knobs["issueDelay"])
	require.Equal(t, "2s", knobs["pemLag"])
	require.Equal(t, "root-first", knobs["chainOrder"])
	require.Equal(t, "doc2", knobs["dcvShape"])
	require.Equal(t, true, knobs["holdForApproval"])
	require.Equal(t, "broken-chain", knobs["misissue"])
	require.Equal(t, "3s", knobs["dcvSlotDelay"])
	require.Equal(t, "4s", knobs["dcvChallengeDelay"])
	require.Equal(t, "5s", knobs["dcvResultDelay"])
	require.InDelta(t, 16, knobs["createBurst"], 0)
}
