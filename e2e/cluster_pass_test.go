// Copyright (c) The vault-plugin-secrets-certinext authors
// SPDX-License-Identifier: MPL-2.0

package e2e_test

import (
	"sync"
	"testing"
	"time"

	"github.com/certinext/vault-plugin-secrets-certinext/certinext/certinexttest"
	"github.com/stretchr/testify/require"
)

// A node that steps down ends what it is asked already; then another one is active, and finds what is open. What nobody asks
// for any more is left to its background pass, which runs a minute after the node has become active, and then every minute.
func TestANodeStepsDownAndTheNextOneFinishesWhatIsLeft(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t, &certinexttest.Server{VerifiedDomains: []string{"example.com"}, IssueDelay: 4 * time.Second})
	c := startCluster(t)
	first := c.active()
	first.configure(ca)
	first.role("brief", map[string]any{"issue_timeout": "2s"})
	for _, name := range []string{"left", "waiting", "brief", "leased"} {
		c.books.want(name + ".example.com")
	}
	leased := c.insist(30*time.Second, "certinext/issue/web", map[string]any{"common_name": "leased.example.com"})
	left := c.write("certinext/orders/web", map[string]any{"common_name": "left.example.com"})
	var asked sync.WaitGroup
	for role, name := range map[string]string{"web": "waiting.example.com", "brief": "brief.example.com"} {
		asked.Go(func() { c.insist(90*time.Second, "certinext/issue/"+role, map[string]any{"common_name": name}) })
	}
	waitUntil(t, 30*time.Second, "both are ordered", func() bool { return len(ca.Orders()) == 4 })
	require.NoError(t, first.api.Sys().StepDownWithContext(t.Context()))
	second := c.successor(first)
	asked.Wait()

	// The CA is down when the lease ends, and the node that knows of it dies.
	ca.Inject(certinexttest.Fault{Operation: certinexttest.OpRevoke, Kind: certinexttest.FaultServerError})
	c.endLeaseOf(t, leased)
	cert := "certinext/cert/" + text(t, leased.Data["serial_number"])
	require.Equal(t, true, c.read(cert)["revocation_queued"])
	ca.ClearFaults()
	path := "certinext/orders/web/" + text(t, left.Data["order_id"])
	require.Equal(t, "pending", c.read(path)["state"], "somebody was faster than the node that dies")
	c.kill(second)
	c.successor(second)
	c.revive(second)
	waited := c.sinceDeath()

	waitUntil(t, 140*time.Second, "the pass of the new active node has done its work", func() bool {
		return c.read(path)["state"] == "issued" && c.read(cert)["revocation_queued"] == false
	})
	t.Logf("another node was active and the dead one back within %s; the pass was done after %s",
		waited.Round(time.Millisecond), c.sinceDeath().Round(time.Millisecond))
	require.Equal(t, "revoked", ca.ordersFor("leased.example.com")[0].Status)
	require.Equal(t, false, c.read(path)["delivered"])
	ca.check(t, c.insist(30*time.Second, path+"/collect", nil))
	c.settle(t, ca)
}
