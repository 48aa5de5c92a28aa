// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package stories

import (
	"context"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A socketCA serves the simulator on real connections, and counts those that are open.
type socketCA struct {
	*httptest.Server
	mu    sync.Mutex
	open  map[net.Conn]bool
	hangs chan struct{} // gets one for each status call that is left without an answer; nil for none
}

func newSocketCA(t *testing.T, ca *certinexttest.Server) *socketCA {
	t.Helper()
	s := &socketCA{open: map[net.Conn]bool{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if hangs := s.hanging(); hangs != nil && r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/ssl-certificates/") {
			hangs <- struct{}{}
			<-r.Context().Done()
			return
		}
		ca.ServeHTTP(w, r)
	}))
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[c] = state != http.StateClosed; !s.open[c] {
			delete(s.open, c)
		}
	}
	return s
}

func (s *socketCA) hanging() chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hangs
}

func (s *socketCA) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// settles waits until a count has come down to what it has to be.
func settles(t *testing.T, what string, limit int, count func() int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if count() <= limit {
			return
		}
	}
	var left strings.Builder
	_ = pprof.Lookup("goroutine").WriteTo(&left, 1)
	assert.Fail(t, "left open", "%s: %d, want at most %d\n%s", what, count(), limit, left.String())
}

// A mount that Vault unloads, disables or reloads leaves neither connections nor goroutines in the process, which other mounts may share.
func TestAClosedMountLeavesNothingOpen(t *testing.T) {
	for name, c := range map[string]struct {
		tls bool
		use func(t *testing.T, m *mount, s *socketCA, config map[string]any)
	}{
		"after an order": {use: func(_ *testing.T, m *mount, _ *socketCA, _ map[string]any) {
			m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		}},
		"with a CA certificate of its own": {tls: true, use: func(_ *testing.T, m *mount, _ *socketCA, _ map[string]any) {
			m.write("issue/web", map[string]any{"common_name": "www.example.com"})
		}},
		"after many callers at once": {use: func(_ *testing.T, m *mount, _ *socketCA, _ map[string]any) {
			var callers sync.WaitGroup
			for range 8 {
				callers.Go(func() { m.read("catalog/products"); m.read("groups"); m.read("config/check") })
			}
			callers.Wait()
		}},
		"after the config has changed": {use: func(t *testing.T, m *mount, s *socketCA, config map[string]any) {
			m.read("config/check")
			before := s.connections()
			require.Positive(t, before)
			config["request_timeout"] = "50s"
			m.write("config", config)
			settles(t, "connections after the change", 1, s.connections)
			m.must(call{op: logical.DeleteOperation, path: "config"})
			settles(t, "connections without a config", 0, s.connections)
		}},
		"while CERTInext hangs": {use: func(t *testing.T, m *mount, s *socketCA, _ map[string]any) {
			hangs := make(chan struct{}, 100)
			s.mu.Lock()
			s.hangs = hangs
			s.mu.Unlock()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				_, _ = m.send(call{op: logical.UpdateOperation, path: "issue/web", data: map[string]any{"common_name": "www.example.com"}, ctx: ctx})
			}()
			<-hangs
			m.backend.Cleanup(t.Context())
			cancel()
			<-answered
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ca := &certinexttest.Server{VerifiedDomains: []string{"example.com"}}
			s := newSocketCA(t, ca)
			if c.tls {
				s.StartTLS()
			} else {
				s.Start()
			}
			defer s.Close()
			time.Sleep(10 * time.Millisecond) // the server has begun to listen
			before := runtime.NumGoroutine()
			m := bareMount(t, ca)
			m.startWith(nil)
			config := m.account()
			config["base_url"] = s.URL
			if c.tls {
				config["ca_certificate"] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
			}
			m.write("config", config)
			m.write("roles/web", map[string]any{
				"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true,
			})
			c.use(t, m, s, config)
			m.backend.Cleanup(t.Context())
			settles(t, "connections", 0, s.connections)
			settles(t, "goroutines", before, runtime.NumGoroutine)
		})
	}
}
