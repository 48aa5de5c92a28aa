// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ocsp"
)

var listening = regexp.MustCompile(`listening on (http://\S+)`)

// startSandbox starts the simulator as the program that people start, and returns its address.
func startSandbox(t *testing.T, dir string, flags ...string) string {
	t.Helper()
	log := filepath.Join(dir, "sandbox.log")
	p := spawn(t, log, programs.sandbox, append([]string{"-listen=127.0.0.1:0"}, flags...)...)
	var address string
	waitUntil(t, 10*time.Second, "the sandbox listens", func() bool {
		require.False(t, p.ended(), "the sandbox ended")
		if m := listening.FindStringSubmatch(p.output(t)); m != nil {
			address = m[1]
		}
		return address != ""
	})
	return address
}

func TestTheSandboxProgramStandsInForTheCA(t *testing.T) {
	t.Parallel()
	v := startVault(t)
	sandbox := startSandbox(t, v.dir, "-verified-domains=example.com")
	v.keep("the client secret", certinexttest.DefaultClientSecret)
	v.write("certinext/config", account(sandbox, certinexttest.Live))
	v.role("web", nil)
	check := v.read("certinext/config/check")
	require.Equal(t, true, check["ok"], "%v", check["problems"])
	require.Equal(t, certinexttest.DefaultAccountNumber, check["account_number"])

	resp := v.write("certinext/issue/web", map[string]any{"common_name": "www.example.com"})
	roots := fetch(t, sandbox+"/_sandbox/roots.pem")
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(roots))
	leaf := checkChain(t, resp, pool)
	requireKeyOf(t, leaf, parseKey(t, text(t, resp.Data["private_key"])))
	issuer := text(t, resp.Data["issuing_ca"])
	require.Equal(t, ocsp.Good, ocspStatus(t, leaf, issuer))

	dir := t.TempDir()
	for name, content := range map[string]string{
		"leaf.pem": text(t, resp.Data["certificate"]), "issuer.pem": issuer, "roots.pem": string(roots),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content+"\n"), 0o600))
	}
	requireOpenSSL(t, dir, leaf.OCSPServer[0], "leaf.pem: good")
	v.endLease(resp)
	require.Equal(t, ocsp.Revoked, ocspStatus(t, leaf, issuer))
	requireOpenSSL(t, dir, leaf.OCSPServer[0], "leaf.pem: revoked")

	var orders []certinexttest.OrderRecord
	require.NoError(t, json.Unmarshal(fetch(t, sandbox+"/_sandbox/orders"), &orders))
	require.Len(t, orders, 1)
	require.Equal(t, "revoked", orders[0].Status)
	require.Equal(t, orders[0].ID, resp.Data["ca_order_id"])
}

func fetch(t *testing.T, url string) []byte {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return body
}

// requireOpenSSL asks the responder as an operator would, where openssl is at hand.
func requireOpenSSL(t *testing.T, dir, responder, want string) {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Log("no openssl here: its view of the responder is not asked for")
		return
	}
	cmd := exec.Command(openssl, "ocsp", "-issuer", "issuer.pem", "-cert", "leaf.pem", "-CAfile", "roots.pem", "-url", responder, "-no_nonce")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "Response verify OK")
	require.Contains(t, string(out), want)
}
