// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package main_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sandbox.json")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestAConfigurationFileSaysWhatFlagsCannot(t *testing.T) {
	path := configFile(t, `{
		"$schema": "./sandbox.schema.json",
		"foreignOrders": 3,
		"server": {
			"dialect": "documented", "issueDelay": "1h", "pemLag": "1h",
			"groups": [{"number": "77", "name": "Seven", "default": true}]
		}
	}`)
	p := start(t, "-config", path, "-pem-lag", "2s")
	require.Contains(t, p.banner, "dialect:     documented")
	_, knobs := p.call("GET", "/_sandbox/knobs", "", nil)
	require.Equal(t, "1h0m0s", knobs["issueDelay"])
	require.Equal(t, "2s", knobs["pemLag"], "a flag goes before the file")
	resp, err := http.Get(p.url + "/_sandbox/orders")
	require.NoError(t, err)
	defer resp.Body.Close()
	var orders []any
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&orders))
	require.Len(t, orders, 3)
}

// A sandbox that does not do what its file says is worse than none.
func TestAWrongConfigurationFileNeverStarts(t *testing.T) {
	for text, want := range map[string]string{
		`{"server":{"issueDelai":"1h"}}`:           `server: issueDelai "1h": is no setting; did you mean issueDelay?`,
		`{"server":{"pemLag":"-1h"}}`:              "server: pemLag -1h0m0s: must not be negative",
		`{"listen":5}`:                             "listen must be a text",
		`{"issueDelay":"1h"}`:                      "issueDelay is no member: there may be",
		`{}{}`:                                     "has something that follows the value",
		`listen: 127.0.0.1`:                        "invalid character",
		`{"foreignOrders":-1}`:                     "-foreign-orders -1: must not be negative",
		`{"listen":"0.0.0.0:0"}`:                   "-allow-remote",
		`{"listen":"x","listen":"y"}`:              "listen is there twice",
		`{"Listen":"127.0.0.1:0"}`:                 "Listen is no member: did you mean listen?",
		`{"listen":null}`:                          "listen must be a text, not null",
		`{"foreignOrders":null}`:                   "foreignOrders must be a whole number, not null",
		`{"$schema":null}`:                         "$schema must be a text, not null",
		`{"server":null}`:                          "server must be a value, not null",
		`{"server":{},"server":{}}`:                "server is there twice",
		"{\n\"server\": {},\n\"SERVER\": {}}":      "line 3: SERVER is no member: did you mean server?",
		`null`:                                     "must be an object, not null",
		`{"server":{"PEMLag":"1h"}}`:               "server: PEMLag \"1h\": is no setting; did you mean pemLag?",
		`{"server":{"pemLag":null}}`:               "server: pemLag null: must be a duration",
		`{"server":{"pemLag":"1s","pemLag":"2s"}}`: "server: pemLag \"2s\": is there twice",
		`{"server":{"catalog":[{"kode":1}]}}`:      "[0].kode is no member: did you mean code?",
		`{"server":{"groups":[{"Default":true}]}}`: "[0].Default is no member: did you mean default?",
	} {
		out, err := exec.Command(binary, "-config", configFile(t, text)).CombinedOutput()
		require.Error(t, err, text)
		require.Contains(t, string(out), want, text)
	}
}

// The schema in docs is the program's own; make docs writes it.
func TestTheSchemaInDocsIsUpToDate(t *testing.T) {
	out, err := exec.Command(binary, "-config-schema").Output()
	require.NoError(t, err)
	kept, err := os.ReadFile("../../docs/sandbox.schema.json")
	require.NoError(t, err)
	require.Equal(t, string(kept), string(out), "make docs writes it anew")
}

func TestTLS(t *testing.T) {
	file := filepath.Join(t.TempDir(), "root.pem")
	p := start(t, "-tls-listen", "127.0.0.1:0", "-tls-root-file", file, "-admin-hosts", "sandbox.internal")
	secure := regexp.MustCompile(`with TLS on (https://\S+)`).FindStringSubmatch(p.banner)[1]
	root, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, p.banner, string(root), "it is printed")
	require.Contains(t, p.banner, "TLS root:    "+p.url+"/_sandbox/tls-root.pem")
	resp, err := http.Get(p.url + "/_sandbox/tls-root.pem")
	require.NoError(t, err)
	served, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, string(root), string(served))

	trusted := x509.NewCertPool()
	require.True(t, trusted.AppendCertsFromPEM(root))
	for _, name := range []string{"", "localhost", "sandbox.internal"} {
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: trusted, ServerName: name, MinVersion: tls.VersionTLS13},
		}}
		resp, err = client.Get(secure + "/_sandbox/health")
		require.NoError(t, err, name)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	_, err = http.Get(secure + "/_sandbox/health")
	require.ErrorContains(t, err, "unknown authority")
}
