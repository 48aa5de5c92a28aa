// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package certinexttest_test

import (
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
)

// raw sends bytes over a connection of their own, and returns the status line and the rest.
func raw(t *testing.T, address, request string) (status, rest string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	line, rest, _ := strings.Cut(string(answer), "\r\n")
	require.GreaterOrEqual(t, len(line), 12, "%q", answer)
	return line[9:12], rest
}

// hosted is a server on a port, with a name and an address of others beside its own.
func hosted(t *testing.T) (address, port string) {
	t.Helper()
	srv := &certinexttest.Server{
		AdminHosts: []string{"sandbox.internal", "192.0.2.7", "2001:db8::7"}, BaseURL: "http://198.51.100.9:1",
	}
	srv.PublishTLSRoot([]byte("a root"))
	ts := httptest.NewServer(srv)
	t.Cleanup(ts.Close)
	address = strings.TrimPrefix(ts.URL, "http://")
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return address, port
}

// TestWhoseHostTheAdministrationIs: a page of another site can give its name this machine's address,
// and then sends that name as the host. No header that a browser would not write is given the
// benefit of the doubt.
func TestWhoseHostTheAdministrationIs(t *testing.T) {
	address, port := hosted(t)
	for _, path := range []string{"/_sandbox/health", "/_sandbox/tls-root.pem", "/_sandbox/roots.pem", "/%5fsandbox/health"} {
		for host, want := range map[string]string{
			address: "200", "localhost": "200", "LOCALHOST:" + port: "200", "localhost.": "200", "localhost:": "200",
			"127.9.9.9": "200", "[::1]": "200", "[::1]:" + port: "200", "[::ffff:127.0.0.1]": "200",
			"sandbox.internal": "200", "Sandbox.Internal.:80": "200", "192.0.2.7:80": "200", "[2001:DB8:0::7]": "200",
			"198.51.100.9": "200",

			"": "403", "[]": "403", "[]:" + port: "403", ":" + port: "403", ":": "403", ".": "403", "[.]": "403",
			"evil.example": "403", "localhost.evil.example": "403", "evil.example.": "403", "localhost..": "403",
			"[localhost]": "403", "[127.0.0.1]": "403", "127.0.0.1]": "403", "[::1": "403", "[::1]x": "403", "[::1]:x": "403",
			"::1": "403", "[::1%25lo]": "403", "localhost:x": "403", "localhost:99999": "403", "localhost:80:80": "403",
			"user@localhost": "400", "192.0.2.8": "403", "0.0.0.0": "403", "2130706433": "403", "127.1": "403",
			"*": "403", "localhost,evil.example": "403",
		} {
			status, rest := raw(t, address, "GET "+path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
			require.Equal(t, want, status, "%s: %q", path, host)
			if want == "403" {
				require.Contains(t, rest, "administration refused: the host", host)
			}
		}
		for request, want := range map[string]string{
			"GET " + path + " HTTP/1.0\r\n\r\n":                                                                        "200",
			"GET " + path + " HTTP/1.0\r\nHost: evil.example\r\n\r\n":                                                  "403",
			"GET " + path + " HTTP/1.0\r\nOrigin: http://evil.example\r\n\r\n":                                         "403",
			"GET " + path + " HTTP/1.0\r\nOrigin: null\r\n\r\n":                                                        "403",
			"GET " + path + " HTTP/1.1\r\nConnection: close\r\n\r\n":                                                   "400",
			"GET " + path + " HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n":                                  "400",
			"GET http://evil.example" + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n":             "403",
			"GET http://localhost" + path + " HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n":             "200",
			"GET " + path + " HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\nConnection: close\r\n\r\n": "403",
		} {
			status, _ := raw(t, address, request)
			require.Equal(t, want, status, request)
		}
	}
}

// TestWhoseOriginTheAdministrationTakes: a browser says whose page has sent a request.
func TestWhoseOriginTheAdministrationTakes(t *testing.T) {
	address, port := hosted(t)
	for headers, want := range map[string]string{
		"":                                  "204",
		"Origin: http://localhost:" + port:  "204",
		"Origin: https://localhost:" + port: "204",
		"Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost:" + port: "204",
		"Sec-Fetch-Site: none":                                                 "204",
		"Origin: null":                                                         "403",
		"Origin:":                                                              "403",
		"Origin: http://localhost":                                             "403",
		"Origin: http://localhost:" + port + "/":                               "403",
		"Origin: http://localhost:" + port + "/path":                           "403",
		"Origin: http://localhost:" + port + "?q":                              "403",
		"Origin: http://localhost:" + port + "#f":                              "403",
		"Origin: http://evil@localhost:" + port:                                "403",
		"Origin: file://localhost:" + port:                                     "403",
		"Origin: //localhost:" + port:                                          "403",
		"Origin: localhost:" + port:                                            "403",
		"Origin: http://localhost:" + port + " http://evil.example":            "403",
		"Origin: http://localhost:" + port + "\r\nOrigin: http://evil.example": "403",
		"Origin: http://evil.example\r\nOrigin: http://localhost:" + port:      "403",
		"Origin: http://127.0.0.1:" + port:                                     "403",
		"Sec-Fetch-Site: cross-site":                                           "403",
		"Sec-Fetch-Site: same-site":                                            "403",
		"Sec-Fetch-Site:":                                                      "403",
		"Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site":                   "403",
	} {
		if headers != "" {
			headers += "\r\n"
		}
		request := fmt.Sprintf("POST /_sandbox/tokens/kill HTTP/1.1\r\nHost: localhost:%s\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", port, headers)
		status, rest := raw(t, address, request)
		require.Equal(t, want, status, "%s: %s", headers, rest)
	}
}

// TestWhatIsPublicHasNoHost: revocation status, the certificates of CAs and the API are answered under
// any name. The API asks for credentials, and the rest is for everybody.
func TestWhatIsPublicHasNoHost(t *testing.T) {
	address, _ := hosted(t)
	for path, want := range map[string]string{
		"/crl/public.crl": "200", "/ca/public.cer": "200", "/ocsp/x": "200", "/api/certinext/v2/groups": "401",
	} {
		status, _ := raw(t, address, "GET "+path+" HTTP/1.1\r\nHost: evil.example\r\nOrigin: null\r\nConnection: close\r\n\r\n")
		require.Equal(t, want, status, path)
	}
}

// TestTheRootOfATLSListenerIsShown: a server without one says so.
func TestTheRootOfATLSListenerIsShown(t *testing.T) {
	allDialects(t, func(t *testing.T, d certinexttest.Dialect) {
		srv := &certinexttest.Server{Dialect: d}
		r := &rig{t: t, srv: srv, http: srv.Client(), base: host}
		a := r.get("/_sandbox/tls-root.pem")
		require.Equal(t, 404, a.status)
		require.Contains(t, string(a.body), "-tls-listen")
		srv.PublishTLSRoot([]byte("a root"))
		require.Equal(t, "a root", string(r.get("/_sandbox/tls-root.pem").body))
	})
}
