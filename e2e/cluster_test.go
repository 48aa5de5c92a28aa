// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

// A cluster is three servers that keep one storage between them, and a load balancer. Its own caller knows the balancer's
// address only, as people's clients do, and so does not know which of the servers is the active one.
type cluster struct {
	*caller
	nodes []*server
	books *clusterBooks

	mu     sync.Mutex
	deaths []time.Time
}

// quickRaft makes a server that has joined a voter soon, since one that is none yet cannot take over, and loses no time
// before an election. With a multiplier of 1 a busy machine elects without need.
const quickRaft = `performance_multiplier       = 2
  autopilot_update_interval    = "200ms"
  autopilot_reconcile_interval = "200ms"`

// startCluster starts the servers, with the engine mounted at certinext/.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	onLinux(t)
	c := &cluster{books: newClusterBooks()}
	for i := range 3 {
		c.nodes = append(c.nodes, newServer(t, fmt.Sprintf("node%d", i+1), quickRaft))
	}
	first := c.nodes[0]
	t.Cleanup(func() { c.checkSecrets(t) })
	first.initialize()
	first.awaken()
	first.write("sys/storage/raft/autopilot/configuration", map[string]any{"server_stabilization_time": "1s"})
	for _, n := range c.nodes[1:] {
		n.join(first)
	}
	first.addEngine()
	first.enable("certinext", api.MountConfigInput{})
	for _, n := range c.nodes {
		n.awaitVote(first)
		n.awaitMount()
	}
	balanced, err := api.NewClient(&api.Config{Address: c.balance(t), Timeout: time.Minute, MaxRetries: 2})
	require.NoError(t, err)
	balanced.SetToken(first.api.Token())
	c.caller = &caller{t: t, server: first, api: balanced}
	return c
}

// join makes a server that has just been started a member of the cluster of another one.
func (v *server) join(leader *server) {
	v.t.Helper()
	v.unseal = leader.unseal
	v.api.SetToken(leader.api.Token())
	joined, err := v.api.Sys().RaftJoinWithContext(v.t.Context(), &api.RaftJoinRequest{LeaderAPIAddr: leader.address})
	require.NoError(v.t, err)
	require.True(v.t, joined.Joined)
	v.standBy()
}

// standBy unseals the server and waits until it is a standby that knows who is active.
func (v *server) standBy() {
	v.t.Helper()
	_, err := v.api.Sys().UnsealWithContext(v.t.Context(), v.unseal)
	require.NoError(v.t, err)
	waitUntil(v.t, 30*time.Second, "the server is a standby", func() bool {
		h := v.health()
		if h == nil || h.Sealed || !h.Standby {
			return false
		}
		leader, err := v.api.Sys().LeaderWithContext(v.t.Context())
		return err == nil && !leader.IsSelf && leader.LeaderAddress != ""
	})
}

// awaitVote waits until the server counts in the election of the next active node.
func (v *server) awaitVote(leader *server) {
	v.t.Helper()
	cluster, err := os.ReadFile(filepath.Join(v.dir, "vault.hcl"))
	require.NoError(v.t, err)
	waitUntil(v.t, 30*time.Second, "the server is a voter", func() bool {
		members, err := leader.api.Logical().ReadWithContext(v.t.Context(), "sys/storage/raft/configuration")
		if err != nil || members == nil {
			return false
		}
		config, _ := members.Data["config"].(map[string]any)
		list, _ := config["servers"].([]any)
		for _, s := range list {
			member, _ := s.(map[string]any)
			address, _ := member["address"].(string)
			if strings.Contains(string(cluster), address) {
				return member["voter"] == true
			}
		}
		return false
	})
}

// awaitMount waits until the server knows the mount, which OpenBao's standbys learn of a little later.
func (v *server) awaitMount() {
	v.t.Helper()
	asked := v.unredirected()
	waitUntil(v.t, 30*time.Second, "the server knows the mount", func() bool {
		_, err := asked.api.HelpWithContext(v.t.Context(), "certinext")
		return err == nil
	})
}

// health is what the server says of itself, and nil when it does not answer.
func (v *server) health() *api.HealthResponse {
	c, err := api.NewClient(&api.Config{Address: v.address, Timeout: time.Second})
	if err != nil {
		return nil
	}
	c.SetMaxRetries(0)
	h, err := c.Sys().HealthWithContext(v.t.Context())
	if err != nil {
		return nil
	}
	return h
}

// active waits until one of the nodes is active, and returns it.
func (c *cluster) active() *server { return c.successor(nil) }

// successor waits until another node than before is active, and returns it.
func (c *cluster) successor(before *server) *server {
	c.t.Helper()
	var found *server
	waitUntil(c.t, 60*time.Second, "a node is active", func() bool {
		found = nil
		for _, n := range c.nodes {
			if n == before {
				continue
			}
			if h := n.health(); h != nil && h.Initialized && !h.Sealed && !h.Standby {
				found = n
			}
		}
		return found != nil
	})
	return found
}

