// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package dcv_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/dcv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A host that takes a call and never answers holds a caller no longer than the caller waits, and
// nothing of the call is left: no goroutine, and after the connections are closed no connection.
func TestAHostThatHangsHoldsNobody(t *testing.T) {
	hang := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server sees that a client has gone when it has read all
		<-r.Context().Done()
	})
	for _, place := range []string{"at once", "after the token", "after the zone"} {
		for kind, values := range complete(t) {
			t.Run(kind+" "+place, func(t *testing.T) {
				hangsFrom(t, place, hang)
				if kind == "rfc2136" {
					values = changed(values, map[string]string{"server": silentServer(t)})
				}
				client := dcv.NewHTTPClient()
				p, err := dcv.Open(kind, dcv.Settings{Values: values, HTTPClient: client})
				require.NoError(t, err)
				leavesNothing(t, client, func() {
					var callers sync.WaitGroup
					for range 16 {
						callers.Go(func() {
							ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
							defer cancel()
							assert.Error(t, p.Publish(ctx, ours, time.Minute))
							assert.Error(t, p.Remove(ctx, ours))
						})
					}
					served := make(chan struct{})
					go func() {
						callers.Wait()
						close(served)
					}()
					select {
					case <-served:
					case <-time.After(5 * time.Second):
						t.Error("callers are held whose time is over")
					}
				})
			})
		}
	}
}

// hangsFrom puts hosts in place that answer the calls before a place, and none from there on.
func hangsFrom(t *testing.T, place string, hang http.Handler) {
	t.Helper()
	before := func(ready bool, then http.Handler, calls ...string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, call := range calls {
				if ready && strings.HasPrefix(r.Method+" "+r.URL.Path, call) {
					then.ServeHTTP(w, r)
					return
				}
			}
			hang.ServeHTTP(w, r)
		})
	}
	token, zone := place != "at once", place == "after the zone"
	google := &googleAPI{t: t, sets: map[string]googleSet{}, zones: []googleZone{{"example-zone", "example.test.", "public"}}}
	azure := &azureAPI{t: t, sets: map[string]azureSet{}}
	for host, handler := range map[string]http.Handler{
		"api.cloudflare.com":        before(zone, &cloudflareAPI{t: t, token: "t"}, "GET /client/v4/zones"),
		"route53.amazonaws.com":     hang,
		"dns.googleapis.com":        before(zone, google, "GET /dns/v1/projects/p1/managedZones"),
		"oauth2.googleapis.com":     before(token, http.HandlerFunc(google.issueToken), "POST /token"),
		"management.azure.com":      hang,
		"login.microsoftonline.com": before(token, http.HandlerFunc(azure.login), "GET ", "POST "),
	} {
		standIn(t, host, handler)
	}
}

// silentServer takes connections, reads, and says nothing.
func silentServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				for buf := make([]byte, 512); ; {
					if _, err := conn.Read(buf); err != nil {
						return
					}
				}
			}()
		}
	}()
	return listener.Addr().String()
}

// leavesNothing compares the goroutines before and after; a connection that is kept has two.
func leavesNothing(t *testing.T, client *http.Client, do func()) {
	t.Helper()
	before := runtime.NumGoroutine()
	do()
	client.CloseIdleConnections()
	if !assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, // Eventually's own
		5*time.Second, 10*time.Millisecond) {
		var left strings.Builder
		_ = pprof.Lookup("goroutine").WriteTo(&left, 1)
		t.Log(left.String())
	}
}

func TestConnectionsAreClosedWithTheClient(t *testing.T) {
	for name, c := range map[string]struct {
		kind   string
		values map[string]string
	}{
		"cloudflare":     {"cloudflare", map[string]string{"api_token": "token-of-the-api"}},
		"route53":        {"route53", awsKey},
		"azure":          {"azure", azureApplication},
		"googleclouddns": {"googleclouddns", complete(t)["googleclouddns"]},
	} {
		t.Run(name, func(t *testing.T) {
			cloudflareAt(t)
			route53At(t)
			azureAt(t)
			googleAt(t)
			client := dcv.NewHTTPClient()
			leavesNothing(t, client, func() {
				p, err := dcv.Open(c.kind, dcv.Settings{Values: c.values, HTTPClient: client})
				require.NoError(t, err)
				require.NoError(t, p.Publish(t.Context(), ours, time.Minute))
				require.NoError(t, p.Remove(t.Context(), ours))
			})
		})
	}
}
