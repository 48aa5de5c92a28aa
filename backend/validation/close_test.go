// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package validation

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/backend/internal/host"
	"github.com/stretchr/testify/require"
)

// The solvers of a mount share connections, and a closed mount leaves none of them open.
func TestCloseClosesTheConnectionsToDNSHosts(t *testing.T) {
	closed := make(chan net.Conn, 1)
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- c
		}
	}
	server.Start()
	defer server.Close()
	pub := New(host.New(host.Options{}), nil)
	defer pub.Stop()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	resp, err := pub.client.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	pub.Close()
	select {
	case <-closed:
	case <-time.After(5 * time.Second):
		require.Fail(t, "the connection is still open")
	}
}