// standbys are the nodes that run and are not active.
func (c *cluster) standbys() []*server {
	c.t.Helper()
	active, out := c.active(), []*server(nil)
	for _, n := range c.nodes {
		if n != active && !n.process.ended() {
			out = append(out, n)
		}
	}
	return out
}

// kill crashes a node and its plugin.
func (c *cluster) kill(n *server) {
	c.mu.Lock()
	c.deaths = append(c.deaths, time.Now())
	c.mu.Unlock()
	n.crash()
}

// sinceDeath is how long ago the last node was killed.
func (c *cluster) sinceDeath() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Since(c.deaths[len(c.deaths)-1])
}

// revive starts a killed node again, as a standby, and sees that it serves.
func (c *cluster) revive(n *server) {
	c.t.Helper()
	n.launch(c.t)
	n.standBy()
	n.awaitVote(c.active())
	require.NotEmpty(c.t, n.unredirected().list("certinext/roles"), "the node that came back forwards nothing")
}

// unredirected returns a caller that goes to this server only. When a standby does not forward, it tells the client to go to
// the active node, and this client fails.
func (v *server) unredirected() *caller {
	v.t.Helper()
	c, err := api.NewClient(&api.Config{
		Address: v.address, Timeout: time.Minute, MaxRetries: 2, HttpClient: &http.Client{Transport: noRedirects{}},
	})
	require.NoError(v.t, err)
	c.SetToken(v.api.Token())
	return &caller{t: v.t, server: v, api: c}
}

// noRedirects makes an error of being told to go elsewhere.
type noRedirects struct{}

func (noRedirects) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusTemporaryRedirect {
		resp.Body.Close()
		return nil, fmt.Errorf("not forwarded, but told to go to %s", resp.Header.Get("Location"))
	}
	return resp, err
}

// balance starts a load balancer that gives every request to the next node that takes connections, and returns its address.
func (c *cluster) balance(t *testing.T) string {
	t.Helper()
	var turn atomic.Int64
	dial := func(ctx context.Context, network, _ string) (conn net.Conn, err error) {
		for range c.nodes {
			n := c.nodes[int(turn.Add(1))%len(c.nodes)]
			if conn, err = new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(n.address, "http://")); err == nil {
				return conn, nil
			}
		}
		return nil, err
	}
	balancer := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "vault.test" },
		Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true},
		ErrorLog:  log.New(io.Discard, "", 0),
	})
	t.Cleanup(balancer.Close)
	return balancer.URL
}

// insist makes the same request through the balancer until it is answered with a certificate. It puts up with an order that
// is open and with servers that are not there.
func (c *cluster) insist(within time.Duration, path string, data map[string]any) *api.Secret {
	c.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(200 * time.Millisecond) {
		resp, err := c.send(path, data)
		if resp != nil {
			c.books.hold(c.t, resp)
			return resp
		}
		if err == nil {
			// Vault's client goes where a standby sends it, once, and takes the second such answer for an empty success.
			err = errors.New("sent from node to node")
		}
		require.True(c.t, isRefusal(err) || isOutage(err), "%v", err)
		require.True(c.t, time.Now().Before(deadline), "not answered within %s: %v", within, err)
	}
}

// read is the caller's through whatever outage there is.
func (c *cluster) read(path string) map[string]any {
	c.t.Helper()
	return c.get(path, c.api.Logical().ReadWithContext).Data
}

// list is the caller's through whatever outage there is, for lists that are not empty.
func (c *cluster) list(path string) []string {
	c.t.Helper()
	return texts(c.get(path, c.api.Logical().ListWithContext).Data["keys"])
}

func (c *cluster) get(path string, how func(context.Context, string) (*api.Secret, error)) *api.Secret {
	c.t.Helper()
	var resp *api.Secret
	waitUntil(c.t, 60*time.Second, path+" is answered", func() bool {
		var err error
		resp, err = how(c.t.Context(), path)
		require.True(c.t, err == nil || isOutage(err), "%v", err)
		return resp != nil
	})
	return resp
}

// isOutage reports whether err is of servers rather than of the request. A standby of OpenBao's that is just taking over says that
// it has no such mount.
func isOutage(err error) bool {
	var answer *api.ResponseError
	if programs.openBao && errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return strings.Contains(err.Error(), "no handler for route")
	}
	return !errors.As(err, &answer) || answer.StatusCode >= http.StatusInternalServerError
}

// checkSecrets looks in the logs of every node for what any of them was told.
func (c *cluster) checkSecrets(t *testing.T) {
	t.Helper()
	logs := []string{filepath.Join(c.nodes[0].dir, "audit.log")} // its path is the same on all nodes
	for _, n := range c.nodes {
		logs = append(logs, filepath.Join(n.dir, "vault.log"))
	}
	for _, path := range logs {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, n := range c.nodes {
			require.Empty(t, n.revealed(string(text)), "%s tells secrets", path)
		}
	}
}
