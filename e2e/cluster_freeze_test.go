// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// A machine that freezes, as a virtual one may while it is moved, is worse than a dead one: it wakes up in the middle of what
// it did, and does not know that another node has taken over and has finished that.
func TestTheActiveNodeFreezesAndWakesUpTooLate(t *testing.T) {
	t.Parallel()
	for _, dialect := range []certinexttest.Dialect{certinexttest.Live, certinexttest.Documented} {
		t.Run(dialect.String(), func(t *testing.T) {
			t.Parallel()
			ca := newAuthority(t, &certinexttest.Server{
				Dialect: dialect, VerifiedDomains: []string{"example.com"}, IssueDelay: time.Second,
			})
			c := startCluster(t)
			c.active().configure(ca)
			for _, p := range clusterFreezes {
				c.freezesAt(t, ca, p)
			}
			c.settle(t, ca)
		})
	}
}

// A clusterFreeze is a point at which the active node freezes.
type clusterFreeze struct {
	name, host string
	op         string
	n          int
	unheard    bool // the CA has not got the order yet
}

var clusterFreezes = []clusterFreeze{
	{"the CA's answer to the order is on its way", "create", certinexttest.OpCreateSSL, 1, false},
	{"the order waits for the CA", "track", certinexttest.OpTrack, 2, false},
	{"the certificate is on its way", "download", certinexttest.OpCertificate, 1, false},
	{"the order is stored and about to be sent", "token", certinexttest.OpToken, 1, true},
}

// freezesAt freezes the active node at one point, gets the certificate from the next one, and wakes the frozen one up.
func (c *cluster) freezesAt(t *testing.T, ca *authority, p clusterFreeze) {
	t.Helper()
	t.Log(p.name)
	f := c.freeze(t, ca, p)
	frozen, plugins, name := f.node, f.plugins, f.name
	request := map[string]any{"common_name": name}
	t.Cleanup(func() { frozen.signal(plugins, syscall.SIGCONT) })
	require.NotEmpty(t, plugins, "the engine did not freeze")

	next := c.successor(frozen)
	asked := next.unredirected()
	var order string
	if p.unheard && ca.Dialect == certinexttest.Live {
		reason := asked.refused("certinext/issue/web", request)
		require.Contains(t, reason, "not known yet whether CERTInext took the order")
		order = "certinext/orders/web/" + orderID.FindString(reason)
	} else {
		c.books.hold(t, asked.persist(60*time.Second, "certinext/issue/web", request))
	}
	frozen.signal(plugins, syscall.SIGCONT)
	if err := <-f.lost; !programs.openBao { // whose standbys run the engine, and forward the request once more
		require.Error(t, err, "a node that is not active any more has handed over a certificate")
	}
	waitUntil(t, 60*time.Second, "the node that woke up is a standby without the engine", func() bool {
		h := frozen.health()
		return h != nil && h.Standby && (programs.openBao || len(frozen.pluginPIDs()) == 0)
	})
	if order != "" {
		if len(ca.ordersFor(name)) == 0 { // it did not get as far as sending it, and only a person can know that
			asked.write("operator/"+order, map[string]any{"never_placed": true})
		}
		c.books.hold(t, asked.persist(60*time.Second, "certinext/issue/web", request))
	}
	require.Len(t, ca.ordersFor(name), 1)
	t.Logf("the CA was told %d times of the one order", ca.ordersFor(name)[0].Creates)
	require.Same(t, next, c.active())
	require.NotEmpty(t, frozen.unredirected().list("certinext/roles"), "the node that woke up forwards nothing")
}

// A frozenNode stands still in the middle of the request for one name.
type frozenNode struct {
	node    *server
	plugins []int // Vault may start them with the request
	name    string
	lost    <-chan error // how the request ended, once the node woke up
}

// freeze asks the active node for a certificate and freezes it at one point. A busy machine may depose the node before it
// gets there: then the request is finished on its successor, which is frozen instead.
func (c *cluster) freeze(t *testing.T, ca *authority, p clusterFreeze) frozenNode {
	t.Helper()
	for try := range 5 {
		f := frozenNode{node: c.active(), name: fmt.Sprintf("%s%d.example.com", p.host, try)}
		c.books.want(f.name)
		request := map[string]any{"common_name": f.name}
		still := make(chan struct{})
		if p.unheard {
			ca.KillTokens()
		}
		onCall(ca, p.op, p.n, func() {
			f.plugins = f.node.pluginPIDs()
			f.node.signal(f.plugins, syscall.SIGSTOP)
			for _, pid := range append(f.plugins, f.node.process.pid()) {
				waitUntil(t, 10*time.Second, "a process stands still", func() bool { return isFrozen(pid) })
			}
			close(still)
		})
		lost := make(chan error, 1)
		f.lost = lost
		go func() {
			client := f.node.unredirected()
			client.api.SetMaxRetries(0)
			_, err := client.send("certinext/issue/web", request)
			lost <- err
		}()
		select {
		case <-still:
			return f
		case err := <-lost:
			ca.Configure(func(s *certinexttest.Server) { s.AfterCall = nil })
			require.Error(t, err, "the certificate came without the call at which the node was to freeze")
			c.successor(f.node) // fails unless another node is active: nothing else excuses the request's end
			t.Logf("the node was deposed before it froze: %s", err)
			c.insist(time.Minute, "certinext/issue/web", request)
			require.Len(t, ca.ordersFor(f.name), 1)
		case <-time.After(time.Minute):
			require.FailNow(t, "the node did not freeze")
		}
	}
	require.FailNow(t, "the active node was deposed again and again")
	return frozenNode{}
}

// signal sends a signal to the server and those plugins of its that run.
func (v *server) signal(plugins []int, s syscall.Signal) {
	for _, pid := range plugins {
		if runs(pid, programs.plugin) {
			_ = syscall.Kill(pid, s)
		}
	}
	_ = v.process.cmd.Process.Signal(s)
}

// isFrozen reports whether every thread of a process is stopped. A signal only asks for it.
func isFrozen(pid int) bool {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(threads) == 0 {
		return false
	}
	return !slices.ContainsFunc(threads, func(path string) bool {
		stat, err := os.ReadFile(path)
		_, state, _ := strings.Cut(string(stat), ") ")
		return err == nil && !strings.HasPrefix(state, "T")
	})
}
