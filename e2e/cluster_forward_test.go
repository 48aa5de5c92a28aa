// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

func TestAStandbyForwardsEverythingAndAsksTheCANothing(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}})
	c := startCluster(t)
	calls := c.watchCallers(ca)
	active := c.active()
	active.configure(ca)
	for _, standby := range c.standbys() {
		c.useStandby(t, ca, standby)
		if programs.openBao {
			require.NotEmpty(t, standby.pluginPIDs(), "a standby of OpenBao's serves reads itself")
		} else {
			require.Empty(t, standby.pluginPIDs(), "a standby runs the engine")
		}
	}
	require.Same(t, active, c.active())
	asked := calls.by(active)
	t.Logf("the CA was called %d times from the active node's plugin and %d times by others", asked, calls.total()-asked)
	require.Positive(t, asked)
	require.Equal(t, calls.total(), asked, "somebody else than the active node's plugin called the CA")
	c.settle(t, ca)
}

// useStandby does everything that calls the CA by way of one standby.
func (c *cluster) useStandby(t *testing.T, ca *authority, standby *server) {
	t.Helper()
	s, domain := standby.unredirected(), fmt.Sprintf("n%d.example.com", standby.process.pid())
	named := func(host string) map[string]any {
		c.books.want(host + "." + domain)
		return map[string]any{"common_name": host + "." + domain}
	}
	checks := ca.Calls()[certinexttest.OpMe]
	s.write("certinext/config", ca.account())
	require.Greater(t, ca.Calls()[certinexttest.OpMe], checks, "the config was not tried out")
	s.write("certinext/roles/web", map[string]any{
		"product_code": "842", "product_variant": "dv", "allowed_domains": "example.com", "allow_subdomains": true,
	})

	issued := s.write("certinext/issue/web", named("issued"))
	leaf := ca.check(t, issued)
	c.books.hold(t, issued)
	serial := text(t, issued.Data["serial_number"])
	require.Equal(t, issued.Data["certificate"], s.read("certinext/cert/" + serial)["certificate"])

	key, csr := newCSR(t, "signed."+domain)
	signing := named("signed")
	signing["csr"] = csr
	signed := s.write("certinext/sign/web", signing)
	requireKeyOf(t, ca.checkChain(t, signed), key)
	c.books.holdKey(signed, key)

	order := s.write("certinext/orders/web", named("ordered"))
	path := "certinext/orders/web/" + text(t, order.Data["order_id"])
	require.Equal(t, order.Data["ca_order_id"], s.read(path)["ca_order_id"])
	collected := s.persist(30*time.Second, path+"/collect", nil)
	ca.check(t, collected)
	c.books.hold(t, collected)

	require.Equal(t, "revoked", s.write("certinext/revoke", map[string]any{"serial_number": serial}).Data["state"])
	c.endLeaseAt(s, signed)
	require.Equal(t, "revoked", ca.ordersFor(leaf.Subject.CommonName)[0].Status)
	require.Equal(t, "revoked", ca.ordersFor("signed." + domain)[0].Status)
}

// endLeaseAt ends a lease by way of a standby. OpenBao's does not forward that, and says so: nothing has happened then.
func (c *cluster) endLeaseAt(s *caller, resp *api.Secret) {
	c.t.Helper()
	if !programs.openBao {
		s.endLease(resp)
		return
	}
	err := s.api.Sys().RevokeWithOptionsWithContext(c.t.Context(), &api.RevokeOptions{LeaseID: resp.LeaseID, Sync: true})
	require.ErrorContains(c.t, err, "storage is read-only")
	require.Empty(c.t, s.read("certinext/cert/" + text(c.t, resp.Data["serial_number"]))["revocation_time_rfc3339"])
	c.active().endLease(resp)
}

// What is written while one node is active is what the next active one goes by.
func TestTheNextActiveNodeGoesByTheNewestConfigAndRole(t *testing.T) {
	t.Parallel()
	verified := []string{"example.com", "example.org"}
	old := newAuthority(t, &certinexttest.Server{VerifiedDomains: verified})
	other := newAuthority(t, &certinexttest.Server{VerifiedDomains: verified})
	c := startCluster(t)
	first := c.active()
	first.configure(old)
	old.check(t, c.insist(30*time.Second, "certinext/issue/web", map[string]any{"common_name": "a.example.com"}))

	other.keepSecrets(first)
	c.write("certinext/config", forced(other.account()))
	c.write("certinext/roles/web", map[string]any{
		"product_code": "842", "product_variant": "dv", "allowed_domains": "example.org", "allow_subdomains": true,
	})
	c.kill(first)
	second := c.successor(first)
	other.check(t, c.insist(60*time.Second, "certinext/issue/web", map[string]any{"common_name": "b.example.org"}))
	require.Contains(t, c.refused("certinext/issue/web", map[string]any{"common_name": "b.example.com"}), "b.example.com")
	require.Equal(t, other.url, c.read("certinext/config")["base_url"])
	c.revive(first)

	c.write("certinext/config", forced(old.account()))
	second.role("web", nil)
	require.NoError(t, second.api.Sys().StepDownWithContext(t.Context()))
	c.successor(second)
	old.check(t, c.insist(60*time.Second, "certinext/issue/web", map[string]any{"common_name": "c.example.com"}))
	require.Contains(t, c.refused("certinext/issue/web", map[string]any{"common_name": "c.example.org"}), "c.example.org")
	require.Len(t, old.Orders(), 2)
	require.Len(t, other.Orders(), 1)
}

// forced is a config that strands what belongs to the account before it.
func forced(config map[string]any) map[string]any {
	config["force"] = true
	return config
}

// A callerLog is which node's plugin has called the CA, found out by who holds the other end of the connection.
type callerLog struct {
	mu   sync.Mutex
	seen map[*server]int // nil is somebody else
}

func (c *cluster) watchCallers(ca *authority) *callerLog {
	l := &callerLog{seen: make(map[*server]int)}
	ca.Configure(func(s *certinexttest.Server) {
		s.BeforeCall = func(_ string, r *http.Request) {
			from := c.pluginBehind(r.RemoteAddr)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.seen[from]++
		}
	})
	return l
}

func (l *callerLog) by(n *server) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[n]
}

func (l *callerLog) total() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	sum := 0
	for _, n := range l.seen {
		sum += n
	}
	return sum
}

// pluginBehind returns the node whose plugin has a connection from that address, or nil.
func (c *cluster) pluginBehind(address string) *server {
	inode := socketFrom(address)
	for _, n := range c.nodes {
		for _, pid := range n.pluginPIDs() {
			if inode != "" && holdsSocket(pid, inode) {
				return n
			}
		}
	}
	return nil
}

// socketFrom finds in /proc/net/tcp the inode of the socket that is connected from a loopback address.
func socketFrom(address string) string {
	_, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	table, _ := os.ReadFile("/proc/net/tcp")
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 9 && fields[1] == fmt.Sprintf("0100007F:%04X", number) && fields[3] == "01" {
			return fields[9]
		}
	}
	return ""
}

func holdsSocket(pid int, inode string) bool {
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if to, err := os.Readlink(dir + e.Name()); err == nil && to == "socket:["+inode+"]" {
			return true
		}
	}
	return false
}
